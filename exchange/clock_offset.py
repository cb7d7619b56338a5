"""The venue's time, estimated from this box's own clocks and never ahead of the venue's.

Pure: times are parameters; `VenueClock` is given the function that reads the local clocks.

One exchange of messages gives a bound on each side: when the answer arrived the venue's clock had
at least reached the stamp in it, and when the request left it had not yet passed it. Each sample
is therefore an interval for the venue's time now; intervals of several samples are intersected.
The lower end is what requests are stamped with. An empty intersection means that a clock was
stepped: all but the newest sample go.

Local time is read from two clocks (R0): boot time counts suspend but NTP bends its rate (chrony
by up to 8 %), raw monotonic time has the bare rate of the crystal but stands still in suspend.
The lower end counts the shorter of the two, the upper end the longer: whichever one is wrong,
the truth stays inside and only the uncertainty grows, until the next measurement.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

# Rate error left when neither NTP nor suspend is at work: crystals are good for 100 ppm, the
# venue's clock is disciplined. Ten times that; halved, a poor crystal in the cold could pass it.
RATE_ERROR_PPM: Final = 1_000
_SLOWEST: Final = 1 - RATE_ERROR_PPM / 1_000_000
_FASTEST: Final = 1 + RATE_ERROR_PPM / 1_000_000
# Older samples are dropped: at 1000 ppm on either side they are worse than a second by then.
AGE_MAX_S: Final = 600.0
# Samples kept; more do not narrow the interval noticeably.
SAMPLES_MAX: Final = 16
# The venue's stamp is cut to whole milliseconds.
STAMP_RESOLUTION_MS: Final = 1.0


class LocalInstant(NamedTuple):
    """One reading of both local clocks, in seconds."""

    boot_s: float
    raw_s: float

    def least_until_s(self, later: "LocalInstant") -> float:
        """Seconds from here to `later` by the clock that counted fewer."""
        return min(later.boot_s - self.boot_s, later.raw_s - self.raw_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetSample:
    """One question to the venue for its time, which it answered with `venue_ms`."""

    sent: LocalInstant
    received: LocalInstant
    venue_ms: int

    def __post_init__(self) -> None:
        """An answer before its question is our own bug."""
        if self.sent.least_until_s(self.received) < 0:
            raise ValueError("an answer cannot arrive before its question left")


class VenueTime(NamedTuple):
    """The venue's time: at least `earliest_ms`, at most `earliest_ms + error_ms`."""

    earliest_ms: float
    error_ms: float
    age_s: float


def estimate_time(samples: tuple[OffsetSample, ...], now: LocalInstant) -> VenueTime | None:
    """Intersect the usable samples; None when there is none or they contradict each other."""
    earliest_ms, latest_ms, newest_s = -inf, inf, inf
    for sample in samples:
        sent, received = sample.sent, sample.received
        boot_s, raw_s = now.boot_s - received.boot_s, now.raw_s - received.raw_s
        least_s, age_s = (boot_s, raw_s) if boot_s < raw_s else (raw_s, boot_s)
        if least_s < 0 or age_s > AGE_MAX_S:  # of the future, or too old
            continue
        boot_s, raw_s = now.boot_s - sent.boot_s, now.raw_s - sent.raw_s
        passed_s = max(boot_s, raw_s)
        low_ms = sample.venue_ms + least_s * 1000 * _SLOWEST
        high_ms = sample.venue_ms + STAMP_RESOLUTION_MS + passed_s * 1000 * _FASTEST
        # Sixteen samples, several times a second: each call counts.
        if low_ms > earliest_ms:  # noqa: PLR1730
            earliest_ms = low_ms
        if high_ms < latest_ms:  # noqa: PLR1730
            latest_ms = high_ms
        if age_s < newest_s:  # noqa: PLR1730
            newest_s = age_s
    if newest_s == inf or latest_ms < earliest_ms:
        return None
    return VenueTime(earliest_ms=earliest_ms, error_ms=latest_ms - earliest_ms, age_s=newest_s)


class VenueClock:
    """Keeps the samples of one venue; shared by its reader and its gateway, one thread only."""

    def __init__(self, local: Callable[[], LocalInstant]) -> None:
        self._local = local
        self._samples: deque[OffsetSample] = deque(maxlen=SAMPLES_MAX)

    def local(self) -> LocalInstant:
        """Read the local clocks that all samples use."""
        return self._local()

    def add(self, sample: OffsetSample) -> None:
        """Take one measurement; drops all earlier ones when they contradict it."""
        self._samples.append(sample)
        if estimate_time(tuple(self._samples), sample.received) is None:
            self._samples.clear()
            self._samples.append(sample)

    def invalidate(self) -> None:
        """Forget everything: a local clock was stepped, or the venue refused our time."""
        self._samples.clear()

    def estimate(self) -> VenueTime | None:
        """Return what is known now; None means: measure before anything is signed."""
        return estimate_time(tuple(self._samples), self._local())

    def now_ms(self) -> int | None:
        """Return the venue's time, never ahead of it; None while it is not known."""
        known = self.estimate()
        return None if known is None else int(known.earliest_ms)
