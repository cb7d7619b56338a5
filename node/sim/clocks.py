"""The clocks of one simulated box: each with its own error, none of them true time.

`boot` is CLOCK_BOOTTIME (counts suspend, NTP bends its rate), `raw` CLOCK_MONOTONIC_RAW (the bare
crystal, stands still in suspend), `monotonic` is boot without suspend, `wall` can be set by hours.
"""

from node.sim.world import World

EPOCH_S = 1_800_000_000.0  # wall time of true time 0; a recent year


class BoxClock:
    """Satisfies `election.ports.LeaseClock`; changes of rate keep the clocks continuous."""

    def __init__(self, world: World, *, raw_rate: float, born_s: float) -> None:
        """Start `born_s` seconds after the box's boot, with NTP not yet bending anything."""
        self._world = world
        self.raw_rate = self.boot_rate = raw_rate
        self._base_s = world.now
        self._boot_s = self._raw_s = born_s
        self._suspended_s = 0.0
        self.is_asleep = False
        self.wall_offset_s = EPOCH_S + world.now - born_s

    def read(self) -> tuple[float, float, float]:
        """Return (boottime_s, monotonic_raw_s, wall_s)."""
        elapsed_s = self._world.now - self._base_s
        boot_s = self._boot_s + elapsed_s * self.boot_rate
        raw_s = self._raw_s if self.is_asleep else self._raw_s + elapsed_s * self.raw_rate
        return (boot_s, raw_s, boot_s + self.wall_offset_s)

    def boot_s(self) -> float:
        """Return CLOCK_BOOTTIME."""
        return self._boot_s + (self._world.now - self._base_s) * self.boot_rate

    def monotonic_s(self) -> float:
        """Return CLOCK_MONOTONIC."""
        if self.is_asleep:
            return self._boot_s - self._suspended_s
        boot_s = self._boot_s + (self._world.now - self._base_s) * self.boot_rate
        return boot_s - self._suspended_s

    def wall_s(self) -> float:
        """Return the wall clock."""
        return self.boot_s() + self.wall_offset_s

    def slew(self, boot_rate: float) -> None:
        """Let NTP bend the rate of the boot clock from now on."""
        self._rebase()
        self.boot_rate = boot_rate

    def fall_asleep(self) -> None:
        """The box is suspended: raw and monotonic stand still, boot goes on."""
        if not self.is_asleep:
            self._rebase()
            self.is_asleep = True

    def wake_up(self) -> None:
        """The box goes on."""
        self._rebase()
        self.is_asleep = False

    def true_s_of_boot(self, boot_s: float) -> float:
        """Return the true time at which CLOCK_BOOTTIME will read this, at the present rate."""
        return self._base_s + (boot_s - self._boot_s) / self.boot_rate

    def true_s_of_monotonic(self, monotonic_s: float) -> float:
        """Return the true time at which CLOCK_MONOTONIC will read this, at the present rate."""
        return self.true_s_of_boot(monotonic_s + self._suspended_s)

    def _rebase(self) -> None:
        if self.is_asleep:
            self._suspended_s += self.boot_s() - self._boot_s
        self._boot_s, self._raw_s, _ = self.read()
        self._base_s = self._world.now
