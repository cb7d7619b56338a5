"""Counters of a board as rates over a time that is long enough to mean something. Pure.

`now_s` is monotonic. A counter that falls was begun anew: what was measured before is forgotten.
"""

from collections import deque
from dataclasses import dataclass, field

DAY_S = 86_400.0
# A minute at full load is a deployment or a backup; ten minutes are a box that is too small.
CPU_WINDOW_S = 600.0
CPU_LEAST_S = 300.0
# A night's backup must not be taken for a day of such hours, so a whole day counts as soon as there
# is one; less than an hour says nothing about a day.
WRITES_WINDOW_S = DAY_S
WRITES_LEAST_S = 3600.0
WRITES_SAMPLE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRate:
    """Megabytes a day at the pace of the last `measured_s`, in which `written_mb` were written."""

    mb_per_day: float
    written_mb: float
    measured_s: float


@dataclass(slots=True)
class CpuShare:
    """How busy all cores were, in percent of all that they could have done."""

    _seen: deque[tuple[float, float, float]] = field(default_factory=deque)

    def add(self, now_s: float, busy_s: float | None, total_s: float | None) -> float | None:
        """Take one reading; return the share, None while too little was seen."""
        if busy_s is None or total_s is None:
            return None
        if self._seen and (total_s < self._seen[-1][2] or busy_s < self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((now_s, busy_s, total_s))
        while now_s - self._seen[0][0] > CPU_WINDOW_S:
            self._seen.popleft()
        since_s, busy_before_s, total_before_s = self._seen[0]
        if now_s - since_s < CPU_LEAST_S or total_s <= total_before_s:
            return None
        return 100.0 * (busy_s - busy_before_s) / (total_s - total_before_s)


@dataclass(slots=True)
class CardWrites:
    """How much a disk is written, a day."""

    _seen: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, now_s: float, written_mb: float | None) -> WriteRate | None:
        """Take one reading; return the rate, None while too little was seen."""
        if written_mb is None:
            return None
        if self._seen and written_mb < self._seen[-1][1]:
            self._seen.clear()
        if not self._seen or now_s - self._seen[-1][0] >= WRITES_SAMPLE_S:
            self._seen.append((now_s, written_mb))
        while now_s - self._seen[0][0] > WRITES_WINDOW_S:
            self._seen.popleft()
        since_s, before_mb = self._seen[0]
        measured_s, more_mb = now_s - since_s, written_mb - before_mb
        if measured_s < WRITES_LEAST_S:
            return None
        return WriteRate(
            mb_per_day=more_mb / measured_s * DAY_S, written_mb=more_mb, measured_s=measured_s
        )
