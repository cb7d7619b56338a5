"""Crashes of this node's own process: what counts, and when it must not contend any more (R16).

Pure. A crash while trading counts when the process held the lease and did not end it in order.
Three of them within ten minutes of one boot make the node ineligible until a person has looked:
whatever kills it would kill it again, each time in the middle of something, and the other node is
the better one for now. What does not count: a death that held nothing, and a kill by the kernel
fence while a majority of the stores was unreachable, for then the network was ill and not the
process. Sources: lease rules R16 and its amendment; Pacemaker's migration-threshold.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

LIMIT = 3
WINDOW_S = 600.0
# Why a death that a drill announced counts for nothing.
ASKED_FOR = "a person asked for it: a drill"
# From the announcement to the death: a hang is ended by the fence, after hang limit and lease.
ANNOUNCED_S = 60.0
KEPT = 20  # enough for a report; the window never needs more than three
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """One death of this node's process. `nonce` names the process, so that it is noted once.

    `at_boottime_s` is CLOCK_BOOTTIME of `boot_id`; wall time is for people. `why_not_counted` is
    empty for a crash that counts. `signature` says which exception, and where, when that is known.
    """

    nonce: str
    epoch: int
    boot_id: str
    at_boottime_s: float
    at_wall_ms: int
    how: str
    why_not_counted: str = ""
    signature: str = ""
    was_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashLatch:
    """The node stays ineligible until a person names this id."""

    latch_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashBook:
    """The crashes that are remembered, oldest first, and the latch that came of them."""

    crashes: tuple[Crash, ...] = ()
    latch: CrashLatch | None = None

    def untold(self) -> tuple[Crash, ...]:
        """Return the crashes that nobody was told about."""
        return tuple(c for c in self.crashes if not c.was_told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """What is known about how a process ended; empty texts and None where nothing is.

    `result`, `code`, `status` are systemd's $SERVICE_RESULT, $EXIT_CODE, $EXIT_STATUS.
    `held_epoch` is 0 when the process held no lease. `was_fenced` and `had_majority` come from
    its fence note, whose words are `note`.
    """

    held_epoch: int = 0
    was_fenced: bool = False
    had_majority: bool = True
    note: str = ""
    result: str = ""
    code: str = ""
    status: str = ""


def why_not_counted(death: Death) -> str:
    """Return why a death is no crash while trading, empty when it is one."""
    if not death.held_epoch:
        return "it held no lease"
    if death.was_fenced and not death.had_majority:
        return "the kernel fence ended it while a majority of the stores did not answer"
    return ""


def describe_death(death: Death) -> str:
    """Say how the process ended, for people, from what supervisor and note say."""
    if death.was_fenced:
        by = "was ended by the kernel fence because it outlived its lease"
    elif death.result == "watchdog":
        by = "was ended by the supervisor's watchdog: it hung"
    elif death.result == "oom-kill":
        by = "was killed because memory ran out"
    elif death.result == "timeout":
        by = "did not end when it was asked to and was killed"
    elif death.code in {"killed", "dumped"}:
        by = f"was ended by signal {death.status or 'of unknown number'}"
    elif death.code == "exited":
        by = f"ended with exit code {death.status or 'unknown'}"
    else:
        by = "ended without a word (killed or crashed)"
    return f"it {by}"


def note_crash(book: CrashBook, crash: Crash) -> CrashBook:
    """Return the book with one more crash; the third that counts within the window latches.

    Of the same process the first note stays: who found it first knows best. What a supervisor
    adds to a process's own words is appended to them.
    """
    known = next((c for c in book.crashes if c.nonce == crash.nonce), None)
    if known is not None:
        is_news = bool(known.signature) and crash.how not in known.how
        crash = replace(known, how=f"{known.how}; {crash.how}" if is_news else known.how)
    crashes = (*(c for c in book.crashes if c.nonce != crash.nonce), crash)[-KEPT:]
    latch = book.latch
    if latch is None and not crash.why_not_counted:
        latch = _judge(crashes, crash)
    return CrashBook(crashes=crashes, latch=latch)


def was_announced(book: CrashBook, *, boot_id: str, at_boottime_s: float) -> bool:
    """Tell whether a death that held nothing any more is one that a drill has just announced."""
    last = book.crashes[-1] if book.crashes else None
    if last is None or last.why_not_counted != ASKED_FOR or last.boot_id != boot_id:
        return False
    return 0 <= at_boottime_s - last.at_boottime_s <= ANNOUNCED_S


def _judge(crashes: Iterable[Crash], newest: Crash) -> CrashLatch | None:
    counted = [c for c in crashes if not c.why_not_counted and c.boot_id == newest.boot_id]
    last_s = max(c.at_boottime_s for c in counted)
    recent = [c for c in counted if last_s - c.at_boottime_s <= WINDOW_S]
    if len(recent) < LIMIT:
        return None
    return CrashLatch(
        latch_id=newest.nonce[-12:],
        reason=f"this node's process ended {len(recent)} times within {WINDOW_S / 60:.0f} minutes "
        f"while it traded; the last time {newest.how}",
    )


def clear_latch(book: CrashBook, latch_id: str) -> CrashBook:
    """Lift the latch of this id and count none of what led to it; another id changes nothing."""
    if book.latch is None or book.latch.latch_id != latch_id:
        return book
    looked_at = tuple(
        c if c.why_not_counted else replace(c, why_not_counted="a person looked at it")
        for c in book.crashes
    )
    return CrashBook(crashes=looked_at)


def mark_told(book: CrashBook) -> CrashBook:
    """Return the book with every crash told."""
    told = tuple(replace(c, was_told=True) for c in book.crashes)
    return CrashBook(crashes=told, latch=book.latch)


def render_book(book: CrashBook) -> str:
    """Return the book as JSON text."""
    latch = book.latch
    body = {
        "v": _FORMAT,
        "latch": None if latch is None else {"id": latch.latch_id, "reason": latch.reason},
        "crashes": [
            {
                "nonce": c.nonce,
                "epoch": c.epoch,
                "boot_id": c.boot_id,
                "at_boottime_s": round(c.at_boottime_s, 3),
                "at_wall_ms": c.at_wall_ms,
                "how": c.how,
                "why_not_counted": c.why_not_counted,
                "signature": c.signature,
                "was_told": c.was_told,
            }
            for c in book.crashes
        ],
    }
    return json.dumps(body, indent=1)


def parse_book(text: str) -> CrashBook:
    """Parse what `render_book` wrote.

    Raises:
        ValueError: it is not that.
    """
    try:
        body = json.loads(text)
        if body["v"] != _FORMAT:
            raise ValueError(f"format {body['v']}, this release reads {_FORMAT}")
        latch = body["latch"]
        return CrashBook(
            crashes=tuple(
                Crash(
                    nonce=str(c["nonce"]),
                    epoch=int(c["epoch"]),
                    boot_id=str(c["boot_id"]),
                    at_boottime_s=float(c["at_boottime_s"]),
                    at_wall_ms=int(c["at_wall_ms"]),
                    how=str(c["how"]),
                    why_not_counted=str(c["why_not_counted"]),
                    signature=str(c["signature"]),
                    was_told=bool(c["was_told"]),
                )
                for c in body["crashes"]
            ),
            latch=None
            if latch is None
            else CrashLatch(latch_id=str(latch["id"]), reason=str(latch["reason"])),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a crash book: {type(error).__name__} {error}") from None
