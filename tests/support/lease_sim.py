"""Two nodes and their stores in simulated time, with production code and hostile weather.

Every node runs the real `LeaseMachine`, `LeasePermit`, `execute` and `move_gate`; stores are
`MemoryStore`s. Simulated are: time (each node has its own two clocks, of bounded rate error), the
links (lost, slow, reordered, cut), the kernel fence, pauses, kills and restarts of processes, and
the stores' restarts, rollbacks, wipes, flushes and freezes.

Invariants, checked after every event, in true time:

1. never two open gates;
2. no gate opens while a living process still has a write of an older grant in flight;
3. the epochs under which orders are sent are unique and grow.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from election.errors import StoreUnreachable
from election.gate import move_gate
from election.instants import Instant, instant_of
from election.machine import LeaseMachine
from election.memory_store import MemoryStore, Snapshot
from election.model import (
    Deposed,
    Granted,
    Identity,
    Lapsed,
    LeaseEvent,
    LeaseTiming,
    NodeId,
    StoreName,
    StoreReply,
    WriteId,
)
from election.permit import LeasePermit
from election.ports import Fence
from election.signals import (
    Answered,
    Call,
    CloseGate,
    Command,
    EligibilitySet,
    EpochStored,
    ExtendGate,
    Failed,
    FloorRaised,
    OpenGate,
    Publish,
    ReleaseAsked,
    Stimulus,
    StoreEpoch,
    SuspendGate,
    Tick,
)
from election.store_worker import execute

BuildMachine = Callable[[Identity, LeaseTiming, Sequence[StoreName], int, int], LeaseMachine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How hostile the run is; probabilities are per message, periods are means in seconds."""

    lost: float = 0.03
    slow: float = 0.08
    slow_max_s: float = 12.0
    fault_every_s: float = 2.5
    duration_s: float = 40.0
    rate_error: float = 0.02
    slew: float = 0.08


@dataclass(slots=True)
class Report:
    """What a run showed."""

    violations: list[str] = field(default_factory=list)
    grants: list[tuple[float, NodeId, int]] = field(default_factory=list)
    led_s: float = 0.0
    duration_s: float = 0.0
    writes: int = 0
    fence_kills: int = 0
    lapses: int = 0


def build_machine(
    identity: Identity, timing: LeaseTiming, stores: Sequence[StoreName], disk: int, floor: int
) -> LeaseMachine:
    """Build the production machine."""
    return LeaseMachine(
        identity=identity, timing=timing, stores=stores, disk_epoch=disk, floor=floor
    )


class SimClock:
    """Two clocks of a box, each with its own rate; changes of rate keep them continuous."""

    def __init__(self, sim: "Simulation", boot_rate: float, raw_rate: float, born_s: float) -> None:
        self._sim = sim
        self.boot_rate, self.raw_rate = boot_rate, raw_rate
        self._base, self._boot, self._raw = sim.now, born_s, born_s
        self.wall_offset_s = 0.0

    def read(self) -> tuple[float, float, float]:
        elapsed = self._sim.now - self._base
        boot = self._boot + elapsed * self.boot_rate
        return (boot, self._raw + elapsed * self.raw_rate, boot + self.wall_offset_s)

    def slew(self, boot_rate: float) -> None:
        self._boot, self._raw, _ = self.read()
        self._base, self.boot_rate = self._sim.now, boot_rate

    def true_time_of(self, boot_s: float) -> float:
        return self._base + (boot_s - self._boot) / self.boot_rate


