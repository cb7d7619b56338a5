"""What a simulated run suffers, what it must keep to, and what it showed.

Rules of this file: values, and one class that strikes a running simulation with faults. The
simulation itself is `lease_sim.py`.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from election.memory_store import MemoryStore, Snapshot
from election.model import NodeId, StoreName

if TYPE_CHECKING:
    from tests.support.lease_process import Box, Process, StoreFile
    from tests.support.lease_sim import Link

# One is drawn for each strike; a name that stands here twice is drawn twice as often.
ALL_FAULTS = (
    "pause",
    "kill",
    "hang",
    "switchover",
    "switchover",
    "cut",
    "cut",
    "restart_store",
    "restart_store",
    "roll_back",
    "roll_back",
    "flush",
    "freeze",
    "down",
    "slew",
    "set_wall",
    "cut_box",
    "cut_all_but_one",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How hostile the run is; probabilities are per message, periods are means in seconds.

    `calm_from_s`: from then on nothing new strikes and links are perfect; what was cut, frozen,
    down, paused or hung gets well in its own time. `order_slow`: part of the orders that reach
    the venue up to `slow_max_s` late. `ttl_ms`: ttl of box A and of box B when they differ.
    `lists`: the stores of box A and of box B when they differ, as letters of "wxyz".
    `has_one_id`: both boxes bear one node id (a copied SD card). `down`: stores that never answer.
    `grows`: the pair becomes one of three stores meanwhile (`lease_growth.py`): "hasty" with steps
    at random moments, forwards and back; "hurried" after a long stay at the first step; "orderly"
    as `make deploy-witness` walks.
    """

    lost: float = 0.03
    slow: float = 0.08
    slow_max_s: float = 12.0
    duplicated: float = 0.02
    order_slow: float = 0.1
    fault_every_s: float = 2.5
    faults: tuple[str, ...] = ALL_FAULTS
    long_max_s: float = 18.0
    duration_s: float = 40.0
    calm_from_s: float | None = None
    rate_error: float = 0.02
    slew: float = 0.08
    is_extreme: bool = False  # clock rates at either end of what is allowed, nothing between
    ttl_ms: tuple[int, int] | None = None
    lists: tuple[str, str] | None = None
    has_one_id: bool = False
    down: str = ""
    grows: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a run must keep to besides S1 and S2; None is not judged.

    `leaderless_s`: longest time without an open gate from `leaderless_from_s` on, or from the
    first grant on when that is None. `stolen`: how
    many votes a contender may take from a holder whose gate is open. `refused_own`: how many
    renewals a store may refuse because of the holder's own earlier write. `hung_s`: how long a
    hung holder may keep its gate open; `hung_alive_s`: how long it may live. `healthy_kills`: how
    many processes the fence may kill that were never paused nor hung. `overlap_s`: judge two open
    gates by their length (for weather in which S1 is *not* promised). `grows`: the pair must have
    become one of three stores at the end.
    """

    leaderless_s: float | None = None
    leaderless_from_s: float | None = 0.0
    stolen: int | None = None
    refused_own: int | None = None
    hung_s: float | None = None
    hung_alive_s: float | None = None
    healthy_kills: int | None = None
    overlap_s: float | None = None
    grows: bool = False


@dataclass(slots=True)
class Report:
    """What a run showed."""

    violations: list[str] = field(default_factory=list)
    grants: list[tuple[float, NodeId, int]] = field(default_factory=list)
    granted_by: "list[StoreFile]" = field(default_factory=list)  # the list behind each grant
    steps: list[str] = field(default_factory=list)  # of a pair that grows
    led_s: float = 0.0
    duration_s: float = 0.0
    writes: int = 0
    accepted: int = 0  # orders that the venue took
    late: int = 0  # orders that the venue refused for their deadline
    fence_kills: int = 0
    healthy_kills: int = 0
    lapses: int = 0
    stolen: int = 0
    refused_own: int = 0
    leaderless_s: float = 0.0
    overlap_s: float = 0.0


def calm(weather: Weather) -> Weather:
    """Return the same run without faults and with perfect links."""
    return replace(weather, lost=0.0, slow=0.0, duplicated=0.0, order_slow=0.0, fault_every_s=1e9)


class Faults:
    """The part of a simulation that strikes, one fault after another, until it turns calm."""

    rng: random.Random
    now: float
    weather: Weather
    stores: list[MemoryStore]
    boxes: "Sequence[Box]"
    links: "dict[tuple[NodeId, StoreName], Link]"
    frozen_until: dict[StoreName, float]
    snapshots: dict[StoreName, list[Snapshot]]
    _heap: list[tuple[float, int, Callable[[], None]]]
    _number: int

    @property
    def is_calm(self) -> bool:
        """True from `calm_from_s` on."""
        return self.weather.calm_from_s is not None and self.now >= self.weather.calm_from_s

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, self.next_number(), action))

    def strike(self) -> None:
        """Strike once and plan the next strike."""
        if self.is_calm:
            return
        self.rng.choice(self.faults())()
        self.at(self.now + self.rng.expovariate(1 / self.weather.fault_every_s), self.strike)

    def faults(self) -> list[Callable[[], None]]:
        """Return what may strike; what stands here twice strikes twice as often."""
        return [getattr(self, f"_{name}") for name in self.weather.faults]

    # --- who ---

    def _process(self) -> "Process":
        return self.rng.choice(self.boxes).process

    def _some_store(self) -> MemoryStore:
        return self.rng.choice(self.stores)

    def _long_s(self) -> float:
        rng, longest = self.rng, self.weather.long_max_s
        return rng.choice([rng.uniform(0.1, 2.5), rng.uniform(2.0, longest)])

    def _until(self) -> float:
        return self.now + self._long_s()

    # --- processes ---

    def _pause(self) -> None:
        process = self._process()
        process.paused_until, process.was_troubled = self._until(), True

    def _kill(self) -> None:
        process = self._process()
        if process.is_alive:
            process.kill()

    def _hang(self) -> None:
        self._process().hang(self._long_s())

    def _switchover(self) -> None:
        process = self._process()
        if process.permit.remaining_s() > 0:
            process.wants_release = True

    def _unfit(self) -> None:
        """A node is not fit to lead for a moment: an attempt under way is given up at once."""
        process = self._process()
        if process.is_alive:
            process.be_unfit(self.rng.uniform(0.05, 1.0))

    # --- links ---

    def _cut(self) -> None:
        link = self.rng.choice(list(self.links.values()))
        until = self._until()
        direction = self.rng.randrange(3)
        if direction != 0:
            link.cut_there_until = until
        if direction != 1:
            link.cut_back_until = until

    def _cut_links(self, chosen: Callable[[NodeId, StoreName], bool]) -> None:
        until = self._until()
        for (box, store), link in self.links.items():
            if chosen(box, store):
                link.cut_there_until = link.cut_back_until = until

    def _cut_box(self) -> None:
        name = self.rng.choice("AB")
        self._cut_links(lambda box, _: box == name)

    def _cut_all_but_one(self) -> None:
        name, spared = self.rng.choice("AB"), self._some_store().name
        self._cut_links(lambda box, store: box == name and store != spared)

    def _crossed(self) -> None:
        """One box keeps one store only, the other one all but that."""
        name, alone = self.rng.choice("AB"), self._some_store().name
        self._cut_links(lambda box, store: (box == name) == (store != alone))

    # --- stores ---

    def _restart_store(self) -> None:
        self._some_store().restart(keep=self.rng.random() < 0.5)

    def _roll_back(self) -> None:
        store = self._some_store()
        if snapshots := self.snapshots[store.name]:
            store.rollback(self.rng.choice(snapshots[-6:]))

    def _flush(self) -> None:
        store = self._some_store()
        store.flush()
        if self.rng.random() < 0.3:
            self.at(self.now + self.rng.uniform(0.1, 5.0), store.flush)

    def _flush_twice(self) -> None:
        """Twice within a ttl: two tombstones that must not look like one (H4)."""
        store, first_s = self._some_store(), self.rng.uniform(0.5, 3.0)
        store.flush()
        for delay_s in (first_s, 6.0 + self.rng.uniform(0.0, 2.0)):
            self.at(self.now + delay_s, store.flush)

    def _flush_all(self) -> None:
        """Every store forgets at once: what only the stores knew is gone (H9)."""
        for store in self.stores:
            store.flush()

    def _flush_and_cut(self) -> None:
        """Every store forgets just when one box is cut off."""
        self._flush_all()
        self._cut_box()

    def _revive(self) -> None:
        """A store gets older data *in the same life*: a virtual machine's memory snapshot."""
        store = self._some_store()
        if snapshots := self.snapshots[store.name]:
            store._record = self.rng.choice(snapshots[-6:]).record

    def _freeze(self) -> None:
        self.frozen_until[self._some_store().name] = self._until()

    def _down(self) -> None:
        store = self._some_store()
        if store.name not in self.weather.down:
            store.set_down(True)
            self.at(self._until(), lambda: store.set_down(False))

    # --- clocks ---

    def _slew(self) -> None:
        box, slew = self.rng.choice(self.boxes), self.weather.slew
        by = self.rng.choice([-slew, slew]) if self.weather.is_extreme else None
        by = self.rng.uniform(-slew, slew) if by is None else by
        box.clock.slew(box.clock.raw_rate * (1 + by))
        box.process.fence.schedule()

    def _set_wall(self) -> None:
        box = self.rng.choice(self.boxes)
        box.clock.wall_offset_s += self.rng.choice([3600, -3600, 0.3])

    def _clock_back(self) -> None:
        """Both clocks of a box jump back: a broken kernel, or a migrated virtual machine."""
        box = self.rng.choice(self.boxes)
        box.clock.jump(-self.rng.uniform(1.0, 5.0))
        box.process.fence.schedule()
