"""The crash book on disk: one small file in the claimed state directory, replaced as a whole.

Rules of this file: whoever writes holds the directory's claim, so there is one writer. A file that
cannot be read counts as empty and is overwritten: what it lost is a count, never a lease. Calls
block.
"""

from collections.abc import Callable
from pathlib import Path

from election.durable import write_all
from node.crashes import (
    Crash,
    CrashBook,
    clear_latch,
    mark_told,
    note_crash,
    parse_book,
    render_book,
)

FILE_NAME = "crashes.json"


def read_book(state_dir: Path) -> CrashBook:
    """Return the book; an empty one when there is none or it cannot be read."""
    try:
        return parse_book((state_dir / FILE_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return CrashBook()


def write_book(state_dir: Path, book: CrashBook) -> bool:
    """Write it durably; False when the disk refuses."""
    try:
        write_all({state_dir / FILE_NAME: (render_book(book), 0o600)})
    except OSError:
        return False
    return True


class CrashDesk:
    """The crash book of a running node. Satisfies `node.edges.CrashKeeper`; calls block."""

    def __init__(self, state_dir: Path) -> None:
        """Read what the node's earlier processes left."""
        self._state_dir = state_dir
        self._book = read_book(state_dir)

    @property
    def book(self) -> CrashBook:
        """The crashes and the latch as they are known now."""
        return self._book

    def note(self, crash: Crash) -> None:
        """Add this process's own end."""
        self._change(lambda book: note_crash(book, crash))

    def clear(self, latch_id: str) -> None:
        """A person looked: lift the latch of this id."""
        self._change(lambda book: clear_latch(book, latch_id))

    def mark_told(self) -> None:
        """Everything in the book was told."""
        self._change(mark_told)

    def _change(self, change: Callable[[CrashBook], CrashBook]) -> None:
        changed = change(self._book)
        if changed != self._book:
            self._book = changed
            write_book(self._state_dir, changed)
