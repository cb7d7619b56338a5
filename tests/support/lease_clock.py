"""A simulated box's clocks, and the kernel fence that goes by them (see lease_sim.py)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.lease_process import Process
    from tests.support.lease_sim import Simulation


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
