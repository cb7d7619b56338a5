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
4. the venue never takes an order of an older grant after the gate of a later one has opened.

`Bounds` adds what is not S1 or S2: how long nobody leads, votes stolen, needless refusals.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from election.machine import LeaseMachine
from election.memory_store import MemoryStore, Snapshot
from election.model import (
    Identity,
    LeaseTiming,
    NodeId,
    Refusal,
    StoreName,
    StoreReply,
)
from election.ports import Fence
from election.signals import (
    Call,
    Verb,
)
from tests.support.lease_clock import SimFence
from tests.support.lease_growth import NEW, OLD, Growth
from tests.support.lease_process import Box, Process, StoreFile
from tests.support.lease_weather import Bounds, Faults, Report, Weather, calm

__all__ = ["Bounds", "Report", "Simulation", "Weather", "build_machine", "calm"]

BuildMachine = Callable[[Identity, LeaseTiming, Sequence[StoreName], int, int], LeaseMachine]


def build_machine(
    identity: Identity, timing: LeaseTiming, stores: Sequence[StoreName], disk: int, floor: int
) -> LeaseMachine:
    """Build the production machine."""
    return LeaseMachine(
        identity=identity, timing=timing, stores=stores, disk_epoch=disk, floor=floor
    )


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
        self.opened: dict[tuple[str, int], int] = {}  # grants, in the order of their gates
        self.frozen_until: dict[StoreName, float] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._leaderless_since = 0.0
        letters = "".join(sorted(set("".join(weather.lists)))) if weather.lists else "xyz"[:stores]
        letters = NEW.stores if weather.grows else letters
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
        self.growth = Growth(self) if weather.grows else None

    def build_box(self, name: str) -> Box:
        return Box(self, name)

    def file_of(self, name: str) -> StoreFile:
        """Return the list of stores that a box begins with."""
        if self.weather.grows:
            return OLD
        lists = self.weather.lists
        return StoreFile(lists[name == "B"] if lists else "".join(s.name for s in self.stores))

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
        if self.growth is not None:
            self.report.steps = self.growth.steps
            if self.bounds.grows and not self.growth.is_done:
                self.blame(f"the pair has not grown: {self.growth.words}")
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
        self.opened[process.nonce, epoch] = len(self.opened)
        for box in self.boxes:
            other = box.process
            is_judged = other is not process and self.bounds.overlap_s is None
            if is_judged and other.is_alive and other.permit.in_flight:
                self.blame(f"{process.box.name} opens while {box.name} has a write in flight")

    def note_grant(self, process: Process, epoch: int) -> None:
        self.report.grants.append((self.now, process.box.name, epoch))
        self.report.granted_by.append(process.file)
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
        # Not by epochs: one that was opened for a moment, without an order, and that all stores
        # forgot may be followed by a lower one (H9).
        (last, later), _ = max(self.opened.items(), key=lambda grant: grant[1])
        if (nonce, epoch) != (last, later) and self.bounds.overlap_s is None:
            self.blame(f"the venue takes an order of {nonce}, epoch {epoch}, after {later} opened")

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
