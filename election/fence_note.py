"""A note for the next start: what the work loop did last, should the fence kill this process.

The note is a small memory-mapped file: writing it is a copy into the page cache, which survives
SIGKILL (not a power cut, and need not). It exists while a grant's fence may be armed and is
removed on a clean stop.
"""

import contextlib
import json
import mmap
import os
import threading
import time
from pathlib import Path
from typing import Any

FILE_NAME = "fence-note.json"
_SIZE = 1024  # one label is cut to fit; a page would do as well
_LABEL_MAX = 200
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class FenceNote:
    """Writes the note; `armed` and `progress` are cheap and may be called from any thread."""

    def __init__(self, state_dir: Path) -> None:
        """Remember the directory; the file is created at the first arming.

        Raises nothing: a note that cannot be written costs an explanation, not the lease.
        """
        self._path = state_dir / FILE_NAME
        self._guard = threading.Lock()
        self._map: mmap.mmap | None = None
        self._is_broken = False
        self._fields: dict[str, Any] = {
            "pid": os.getpid(),
            "boot_id": _read_boot_id(),
            "epoch": 0,
            "fence_boottime_s": 0.0,
            "label": "",
            "progress_boottime_s": 0.0,
        }

    def armed(self, epoch: int, boottime_s: float) -> None:
        """Note that the fence fires at `boottime_s` unless it is moved."""
        with self._guard:
            self._fields["epoch"] = epoch
            self._fields["fence_boottime_s"] = boottime_s
            self._write()

    def progress(self, label: str, boottime_s: float) -> None:
        """Note the last completed step of the work loop."""
        with self._guard:
            self._fields["label"] = label.encode("ascii", "replace").decode()[:_LABEL_MAX]
            self._fields["progress_boottime_s"] = boottime_s
            if self._map is not None:
                self._write()

    def remove(self) -> None:
        """Take the note away: the process ends, or holds nothing, in good order."""
        with self._guard:
            if self._map is not None:
                self._map.close()
                self._map = None
            # A disk that became read-only keeps the note; it must not end the work loop.
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        if self._is_broken:
            return
        text = json.dumps(self._fields).encode()[:_SIZE]
        try:
            if self._map is None:
                self._map = self._create()
            self._map[:] = text.ljust(_SIZE)
        except (OSError, ValueError):
            self._is_broken = True  # a full or read-only disk has its own alert

    def _create(self) -> mmap.mmap:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Allocated for real: a sparse page on a full disk would raise SIGBUS when written.
            os.posix_fallocate(descriptor, 0, _SIZE)
            os.ftruncate(descriptor, _SIZE)
            return mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)


def previous_end(state_dir: Path) -> str:
    """Return in words how the process before ended; empty when it ended well or never was.

    Reads the note and leaves it: the next grant overwrites it, a clean stop removes it.
    """
    try:
        fields = json.loads((state_dir / FILE_NAME).read_text())
        pid, epoch = int(fields["pid"]), int(fields["epoch"])
        fence_s = float(fields["fence_boottime_s"])
        progress_s = float(fields["progress_boottime_s"])
        label, boot_id = str(fields["label"]), str(fields["boot_id"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        return "the process before ended unexpectedly; its note could not be read"
    who = f"the process before (pid {pid}, epoch {epoch})"
    step = (
        f"the last step its work loop completed was '{label}'"
        if label
        else ("its work loop had not completed a step")
    )
    if boot_id != _read_boot_id():
        return f"{who} ended when this machine went down; {step}"
    if time.clock_gettime(time.CLOCK_BOOTTIME) < fence_s:
        return f"{who} ended before its fence was due (killed or crashed); {step}"
    ago = f", {fence_s - progress_s:.1f} s before the fence fired" if label else ""
    return f"{who} was ended by the kernel fence because it outlived its lease; {step}{ago}"
