"""What becomes of crashes while a node runs: told, counted against it, and forgiven by a person.

Rules of this file: what the crashes mean is decided in crashes.py; here they are told once and the
latch is shown to eligibility. When this process itself ends by an exception, it gives the lease
back in order (R10) before it is gone; and when the same failure has just ended the other node, it
pauses the cluster first, so that the two do not break over one and the same candle in turn.
"""

import asyncio
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from alerts.model import Kind, Verdict
from alerts.render import render_instant
from election.grant_note import read_boot_id
from election.post_mortem import AFTER_CRASH
from node.bounded import OneAtATime
from node.crashes import Crash
from node.latches import CLEAR_CRASHES, LAST_CRASH, PAUSE
from node.logs import log_event
from node.parts import NodeParts
from node.redact import redact_patterns
from node.role import Role
from node.shift import Shift
from node.untold import tell_untold

HOME = Path(__file__).parents[1]
ERROR_MAX = 300
# A crashing process is still renewed or fenced by others; its last words have a bound each.
LAST_STEP_S = 2.0
# A small durable write; far below the hang limit of the lease.
BLOCKING_S = 1.0
LIFT = "look at the log, mend it, then: nodectl clear-crashes"


@dataclass(slots=True)
class CrashWatch:
    """This node's crashes, those before this process and its own."""

    parts: NodeParts
    _untold_in_turns: int = 2
    _files: OneAtATime = field(default_factory=lambda: OneAtATime(BLOCKING_S))

    def __post_init__(self) -> None:
        """Show the latch that earlier processes left."""
        self._show()

    async def tell_previous(self) -> None:
        """Tell once how earlier processes ended, and that this node stays out of it, if so."""
        parts, book = self.parts, self.parts.crashes.book
        for crash in book.untold():
            log_event("node.crash_noted", reason=crash.how, lease_epoch=crash.epoch)
            await parts.teller.tell(
                Kind.ERROR,
                f"crash:{crash.nonce}",
                {
                    "what": "this node's process ended unexpectedly"
                    + (" while it traded" if crash.epoch else ""),
                    "error": crash.how,
                    "at": render_instant(crash.at_wall_ms),
                    "fix": "it was started again; look at its log if it happens more often",
                },
                verdict=Verdict.LOOK,
            )
        if book.untold():
            await self._files.run(parts.crashes.mark_told)
        if book.latch is not None:
            log_event("crashes.latched", reason=book.latch.reason, latch_id=book.latch.latch_id)
            await parts.teller.tell(
                Kind.ERROR,
                f"crash-loop:{book.latch.latch_id}",
                {
                    "what": "this node crashed too often and does not take the lease",
                    "error": book.latch.reason,
                    "fix": LIFT,
                },
                verdict=Verdict.ACT,
            )

    async def step(self) -> None:
        """Tell what a death left untold, and lift the latch when a person said so; once a turn."""
        if self.parts.health.role is not Role.STARTING and self._untold_in_turns > 0:
            self._untold_in_turns -= 1
            if not self._untold_in_turns:  # this disk has what the stores have by now
                parts = self.parts
                told = await tell_untold(parts.disk.documents, parts.node_id, parts.teller)
                parts.times.told_late += told
        latch = self.parts.crashes.book.latch
        record = self.parts.watch.latches.records.get(CLEAR_CRASHES)
        if latch is None or record is None or record.value.get("latch_id") != latch.latch_id:
            return
        await self._files.run(lambda: self.parts.crashes.clear(latch.latch_id))
        log_event("crashes.cleared", by=record.by, latch_id=latch.latch_id)
        self._show()

    async def end(self, error: Exception, shift: Shift) -> None:
        """This process ends by an exception: say so, and give the lease back in order."""
        parts = self.parts
        signature = signature_of(error)
        text = redact_patterns(f"{type(error).__name__}: {error}")[:ERROR_MAX]
        parts.heartbeat.close_gate(f"crashed: {text}")
        epoch = parts.heartbeat.permit.epoch
        self._note(signature, text, epoch)
        has_paused = bool(epoch) and await self._pause_if_again(signature, shift)
        if epoch:
            await _within(shift.give_back(f"{AFTER_CRASH}: {signature}"))
        await parts.teller.tell(
            Kind.ERROR,
            f"crash:{parts.identity.nonce}",
            {
                "what": "this node's process ends by a bug",
                "error": text,
                "meaning": "the same failure ended the other node just before: the cluster is "
                "paused, nobody trades until a person resumes"
                if has_paused
                else "",
                "fix": "send the log to the makers; the process is started again",
            },
            verdict=Verdict.ACT if has_paused else Verdict.LOOK,
        )

    def _note(self, signature: str, text: str, epoch: int) -> None:
        # In this thread: the process is about to end, and its lease is not renewed by this loop.
        crash = Crash(
            nonce=self.parts.identity.nonce,
            epoch=epoch,
            boot_id=read_boot_id(),
            at_boottime_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            at_wall_ms=self.parts.wall_ms(),
            how=f"it ended by an exception ({text})",
            why_not_counted="" if epoch else "it held no lease",
            signature=signature,
            was_told=True,
        )
        self.parts.crashes.note(crash)

    async def _pause_if_again(self, signature: str, shift: Shift) -> bool:
        """Leave this crash for the next holder; pause when it repeats the one before."""
        parts, granted = self.parts, shift.granted
        await _within(parts.watch.refresh())
        last = parts.watch.latches.records.get(LAST_CRASH)
        is_again = (
            last is not None
            and granted is not None
            and last.value.get("signature") == signature
            and last.value.get("node_id") != parts.node_id
            and last.value.get("epoch") == granted.previous_epoch
        )
        if is_again:
            log_event("crashes.paused", reason=signature)
            reason = f"the same failure ended both nodes in a row: {signature}"
            await _within(parts.watch.put(PAUSE, {"is_paused": True}, reason=reason))
        epoch = 0 if granted is None else granted.epoch
        value = {"signature": signature, "node_id": parts.node_id, "epoch": epoch}
        await _within(parts.watch.put(LAST_CRASH, value, reason=signature))
        return is_again

    def _show(self) -> None:
        latch = self.parts.crashes.book.latch
        health = self.parts.health
        health.crash_latch_id = "" if latch is None else latch.latch_id
        health.crash_loop = "" if latch is None else f"{latch.reason}; {LIFT}"


def signature_of(error: BaseException) -> str:
    """Return what makes two crashes the same: the exception's type and the innermost own place.

    No line number: two releases of the program may differ by a comment.
    """
    place = "outside this program"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(HOME) and "site-packages" not in path.parts:
            place = f"{path.relative_to(HOME)}:{frame.f_code.co_name}"
    return f"{type(error).__name__} at {place}"


async def _within(work: "asyncio.Future[object] | object") -> None:
    """Wait for one last step for a bounded time; what goes wrong in it is logged, not raised."""
    try:
        await asyncio.wait_for(work, LAST_STEP_S)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001  (the process ends anyway; the next step must come)
        log_event("node.task_failed", task="last words", error=error)
