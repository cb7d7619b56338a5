"""Two nodes and their stores in simulated time, with production code and hostile weather.

Every node runs the real `LeaseMachine`, `LeasePermit`, `execute` and `move_gate`; stores are
`MemoryStore`s. Simulated are: time (each node has its own two clocks, of bounded rate error), the
links (lost, slow, reordered, duplicated, cut), the kernel fence, pauses, kills and restarts of
processes, the stores' restarts, rollbacks, wipes, flushes and freezes, and the way of an order to a
venue that judges its deadline (`lease_weather.py`).

Invariants, checked after every event, in true time:

1. never two open gates;
2. no gate opens while a living process still has a write of an older grant in flight;
3. the epochs under which orders are sent are unique and grow, and so do a node's own grants;
4. the venue never takes an order of an older epoch after the gate of a later one has opened.

`Bounds` adds what is not S1 or S2: how long nobody leads, votes stolen, needless refusals.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

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
    Refusal,
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
    Verb,
)
from election.store_worker import execute
from tests.support.lease_weather import Bounds, Faults, Report, Weather, calm

__all__ = ["Bounds", "Report", "Simulation", "Weather", "build_machine", "calm"]

# A venue's window as configured, what is taken off the permit for it, how ill its time is known.
RECV_WINDOW_S = 5.0
MARGIN_S = 0.05
OFFSET_ERROR_S = 0.05

BuildMachine = Callable[[Identity, LeaseTiming, Sequence[StoreName], int, int], LeaseMachine]


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

    def jump(self, by_s: float) -> None:
        """Set both clocks; a kernel must never do that."""
        self._boot, self._raw, _ = self.read()
        self._base, self._boot, self._raw = self._sim.now, self._boot + by_s, self._raw + by_s

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
        self._sim.report.healthy_kills += not self._process.was_troubled
        self._process.kill()

    def disarm(self) -> None:
        self.at_boot_s = None


class Box:
    """One machine: its clock, its disk (the epoch), its processes one after another."""

    def __init__(self, sim: "Simulation", name: str) -> None:
        rng = sim.rng
        error = sim.weather.rate_error
        raw = 1 + (
            rng.choice([-error, error]) if sim.weather.is_extreme else rng.uniform(-error, error)
        )
        self.sim, self.name = sim, NodeId(name)
        self.node_id = NodeId("A") if sim.weather.has_one_id else self.name
        lists = sim.weather.lists
        self.timing = sim.timings[name]
        self.list = lists[name == "B"] if lists else "".join(s.name for s in sim.stores)
        self.clock = SimClock(sim, raw, raw, rng.uniform(5, 1000))
        self.disk_epoch = self.granted_epoch = 0
        self.floor = 0
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
        self.is_alive, self.was_troubled = True, False
        self.paused_until = self.hung_until = 0.0
        self.timing = box.timing
        self.nonce = f"{box.name}-{sim.next_number()}"
        self.identity = Identity(
            cluster_id="sim", config_id=box.list, node_id=box.node_id, nonce=self.nonce
        )
        names = [StoreName(letter) for letter in box.list]
        self.machine = self.build(names)
        self.fence = SimFence(sim, self)
        fence: Fence = sim.build_fence(self.fence)
        self.permit = LeasePermit(clock=box.clock, fence=fence, timing=self.timing)
        self.unknown_until = -1.0  # latest deadline of a write that ended without an answer
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

    def hang(self, for_s: float) -> None:
        """Hang the work loop for a while; the heartbeat and the permit live on."""
        is_held = self.is_alive and self.permit.remaining_s() > 0
        if not self.is_hung and is_held:
            self.sim.watch_hang(self, for_s)
        self.hung_until = max(self.hung_until, self.sim.now + for_s)
        self.was_troubled = True

    def be_unfit(self, for_s: float) -> None:
        """Report the node unfit, and fit again after a while."""
        self.feed(EligibilitySet(reasons=("unfit for a moment",)))
        self.after(for_s, lambda: self.feed(EligibilitySet(reasons=())))

    @property
    def is_hung(self) -> bool:
        """True while the work loop hangs."""
        return self.sim.now < self.hung_until

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
                    self.sim.check_opening(self, command.epoch)
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
        """Sign an order, ask the permit for the last time, and let it out (R9)."""
        limit_s = self.timing.guard_ms / 1000
        stamp_s = self.sim.now - self.sim.rng.uniform(0, OFFSET_ERROR_S)  # never ahead (H12)
        deadline_s = stamp_s + min(RECV_WINDOW_S, self.permit.remaining_s() - MARGIN_S)
        if not self.permit.begin_write(epoch=epoch, needed_s=limit_s):
            return
        self.sim.note_write(self, epoch)
        travel_s = self.sim.order_travel_s()
        self.sim.at(
            self.sim.now + travel_s,  # the bytes are in the kernel's buffer: they leave anyhow
            lambda: self.sim.judge_order(self.nonce, epoch, deadline_s),
        )
        if 2 * travel_s < limit_s:
            self.after(2 * travel_s, self.permit.end_write)
        else:
            self.after(limit_s, lambda: self.end_unknown(deadline_s))

    def end_unknown(self, deadline_s: float) -> None:
        """No answer in time: the venue may still take the order until its deadline."""
        self.unknown_until = max(self.unknown_until, deadline_s)
        self.permit.end_write()

    def try_release(self) -> None:
        self.permit.close(reason="switchover")
        self.may_order_epoch = 0
        if self.permit.in_flight == 0:
            self.wants_release = False
            reserved = self.sim.rng.choice(["", "A", "B"])
            drain_ms = max(0, int((self.unknown_until - self.sim.now) * 1000) + 1)  # R10
            self.feed(ReleaseAsked(drain_ms=drain_ms, reserved_for=reserved, reason="switchover"))
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
        if sim.rng.random() < sim.weather.duplicated and not sim.is_calm:
            again_s = there + sim.rng.uniform(0, sim.weather.slow_max_s)
            sim.at(sim.now + again_s, lambda: self.arrive(call, sent, back))

    def arrive(self, call: Call, sent: Instant, back: float | None) -> None:
        """The request is at the store, even if its sender is dead by now."""
        sim = self.sim
        frozen = sim.frozen_until.get(call.store, 0.0)
        if sim.now < frozen:
            sim.at(frozen, lambda: self.arrive(call, sent, back))
            return
        wid = WriteId(f"w{sim.next_number()}")
        store = sim.store(call.store)
        is_robbing = sim.is_held_by_another(self, store)
        try:
            reply = execute(
                store, call, identity=self.identity, ttl_ms=self.timing.ttl_ms, new_wid=wid
            )
        except StoreUnreachable:
            return
        sim.note_reply(self, call, reply, is_robbing=is_robbing)
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
        dice = 1.0 if self._sim.is_calm else rng.random()
        if dice < weather.lost:
            return None
        if dice < weather.lost + weather.slow:
            return rng.choice([rng.uniform(0.05, 0.8), rng.uniform(0.5, weather.slow_max_s)])
        return rng.uniform(0.0005, 0.01)


class Simulation(Faults):
    """One run from one seed."""

    def __init__(
        self,
        *,
        seed: int,
        stores: int,
        weather: Weather,
        timing: LeaseTiming | None = None,
        timing_of_b: LeaseTiming | None = None,
        bounds: Bounds | None = None,
        build: BuildMachine = build_machine,
        build_fence: Callable[[SimFence], Fence] = lambda fence: fence,
    ) -> None:
        self.rng = random.Random(seed)
        self.weather, self.build, self.build_fence = weather, build, build_fence
        self.timing, self.bounds = timing or LeaseTiming(), bounds or Bounds()
        self.timings = {"A": self.timing, "B": timing_of_b or self.timing}
        if weather.ttl_ms:
            for name, ttl_ms in zip("AB", weather.ttl_ms, strict=True):
                self.timings[name] = replace(self.timings[name], ttl_ms=ttl_ms)
        self.now = 0.0
        self.report = Report(duration_s=weather.duration_s)
        self.venue_floor: tuple[int, str] = (0, "")
        self.opened_epoch = 0
        self.frozen_until: dict[StoreName, float] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._leaderless_since = 0.0
        letters = "".join(sorted(set("".join(weather.lists)))) if weather.lists else "xyz"[:stores]
        self.stores = [
            MemoryStore(name, now_us=lambda: 0, new_inc=lambda: f"life{self.next_number()}")
            for name in letters
        ]
        for store in self.stores:
            store.set_down(store.name in weather.down)
        self.snapshots: dict[StoreName, list[Snapshot]] = {s.name: [] for s in self.stores}
        self.links = {(NodeId(n), s.name): Link(self) for n in "AB" for s in self.stores}
        self.boxes: Sequence[Box] = ()
        self.boxes = [self.build_box("A"), self.build_box("B")]

    def build_box(self, name: str) -> Box:
        return Box(self, name)

    def store(self, name: StoreName) -> MemoryStore:
        return next(store for store in self.stores if store.name == name)

    def run(self) -> Report:
        """Run until the end or the first violation."""
        self.at(self.rng.expovariate(1 / self.weather.fault_every_s), self.strike)
        self.at(1.0, self._take_snapshots)
        while self._heap and not self.report.violations:
            when, _, action = heapq.heappop(self._heap)
            if when > self.weather.duration_s:
                break
            before, self.now = self.now, max(when, self.now)
            open_count = sum(self._is_open(box) for box in self.boxes)
            if open_count:
                self.report.led_s += self.now - before
            if open_count > 1:
                self.report.overlap_s += self.now - before
            action()
            self._check_gates()
            self._check_leader()
        self._check_bounds()
        return self.report

    def blame(self, text: str) -> None:
        """Note a violation."""
        self.report.violations.append(f"{self.now:.3f}: {text}")

    # --- invariants ---

    def _is_open(self, box: Box) -> bool:
        return box.process.is_alive and box.process.permit.remaining_s() > 0

    def _check_gates(self) -> None:
        if self.bounds.overlap_s is None and all(self._is_open(box) for box in self.boxes):
            self.blame("two open gates")

    def check_opening(self, process: Process, epoch: int) -> None:
        self.opened_epoch = max(self.opened_epoch, epoch)
        for box in self.boxes:
            other = box.process
            is_judged = other is not process and self.bounds.overlap_s is None
            if is_judged and other.is_alive and other.permit.in_flight:
                self.blame(f"{process.box.name} opens while {box.name} has a write in flight")

    def note_grant(self, process: Process, epoch: int) -> None:
        self.report.grants.append((self.now, process.box.name, epoch))
        if epoch <= process.box.granted_epoch:
            self.blame(f"{process.nonce} is granted epoch {epoch} a second time")
        process.box.granted_epoch = epoch

    def note_write(self, process: Process, epoch: int) -> None:
        self.report.writes += 1
        highest, nonce = self.venue_floor
        is_older = epoch < highest or (epoch == highest and nonce != process.nonce)
        if is_older and self.bounds.overlap_s is None:
            self.blame(f"{process.nonce} sends under epoch {epoch} after {highest} of {nonce}")
        self.venue_floor = (max(epoch, highest), process.nonce)

    def order_travel_s(self) -> float:
        """Draw how long an order is under way to the venue."""
        if self.rng.random() < self.weather.order_slow and not self.is_calm:
            return self.rng.uniform(0.2, self.weather.slow_max_s)
        return self.rng.uniform(0.005, 0.2)

    def judge_order(self, nonce: str, epoch: int, deadline_s: float) -> None:
        """Take an order, or refuse it for its deadline, as the venue does (S2)."""
        if self.now > deadline_s:
            self.report.late += 1
            return
        self.report.accepted += 1
        if epoch < self.opened_epoch and self.bounds.overlap_s is None:
            self.blame(
                f"the venue takes an order of {nonce}, epoch {epoch}, after "
                f"{self.opened_epoch} opened"
            )

    # --- bounds ---

    def is_held_by_another(self, process: Process, store: MemoryStore) -> bool:
        """Tell whether the store's record names another process whose gate is open."""
        record = store.snapshot().record
        return record is not None and any(
            box.process is not process
            and record.nonce == box.process.nonce
            and record.epoch == box.process.permit.epoch
            and self._is_open(box)
            for box in self.boxes
        )

    def note_reply(
        self, process: Process, call: Call, reply: StoreReply, *, is_robbing: bool
    ) -> None:
        """Count votes taken from a holder, and renewals refused for the holder's own writes."""
        if call.verb is Verb.ACQUIRE and reply.is_ok:
            self.report.stolen += is_robbing
        is_own = reply.record is not None and reply.record.nonce == process.nonce
        if call.verb is Verb.RENEW and reply.refusal is Refusal.CHANGED:
            self.report.refused_own += is_own

    def watch_hang(self, process: Process, for_s: float) -> None:
        """Check later that a hung holder lost its gate, and its life."""
        held_s, alive_s = self.bounds.hung_s, self.bounds.hung_alive_s

        def check(limit_s: float, what: str, is_still: Callable[[], bool]) -> None:
            if for_s > limit_s:
                self.at(
                    self.now + limit_s,
                    lambda: self.blame(f"a hung holder {what}") if is_still() else None,
                )

        if held_s is not None:
            check(
                held_s, "still leads", lambda: process.is_alive and process.permit.remaining_s() > 0
            )
        if alive_s is not None:
            check(alive_s, "still lives", lambda: process.is_alive)

    def _check_leader(self) -> None:
        limit_s, from_s = self.bounds.leaderless_s, self.bounds.leaderless_from_s
        if limit_s is None:
            return
        if from_s is None:
            from_s = 0.0 if self.report.grants else self.weather.duration_s
        if self.now < from_s or any(self._is_open(box) for box in self.boxes):
            self._leaderless_since = max(self.now, from_s)
            return
        gap_s = self.now - self._leaderless_since
        self.report.leaderless_s = max(self.report.leaderless_s, gap_s)
        if gap_s > limit_s:
            self.blame(f"nobody leads for more than {limit_s} s")

    def _check_bounds(self) -> None:
        for name in ("stolen", "refused_own", "healthy_kills", "overlap_s"):
            limit = getattr(self.bounds, name)
            shown = getattr(self.report, name)
            if limit is not None and shown > limit:
                self.blame(f"{name} is {shown:.3g}, more than {limit}")

    # --- snapshots ---

    def note_release(self) -> None:
        """Now and then a store comes back later as it was at the release, or just after (H2)."""
        if self.is_calm or "roll_back" not in self.weather.faults:
            return
        store, after_s = self.rng.choice(self.stores), self.rng.choice([0.0, 0.0, 0.002, 0.1, 0.3])
        kept: list[Snapshot] = []
        self.at(self.now + after_s, lambda: kept.append(store.snapshot()))
        if self.rng.random() < 0.6:
            self.at(self.now + self.rng.uniform(0.5, 6.0), lambda: store.rollback(kept[0]))

    def _take_snapshots(self) -> None:
        for store in self.stores:
            self.snapshots[store.name].append(store.snapshot())
        self.at(self.now + self.rng.uniform(0.3, 3.0), self._take_snapshots)
