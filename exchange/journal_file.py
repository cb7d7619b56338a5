"""The journal's copy on this node's own disk: an append-only file of changes, one line each.

A line is `crc32 {"put":{key:text},"del":[key]}`; the first one is `crc32 {"hotspare_journal":1}`.
Every append is written and fsynced before it returns. Rules of this file:

- a tail that was cut (power loss while appending) is normal: it is cut off;
- damage anywhere else: the file is set aside under another name, readable lines are kept in a
  new one, and a warning says so; the journal's merge rule makes lost lines harmless as long as
  a store, the other node or the venue still knows;
- a file of another format is refused in words: nobody guesses at a newer release's journal;
- the file is rewritten (temp file, fsync, rename, fsync of the directory) when it has grown
  beyond its bound, so that an SD card neither fills nor is rewritten on every change.

All calls block; call them through `asyncio.to_thread`. One lock makes them safe from any thread.
Any key with any text can be kept: the node keeps control records here too.
"""

import errno
import json
import os
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, Self

from exchange.errors import JournalCorrupt, JournalError

FILE_FORMAT: Final = 1
# Documents stay below 1 MiB by design; four times that leaves room for a long tail of changes
# between two rewrites, and is nothing to an SD card.
BYTES_MAX: Final = 4 * 1024 * 1024
_HEADER: Final = {"hotspare_journal": FILE_FORMAT}
_SET_ASIDE_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """What a journal file holds.

    `good_bytes` is the length up to which it can be appended to; `damaged_lines` counts lines
    that were not readable and not just a cut tail.
    """

    documents: Mapping[str, str]
    good_bytes: int
    total_bytes: int
    damaged_lines: int


def read_journal(path: Path) -> ReadFile:
    """Read a journal file without changing it; a missing one is empty.

    Raises:
        JournalError: it cannot be read, or is of another format.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise _explained(error, path, "read") from error
    return parse_journal(content, path)


def parse_journal(content: bytes, path: Path) -> ReadFile:
    """Parse the bytes of a journal file; `path` is for messages only.

    Raises:
        JournalError: it is of another format.
    """
    documents: dict[str, str] = {}
    damaged, good_bytes, offset = 0, 0, 0
    *lines, tail = content.split(b"\n")
    for raw in lines:
        offset += len(raw) + 1
        payload = _parse_line(raw)
        if payload is not None and "hotspare_journal" in payload:
            _check_format(payload["hotspare_journal"], path)
        elif payload is None or not _apply(documents, payload):
            damaged += 1
            continue
        good_bytes = offset
    # What has no end is the tail of an append that was interrupted: cut, not damaged.
    assert offset + len(tail) == len(content)
    return ReadFile(
        documents=documents,
        good_bytes=good_bytes,
        total_bytes=len(content),
        damaged_lines=damaged,
    )


def render_journal(documents: Mapping[str, str]) -> bytes:
    """Return the shortest file that holds exactly these documents."""
    return _render_line(_HEADER) + _render_line({"put": dict(documents), "del": []})


class JournalFile:
    """An open journal file. `warnings` says in words what was found when it was opened."""

    def __init__(self, path: Path, *, bytes_max: int) -> None:
        """Use `open`."""
        self._path = path
        self._bytes_max = bytes_max
        self._lock = Lock()
        self._documents: dict[str, str] = {}
        self._fd = -1
        self._good_bytes = 0
        self._warnings: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path, *, bytes_max: int = BYTES_MAX) -> Self:
        """Open or create the file, mending what can be mended.

        Raises:
            JournalError: it cannot be read or written, or is of another format; the message
                says how to mend it.
        """
        found = read_journal(path)
        journal = cls(path, bytes_max=bytes_max)
        journal._documents = dict(found.documents)
        try:
            if found.damaged_lines:
                aside = _set_aside(path)
                warning = (
                    f"{path} had {found.damaged_lines} damaged line(s); it was set aside as "
                    f"{aside.name}, and its {len(found.documents)} readable document(s) were kept"
                )
                journal._warnings = (warning,)
            if found.damaged_lines or found.good_bytes == 0:
                journal._rewrite()
            else:
                journal._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
                journal._good_bytes = found.good_bytes
                if found.good_bytes < found.total_bytes:
                    os.ftruncate(journal._fd, found.good_bytes)
                    os.fsync(journal._fd)
        except OSError as error:
            journal.close()
            raise _explained(error, path, "write") from error
        return journal

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found when it was opened, in words; empty when all was well."""
        return self._warnings

    @property
    def documents(self) -> dict[str, str]:
        """A copy of what the file holds now; never waits for a write that a disk stalls."""
        return dict(self._documents)  # replaced as a whole, never changed in place

    def append(self, *, puts: Mapping[str, str], deletes: Collection[str] = ()) -> None:
        """Write one change; when this returns it survives a power cut.

        Raises:
            JournalError: the disk is full, read-only or failing; nothing was kept.
        """
        with self._lock:
            line = _render_line({"put": dict(puts), "del": sorted(deletes)})
            try:
                if self._good_bytes + len(line) > self._bytes_max:
                    self._rewrite_with(_changed(self._documents, puts, deletes))
                    return
                self._append_line(line)
            except OSError as error:
                raise _explained(error, self._path, "write") from error
            self._documents = _changed(self._documents, puts, deletes)

    def replace_all(self, documents: Mapping[str, str]) -> bool:
        """Make the file hold exactly these documents; return whether anything was written.

        A difference is appended as one change, so that the standby's tailing copy costs one
        line a change, not one file.

        Raises:
            JournalError: as for `append`.
        """
        held = self.documents
        puts = {key: text for key, text in documents.items() if held.get(key) != text}
        deletes = [key for key in held if key not in documents]
        if not puts and not deletes:
            return False
        self.append(puts=puts, deletes=deletes)
        return True

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _append_line(self, line: bytes) -> None:
        # A failed append may have left half a line behind: write over it, never after it.
        os.lseek(self._fd, self._good_bytes, os.SEEK_SET)
        os.ftruncate(self._fd, self._good_bytes)
        _write_whole(self._fd, line)
        os.fsync(self._fd)
        self._good_bytes += len(line)

    def _rewrite(self) -> None:
        with self._lock:
            self._rewrite_with(self._documents)

    def _rewrite_with(self, documents: dict[str, str]) -> None:
        content = render_journal(documents)
        if len(content) > self._bytes_max:
            raise JournalError(
                f"{self._path}: {len(documents)} documents take {len(content)} bytes, more than "
                f"the bound of {self._bytes_max}; cancel orders that are not needed"
            )
        beside = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        fd = os.open(beside, flags, 0o600)
        try:
            _write_whole(fd, content)
            os.fsync(fd)
            beside.replace(self._path)
        except OSError:
            os.close(fd)
            raise
        # From here on the new file is the journal, also if the directory cannot be synced.
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._good_bytes, self._documents = fd, len(content), dict(documents)
        _sync_directory(self._path.parent)


