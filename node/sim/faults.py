"""What goes wrong in a storm, drawn from the seed; and how a calm makes it stop.

Rules of this file: every fault is within what the documents promise to survive; each is counted
by name, so that a campaign can show that it really happened.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from node.role import Role
from node.sim.market import SimExchange
from node.sim.network import Weather, Wire
from node.sim.process import SimProcess
from node.sim.stores import SimStore, StoreData
from node.sim.surroundings import Surroundings, long_s

if TYPE_CHECKING:
    from node.sim.box import Box
    from node.sim.channel import Phone
    from node.sim.person import Person
    from node.sim.watching import Watching
    from node.sim.world import World

SLEW = 0.08  # chrony's default limit
SNAPSHOTS_KEPT = 12
HOT_C = 95.0


class Faults:
    """Storms and calms over one world."""

    def __init__(
        self,
        world: "World",
        weather: Weather,
        venue_weather: Weather,
        *,
        boxes: Sequence["Box"],
        stores: Sequence[SimStore],
        exchange: SimExchange,
        phone: "Phone",
        person: "Person",
        watching: "Watching",
        homes: Mapping[str, Sequence[SimStore]],
        only: Collection[str] = (),
    ) -> None:
        """Bind what can break; `homes`: the stores on each box; `only`: faults, empty for all."""
        self._world, self._weather, self._venue_weather = world, weather, venue_weather
        self._boxes, self._stores = tuple(boxes), tuple(stores)
        self._exchange, self._phone, self._person = exchange, phone, person
        self._watching = watching
        self._homes = homes
        self._snapshots: dict[str, list[StoreData]] = {store.name: [] for store in stores}
        self._is_storm = False
        self._every_s = 8.0
        around = Surroundings(world, exchange, phone)
        self._kinds: tuple[Callable[[], None], ...] = (
            *([self.kill] * 3),
            *([self.kill_within] * 2),
            *([self.kill_in_flight] * 3),
            *([self.pause] * 2),
            self.hang,
            self.stop_orderly,
            *([self.switchover] * 3),
            *([self.cut_wire] * 2),
            self.cut_box,
            self.cut_all_but_one,
            *([self.slow_wire] * 2),
            self.cut_venue,
            *([self.restart_store] * 2),
            *([self.roll_back] * 2),
            self.flush,
            self.freeze,
            self.down,
            self.lose_all_stores,
            self.slew,
            self.set_wall,
            self.suspend,
            self.stall_disk,
            self.fail_disk,
            around.maintenance,
            around.rate_limit,
            *([around.lag] * 2),
            around.phone_away,
            around.phone_limited,
            self.pause_cluster,
            self.heat,
            self.power_cut,
            self.crash,
        )
        if only:
            self._kinds = tuple(kind for kind in self._kinds if kind.__name__ in only)
        world.counts.update(dict.fromkeys(map(_counted_as, self._kinds), 0))

    # --- weather -------------------------------------------------------------------------------

    def begin_storm(self, every_s: float) -> None:
        """Let things go wrong, one every `every_s` seconds on average."""
        self._world.note("weather", "storm begins")
        self._is_storm, self._every_s = True, every_s
        rng, weather = self._world.rng, self._weather
        weather.lost, weather.slow = rng.choice((0.002, 0.01, 0.03)), rng.choice((0.01, 0.05))
        weather.doubled = 0.004
        venue = self._venue_weather
        venue.lost, venue.slow = rng.choice((0.005, 0.03, 0.08)), rng.choice((0.02, 0.08))
        self._next()
        self._take_snapshots()

    def begin_calm(self) -> None:
        """Mend everything that people and time mend."""
        self._world.note("weather", "calm begins")
        self._is_storm = False
        for weather in (self._weather, self._venue_weather):
            weather.lost = weather.slow = weather.doubled = 0.0
        for box in self._boxes:
            box.mend()
        self._watching.on_next_send = None
        for store in self._stores:
            store.set_down(is_down=False)
            store.frozen_until_s = 0.0
        exchange, phone = self._exchange, self._phone
        exchange.maintenance_until_s = exchange.limited_until_s = exchange.lagging_until_s = 0.0
        phone.away_until_s = phone.limited_until_s = 0.0
        self._person.resume()

    def _next(self) -> None:
        self._world.after(self._world.rng.expovariate(1 / self._every_s), self._strike)

    def _strike(self) -> None:
        if not self._is_storm:
            return
        kind = self._world.rng.choice(self._kinds)
        self._world.count(_counted_as(kind))
        kind()
        self._next()

    def _while_it_storms(self, fault: Callable[[], None]) -> Callable[[], None]:
        def strike() -> None:
            if self._is_storm:
                fault()

        return strike

    def _note(self, what: str, **details: object) -> None:
        self._world.note("weather", what, **details)

    def _take_snapshots(self) -> None:
        if not self._is_storm:
            return
        for store in self._stores:
            kept = self._snapshots[store.name]
            kept.append(store.data())
            del kept[:-SNAPSHOTS_KEPT]
        self._world.after(self._world.rng.uniform(1.0, 8.0), self._take_snapshots)

    def _box(self) -> "Box":
        rng = self._world.rng
        holders = [b for b in self._boxes if b.living and self._leads(b)]
        # The one that leads is the one worth hurting, most of the time.
        if holders and rng.random() < 0.6:  # noqa: PLR2004
            return rng.choice(holders)
        return rng.choice(self._boxes)

    @staticmethod
    def _leads(box: "Box") -> bool:
        return box.runtime is not None and box.runtime.desk.role in (Role.TAKEOVER, Role.ACTIVE)

    def _process(self) -> SimProcess | None:
        return self._box().living

    def _store(self) -> SimStore:
        return self._world.rng.choice(self._stores)

    def _long_s(self) -> float:
        return long_s(self._world)

    def _until_s(self) -> float:
        return self._world.now + self._long_s()

    def _wires(self, box: "Box") -> list[Wire]:
        return list(box.wires.values())

    # --- processes -----------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL, or the kernel's out-of-memory killer."""
        if process := self._process():
            self._note("kill", of=process.name)
            process.kill("killed")

    def kill_within(self) -> None:
        """The same in the middle of what it does next."""
        if process := self._process():
            self._note("kill within the next steps", of=process.name)
            process.kill_soon(self._world.rng.randrange(1, 60))

    def kill_in_flight(self) -> None:
        """The same while the next request to the venue is under way, or just before it leaves."""
        delay_s = self._world.rng.uniform(0, 0.06)
        self._note("kill with the next write in flight")

        def strike(process: SimProcess) -> None:
            self._world.count("killed with a write in flight")
            self._world.after(delay_s, partial(process.kill, "killed"))

        self._watching.on_next_send = strike

    def crash(self) -> None:
        """Both processes at once."""
        for box in self._boxes:
            if box.living:
                self._note("kill", of=box.living.name)
                box.living.kill("killed")

    def pause(self) -> None:
        """SIGSTOP, swapping, a starved virtual machine."""
        if process := self._process():
            seconds = self._long_s()
            self._note("pause", of=process.name, seconds=round(seconds, 1))
            process.pause(seconds)

    def hang(self) -> None:
        """The work loop does nothing, the heartbeat's threads go on."""
        if process := self._process():
            seconds = self._long_s()
            self._note("hang of the work loop", of=process.name, seconds=round(seconds, 1))
            process.hang(seconds)

    def stop_orderly(self) -> None:
        """SIGTERM: an update, a restart of the service."""
        box = self._box()
        process, runtime = box.living, box.runtime
        if process is None or runtime is None:
            return
        self._note("SIGTERM", to=process.name)
        process.run(partial(runtime.ask_to_stop, "SIGTERM was received"))

    def switchover(self) -> None:
        """A person asks the leader to hand over."""
        for box in self._boxes:
            if box.living and self._leads(box):
                others = [other.name for other in self._boxes if other is not box]
                self._person.ask_switchover(box.name, self._world.rng.choice((others[0], "")))

    def pause_cluster(self) -> None:
        """A person pauses the cluster, and resumes it a while later."""
        rng, world = self._world.rng, self._world
        self._person.pause()
        if rng.random() < 0.4:  # noqa: PLR2004  (and whatever could remember it begins anew)
            at_s = rng.uniform(8, 15)
            world.after(at_s, self._while_it_storms(self.crash))
            world.after(at_s, self._while_it_storms(self.lose_all_stores))
        world.after(rng.uniform(5, 60), self._person.resume)

    # --- network -------------------------------------------------------------------------------

    def cut_wire(self) -> None:
        """One box and one store, there, back or both."""
        wire = self._world.rng.choice(self._wires(self._box()))
        self._cut(wire, self._world.rng.randrange(3))

    def cut_box(self) -> None:
        """One box and all stores, perhaps one way only."""
        direction = self._world.rng.randrange(3)
        until_s = self._until_s()
        for wire in self._wires(self._box()):
            self._cut(wire, direction, until_s)

    def cut_all_but_one(self) -> None:
        """One box sees one store only."""
        wires = self._wires(self._box())
        spared = self._world.rng.choice(wires)
        until_s = self._until_s()
        for wire in wires:
            if wire is not spared or len(wires) == 1:
                self._cut(wire, 2, until_s)

    def _cut(self, wire: Wire, direction: int, until_s: float | None = None) -> None:
        until_s = self._until_s() if until_s is None else until_s
        way = ("there", "back", "both ways")[direction]
        self._note("cut", wire=wire.name, way=way, seconds=round(until_s - self._world.now, 1))
        wire.cut(until_s, direction)

    def slow_wire(self) -> None:
        """A wire that delays what it carries, so that messages overtake each other."""
        box = self._box()
        wire = self._world.rng.choice((*self._wires(box), box.venue_wire))
        wire.slow_until_s = self._until_s()
        self._note("slow", wire=wire.name)

    # --- stores --------------------------------------------------------------------------------

    def restart_store(self) -> None:
        """A store begins another life, with or without its data."""
        store, keep = self._store(), self._world.rng.random() < 0.5  # noqa: PLR2004
        self._note("store restarts", store=store.name, keeps_data=keep)
        store.restart(keep=keep)

    def roll_back(self) -> None:
        """A store comes back with data of a while ago."""
        store = self._store()
        if kept := self._snapshots[store.name]:
            self._note("store rolled back", store=store.name)
            store.roll_back(self._world.rng.choice(kept))

    def flush(self) -> None:
        """FLUSHALL, perhaps twice."""
        store = self._store()
        self._note("FLUSHALL", store=store.name)
        store.flush()
        if self._world.rng.random() < 0.3:  # noqa: PLR2004
            self._world.after(self._world.rng.uniform(0.1, 5.0), store.flush)

    def lose_all_stores(self) -> None:
        """Every store begins another life, empty, within a moment."""
        self._note("all stores restart empty")
        for store in self._stores:
            self._world.after(self._world.rng.uniform(0, 0.5), partial(store.restart, keep=False))

    def freeze(self) -> None:
        """A store takes requests in and answers later (SIGSTOP, swapping)."""
        store = self._store()
        store.frozen_until_s = self._until_s()
        self._note("store frozen", store=store.name)

    def down(self) -> None:
        """A store refuses connections for a while."""
        store = self._store()
        self._note("store down", store=store.name)
        store.set_down(is_down=True)
        self._world.after(self._long_s(), partial(store.set_down, is_down=False))

    def slew(self) -> None:
        """NTP bends the rate of a box's boot clock."""
        box = self._box()
        rate = self._world.rng.uniform(-SLEW, SLEW)
        self._note("clock slewed", box=box.name, percent=round(rate * 100, 2))
        box.clock.slew(box.clock.raw_rate * (1 + rate))

    def set_wall(self) -> None:
        """NTP or a person sets a box's wall clock."""
        box = self._box()
        by_s = self._world.rng.choice((3600.0, -3600.0, 0.3, -0.3))
        if self._world.rng.random() < 0.2:  # noqa: PLR2004  (no battery: back to 1970)
            by_s = -box.clock.wall_s()
        self._note("wall clock set", box=box.name, by_s=round(by_s, 1))
        box.clock.wall_offset_s += by_s

    def suspend(self) -> None:
        """A box sleeps: nothing runs, one of its clocks stands still."""
        box, slept_s = self._box(), self._long_s()
        self._note("box suspended", box=box.name, seconds=round(slept_s, 1))
        box.suspend(slept_s)

    def power_cut(self) -> None:
        """A box loses its power: its stores restart empty, its clocks begin anew."""
        box, rng = self._box(), self._world.rng
        off_s = rng.uniform(1, 20)
        self._note("power cut", box=box.name, seconds=round(off_s, 1))
        box.lose_power()
        for store in self._homes.get(box.name, ()):
            store.set_down(is_down=True)
            store.restart(keep=False)
            self._world.after(off_s, partial(store.set_down, is_down=False))
        self._world.after(off_s, box.get_power)

    # --- boxes, venue, phone -------------------------------------------------------------------

    def stall_disk(self) -> None:
        """An SD card that does not answer for seconds."""
        box = self._box()
        box.disk.stalled_until_s = self._until_s()
        self._note("disk stalls", box=box.name)

    def fail_disk(self) -> None:
        """A card that is full, read-only or dying."""
        box = self._box()
        box.disk.failing_until_s = self._world.now + 2 * self._long_s()
        self._note("disk fails", box=box.name)

    def heat(self) -> None:
        """A box gets too hot for a while."""
        box = self._box()
        box.temperature_c = HOT_C
        self._note("too hot", box=box.name)

        def cool() -> None:
            box.temperature_c = 50.0

        self._world.after(self._world.rng.uniform(20, 60), cool)

    def cut_venue(self) -> None:
        """One box does not reach the venue."""
        wire = self._box().venue_wire
        self._cut(wire, self._world.rng.randrange(3), self._world.now + 3 * self._long_s())


def _counted_as(kind: Callable[[], None]) -> str:
    return f"fault: {kind.__name__.replace('_', ' ')}"
