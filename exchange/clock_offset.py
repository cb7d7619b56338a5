"""The venue's time, estimated from this box's own clock and never ahead of the venue's.

Pure: times are parameters; `VenueClock` is given the function that reads the local clock (boot
time, which counts suspend and does not follow wall clock steps).

One exchange of messages gives a bound on each side: when the answer arrived the venue's clock had
at least reached the stamp in it, and when the request left it had not yet passed it. Each sample
is therefore an interval for (venue - local); samples are intersected, and an interval widens with
its age, because the local clock's rate may be wrong. The lower end is what requests are stamped
with. An empty intersection means that one of the clocks was stepped: all but the newest sample go.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Worst rate error of the local clock between two measurements. NTP slews at 500 ppm at most with
# the kernel's own discipline; twice that. Halved, a slewing clock could run ahead of the venue.
RATE_ERROR_PPM: Final = 1_000
# Older samples are dropped: at 1000 ppm they are worse than half a second by then.
AGE_MAX_S: Final = 600.0
# Samples kept; more do not narrow the interval noticeably.
SAMPLES_MAX: Final = 16
# The venue's stamp is cut to whole milliseconds.
STAMP_RESOLUTION_MS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetSample:
    """One question to the venue for its time. Local times in seconds, the venue's in ms."""

    sent_s: float
    received_s: float
    venue_ms: int

    def __post_init__(self) -> None:
        """An answer before its question is our own bug or a stepped clock."""
        if self.received_s < self.sent_s:
            raise ValueError("an answer cannot arrive before its question left")

    def lower_ms(self, now_s: float) -> float:
        """Smallest (venue - local) in ms that this sample allows at `now_s`."""
        return self.venue_ms - self.received_s * 1000 - self._drift_ms(now_s)

    def upper_ms(self, now_s: float) -> float:
        """Largest (venue - local) in ms that this sample allows at `now_s`."""
        stamp_ms = self.venue_ms + STAMP_RESOLUTION_MS
        return stamp_ms - self.sent_s * 1000 + self._drift_ms(now_s)

    def _drift_ms(self, now_s: float) -> float:
        return max(0.0, now_s - self.received_s) * RATE_ERROR_PPM / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetEstimate:
    """(venue - local) in ms: at least `lower_ms`, at most `lower_ms + error_ms`."""

    lower_ms: float
    error_ms: float
    age_s: float


def estimate_offset(samples: tuple[OffsetSample, ...], now_s: float) -> OffsetEstimate | None:
    """Intersect the samples that are young enough; None when there is none or they disagree."""
    young = [s for s in samples if 0 <= now_s - s.received_s <= AGE_MAX_S]
    if not young:
        return None
    lower_ms = max(s.lower_ms(now_s) for s in young)
    upper_ms = min(s.upper_ms(now_s) for s in young)
    if upper_ms < lower_ms:
        return None
    age_s = now_s - max(s.received_s for s in young)
    return OffsetEstimate(lower_ms=lower_ms, error_ms=upper_ms - lower_ms, age_s=age_s)


class VenueClock:
    """Keeps the samples of one venue; shared by its reader and its gateway, one thread only."""

    def __init__(self, local_s: Callable[[], float]) -> None:
        self._local_s = local_s
        self._samples: deque[OffsetSample] = deque(maxlen=SAMPLES_MAX)

    def local_s(self) -> float:
        """Read the local clock that all samples use, in seconds."""
        return self._local_s()

    def add(self, sample: OffsetSample) -> None:
        """Take one measurement; drops all earlier ones when they contradict it."""
        self._samples.append(sample)
        if estimate_offset(tuple(self._samples), sample.received_s) is None:
            self._samples.clear()
            self._samples.append(sample)

    def invalidate(self) -> None:
        """Forget everything: the local clock was stepped, or the venue refused our time."""
        self._samples.clear()

    def estimate(self) -> OffsetEstimate | None:
        """Return what is known now; None means: measure before anything is signed."""
        return estimate_offset(tuple(self._samples), self._local_s())

    def now_ms(self) -> int | None:
        """Return the venue's time, never ahead of it; None while it is not known."""
        known = self.estimate()
        if known is None:
            return None
        return int(self._local_s() * 1000 + known.lower_ms)
