"""Wall clocks that can be stepped, one a host; the machine's own clock is never touched.

Rules of this file: only CLOCK_REALTIME moves, as when NTP steps a board's clock. Whether a process
really follows is asked of the process (redis-server: TIME; a node: its log), never assumed.
"""

import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("clock_shim.c")
VARIABLE = "HOTSPARE_CHAOS_CLOCK"
HOUR_S = 3600
COMPILE_S = 60.0


def why_no_clocks() -> str:
    """Return why no clock can be stepped here; empty when it can."""
    return "" if shutil.which("cc") else "no C compiler (cc) for the clock shim (Debian: gcc)"


class WallClock:
    """The wall clock of one host."""

    def __init__(self, directory: Path, host: str, shim: Path) -> None:
        """Start at the true time."""
        self._path = directory / f"{host}.clock"
        self._shim = shim
        self.set(0)

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process of the host is started with."""
        return {"LD_PRELOAD": str(self._shim), VARIABLE: str(self._path)}

    def set(self, offset_s: int) -> None:
        """Step the clock to this many seconds off the true time."""
        mode = "r+b" if self._path.exists() else "w+b"
        with self._path.open(mode) as file:
            file.write(offset_s.to_bytes(8, "little", signed=True))
        self.offset_s = offset_s

    def now_s(self) -> float:
        """Return what it shows."""
        return time.time() + self.offset_s

    def to_1970(self) -> None:
        """Step to ten minutes after the epoch, where a board without a battery wakes up."""
        self.set(600 - int(time.time()))


def build_clocks(directory: Path, hosts: tuple[str, ...]) -> dict[str, WallClock]:
    """Compile the shim and return a clock for each host.

    Raises:
        AssertionError: the compiler refused; with its words.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shim = directory / "clock_shim.so"
    done = subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", str(shim), str(SOURCE)],
        capture_output=True,
        text=True,
        timeout=COMPILE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {host: WallClock(directory, host, shim) for host in hosts}
