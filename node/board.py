"""What this board says about itself: readings of /sys and of the kernel, without special rights.

Rules of this file: an edge; it decides nothing. What cannot be read is None, and None is never a
reason for anything: every board lacks some of it. No `vcgencmd`: it needs a device that a service
with private devices does not see.

Sources: kernel documentation raspberrypi-hwmon, iio (NVIDIA's ina3221x), thermal, block/stat;
adjtimex(2); systemd-timesyncd(8).
"""

import ctypes
import os
import re
from pathlib import Path

import psutil

from node.board_model import Address, BoardReading
from node.netlink import read_addresses

MEGABYTE = 1024 * 1024
SECTOR_BYTES = 512  # of /sys/block/*/stat, whatever the disk's own sectors are
WRITTEN_FIELD = 6  # sectors written
# The 5 V supply as the Nano's sensor names it, and as its documentation does.
SUPPLY_RAIL = re.compile(r"5V_IN|VDD_IN")
SUPPLY_V = (3.0, 6.0)  # outside: another kind of supply, not a bad 5 V one
# What slows the processor when it is hot; a fan is a cooling device too, and no reason to warn.
SLOWING = re.compile(r"cpufreq|^processor|^cpu-", re.IGNORECASE)
STA_UNSYNC = 0x0040
TIMESYNC = Path("run/systemd/timesync")


class _Timex(ctypes.Structure):
    """The beginning of the kernel's `struct timex`, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


class BoardReader:
    """Reads one board; calls block for milliseconds, so use a thread."""

    def __init__(self, state_dir: Path, *, root: Path = Path("/")) -> None:
        """Look at the disk below `state_dir`; /sys, /run and /proc/self are below `root`."""
        self._sys = root / "sys"
        self._timesync = root / TIMESYNC
        self._status = root / "proc" / "self" / "status"
        self._state_dir = state_dir
        self._libc = ctypes.CDLL(None, use_errno=True)

    def read(self) -> BoardReading:
        """Return a reading."""
        busy_s, total_s = _cpu_times()
        disk = self._disk()
        return BoardReading(
            cpu_busy_s=busy_s,
            cpu_total_s=total_s,
            memory_free_mb=_memory_free_mb(),
            disk=disk.name if disk is not None else "",
            written_mb=None if disk is None else _written_mb(disk),
            has_supply_alarm=self._has_supply_alarm(),
            supply_v=self._supply_v(),
            slowed_by=self._slowed_by(),
            is_clock_synchronised=self._is_clock_synchronised(),
            addresses=_addresses(),
        )

    def _disk(self) -> Path | None:
        """Return the whole disk that holds the state directory, None where that is no disk."""
        try:
            number = self._state_dir.stat().st_dev
            major, minor = os.major(number), os.minor(number)
            found = (self._sys / "dev" / "block" / f"{major}:{minor}").resolve(strict=True)
        except OSError:
            return None
        # A card wears as a whole: what other partitions take counts too.
        return found.parent if (found / "partition").exists() else found

    def _has_supply_alarm(self) -> bool | None:
        for chip in self._chips("rpi_volt"):
            value = _number(chip / "in0_lcrit_alarm")
            if value is not None:
                return value != 0
        return None

    def _supply_v(self) -> float | None:
        """Return the 5 V supply of a Jetson Nano, None where no sensor names one."""
        iio = self._sys / "bus" / "i2c" / "drivers" / "ina3221x"
        rails = [
            (name, name.with_name(f"in_voltage{name.name[-1]}_input"))
            for name in sorted(iio.glob("*/iio*/rail_name_[0-9]"))
        ]
        rails += [
            (name, name.with_name(name.name.replace("_label", "_input")))
            for chip in self._chips("ina3221")
            for name in sorted(chip.glob("in*_label"))
        ]
        for name, value in rails:
            millivolts = _number(value) if SUPPLY_RAIL.search(_text(name)) else None
            if millivolts is not None and SUPPLY_V[0] < millivolts / 1000 < SUPPLY_V[1]:
                return millivolts / 1000
        return None

    def _slowed_by(self) -> str | None:
        """Return what slows the processor now, empty for nothing, None when nobody could."""
        found: str | None = None
        for device in sorted((self._sys / "class" / "thermal").glob("cooling_device*")):
            kind, state = _text(device / "type"), _number(device / "cur_state")
            if state is None or not SLOWING.search(kind):
                continue
            if state > 0:
                return kind
            found = ""
        return found

    def _is_clock_synchronised(self) -> bool | None:
        """Ask the kernel; a service that may not ask looks at what timesyncd left behind.

        Below a filter of system calls nothing is asked: some filters end whoever does.
        """
        timex = _Timex()
        if not self._is_filtered() and self._libc.adjtimex(ctypes.byref(timex)) >= 0:
            return not timex.status & STA_UNSYNC
        if (self._timesync / "synchronized").exists():
            return True
        return False if self._timesync.exists() else None

    def _is_filtered(self) -> bool:
        return not re.search(r"^Seccomp:\s*0$", _text(self._status), re.MULTILINE)

    def _chips(self, name: str) -> list[Path]:
        chips = sorted((self._sys / "class" / "hwmon").glob("hwmon*"))
        return [chip for chip in chips if _text(chip / "name") == name]


def _cpu_times() -> tuple[float | None, float | None]:
    """Return busy and all seconds of all cores, None where /proc is hidden."""
    try:
        times = psutil.cpu_times()
    except (OSError, psutil.Error):
        return None, None
    total_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total_s - times.idle - getattr(times, "iowait", 0.0), total_s


def _memory_free_mb() -> float | None:
    try:
        return float(psutil.virtual_memory().available / MEGABYTE)
    except (OSError, psutil.Error):
        return None


def _written_mb(disk: Path) -> float | None:
    fields = _text(disk / "stat").split()
    if len(fields) <= WRITTEN_FIELD:
        return None
    return int(fields[WRITTEN_FIELD]) * SECTOR_BYTES / MEGABYTE


def _addresses() -> tuple[Address, ...] | None:
    try:
        return read_addresses()
    except OSError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None
