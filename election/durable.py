"""Small files that are replaced as a whole and survive a power cut. Calls block.

Rules of this file: it imports nothing that is slow to import (a stop hook uses it).
"""

import os
from collections.abc import Mapping
from pathlib import Path


def write_all(contents: Mapping[Path, tuple[str, int]]) -> None:
    """Write files of a text and a mode; on a full disk none of them.

    Each is complete on the disk before the first gets its name, and is never readable by others
    than its mode says, not for a moment.

    Raises:
        OSError: it cannot be written.
    """
    scratch = {path: path.with_name(f".{path.name}.new") for path in contents}
    try:
        for path, (text, mode) in contents.items():
            _write_new(scratch[path], text, mode)
        for path, new in scratch.items():
            new.replace(path)
    except OSError:
        for new in scratch.values():
            new.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in contents}:
        sync_directory(folder)


def _write_new(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
