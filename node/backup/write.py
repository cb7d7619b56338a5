"""Writing the file of a backup: whole and checked under its own name, or not at all.

What is checked is read back from the disk it was written to.
"""

import os
from pathlib import Path

from election.durable import sync_directory
from node.backup.manifest import Manifest, file_stem
from node.backup.place import check
from node.errors import CommandRefused


def write_checked(content: bytes, path: Path) -> None:
    """Write, fsync, read back, restore into a scratch directory, then give it its name.

    Raises:
        BackupRefused: what was written could not be restored; nothing stays.
        CommandRefused: it could not be written; nothing stays.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        try:
            beside.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            check(beside.read_bytes())
            beside.replace(path)
            sync_directory(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise CommandRefused(
            f"{path}: {error.strerror or error}",
            mend="free some space there, or name another place with --to",
        ) from error


def prune(folder: Path, manifest: Manifest, *, kept: int) -> tuple[str, ...]:
    """Remove all but the newest backups of this node; return the names of what went."""
    stem = file_stem(manifest.cluster_id, manifest.node_id)
    old = sorted(p for p in folder.glob(f"{stem}????????T??????Z.tar.gz") if p.is_file())[:-kept]
    for path in old:
        path.unlink(missing_ok=True)
    return tuple(path.name for path in old)
