"""The epoch on disk: durable before any store is asked for it, never lower (R7)."""

import re
from pathlib import Path

from election.durable import write_all
from election.errors import EpochFileUnusable

_SHAPE = re.compile(rb"\Aepoch ([0-9]{1,15})\n\Z")


def parse_epoch(raw: bytes) -> int | None:
    """Return the epoch that the bytes of such a file name, None when they are damaged."""
    match = _SHAPE.match(raw)
    return None if match is None else int(match.group(1))


def render_epoch(epoch: int) -> str:
    """Return what such a file has for this epoch."""
    return f"epoch {epoch}\n"


class DiskEpochFile:
    """`epoch` in the state directory: one line, replaced atomically.

    A file that cannot be understood counts as absent, with a warning: the epoch then grows from
    the stores and from the venue's floor.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is read yet."""
        self._path = path
        self._highest = 0
        self._warning = ""

    @property
    def warning(self) -> str:
        """What was wrong with the file at the last `load`; empty when nothing was."""
        return self._warning

    def load(self) -> int:
        """Return the stored epoch, 0 when there is none or it is damaged (see `warning`).

        Raises:
            EpochFileUnusable: the file exists and cannot be read.
        """
        self._warning = ""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return self._highest
        except OSError as error:
            raise EpochFileUnusable(f"{self._path}: {error.strerror or error}") from error
        epoch = parse_epoch(raw)
        if epoch is None:
            self._warning = f"{self._path} was damaged ({len(raw)} bytes); it counts as absent"
            return self._highest
        self._highest = max(self._highest, epoch)
        return self._highest

    def store(self, epoch: int) -> None:
        """Write, fsync, rename, fsync the directory; a lower epoch leaves the file as it is.

        Raises:
            EpochFileUnusable: the epoch is not durable.
        """
        if epoch < self._highest:
            return
        try:
            write_all({self._path: (render_epoch(epoch), 0o600)})
        except OSError as error:
            raise EpochFileUnusable(f"{self._path}: {error.strerror or error}") from error
        self._highest = epoch
