"""What the timer's backups left for the node: when one was good last, and what went wrong since.

A small file in the state directory, written by `nodectl backup --scheduled`, read by the node
(backup_watch.py), which tells a person. Judging is pure. A file that cannot be read counts as none.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from election.durable import write_all

FILE_NAME: Final = "backups.json"
LATE_MS: Final = 3 * 24 * 3600 * 1000
"""A backup a day: one that the box slept through is no news, three missing ones are."""
BACKUPS_VARIABLE: Final = "HOTSPARE_HAS_BACKUP_TIMER"
"""Set by the unit of a box whose timer makes backups: that it makes none is a warning then."""
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupNote:
    """Unix times by this box's clock; `good_ms` is 0 before the first. `problem`: of the last.

    With `tried_ms` 0 none was ever tried here, and `good_ms` is since when one is awaited.
    """

    good_ms: int
    tried_ms: int
    problem: str = ""


def read_note(state_dir: Path) -> BackupNote | None:
    """Return the note, None where there is none or it cannot be read."""
    try:
        body = json.loads((state_dir / FILE_NAME).read_text("utf-8"))
        if body["v"] != _FORMAT:
            return None
        return BackupNote(
            good_ms=int(body["good_ms"]),
            tried_ms=int(body["tried_ms"]),
            problem=str(body["problem"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_note(state_dir: Path, *, now_ms: int, problem: str) -> None:
    """Note how a backup ended; a disk that refuses is told by the node itself."""
    before = read_note(state_dir)
    good_ms = (0 if before is None else before.good_ms) if problem else now_ms
    body = {"v": _FORMAT, "good_ms": good_ms, "tried_ms": now_ms, "problem": problem}
    with contextlib.suppress(OSError):
        write_all({state_dir / FILE_NAME: (json.dumps(body), 0o600)})


def why_bad(note: BackupNote | None, *, now_ms: int) -> str:
    """Return what is wrong with this box's backups, in words; empty when nothing is.

    A box that never made one by itself is none that should. A clock that was set back says nothing.
    """
    if note is None:
        return ""
    if note.problem:
        return f"backup: the last one failed: {note.problem}"
    age_ms = now_ms - note.good_ms
    if age_ms <= LATE_MS:
        return ""
    days = age_ms // (24 * 3600 * 1000)
    if not note.tried_ms:
        return f"backup: this box's timer has made none in {days} days"
    return f"backup: the last good one is {days} days old"
