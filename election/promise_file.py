"""This node's promise on its disk: durable before anybody hears of it (R14).

A file that is missing counts as "not known", one that cannot be read as a promise that stands:
both keep the node from contending until somebody knows better.
"""

from pathlib import Path

from election.durable import write_all
from election.errors import PromiseFileUnusable
from election.promise import (
    NOT_KNOWN,
    PromiseMemory,
    parse_memory,
    render_memory,
)


class DiskPromiseFile:
    """`promise.json` in the state directory: one line, replaced atomically."""

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is read yet."""
        self._path = path
        self._warning = ""

    @property
    def warning(self) -> str:
        """What was wrong with the file at the last `load`; empty when nothing was."""
        return self._warning

    def load(self) -> PromiseMemory:
        """Return what is remembered; damaged or missing means not known (see `warning`)."""
        self._warning = ""
        try:
            return parse_memory(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return NOT_KNOWN
        except (OSError, ValueError) as error:
            self._warning = f"{self._path}: {error}; a promise may stand"
            return NOT_KNOWN

    def store(self, memory: PromiseMemory) -> None:
        """Write, fsync, rename, fsync the directory.

        Raises:
            PromiseFileUnusable: it is not durable; what was there before may still be.
        """
        try:
            write_all({self._path: (render_memory(memory), 0o600)})
        except OSError as error:
            raise PromiseFileUnusable(f"{self._path}: {error.strerror or error}") from error
