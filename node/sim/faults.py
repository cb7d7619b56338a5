"""What goes wrong in a storm, drawn from the seed; and how a calm makes it stop.

Rules of this file: every fault is within what the documents promise to survive; each is counted
by name, so that a campaign can show that it really happened. The faults themselves are in files
named after what they strike.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from node.sim.box_faults import BoxFaults
from node.sim.hook_faults import HookFaults
from node.sim.market import SimExchange
from node.sim.moment_faults import MomentFaults
from node.sim.network import Weather
from node.sim.people_faults import PeopleFaults
from node.sim.process_faults import ProcessFaults
from node.sim.promise_faults import PromiseFaults
from node.sim.stander import Stander
from node.sim.store_faults import StoreFaults
from node.sim.surroundings import Surroundings
from node.sim.targets import Targets
from node.sim.wire_faults import WireFaults

if TYPE_CHECKING:
    from node.sim.channel import Phone
    from node.sim.person import Person
    from node.sim.watching import Watching


class Faults:
    """Storms and calms over one world."""

    def __init__(
        self,
        targets: Targets,
        weather: Weather,
        venue_weather: Weather,
        *,
        exchange: SimExchange,
        phone: "Phone",
        person: "Person",
        watching: "Watching",
        stander: Stander,
        only: Collection[str] = (),
    ) -> None:
        """Bind what can break; `only`: names of faults, empty for all."""
        self._targets, self._world = targets, targets.world
        self._weather, self._venue_weather = weather, venue_weather
        self._exchange, self._phone, self._person = exchange, phone, person
        self._watching, self._stander = watching, stander
        self._is_storm = False
        self._every_s = 8.0
        processes = ProcessFaults(targets)
        self._stores = stores = StoreFaults(targets)
        boxes, wires = BoxFaults(targets), WireFaults(targets)

        def lose_everything() -> None:
            if self._is_storm:
                processes.crash()
                stores.lose_all_stores()

        people = PeopleFaults(targets, person, lose_everything=lose_everything)
        moments = MomentFaults(
            targets, watching=watching, exchange=exchange, switchover=people.switchover
        )
        around = Surroundings(targets.world, exchange, phone)
        # How often each is named says how often it strikes.
        self._kinds: tuple[Callable[[], None], ...] = (
            *([processes.kill] * 3),
            *([processes.kill_within] * 2),
            *([moments.kill_in_flight] * 3),
            moments.kill_at_takeover,
            *([processes.pause] * 2),
            processes.hang,
            processes.stop_orderly,
            *([people.switchover] * 3),
            moments.late_order,
            moments.slow_journal,
            *([wires.cut_wire] * 2),
            wires.cut_box,
            wires.cut_all_but_one,
            *([wires.slow_wire] * 2),
            wires.cut_venue,
            *([stores.restart_store] * 2),
            *([stores.roll_back] * 2),
            stores.flush,
            stores.freeze,
            stores.down,
            stores.lose_all_stores,
            boxes.slew,
            boxes.set_wall,
            boxes.suspend,
            boxes.stall_disk,
            boxes.fail_disk,
            around.maintenance,
            around.rate_limit,
            *([around.lag] * 2),
            around.phone_away,
            around.phone_limited,
            *([around.price_falls] * 2),
            people.pause_cluster,
            boxes.heat,
            boxes.power_cut,
            processes.crash,
            *HookFaults(targets).kinds,
            *PromiseFaults(targets, stander, is_storm=lambda: self._is_storm).kinds,
        )
        if only:
            self._kinds = tuple(kind for kind in self._kinds if kind.__name__ in only)
        self._world.counts.update(dict.fromkeys(map(_counted_as, self._kinds), 0))

    # --- weather -------------------------------------------------------------------------------

    def begin_storm(self, every_s: float) -> None:
        """Let things go wrong, one every `every_s` seconds on average."""
        self._targets.note("storm begins")
        self._is_storm, self._every_s = True, every_s
        self._world.is_gentle = False
        rng, weather = self._world.rng, self._weather
        weather.lost, weather.slow = rng.choice((0.002, 0.01, 0.03)), rng.choice((0.01, 0.05))
        weather.doubled = 0.004
        venue = self._venue_weather
        venue.lost, venue.slow = rng.choice((0.005, 0.03, 0.08)), rng.choice((0.02, 0.08))
        self._next()
        self._take_snapshots()

    def begin_calm(self) -> None:
        """Mend everything that people and time mend."""
        self._targets.note("calm begins")
        self._is_storm = False
        for weather in (self._weather, self._venue_weather):
            weather.lost = weather.slow = weather.doubled = 0.0
        for box in self._targets.boxes:
            box.mend()
        self._watching.on_next_send = self._watching.on_next_takeover = None
        for store in self._targets.stores:
            store.set_down(is_down=False)
            store.frozen_until_s = 0.0
        exchange, phone = self._exchange, self._phone
        exchange.maintenance_until_s = exchange.limited_until_s = exchange.lagging_until_s = 0.0
        exchange.holds_next_order, self._world.is_gentle = False, True
        phone.away_until_s = phone.limited_until_s = 0.0
        self._person.resume()
        self._stander.end_all()

    def _next(self) -> None:
        self._world.after(self._world.rng.expovariate(1 / self._every_s), self._strike)

    def _strike(self) -> None:
        if not self._is_storm:
            return
        kind = self._world.rng.choice(self._kinds)
        self._world.count(_counted_as(kind))
        kind()
        self._next()

    def _take_snapshots(self) -> None:
        if not self._is_storm:
            return
        self._stores.take_snapshots()
        self._world.after(self._world.rng.uniform(1.0, 8.0), self._take_snapshots)


def _counted_as(kind: Callable[[], None]) -> str:
    return f"fault: {kind.__name__.replace('_', ' ')}"
