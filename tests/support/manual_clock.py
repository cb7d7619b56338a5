"""A lease clock that a test moves by hand."""

from election.errors import FenceUnavailable
from election.instants import Instant, instant_of


class ManualClock:
    """Both clocks and the wall start at 1000 s and move only when told."""

    def __init__(self) -> None:
        self.boot_s = self.raw_s = self.wall_s = 1000.0

    def read(self) -> tuple[float, float, float]:
        return (self.boot_s, self.raw_s, self.wall_s)

    def now(self) -> Instant:
        return instant_of(self.read())

    def advance(self, seconds: float) -> Instant:
        self.boot_s += seconds
        self.raw_s += seconds
        self.wall_s += seconds
        return self.now()


class RecordingFence:
    """Remembers where the fence stands; None when it is not armed."""

    def __init__(self) -> None:
        self.at_boot_s: float | None = None
        self.is_broken = False

    def arm(self, boottime_s: float) -> None:
        if self.is_broken:
            raise FenceUnavailable("timer_settime: broken for the test")
        self.at_boot_s = boottime_s

    def disarm(self) -> None:
        self.at_boot_s = None

    def is_armed(self) -> bool:
        return self.at_boot_s is not None
