"""The crash book on disk: one small file in the claimed state directory, replaced as a whole.

Rules of this file: whoever writes holds the directory's claim, so there is one writer. A file that
cannot be read counts as empty and is overwritten: what it lost is a count, never a lease.
"""

import os
from pathlib import Path

from node.crashes import CrashBook, parse_book, render_book

FILE_NAME = "crashes.json"


def read_book(state_dir: Path) -> CrashBook:
    """Return the book; an empty one when there is none or it cannot be read."""
    try:
        return parse_book((state_dir / FILE_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return CrashBook()


def write_book(state_dir: Path, book: CrashBook) -> bool:
    """Write it durably; False when the disk refuses."""
    path = state_dir / FILE_NAME
    scratch = path.with_suffix(".new")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(render_book(book))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError:
        return False
    return True
