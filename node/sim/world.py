"""True time, chance, and what happens in order: the heart of the simulation.

Rules of this file: one heap of events, ordered by true time and, at the same instant, by the order
in which they were put there; one source of chance. Nothing else in a simulation may ask a clock or
a random source, so that a seed names exactly one run.
"""

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.sim.process import SimProcess

Action = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline: true time in seconds, who, what, and details in words."""

    at_s: float
    who: str
    what: str
    details: Mapping[str, Any]


class World:
    """True time and everything that waits for its moment."""

    def __init__(self, seed: int) -> None:
        """Begin at true time 0."""
        self.now = 0.0
        self.rng = random.Random(seed)  # noqa: S311  (a seed must name one run)
        self.timeline: list[Entry] = []
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.events = 0
        self.current: SimProcess | None = None  # whose code runs now
        self.is_gentle = True  # a calm: not even a box that is only busy stalls
        self._heap: list[tuple[float, int, Action]] = []
        self._number = 0

    def at(self, when_s: float, action: Action) -> None:
        """Let something happen at an instant of true time; never before now."""
        self._number += 1
        heapq.heappush(self._heap, (when_s, self._number, action))

    def after(self, delay_s: float, action: Action) -> None:
        """Let something happen in a while."""
        self._number += 1
        heapq.heappush(self._heap, (self.now + delay_s, self._number, action))

    def next_number(self) -> int:
        """Return a number that this world has not given out before."""
        self._number += 1
        return self._number

    def run_until(self, end_s: float) -> None:
        """Let everything happen up to an instant, or up to the first violation."""
        heap, pop, violations = self._heap, heapq.heappop, self.violations
        while heap and heap[0][0] <= end_s and not violations:
            when_s, _, action = pop(heap)
            if when_s > self.now:  # noqa: PLR1730  (a call saved at each event)
                self.now = when_s
            self.events += 1
            action()
        if not self.violations:
            self.now = max(self.now, end_s)

    def note(self, who: str, what: str, **details: Any) -> None:
        """Write a line of the timeline."""
        self.timeline.append(Entry(self.now, who, what, details))

    def count(self, what: str) -> None:
        """Count something that a campaign must have seen."""
        self.counts[what] += 1

    def violate(self, rule: str, **details: Any) -> None:
        """Note that a promise was broken; the run ends with this event."""
        words = ", ".join(f"{key} {value}" for key, value in details.items())
        self.note("CHECKER", "VIOLATION", rule=rule, **details)
        self.violations.append(f"{self.now:.3f} s: {rule}" + (f" ({words})" if words else ""))

    def digest(self) -> str:
        """Return a hash of timeline, counts and the last chance: equal runs have equal ones."""
        total = hashlib.blake2b(digest_size=12)
        total.update(f"{sorted(self.counts.items())} {self.rng.getstate()}\n".encode())
        for entry in self.timeline:
            fields = " ".join(f"{key}={entry.details[key]!s}" for key in sorted(entry.details))
            total.update(f"{entry.at_s:.6f} {entry.who} {entry.what} {fields}\n".encode())
        return total.hexdigest()