def _render_line(payload: Mapping[str, object]) -> bytes:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
    return b"%08x " % zlib.crc32(text) + text + b"\n"


def _parse_line(raw: bytes) -> dict[str, object] | None:
    checksum, _, text = raw.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        payload = json.loads(text)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _apply(documents: dict[str, str], payload: Mapping[str, object]) -> bool:
    puts, deletes = payload.get("put"), payload.get("del")
    if not isinstance(puts, dict) or not isinstance(deletes, list):
        return False
    documents.update(puts)
    for key in deletes:
        documents.pop(key, None)
    return True


def _changed(
    documents: Mapping[str, str], puts: Mapping[str, str], deletes: Collection[str]
) -> dict[str, str]:
    changed = {**documents, **puts}
    for key in deletes:
        changed.pop(key, None)
    return changed


def _check_format(number: object, path: Path) -> None:
    if number == FILE_FORMAT:
        return
    age = "a newer" if isinstance(number, int) and number > FILE_FORMAT else "another"
    raise JournalError(
        f"{path} was written by {age} release (format {number}, this one reads {FILE_FORMAT}); "
        "run that release, or move the file away: the stores, the other node and the venue "
        "still have the journal"
    )


def _set_aside(path: Path) -> Path:
    for number in range(1, _SET_ASIDE_MAX):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            path.replace(aside)
            return aside
    raise JournalCorrupt(
        f"{path} is damaged, and {_SET_ASIDE_MAX - 1} damaged ones lie beside it already; "
        "replace the disk, and delete them"
    )


def _write_whole(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _explained(error: OSError, path: Path, verb: str) -> JournalError:
    remedies = {
        errno.ENOSPC: f"the disk is full: free space on {path.parent}",
        errno.EDQUOT: f"the quota is used up: free space on {path.parent}",
        errno.EROFS: "the disk is read-only, often a failing SD card: check dmesg, replace it",
        errno.EIO: "the disk is failing: check dmesg, replace it",
        errno.EACCES: f"this user may not: give it {path.parent}",
        errno.EPERM: f"this user may not: give it {path.parent}",
        errno.ENOENT: f"the directory {path.parent} does not exist: create it",
    }
    remedy = remedies.get(error.errno or 0, error.strerror or "unknown error")
    return JournalError(f"cannot {verb} the journal {path}: {remedy}")
