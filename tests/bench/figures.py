"""What was measured as values: phases of a failover, senders at a venue, and their statistics.

Rules of this file: pure; instants are Unix milliseconds of the one clock that all hosts of a lab
share; a phase that was not seen is None and is never counted as zero.
"""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A sender is on from its first order to its last, as long as it pauses no longer than this.
PAUSE_MS = 2500


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """One change of the leader; all fields but the first five are milliseconds since T0.

    `last_old_ms`: last order of the old leader that the venue accepted (negative: before T0).
    `silent_since_ms`: last renewal that the new leader saw (None after a release).
    `told_ms`: the message about it arrived at the Bot API server.
    """

    case: str
    run: int
    old: str
    new: str
    load: float
    last_old_ms: float | None
    silent_since_ms: float | None
    granted_ms: float
    active_ms: float
    first_order_ms: float
    told_ms: float | None

    @property
    def gap_ms(self) -> float | None:
        """From the last order of the old leader to the first one of the new."""
        return None if self.last_old_ms is None else self.first_order_ms - self.last_old_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, 90th percentile and extremes of one figure."""

    count: int
    least: float
    median: float
    p90: float
    most: float


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return the statistics of what was seen, None when nothing was."""
    seen = sorted(v for v in values if v is not None)
    if not seen:
        return None
    # The nearest rank: a figure that really occurred, also in ten runs.
    rank = max(0, -(-len(seen) * 9 // 10) - 1)
    return Spread(
        count=len(seen),
        least=seen[0],
        median=statistics.median(seen),
        p90=seen[rank],
        most=seen[-1],
    )


# --- who sent when -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order as the venue saw it."""

    sender: str
    at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """How one system behaved around one fault.

    `nobody_ms`: longest time without an order of anybody after the fault. `both_ms`: time in
    which two senders were on at once; `doubled`: orders that one of them sent while the other was
    on; a single late order of an old leader counts. `is_over`: somebody sent again before the
    watch ended.
    """

    nobody_ms: float
    both_ms: float
    doubled: int
    is_over: bool


def judge_senders(orders: Sequence[Order], *, fault_ms: float, end_ms: float) -> Senders:
    """Return what the venue's log says about the time from the fault to the end of the watch."""
    names = sorted({order.sender for order in orders})
    times = {n: sorted(o.at_ms for o in orders if o.sender == n) for n in names}
    spans = {name: _spans(times[name]) for name in names}
    both_ms, doubled = 0.0, 0
    for place, a in enumerate(names):
        for b in names[place + 1 :]:
            both_ms += sum(
                max(0.0, min(x[1], y[1]) - max(x[0], y[0])) for x in spans[a] for y in spans[b]
            )
            doubled += max(_inside(times[a], spans[b]), _inside(times[b], spans[a]))
    last_before = [o.at_ms for o in orders if o.at_ms <= fault_ms]
    after = sorted(o.at_ms for o in orders if fault_ms < o.at_ms <= end_ms)
    marks = [max(last_before, default=fault_ms), *after, end_ms]
    nobody_ms = max(y - x for x, y in itertools.pairwise(marks))
    is_over = bool(after) and end_ms - after[-1] <= PAUSE_MS
    return Senders(nobody_ms=nobody_ms, both_ms=both_ms, doubled=doubled, is_over=is_over)


def _spans(times: Sequence[float]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for at_ms in times:
        if found and at_ms - found[-1][1] <= PAUSE_MS:
            found[-1] = (found[-1][0], at_ms)
        else:
            found.append((at_ms, at_ms))
    return found


def _inside(times: Sequence[float], spans: Sequence[tuple[float, float]]) -> int:
    return sum(any(start <= at_ms <= end for start, end in spans) for at_ms in times)
