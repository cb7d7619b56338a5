"""What this box has left: processor, memory, disk, temperature.

`ResourceProbe` reads (an edge: psutil and /sys), box_limits.py decides. What cannot be
read is None and is never a reason by itself: many machines have no thermal zone at all.
"""

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from node.board import BoardReader
from node.board_model import NOTHING_READ, BoardReading

MEGABYTE = 1024 * 1024
# PMIC-Die reads 100 °C on every Jetson Nano, whatever the truth; the fan estimate is no sensor
IGNORED_ZONES = frozenset({"pmic-die", "thermal-fan-est"})
BELIEVABLE_C = (-40.0, 150.0)  # outside: a broken or unplugged sensor, not a temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """One reading. `cpu_percent` is this process since the last reading, of one core."""

    cpu_percent: float
    memory_mb: float
    disk_free_mb: float | None
    temperature_c: float | None
    temperature_zone: str
    uptime_s: float
    board: BoardReading = NOTHING_READ


@dataclass(frozen=True, slots=True, kw_only=True)
class FsyncProbe:
    """How one durable write went: its time, or the error in words (then `took_ms` is None)."""

    took_ms: float | None
    error: str = ""


class ResourceProbe:
    """Reads this process and this box. Calls block for milliseconds; use a thread."""

    def __init__(self, state_dir: Path, *, sys_dir: Path = Path("/sys")) -> None:
        """Look at the disk of `state_dir`, and at the thermal zones below `sys_dir`."""
        self._state_dir = state_dir
        self._sys_dir = sys_dir
        self._process = psutil.Process()
        self._board = BoardReader(state_dir)

    def read(self) -> Resources:
        """Return a reading; what is unreadable is None."""
        with self._process.oneshot():
            cpu_percent = self._process.cpu_percent()
            memory_mb = self._process.memory_info().rss / MEGABYTE
            started_s = self._process.create_time()
        disk_free_mb: float | None = None
        with contextlib.suppress(OSError):
            disk_free_mb = shutil.disk_usage(self._state_dir).free / MEGABYTE
        zone, temperature_c = read_temperature(self._sys_dir)
        return Resources(
            cpu_percent=cpu_percent,
            memory_mb=memory_mb,
            disk_free_mb=disk_free_mb,
            temperature_c=temperature_c,
            temperature_zone=zone,
            uptime_s=max(0.0, time.time() - started_s),  # for display only: wall clock
            board=self._board.read(),
        )

    def probe_fsync(self) -> FsyncProbe:
        """Write a few bytes durably beside the journal; minutes apart, each one wears a card."""
        path = self._state_dir / ".fsync-probe"
        started_s = time.monotonic()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, b"hotspare\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            return FsyncProbe(took_ms=None, error=error.strerror or str(error))
        return FsyncProbe(took_ms=(time.monotonic() - started_s) * 1000)


def read_temperature(sys_dir: Path) -> tuple[str, float | None]:
    """Return type and degrees Celsius of the hottest believable thermal zone, ("", None) if none.

    Zones are known by their type, never by their number, which differs between boots and boards.
    """
    hottest: tuple[str, float | None] = ("", None)
    for zone in sorted((sys_dir / "class" / "thermal").glob("thermal_zone*")):
        try:
            kind = (zone / "type").read_text(encoding="ascii").strip()
            degrees_c = int((zone / "temp").read_text(encoding="ascii")) / 1000
        except (OSError, ValueError):
            continue  # a zone that is switched off answers with an error
        if kind.lower() in IGNORED_ZONES:
            continue
        if not BELIEVABLE_C[0] < degrees_c < BELIEVABLE_C[1]:
            continue
        if hottest[1] is None or degrees_c > hottest[1]:
            hottest = (kind, degrees_c)
    return hottest
