"""What of a node goes into a backup, and in which form it comes back: the rules of ADR 0051.

Pure. A restored directory must never make a node freer than an empty card would be:

- epochs only grow: the floor is the highest that epoch file, journal and manifest name;
- no promise, no grant, no lock is ever in a backup: the node has no memory of a promise, so it
  asks the other one first (ADR 0031);
- control records latch and free nothing (`control.restored`, node/latches.py);
- of the outbox only what was told is remembered: nothing in it is sent again;
- crashes keep their latch and count as told.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alerts.changes import Change, IdsKept, Rerouted, TotalsKept
from alerts.codec import HEADER, parse_change, render_change
from alerts.errors import UnreadableRecord
from alerts.model import Kind
from alerts.outbox import Outbox
from election.epoch_file import parse_epoch, render_epoch
from exchange.errors import JournalError
from exchange.journal import Merged, merge
from exchange.journal_file import parse_journal, render_journal
from node.crash_file import FILE_NAME as CRASHES_FILE
from node.crashes import mark_told, parse_book, render_book
from node.errors import BackupRefused
from node.move_memory import FILE_NAME as MOVES_FILE
from node.state_files import (
    CONTROL_FILE,
    EPOCH_FILE,
    JOURNAL_FILE,
    OUTBOX_FILE,
    PROMISE_FILE,
    RESTORED_CONTROL_FILE,
)

CONFIG: Final = "config/"
STATE: Final = "state/"
SECRETS: Final = "secrets.sealed"
DECISIONS: Final = "log/decisions.jsonl"

TAKEOVER_KINDS: Final = (Kind.TOOK_OVER, Kind.BOTH_WERE_OFF)

# In the order in which they are read from a running node: the epoch last, so that it is never
# below what the journal names.
TAKEN: Final = (
    JOURNAL_FILE,
    CONTROL_FILE,
    RESTORED_CONTROL_FILE,
    OUTBOX_FILE,
    CRASHES_FILE,
    MOVES_FILE,
    EPOCH_FILE,
)
# A directory with one of these belongs to a node that has run here: nothing is put over it.
LIVED_IN: Final = (*TAKEN, PROMISE_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Files for a state directory, by name, and what to tell about them."""

    files: Mapping[str, str]
    epoch: int
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    epoch: int = 0


def highest_epoch(state: Mapping[str, bytes], *, said: int = 0) -> int:
    """Return the highest epoch that these state files name, or `said` if that is higher."""
    found = [said, parse_epoch(state.get(EPOCH_FILE, b"")) or 0]
    if JOURNAL_FILE in state:
        journal = _merged(state[JOURNAL_FILE])[0].journal
        found += [journal.stamp.epoch, *journal.takeovers]
        found += [record.intent.epoch for record in journal.intents.values()]
    return max(found)


def plan_state(state: Mapping[str, bytes], *, said_epoch: int) -> Restored:
    """Return what a state directory gets from a backup's state files.

    Args:
        state: by name in the state directory; names that are not known are left alone.
        said_epoch: the highest epoch of the manifest.

    Raises:
        BackupRefused: a file is of a newer release's format, which nobody guesses at.
    """
    draft = _Draft()
    if JOURNAL_FILE in state:
        _plan_journal(draft, state[JOURNAL_FILE])
    _plan_control(draft, state)
    untold = _untold(state.get(JOURNAL_FILE, b""))
    if OUTBOX_FILE in state or untold:
        _plan_outbox(draft, state.get(OUTBOX_FILE, f"{HEADER}\n".encode()), untold)
    if CRASHES_FILE in state:
        _plan_crashes(draft, state[CRASHES_FILE])
    if MOVES_FILE in state and _is_json(state[MOVES_FILE]):
        draft.files[MOVES_FILE] = state[MOVES_FILE].decode()
    epoch = highest_epoch(state, said=said_epoch)
    if epoch:
        draft.files[EPOCH_FILE] = render_epoch(epoch)
    return Restored(files=draft.files, epoch=epoch, notes=tuple(draft.notes))


def _merged(content: bytes) -> tuple[Merged, int]:
    try:
        found = parse_journal(content, Path(JOURNAL_FILE))
    except JournalError as error:
        raise BackupRefused(f"the backup's {error}") from None
    return merge([("backup", found.documents)]), found.damaged_lines


def _plan_journal(draft: _Draft, content: bytes) -> None:
    merged, damaged_lines = _merged(content)
    draft.files[JOURNAL_FILE] = render_journal(merged.documents).decode()
    if damaged_lines or merged.damages:
        draft.notes.append(
            f"the journal had {damaged_lines} damaged line(s) and {len(merged.damages)} damaged "
            "document(s); the rest is there, and the stores and the venue have it all"
        )


def _plan_control(draft: _Draft, state: Mapping[str, bytes]) -> None:
    """Control records go into a file of their own, also where there was none to restore.

    That it is there keeps a card from counting as the first start of a new cluster.
    """
    documents: dict[str, str] = {}
    # what was restored and never confirmed is older than anything the node had as its own
    for name in (RESTORED_CONTROL_FILE, CONTROL_FILE):
        try:
            documents |= parse_journal(state.get(name, b""), Path(name)).documents
        except JournalError as error:
            raise BackupRefused(f"the backup's {error}") from None
    draft.files[RESTORED_CONTROL_FILE] = render_journal(documents).decode()


def _untold(content: bytes) -> tuple[str, ...]:
    """Return the messages of takeovers that were journalled and not told yet when it was taken.

    The node told them a moment later; its restored disk would tell them again (untold.py).
    """
    takeovers = _merged(content)[0].journal.takeovers
    epochs = sorted(e for e, t in takeovers.items() if t.body.get("is_told") is False)
    return tuple(f"{kind.value}:{epoch}" for epoch in epochs for kind in TAKEOVER_KINDS)


def _plan_outbox(draft: _Draft, content: bytes, untold: tuple[str, ...]) -> None:
    outbox, unread = _outbox_of(content)
    waiting = [event.event_id for row in outbox.rows for event in row.events]
    changes: list[Change] = []
    for change in outbox.snapshot():
        match change:
            case TotalsKept(last_number=last_number):
                changes.append(TotalsKept(last_number=last_number, dropped=0))
            case IdsKept(event_ids=told):
                changes.append(IdsKept(event_ids=tuple(dict.fromkeys((*told, *waiting, *untold)))))
            case Rerouted():
                changes.append(change)
            case _:
                pass
    lines = [HEADER, *(render_change(change) for change in changes)]
    draft.files[OUTBOX_FILE] = "".join(f"{line}\n" for line in lines)
    if outbox.rows:
        draft.notes.append(
            f"{len(outbox.rows)} message(s) waited to be sent when the backup was taken; they are "
            "not sent now"
        )
    if unread:
        draft.notes.append(f"{unread} line(s) of the outbox could not be read")


def _outbox_of(content: bytes) -> tuple[Outbox, int]:
    outbox = Outbox()
    first, *lines = content.rpartition(b"\n")[0].split(b"\n")  # a tail that was being written goes
    unread = int(first != HEADER.encode("ascii"))
    for line in lines:
        try:
            outbox.apply(parse_change(line.decode("utf-8", "replace")))
        except (UnreadableRecord, ValueError):
            unread += 1
    return outbox, unread


def _plan_crashes(draft: _Draft, content: bytes) -> None:
    try:
        book = parse_book(content.decode("utf-8", "replace"))
    except ValueError as error:
        draft.notes.append(f"the crash book could not be read: {error}")
        return
    draft.files[CRASHES_FILE] = render_book(mark_told(book))


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
