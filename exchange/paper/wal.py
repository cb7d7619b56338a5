"""The log on disk: append-only JSON lines, written and synced before an answer leaves.

Rules of this file:
- One file is both the write-ahead log the state is rebuilt from and the record that anyone can
  check a run with, so the two cannot disagree.
- A batch (one request and all it led to) is written at once; its last line carries
  `"batch_end": true`. On load, lines after the last complete batch are cut off: a batch that
  never reached the disk whole was never answered.
- `seq` grows by one with every line, over restarts.
- One process at a time: the state directory is locked (flock).
"""

import fcntl
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exchange.paper.codec import Line

FILE_NAME = "requests.jsonl"


class StateDirInUseError(Exception):
    """Another paper exchange runs on this state directory; stop it or choose another."""


class LogCorruptError(Exception):
    """A line before the last complete batch is damaged; the message says which."""


class RequestLog:
    """The open log of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        """Lock the directory and open the log, cutting a torn tail.

        Raises:
            StateDirInUseError: see there.
            LogCorruptError: see there.
            OSError: the directory cannot be written.
        """
        state_dir.mkdir(parents=True, exist_ok=True)
        self.path = state_dir / FILE_NAME
        self._lock = _lock_dir(state_dir)
        self.loaded, kept_bytes = _load(self.path)
        self._seq = self.loaded[-1]["seq"] if self.loaded else 0
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._fd, kept_bytes)
        os.fsync(self._fd)

    def append(self, lines: Sequence[Line], *, is_synced: bool) -> None:
        """Write one batch; with `is_synced` it is on disk when this returns."""
        if not lines:
            return
        text = ""
        for number, line in enumerate(lines, start=1):
            self._seq += 1
            full = {"seq": self._seq} | line
            if number == len(lines):
                full["batch_end"] = True
            text += json.dumps(full, separators=(",", ":")) + "\n"
        try:
            data = text.encode()
            while data:
                data = data[os.write(self._fd, data) :]
            if is_synced:
                os.fdatasync(self._fd)
        except OSError as e:
            # Memory is now ahead of the disk, and no answer may leave: a venue that cannot
            # write is down. The next start finds the state of the last complete batch.
            sys.stderr.write(f"paper exchange: {self.path}: {e}\n")
            os._exit(os.EX_IOERR)

    def close(self) -> None:
        """Sync and close."""
        os.fsync(self._fd)
        os.close(self._fd)
        os.close(self._lock)


def _lock_dir(state_dir: Path) -> int:
    lock = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        os.close(lock)
        raise StateDirInUseError(f"{state_dir}: another paper exchange runs here") from e
    return lock


def _load(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the lines of all complete batches and the length of the file they make up."""
    if not path.exists():
        return [], 0
    whole: list[dict[str, Any]] = []
    batch: list[dict[str, Any]] = []
    kept_bytes = position = 0
    damaged_at = 0
    for number, raw in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        position += len(raw)
        line = _parse_line(raw)
        if line is None:
            damaged_at = damaged_at or number
            continue
        if damaged_at:
            raise LogCorruptError(f"{path}: line {damaged_at} is damaged, and others follow it")
        batch.append(line)
        if line.get("batch_end"):
            whole += batch
            batch = []
            kept_bytes = position
    return whole, kept_bytes


def _parse_line(raw: bytes) -> dict[str, Any] | None:
    if not raw.endswith(b"\n"):
        return None
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("seq"), int) else None