class SimFence:
    """Kills the process at an instant of its box's boot clock, paused or not."""

    def __init__(self, sim: "Simulation", process: "Process") -> None:
        self._sim, self._process = sim, process
        self.at_boot_s: float | None = None

    def arm(self, boottime_s: float) -> None:
        self.at_boot_s = boottime_s
        self.schedule()

    def schedule(self) -> None:
        if self.at_boot_s is None:
            return
        wanted = self.at_boot_s
        at = max(self._sim.now, self._process.box.clock.true_time_of(wanted))
        self._sim.at(at, lambda: self._fire(wanted))

    def _fire(self, wanted: float) -> None:
        if self.at_boot_s != wanted or not self._process.is_alive:
            return
        if self._process.box.clock.read()[0] < wanted - 1e-9:
            self.schedule()  # the clock was slewed meanwhile
            return
        self._sim.report.fence_kills += 1
        self._process.kill()

    def disarm(self) -> None:
        self.at_boot_s = None


class Box:
    """One machine: its clock, its disk (the epoch), its processes one after another."""

    def __init__(self, sim: "Simulation", name: str) -> None:
        rng = sim.rng
        error = sim.weather.rate_error
        raw = 1 + rng.uniform(-error, error)
        self.sim, self.name = sim, NodeId(name)
        self.clock = SimClock(sim, raw, raw, rng.uniform(5, 1000))
        self.disk_epoch = 0
        self.floor = 0
        self.cut: dict[StoreName, float] = {}
        self.process = self.begin_process()

    def begin_process(self) -> "Process":
        return Process(self)

    def restart(self) -> None:
        if not self.process.is_alive:
            self.process = self.begin_process()


