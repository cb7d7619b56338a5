"""The outbox on disk: JSON lines, appended and fsynced; compacted through a temporary file.

Promises: what `append` returned from is there after SIGKILL or a power cut; a cut last line is
cut off; a damaged file is set aside (never deleted) and what could be read lives on. Calls block
for as long as the disk takes: from an event loop, call through a thread.

Does not cover: what the lines mean (codec.py), memory and threads (durable.py).
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alerts.changes import Change
from alerts.codec import HEADER, parse_change, render_change
from alerts.errors import UnreadableRecord

FILE_MODE = 0o600
"""Positions and orders are the owner's business."""

SET_ASIDE_MAX = 5
"""Damaged files kept; a disk that damages more of them is not helped by more copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was on disk.

    `warning` is empty when the file was whole. `problem` is empty when the file is open for
    appending; otherwise the changes are known, but only in memory (a full or read-only disk).
    """

    changes: tuple[Change, ...]
    warning: str = ""
    problem: OSError | None = None


class OutboxStorage(Protocol):
    """Where the outbox is kept; one writer. See `OutboxFile` for what each call promises."""

    @property
    def lines(self) -> int:
        """Lines that are kept, the header included."""
        ...

    def prepare(self) -> None:
        """Make the place where it is kept. Raises OSError."""
        ...

    def exists(self) -> bool:
        """Tell whether something is kept already."""
        ...

    def load(self) -> Loaded:
        """Read all of it. Raises OSError: it is there and cannot be read."""
        ...

    def set_aside(self) -> Path:
        """Keep what is there under another name. Raises OSError."""
        ...

    def append(self, changes: Iterable[Change]) -> None:
        """Make the changes durable. Raises OSError."""
        ...

    def rewrite(self, changes: Sequence[Change]) -> None:
        """Replace everything by these changes. Raises OSError: the old is still there."""
        ...

    def close(self) -> None:
        """Close it; safe to call twice."""
        ...


class OutboxFile:
    """One file with one writer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._good_bytes = 0
        self._lines = 0

    @property
    def lines(self) -> int:
        """Lines in the file, the header included."""
        return self._lines

    def prepare(self) -> None:
        """Make the directory. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self._path.exists()

    def load(self) -> Loaded:
        """Read the file and open it for appending; creates it when missing.

        Raises:
            OSError: the file is there and cannot be read. Call `set_aside` before `rewrite`.
        """
        self.close()
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Loaded(changes=(), problem=self._repaired(()))
        whole, _, tail = content.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        changes, bad = _parse_lines(lines)
        if bad:
            return self._load_damaged(changes, bad=bad, of=len(lines))
        if not lines:  # it was being created
            return Loaded(changes=(), problem=self._repaired(()))
        try:
            self._open(size=len(content) - len(tail), lines=len(lines))
        except OSError as error:
            return Loaded(changes=changes, problem=error)
        return Loaded(changes=changes)

    def _load_damaged(self, changes: tuple[Change, ...], *, bad: int, of: int) -> Loaded:
        try:
            kept_as = f"a copy was set aside as {self.set_aside().name}"
        except OSError as error:
            return Loaded(changes=changes, warning=f"{bad} of {of} lines damaged", problem=error)
        return Loaded(
            changes=changes,
            warning=f"{bad} of {of} lines of the outbox were damaged; the rest is kept; {kept_as}",
            problem=self._repaired(changes),
        )

    def _repaired(self, changes: Sequence[Change]) -> OSError | None:
        try:
            self.rewrite(changes)
        except OSError as error:
            return error
        return None

    def set_aside(self) -> Path:
        """Give the present file a second name, so that `rewrite` does not destroy it.

        Raises:
            OSError: the second name cannot be made.
        """
        places = [
            self._path.with_name(f"{self._path.name}.damaged-{number}")
            for number in range(1, SET_ASIDE_MAX + 1)
        ]
        place = next((place for place in places if not place.exists()), places[-1])
        place.unlink(missing_ok=True)
        place.hardlink_to(self._path)
        return place

    def append(self, changes: Iterable[Change]) -> None:
        """Write the changes at the end and wait until they are on disk.

        Raises:
            OSError: they are not on disk; the file holds what it held before, or a cut line
                that the next `load` cuts off. Use `rewrite` before appending again.
        """
        lines = [render_change(change) + "\n" for change in changes]
        if not lines:
            return
        if self._fd is None:
            raise OSError("outbox file is not open")
        data = "".join(lines).encode("ascii")
        try:
            _write_all(self._fd, data)
            os.fsync(self._fd)
        except OSError:
            # Bytes of a failed write must not precede the next record on the same line.
            with suppress(OSError):
                os.ftruncate(self._fd, self._good_bytes)
            self.close()  # after a failed fsync the kernel's view of this file is not to be trusted
            raise
        self._good_bytes += len(data)
        self._lines += len(lines)

    def rewrite(self, changes: Sequence[Change]) -> None:
        """Replace the whole file by these changes; at any kill either the old or the new is there.

        Raises:
            OSError: the old file is still in place.
        """
        lines = [HEADER + "\n", *(render_change(change) + "\n" for change in changes)]
        data = "".join(lines).encode("ascii")
        temporary = self._path.with_suffix(self._path.suffix + ".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            _write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(self._path)
        self.close()
        self._sync_directory()
        self._open(size=len(data), lines=len(lines))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            with suppress(OSError):
                os.close(fd)

    def _open(self, *, size: int, lines: int) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        try:
            os.ftruncate(fd, size)
        except OSError:
            os.close(fd)
            raise
        self._fd, self._good_bytes, self._lines = fd, size, lines

    def _sync_directory(self) -> None:
        fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _parse_lines(lines: Sequence[bytes]) -> tuple[tuple[Change, ...], int]:
    """Return the readable changes and how many lines were damaged (a wrong header is one)."""
    if not lines:
        return (), 0
    bad = int(lines[0] != HEADER.encode("ascii"))
    changes: list[Change] = []
    for line in lines[1:]:
        try:
            changes.append(parse_change(line.decode("utf-8", "replace")))
        except UnreadableRecord:
            bad += 1
    return tuple(changes), bad


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
