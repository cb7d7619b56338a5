"""After a death: release what the dead process held, and note how it ended (R16).

Run by the supervisor's stop hook (`nodectl release --after-crash`) and by the next start. Rules of
this file: whoever calls holds the claim on the state directory, which is the proof that the process
is dead; nothing here raises for a store, a disk or a file; it imports neither pydantic nor
redis-py, because a hook that starts slowly is a slow failover.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from election.fence_note import End, read_end
from election.grant_note import GrantLeft, read_boot_id, read_grant, remove_grant
from election.model import StoreName
from election.post_mortem import Epitaph, release_after_death
from exchange.errors import JournalError
from exchange.journal import merge
from exchange.journal_file import read_journal
from node.crash_file import read_book, write_book
from node.crashes import Crash, Death, describe_death, note_crash, was_announced, why_not_counted

JOURNAL_FILE = "journal"
# Without the note's own figure: the longest window that a Binance request may have.
WINDOW_MS_MAX = 60_000
NOTHING = "the process before held no lease; there is nothing to release"
# systemd's words for an end that no person asked for. "exit-code" alone is also a refused start,
# which says itself what is wrong.
_DEADLY = frozenset({"signal", "core-dump", "watchdog", "oom-kill", "timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervisor:
    """What a supervisor says about the end of the process; systemd's three variables."""

    result: str = ""
    code: str = ""
    status: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Supervisor":
        """Read them as systemd sets them for ExecStopPost."""
        return cls(
            result=environ.get("SERVICE_RESULT", ""),
            code=environ.get("EXIT_CODE", ""),
            status=environ.get("EXIT_STATUS", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Autopsy:
    """What was found and done. `epitaphs` is empty when there was nothing to release."""

    left: GrantLeft | None
    reason: str  # why nothing was released, or how the process ended
    drain_ms: int = 0
    drain_reason: str = ""
    epitaphs: tuple[Epitaph, ...] = ()
    crash: Crash | None = None

    @property
    def is_released(self) -> bool:
        """True when nothing stands in the way of the other node in a majority of the stores."""
        freed = [e for e in self.epitaphs if e.is_released or e.is_gone]
        return bool(self.epitaphs) and 2 * len(freed) > len(self.epitaphs)


def examine(
    state_dir: Path,
    *,
    login_of: Callable[[GrantLeft], GrantLeft],
    password_of: Callable[[StoreName], str | None],
    supervisor: Supervisor,
) -> Autopsy:
    """Release what the dead process held and note its end; the caller holds the claim.

    Args:
        state_dir: of the dead process.
        login_of: gives the stores' addresses the user name to log in with.
        password_of: gives their passwords.
        supervisor: what it says about the end.
    """
    died_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    left = read_grant(state_dir)
    end = _end_of(state_dir, died_s)
    void = "" if left is None else left.why_void(state_dir)
    if left is None or void:
        crash = _note(state_dir, None, end, supervisor, died_s)
        return Autopsy(left=None, reason=f"{void}; nothing is released" if void else NOTHING,
                       crash=crash)  # fmt: skip
    death = _death(left, end, supervisor)
    drain_ms, why = judge_drain(state_dir, left, end)
    epitaphs = release_after_death(
        login_of(left), password_of=password_of, drain_ms=drain_ms, reason=describe_death(death)
    )
    crash = _note(state_dir, left, end, supervisor, died_s)
    autopsy = Autopsy(
        left=left,
        reason=describe_death(death),
        drain_ms=drain_ms,
        drain_reason=why,
        epitaphs=epitaphs,
        crash=crash,
    )
    if autopsy.is_released:
        remove_grant(state_dir)
    return autopsy


def judge_drain(state_dir: Path, left: GrantLeft, end: End | None) -> tuple[int, str]:
    """Return how long what the dead process sent may still take effect, and why (R10, R16).

    0 only with proof: this disk's journal, which has every intent before it is sent, shows none
    in flight, and the fence note of the same grant says that no write was under way and none that
    timed out is within its deadline (a cancel is not journalled, and a node with three stores
    trades on with a dead disk). Else the longest
    window of a request plus the venue's effect tail: bytes in the kernel's buffer leave after
    SIGKILL, and no request was sent after the death.
    """
    doubt = _journal_doubt(state_dir) or _note_doubt(left, end)
    if not doubt:
        return 0, "nothing was under way"
    whole_ms = _fact_ms(left, "window_ms", WINDOW_MS_MAX) + _fact_ms(left, "effect_tail_ms", 0)
    return whole_ms, doubt


def _journal_doubt(state_dir: Path) -> str:
    """Return why this disk's journal does not prove that no order was under way, if so."""
    try:
        found = read_journal(state_dir / JOURNAL_FILE)
    except JournalError as error:
        return f"the journal cannot be read: {error}"
    if not found.good_bytes:
        return "there is no journal on this disk"
    merged = merge([("own disk", found.documents)])
    if found.damaged_lines or merged.damages:
        return "the journal on this disk is damaged"
    in_flight = len(merged.journal.unknown_intents())
    return f"{in_flight} orders may have been under way" if in_flight else ""


def _note_doubt(left: GrantLeft, end: End | None) -> str:
    """Return why the fence note does not prove that no write was under way, if so."""
    if end is None or end.epoch != left.epoch or not end.is_of_this_boot:
        return "nothing says whether a write was under way"
    if end.in_flight:
        return f"{end.in_flight} writes were under way"
    return "a write that was never answered may take effect still" if end.lingers_s > 0 else ""


def _fact_ms(left: GrantLeft, name: str, default_ms: int) -> int:
    value = left.facts.get(name, default_ms)
    return value if isinstance(value, int) and 0 <= value <= WINDOW_MS_MAX else default_ms


def _end_of(state_dir: Path, died_s: float) -> End | None:
    try:
        return read_end(state_dir, died_boottime_s=died_s)
    except ValueError:
        return None


def _death(left: GrantLeft | None, end: End | None, supervisor: Supervisor) -> Death:
    """Put together what is known; a grant note alone may be of an attempt that failed."""
    has_held = left is not None and end is not None and end.epoch == left.epoch
    return Death(
        held_epoch=left.epoch if left is not None and has_held else 0,
        was_fenced=has_held and end is not None and end.was_fenced,
        had_majority=end is None or end.has_majority,
        note="" if end is None else end.in_words,
        result=supervisor.result,
        code=supervisor.code,
        status=supervisor.status,
    )


def _note(
    state_dir: Path,
    left: GrantLeft | None,
    end: End | None,
    supervisor: Supervisor,
    died_s: float,
) -> Crash | None:
    """Note the death if it was one that nobody asked for; None when there is nothing to note."""
    death = _death(left, end, supervisor)
    if left is None and supervisor.result not in _DEADLY:
        return None
    if left is not None and not death.held_epoch and supervisor.result == "success":
        return None
    book = read_book(state_dir)
    if left is None and was_announced(book, boot_id=read_boot_id(), at_boottime_s=died_s):
        return None  # a hang drill: the lease had lapsed before the fence ended the process
    nonce = f"{read_boot_id()}:{died_s:.1f}" if left is None else left.identity.nonce
    crash = Crash(
        nonce=nonce,
        epoch=death.held_epoch,
        boot_id=read_boot_id(),
        at_boottime_s=died_s,
        at_wall_ms=time.time_ns() // 1_000_000,
        how=describe_death(death),
        why_not_counted=why_not_counted(death),
    )
    book = note_crash(book, crash)
    write_book(state_dir, book)
    return next((c for c in book.crashes if c.nonce == nonce), crash)