class Process:
    """One life of the node's process."""

    def __init__(self, box: Box) -> None:
        sim = box.sim
        self.box, self.sim = box, sim
        self.timing = sim.timings[box.name]
        self.is_alive, self.is_hung = True, False
        self.paused_until = 0.0
        self.nonce = f"{box.name}-{sim.next_number()}"
        self.identity = Identity(
            cluster_id="sim", config_id="c", node_id=box.name, nonce=self.nonce
        )
        names = [store.name for store in sim.stores]
        self.machine = self.build(names)
        self.fence = SimFence(sim, self)
        fence: Fence = sim.build_fence(self.fence)
        self.permit = LeasePermit(clock=box.clock, fence=fence, timing=self.timing)
        self.progress_at = instant_of(box.clock.read())
        self.may_order_epoch = 0
        self.wants_release = False
        self.tick_at = 0.0
        self.feed(EligibilitySet(reasons=()))
        self.tick()

    def build(self, stores: Sequence[StoreName]) -> LeaseMachine:
        box, sim = self.box, self.sim
        return sim.build(self.identity, self.timing, stores, box.disk_epoch, box.floor)

    # --- time of this process ---

    def run(self, action: Callable[[], None]) -> None:
        """Run now, or after the pause, or never when dead."""
        if not self.is_alive:
            return
        if self.sim.now < self.paused_until:
            self.sim.at(self.paused_until, lambda: self.run(action))
        else:
            action()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        self.sim.at(self.sim.now + delay_s, lambda: self.run(action))

    def instant(self) -> Instant:
        return instant_of(self.box.clock.read())

    def kill(self) -> None:
        self.is_alive = False
        self.sim.at(self.sim.now + self.sim.rng.uniform(0.5, 8), self.box.restart)

    # --- the coordinator ---

    def tick(self) -> None:
        if not self.is_hung:
            self.work()
        self.feed(
            Tick(
                progress_at=self.progress_at,
                progress_label="step",
                is_settled=self.permit.is_settled,
            )
        )
        wake_s = self.machine.wake_in_s(self.instant())
        self.after(wake_s * self.sim.rng.uniform(1.0, 1.05) + 1e-6, self.tick)

    def feed(self, first: Stimulus) -> None:
        stimuli = [first]
        while stimuli and self.is_alive:
            commands = self.machine.step(
                stimuli.pop(0), now=self.instant(), chance=self.sim.rng.random()
            )
            for command in commands:
                stimuli.extend(self.execute(command))

    def execute(self, command: Command) -> list[Stimulus]:
        match command:
            case Call():
                self.call(command)
            case StoreEpoch():
                self.after(self.sim.rng.uniform(0.001, 0.05), lambda: self.persisted(command.epoch))
            case OpenGate() | ExtendGate():
                if isinstance(command, OpenGate):
                    self.sim.check_opening(self)
                outcome = move_gate(self.permit, command)
                return [] if outcome is None else [outcome]
            case SuspendGate():
                self.permit.suspend(since=command.since, reason=command.reason)
            case CloseGate():
                self.permit.end_grant(reason=command.reason)
            case Publish():
                self.hear(command.event)
        return []

    def persisted(self, epoch: int) -> None:
        self.box.disk_epoch = max(self.box.disk_epoch, epoch)
        self.feed(EpochStored(epoch=epoch))

    # --- the work loop ---

    def hear(self, event: LeaseEvent) -> None:
        match event:
            case Granted():
                epoch, by = self.sim.venue_floor
                if epoch >= event.epoch and by != self.nonce:
                    self.after(0.0, lambda: self.feed(FloorRaised(epoch=epoch + 1)))
                else:
                    self.may_order_epoch = event.epoch
                    self.sim.note_grant(self, event.epoch)
            case Lapsed() | Deposed():
                self.sim.report.lapses += 1
                self.may_order_epoch = 0
                self.wants_release = False
            case _:
                pass

    def work(self) -> None:
        """One pass of the work loop: a step completed, perhaps an order, perhaps a release."""
        self.progress_at = self.instant()
        self.permit.settle()
        self.box.floor = max(self.box.floor, self.sim.venue_floor[0])
        if self.wants_release:
            self.try_release()
        elif self.may_order_epoch and self.sim.rng.random() < 0.5:
            self.write(self.may_order_epoch)

    def write(self, epoch: int) -> None:
        if not self.permit.begin_write(epoch=epoch, needed_s=self.timing.guard_ms / 1000):
            return
        self.sim.note_write(self, epoch)
        limit_s = self.timing.guard_ms / 1000
        self.after(self.sim.rng.uniform(0.01, limit_s), self.permit.end_write)

    def try_release(self) -> None:
        self.permit.close(reason="switchover")
        self.may_order_epoch = 0
        if self.permit.in_flight == 0:
            self.wants_release = False
            reserved = self.sim.rng.choice(["", "A", "B"])
            self.feed(ReleaseAsked(drain_ms=0, reserved_for=reserved, reason="switchover"))
            self.sim.note_release()

    # --- one call to one store ---

    def call(self, call: Call) -> None:
        sim, sent = self.sim, self.instant()
        link = sim.links[(self.box.name, call.store)]
        timeout_s = self.timing.request_timeout_ms / 1000
        sim.at(
            sim.now + timeout_s,
            lambda: self.run(lambda: self.feed(Failed(call=call, error="timeout"))),
        )
        there, back = link.delays()
        if there is None:
            return
        sim.at(sim.now + there, lambda: self.arrive(call, sent, back))

    def arrive(self, call: Call, sent: Instant, back: float | None) -> None:
        """The request is at the store, even if its sender is dead by now."""
        sim = self.sim
        frozen = sim.frozen_until.get(call.store, 0.0)
        if sim.now < frozen:
            sim.at(frozen, lambda: self.arrive(call, sent, back))
            return
        wid = WriteId(f"w{sim.next_number()}")
        store = sim.store(call.store)
        try:
            reply = execute(
                store, call, identity=self.identity, ttl_ms=self.timing.ttl_ms, new_wid=wid
            )
        except StoreUnreachable:
            return
        if back is not None:
            sim.at(sim.now + back, lambda: self.run(lambda: self.receive(call, reply, sent)))

    def receive(self, call: Call, reply: StoreReply, sent: Instant) -> None:
        received = self.instant()
        self.feed(Answered(call=call, reply=reply, sent=sent, received=received))


