"""The machine's lease clock: an edge, named after the kernel's clocks (R0)."""

import time


class KernelClock:
    """Reads CLOCK_BOOTTIME (counts suspend) and CLOCK_MONOTONIC_RAW (not slewed by NTP)."""

    def read(self) -> tuple[float, float, float]:
        """Return (boottime_s, monotonic_raw_s, wall_s) read back to back."""
        return (
            time.clock_gettime(time.CLOCK_BOOTTIME),
            time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
            time.time(),
        )
