"""Shell: the journal in memory, written to the lease stores and to this node's disk.

Rules of this file:
- one write at a time, in the order of the edits;
- what a store majority or the disk did not take is owed and goes along with the next write;
- the disk (fsync) and the stores are written side by side, both in threads: SD cards stall, and
  the work loop must show progress;
- it reports what happened and decides nothing: orders.py decides whether an order may be sent.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from exchange.errors import JournalError
from exchange.journal import Change, Journal
from exchange.ports import Ledger, LedgerAnswer

# Half of the lease's hang limit (5 s): a disk that stalls longer counts as failed for now.
DISK_TIMEOUT_S = 2.5
# How long a store is waited for while this disk alone is enough: a healthy one answers within it.
WAIVED_WAIT_S = 0.1


class Disk(Protocol):
    """This node's durable copy (journal_file.JournalFile by shape); blocking calls."""

    def append(self, *, puts: Mapping[str, str], deletes: tuple[str, ...]) -> None:
        """Write one change durably; raises JournalError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How far one change got; the reasons say which part did not take it."""

    is_accepted: bool
    is_on_disk: bool
    ledger_reason: str = ""
    disk_reason: str = ""


class JournalWriter:
    """Owner of the journal while this node is the holder. Use from one event loop only."""

    def __init__(
        self,
        journal: Journal,
        *,
        epoch: int,
        ledger: Ledger,
        disk: Disk,
        stale_keys: Collection[str] = (),
        disk_timeout_s: float = DISK_TIMEOUT_S,
        on_step: Callable[[], None] = lambda: None,
        is_ledger_waived: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take over a merged journal under a new grant.

        Args:
            journal: merged from all copies.
            epoch: of this grant.
            ledger: the stores, by shape.
            disk: this node's own copy.
            stale_keys: documents that the merge dropped or found damaged; they are deleted.
            disk_timeout_s: after this the disk counts as failed for this write.
            on_step: called after each bounded write (progress of the work loop).
            is_ledger_waived: tells whether this disk alone is enough for now, because the only
                other node has promised not to take over; what the stores miss stays owed.
        """
        self._journal = journal
        self._epoch = epoch
        self._ledger = ledger
        self._disk = disk
        self._disk_timeout_s = disk_timeout_s
        self._on_step = on_step
        self._is_ledger_waived = is_ledger_waived
        self._lock = asyncio.Lock()
        self._disk_task: asyncio.Future[None] | None = None
        self._ledger_task: asyncio.Future[LedgerAnswer] | None = None
        self._disk_trouble = ""
        # Keys whose latest text the stores (the disk) have not taken; all of them at first,
        # because the merged copies may differ.
        self._owed_ledger: set[str] = set(journal.documents()) | set(stale_keys)
        self._owed_disk: set[str] = set(self._owed_ledger)

    @property
    def journal(self) -> Journal:
        """The journal as this process knows it."""
        return self._journal

    @property
    def epoch(self) -> int:
        """Epoch under which this writer writes."""
        return self._epoch

    @property
    def is_owing(self) -> bool:
        """True while stores or disk have not taken everything."""
        return bool(self._owed_ledger or self._owed_disk)

    @property
    def disk_trouble(self) -> str:
        """Why the disk did not take the last write, empty when it did."""
        return self._disk_trouble

    def owe_everything(self) -> None:
        """Push all documents with the next write: a store began another life (empty)."""
        self._owed_ledger |= set(self._journal.documents())

    def adopt(self, journal: Journal, change: Change) -> None:
        """Take an edited journal as the present one; its change is owed to stores and disk."""
        self._journal = journal
        keys = {*change.puts, *change.deletes}
        self._owed_ledger |= keys
        self._owed_disk |= keys

    async def flush(self) -> Written:
        """Write what is owed, all of it; where nothing is owed nothing is asked."""
        async with self._lock:
            ledger_keys, disk_keys = frozenset(self._owed_ledger), frozenset(self._owed_disk)
            if not ledger_keys and not disk_keys:
                return Written(is_accepted=True, is_on_disk=True)
            texts = {key: self._journal.document(key) for key in ledger_keys | disk_keys}
            ledger_reason, disk_reason = await asyncio.gather(
                self._write_ledger(*_split(texts, ledger_keys)),
                self._write_disk(*_split(texts, disk_keys)),
            )
            self._disk_trouble = disk_reason
            # An edit made meanwhile owes its keys again; only what was written is settled.
            same = {key for key, text in texts.items() if self._journal.document(key) == text}
            if not ledger_reason:
                self._owed_ledger -= ledger_keys & same
            if not disk_reason:
                self._owed_disk -= disk_keys & same
            self._on_step()
            return Written(
                is_accepted=not ledger_reason or (not disk_reason and self._is_ledger_waived()),
                is_on_disk=not disk_reason,
                ledger_reason=ledger_reason,
                disk_reason=disk_reason,
            )

    async def write(self, journal: Journal, change: Change) -> Written:
        """Adopt an edit and flush it."""
        self.adopt(journal, change)
        return await self.flush()

    async def _write_ledger(self, puts: Mapping[str, str], deletes: tuple[str, ...]) -> str:
        """Return why no majority accepted it, empty when one did."""
        if not puts and not deletes:
            return ""
        work = asyncio.to_thread(self._ledger.write, epoch=self._epoch, puts=puts, deletes=deletes)
        if self._is_ledger_waived():
            return await self._try_ledger(work)
        return _reason_of(await work)

    async def _try_ledger(self, work: Coroutine[Any, Any, LedgerAnswer]) -> str:
        """Wait only shortly for a store that may be away: an order's window would not last."""
        if self._ledger_task is not None and not self._ledger_task.done():
            work.close()
            return "an earlier write to the stores has not ended yet"
        self._ledger_task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({self._ledger_task}, timeout=WAIVED_WAIT_S)
        return _reason_of(self._ledger_task.result()) if done else "the stores are not waited for"

    async def _write_disk(self, puts: Mapping[str, str], deletes: tuple[str, ...]) -> str:
        """Return why the disk did not take it, empty when it did."""
        if self._disk_task is not None and not self._disk_task.done():
            return "an earlier write to the disk has not returned yet"
        if not puts and not deletes:
            return ""
        self._disk_task = asyncio.ensure_future(
            asyncio.to_thread(self._disk.append, puts=puts, deletes=deletes)
        )
        # The thread cannot be stopped: wait for its end or the timeout, whichever is first.
        done, _ = await asyncio.wait({self._disk_task}, timeout=self._disk_timeout_s)
        if not done:
            # Whoever waited has gone: an error that comes later is nobody's, and no bug.
            self._disk_task.add_done_callback(_look_away)
            return f"the disk did not answer within {self._disk_timeout_s} s"
        try:
            self._disk_task.result()
        except JournalError as error:
            return str(error)
        return ""


def _look_away(ended: asyncio.Future[None]) -> None:
    if not ended.cancelled():
        ended.exception()


def _reason_of(answer: LedgerAnswer) -> str:
    return "" if answer.is_accepted else answer.reason or "no majority accepted it"


def _split(
    texts: Mapping[str, str | None], keys: Collection[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the puts and the deletes among the keys: what the journal no longer has goes."""
    wanted = {key: texts[key] for key in sorted(keys)}
    puts = {key: text for key, text in wanted.items() if text is not None}
    return puts, tuple(key for key in wanted if key not in puts)