class Link:
    """One direction pair between a box and a store."""

    def __init__(self, sim: "Simulation") -> None:
        self._sim = sim
        self.cut_there_until = 0.0
        self.cut_back_until = 0.0

    def delays(self) -> tuple[float | None, float | None]:
        sim = self._sim
        there, back = self._one(), self._one()
        if sim.now < self.cut_there_until:
            there = None
        if sim.now < self.cut_back_until:
            back = None
        return there, back

    def _one(self) -> float | None:
        rng, weather = self._sim.rng, self._sim.weather
        dice = rng.random()
        if dice < weather.lost:
            return None
        if dice < weather.lost + weather.slow:
            return rng.choice([rng.uniform(0.05, 0.8), rng.uniform(0.5, weather.slow_max_s)])
        return rng.uniform(0.0005, 0.01)


class Simulation:
    """One run from one seed."""

    def __init__(
        self,
        *,
        seed: int,
        stores: int,
        weather: Weather,
        timing: LeaseTiming | None = None,
        timing_of_b: LeaseTiming | None = None,
        build: BuildMachine = build_machine,
        build_fence: Callable[[SimFence], Fence] = lambda fence: fence,
    ) -> None:
        self.rng = random.Random(seed)
        self.weather, self.build, self.build_fence = weather, build, build_fence
        self.timing = timing or LeaseTiming()
        self.timings = {"A": self.timing, "B": timing_of_b or self.timing}
        self.now = 0.0
        self.report = Report(duration_s=weather.duration_s)
        self.venue_floor: tuple[int, str] = (0, "")
        self.frozen_until: dict[StoreName, float] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self.stores = [
            MemoryStore(name, now_us=lambda: 0, new_inc=lambda: f"life{self.next_number()}")
            for name in "xyz"[:stores]
        ]
        self._snapshots: dict[StoreName, list[Snapshot]] = {s.name: [] for s in self.stores}
        self.links = {(NodeId(n), s.name): Link(self) for n in "AB" for s in self.stores}
        self.boxes: Sequence[Box] = [self.build_box("A"), self.build_box("B")]

    def build_box(self, name: str) -> Box:
        return Box(self, name)

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, self.next_number(), action))

    def store(self, name: StoreName) -> MemoryStore:
        return next(store for store in self.stores if store.name == name)

    def run(self) -> Report:
        """Run until the end or the first violation."""
        self.at(self.rng.expovariate(1 / self.weather.fault_every_s), self._fault)
        self.at(1.0, self._take_snapshots)
        while self._heap and not self.report.violations:
            when, _, action = heapq.heappop(self._heap)
            if when > self.weather.duration_s:
                break
            before, self.now = self.now, max(when, self.now)
            if any(self._is_open(box) for box in self.boxes):
                self.report.led_s += self.now - before
            action()
            self._check_gates()
        return self.report

    # --- invariants ---

    def _is_open(self, box: Box) -> bool:
        return box.process.is_alive and box.process.permit.remaining_s() > 0

    def _check_gates(self) -> None:
        if all(self._is_open(box) for box in self.boxes):
            self.report.violations.append(f"{self.now:.3f}: two open gates")

    def check_opening(self, process: Process) -> None:
        for box in self.boxes:
            other = box.process
            if other is not process and other.is_alive and other.permit.in_flight:
                self.report.violations.append(
                    f"{self.now:.3f}: {process.box.name} opens while {box.name} has a write "
                    "in flight"
                )

    def note_grant(self, process: Process, epoch: int) -> None:
        self.report.grants.append((self.now, process.box.name, epoch))

    def note_write(self, process: Process, epoch: int) -> None:
        self.report.writes += 1
        highest, nonce = self.venue_floor
        if epoch < highest or (epoch == highest and nonce != process.nonce):
            self.report.violations.append(
                f"{self.now:.3f}: {process.nonce} sends under epoch {epoch} after {highest} "
                f"of {nonce}"
            )
        self.venue_floor = (max(epoch, highest), process.nonce)

    def note_release(self) -> None:
        """Now and then a store later comes back with the record as it was just released (H2)."""
        if self.rng.random() < 0.6:
            store = self._some_store()
            self.at(
                self.now + self.rng.uniform(0.002, 0.3),
                lambda: self._snapshots[store.name].append(store.snapshot()),
            )
            self.at(
                self.now + self.rng.uniform(0.5, 6.0),
                lambda: store.rollback(self._snapshots[store.name][-1]),
            )

    # --- weather ---

    def _take_snapshots(self) -> None:
        for store in self.stores:
            self._snapshots[store.name].append(store.snapshot())
        self.at(self.now + self.rng.uniform(0.3, 3.0), self._take_snapshots)

    def _fault(self) -> None:
        rng = self.rng
        rng.choice(self.faults())()
        self.at(self.now + rng.expovariate(1 / self.weather.fault_every_s), self._fault)

    def faults(self) -> list[Callable[[], None]]:
        return [
            self._pause,
            self._kill,
            self._hang,
            self._switchover,
            self._switchover,
            self._cut,
            self._cut,
            self._restart_store,
            self._restart_store,
            self._roll_back,
            self._roll_back,
            self._flush,
            self._freeze,
            self._down,
            self._slew,
            self._set_wall,
            self._cut_box,
            self._cut_all_but_one,
        ]

    def _process(self) -> Process:
        return self.rng.choice(self.boxes).process

    def _some_store(self) -> MemoryStore:
        return self.rng.choice(self.stores)

    def _long_s(self) -> float:
        return self.rng.choice([self.rng.uniform(0.1, 2.5), self.rng.uniform(2.0, 18.0)])

    def _pause(self) -> None:
        self._process().paused_until = self.now + self._long_s()

    def _kill(self) -> None:
        process = self._process()
        if process.is_alive:
            process.kill()

    def _hang(self) -> None:
        process = self._process()
        process.is_hung = True
        self.at(self.now + self._long_s(), lambda: setattr(process, "is_hung", False))

    def _switchover(self) -> None:
        process = self._process()
        if process.permit.remaining_s() > 0:
            process.wants_release = True

    def _cut(self) -> None:
        link = self.rng.choice(list(self.links.values()))
        until = self.now + self._long_s()
        direction = self.rng.randrange(3)
        if direction != 0:
            link.cut_there_until = until
        if direction != 1:
            link.cut_back_until = until

    def _cut_all_but_one(self) -> None:
        name, until = self.rng.choice("AB"), self.now + self._long_s()
        spared = self._some_store().name
        for (box, store), link in self.links.items():
            if box == name and store != spared:
                link.cut_there_until = link.cut_back_until = until

    def _cut_box(self) -> None:
        name = self.rng.choice("AB")
        until = self.now + self._long_s()
        for (box, _), link in self.links.items():
            if box == name:
                link.cut_there_until = link.cut_back_until = until

    def _restart_store(self) -> None:
        self._some_store().restart(keep=self.rng.random() < 0.5)

    def _roll_back(self) -> None:
        store = self._some_store()
        if snapshots := self._snapshots[store.name]:
            store.rollback(self.rng.choice(snapshots[-6:]))

    def _flush(self) -> None:
        store = self._some_store()
        store.flush()
        if self.rng.random() < 0.3:
            self.at(self.now + self.rng.uniform(0.1, 5.0), store.flush)

    def _freeze(self) -> None:
        self.frozen_until[self._some_store().name] = self.now + self._long_s()

    def _down(self) -> None:
        store = self._some_store()
        store.set_down(True)
        self.at(self.now + self._long_s(), lambda: store.set_down(False))

    def _slew(self) -> None:
        box = self.rng.choice(self.boxes)
        slew = self.weather.slew
        box.clock.slew(box.clock.raw_rate * (1 + self.rng.uniform(-slew, slew)))
        box.process.fence.schedule()

    def _set_wall(self) -> None:
        self.rng.choice(self.boxes).clock.wall_offset_s += self.rng.choice([3600, -3600, 0.3])


def calm(weather: Weather) -> Weather:
    """Return the same run without faults and with perfect links."""
    return replace(weather, lost=0.0, slow=0.0, fault_every_s=1e9)
