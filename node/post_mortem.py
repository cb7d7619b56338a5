"""After a death: release what the dead process held, and note how it ended (R16).

Run by the supervisor's stop hook (`nodectl release --after-crash`) and by the next start. Rules of
this file: whoever calls holds the claim on the state directory, which is the proof that the process
is dead; nothing here raises for a store, a disk or a file; it imports neither pydantic nor
redis-py, because a hook that starts slowly is a slow failover.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from election.fence_note import End
from election.grant_note import GrantLeft
from election.model import StoreName
from election.post_mortem import Epitaph
from election.quorum import quorum_of
from election.walks import Walk, run_walk
from exchange.errors import JournalError
from exchange.journal import merge
from exchange.journal_file import ReadFile
from node.crashes import (
    Crash,
    CrashBook,
    Death,
    describe_death,
    note_crash,
    was_announced,
    why_not_counted,
)
from node.remains import FileRemains

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
        """True when nothing stands in the way of the other node in the stores that decide."""
        if self.left is None:
            return False
        needed = {a.name for a in self.left.addresses if a.old_list}
        quorum = quorum_of((e.store, e.store in needed) for e in self.epitaphs)
        return quorum.is_met([e.store for e in self.epitaphs if e.is_released or e.is_gone])


class Remains(Protocol):
    """What a dead process left behind (remains.FileRemains by shape); `release` and
    `write_book` block.
    """

    def boottime_s(self) -> float:
        """Return CLOCK_BOOTTIME."""
        ...

    def wall_ms(self) -> int:
        """Return Unix time."""
        ...

    def boot_id(self) -> str:
        """Return what the kernel calls this boot."""
        ...

    def grant(self) -> GrantLeft | None:
        """Return the grant note, None for none."""
        ...

    def why_void(self, left: GrantLeft) -> str:
        """Return why the note does not count here and now, empty when it does."""
        ...

    def end(self, died_s: float) -> End | None:
        """Return what the fence note says, None for none. Raises ValueError."""
        ...

    def journal(self) -> ReadFile:
        """Return this disk's journal. Raises JournalError."""
        ...

    def release(self, left: GrantLeft, drain_ms: int, reason: str) -> tuple[Epitaph, ...]:
        """Tell every store; return what each said."""
        ...

    def remove_grant(self) -> None:
        """Take the grant note away."""
        ...

    def book(self) -> CrashBook:
        """Return the crashes that are known."""
        ...

    def write_book(self, book: CrashBook) -> bool:
        """Keep them durably; False when the disk refuses."""
        ...


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
    remains = FileRemains(state_dir, login_of=login_of, password_of=password_of)
    return run_walk(examine_walk(remains, supervisor))


def examine_walk(remains: Remains, supervisor: Supervisor) -> Walk[Autopsy]:
    """Do the same with what was left, call by call."""
    died_s = remains.boottime_s()
    left = remains.grant()
    end = _end_of(remains, died_s)
    void = "" if left is None else remains.why_void(left)
    if left is None or void:
        crash = yield from _note(remains, None, end, supervisor, died_s)
        return Autopsy(left=None, reason=f"{void}; nothing is released" if void else NOTHING,
                       crash=crash)  # fmt: skip
    death = _death(left, end, supervisor)
    drain_ms, why = judge_drain(remains.journal, left, end)
    epitaphs: tuple[Epitaph, ...] = yield partial(
        remains.release, left, drain_ms, describe_death(death)
    )
    crash = yield from _note(remains, left, end, supervisor, died_s)
    autopsy = Autopsy(
        left=left,
        reason=describe_death(death),
        drain_ms=drain_ms,
        drain_reason=why,
        epitaphs=epitaphs,
        crash=crash,
    )
    if autopsy.is_released:
        remains.remove_grant()
    return autopsy


def judge_drain(
    journal: Callable[[], ReadFile], left: GrantLeft, end: End | None
) -> tuple[int, str]:
    """Return how long what the dead process sent may still take effect, and why (R10, R16).

    0 only with proof: this disk's journal, which has every intent before it is sent, shows none
    in flight, and the fence note of the same grant says that no write was under way and none that
    timed out is within its deadline (a cancel is not journalled, and a node with three stores
    trades on with a dead disk). Else the longest
    window of a request plus the venue's effect tail: bytes in the kernel's buffer leave after
    SIGKILL, and no request was sent after the death.
    """
    doubt = _journal_doubt(journal) or _note_doubt(left, end)
    if not doubt:
        return 0, "nothing was under way"
    whole_ms = _fact_ms(left, "window_ms", WINDOW_MS_MAX) + _fact_ms(left, "effect_tail_ms", 0)
    return whole_ms, doubt


def _journal_doubt(journal: Callable[[], ReadFile]) -> str:
    """Return why this disk's journal does not prove that no order was under way, if so."""
    try:
        found = journal()
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


def _end_of(remains: Remains, died_s: float) -> End | None:
    try:
        return remains.end(died_s)
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
    remains: Remains,
    left: GrantLeft | None,
    end: End | None,
    supervisor: Supervisor,
    died_s: float,
) -> Walk[Crash | None]:
    """Note the death if it was one that nobody asked for; None when there is nothing to note."""
    death = _death(left, end, supervisor)
    if left is None and supervisor.result not in _DEADLY:
        return None
    if left is not None and not death.held_epoch and supervisor.result == "success":
        return None
    book, boot_id = remains.book(), remains.boot_id()
    if left is None and was_announced(book, boot_id=boot_id, at_boottime_s=died_s):
        return None  # a hang drill: the lease had lapsed before the fence ended the process
    nonce = f"{boot_id}:{died_s:.1f}" if left is None else left.identity.nonce
    crash = Crash(
        nonce=nonce,
        epoch=death.held_epoch,
        boot_id=boot_id,
        at_boottime_s=died_s,
        at_wall_ms=remains.wall_ms(),
        how=describe_death(death),
        why_not_counted=why_not_counted(death),
    )
    book = note_crash(book, crash)
    yield partial(remains.write_book, book)
    return next((c for c in book.crashes if c.nonce == nonce), crash)
