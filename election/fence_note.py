"""A note for whoever comes after this process: what it did last, should it die while it holds.

The note is a small memory-mapped file: writing it is a copy into the page cache, which survives
SIGKILL (not a power cut, and need not). It exists while a grant's fence may be armed and is
removed on a clean stop.
"""

import contextlib
import json
import math
import mmap
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from election.grant_note import read_boot_id

FILE_NAME = "fence-note.json"
_SIZE = 1024  # one label is cut to fit; a page would do as well
_LABEL_MAX = 200
_UNREADABLE = "the process before ended unexpectedly; its note could not be read"


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
            "boot_id": read_boot_id(),
            "epoch": 0,
            "fence_boottime_s": 0.0,
            "label": "",
            "progress_boottime_s": 0.0,
            "in_flight": 0,
            "lingers_boottime_s": 0.0,
            "has_majority": True,
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

    def in_flight(self, count: int, lingers_boottime_s: float = 0.0) -> None:
        """Note how many writes are under way: what a killed process sent may still arrive.

        So may, until `lingers_boottime_s`, what timed out before: a caller that gave up stops
        nothing at the venue.
        """
        with self._guard:
            self._fields["in_flight"] = count
            self._fields["lingers_boottime_s"] = lingers_boottime_s
            if self._map is not None:
                self._write()

    def majority(self, *, is_reachable: bool) -> None:
        """Note whether a majority of the stores answers: without it the fence is no crash."""
        with self._guard:
            if self._fields["has_majority"] != is_reachable:
                self._fields["has_majority"] = is_reachable
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


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the process before ended, as far as its note tells.

    `was_fenced`: the kernel fence was due when the process was found dead. `in_flight` writes
    were under way; `lingers_s`: seconds after the death for which one that had ended without an
    answer may take effect, infinite when the note does not say; `has_majority`: a majority of the
    stores answered it to the end.
    """

    epoch: int
    was_fenced: bool
    is_of_this_boot: bool
    in_flight: int
    lingers_s: float
    has_majority: bool
    in_words: str


def previous_end(state_dir: Path) -> str:
    """Return in words how the process before ended; empty when it ended well or never was.

    Reads the note and leaves it: the next grant overwrites it, a clean stop removes it.
    """
    try:
        end = read_end(state_dir)
    except ValueError as error:
        return str(error)
    return "" if end is None else end.in_words


def read_end(state_dir: Path, *, died_boottime_s: float | None = None) -> End | None:
    """Return how the process before ended, None when it ended well or never was.

    Args:
        state_dir: where it kept its note.
        died_boottime_s: when it was found dead, on this boot's clock; now unless given.

    Raises:
        ValueError: there is a note, and it cannot be read.
    """
    try:
        fields = json.loads((state_dir / FILE_NAME).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise ValueError(_UNREADABLE) from None
    found_s = (
        time.clock_gettime(time.CLOCK_BOOTTIME) if died_boottime_s is None else died_boottime_s
    )
    return end_of(fields, found_s=found_s, this_boot=read_boot_id())


def end_of(fields: Mapping[str, Any], *, found_s: float, this_boot: str) -> End:
    """Return what a note's fields say about the end of its process.

    Args:
        fields: as the note has them.
        found_s: when the process was found dead, CLOCK_BOOTTIME of `this_boot`.
        this_boot: what the kernel calls the present boot.

    Raises:
        ValueError: a field is missing, or is of another type.
    """
    try:
        pid, epoch = int(fields["pid"]), int(fields["epoch"])
        fence_s = float(fields["fence_boottime_s"])
        progress_s = float(fields["progress_boottime_s"])
        label, boot_id = str(fields["label"]), str(fields["boot_id"])
        # A note of an older release does not say: then one may have been under way.
        in_flight = int(fields.get("in_flight", 1))
        lingers_boottime_s = float(fields.get("lingers_boottime_s", math.inf))
        has_majority = bool(fields.get("has_majority", True))
    except (ValueError, KeyError, TypeError):
        raise ValueError(_UNREADABLE) from None
    is_of_this_boot = boot_id == this_boot
    was_fenced = is_of_this_boot and found_s >= fence_s
    who = f"the process before (pid {pid}, epoch {epoch})"
    step = (
        f"the last step its work loop completed was '{label}'"
        if label
        else ("its work loop had not completed a step")
    )
    if not is_of_this_boot:
        text = f"{who} ended when this machine went down; {step}"
    elif not was_fenced:
        text = f"{who} ended before its fence was due (killed or crashed); {step}"
    else:
        ago = f", {fence_s - progress_s:.1f} s before the fence fired" if label else ""
        text = f"{who} was ended by the kernel fence because it outlived its lease; {step}{ago}"
    return End(
        epoch=epoch,
        was_fenced=was_fenced,
        is_of_this_boot=is_of_this_boot,
        in_flight=in_flight,
        lingers_s=max(0.0, lingers_boottime_s - found_s),
        has_majority=has_majority,
        in_words=text,
    )
