"""The outbox in memory together with its file: thread-safe, never in the way of trading.

Rules: a change is on disk before it counts; when the disk refuses, it counts in memory, the
problem is said (`problem`), and the whole outbox is written again as soon as the disk takes it.
Every call but the properties `summary`, `problem` and `warning` may block for as long as the
disk takes.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.changes import Change, DropsTold, Rerouted, Row, RowInput, Stepped
from alerts.model import AlertEvent
from alerts.outbox import Outbox
from alerts.outbox_file import OutboxFile, OutboxStorage
from alerts.pace import Due

COMPACT_SLACK_LINES = 1000
"""Lines beyond the live rows before the file is rewritten: about 300 kB, some days of messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many messages wait, were refused for good, and how many events were left out."""

    waiting: int = 0
    dead: int = 0
    dropped: int = 0


class DurableOutbox:
    """What is to be told, kept over any end of the process.

    Args:
        place: file of this node (its directory is created when missing), or another storage.
        outbox: an empty one, or one with other bounds.
    """

    def __init__(self, place: Path | OutboxStorage, outbox: Outbox | None = None) -> None:
        self._outbox = Outbox() if outbox is None else outbox
        self._file: OutboxStorage = OutboxFile(place) if isinstance(place, Path) else place
        self._lock = threading.Lock()
        self._is_behind = False
        self._is_unread = False
        self._problem = ""
        self._warning = ""
        self._summary = Summary()
        self._load()

    @property
    def problem(self) -> str:
        """Why the outbox is not on disk now; empty when all is."""
        return self._problem

    @property
    def warning(self) -> str:
        """What was wrong with the file when it was read; empty when nothing."""
        return self._warning

    @property
    def summary(self) -> Summary:
        """Counts after the last change; never waits, not even for a disk that stalls."""
        return self._summary

    @property
    def rows(self) -> Sequence[Row]:
        """Rows still to be told, oldest first."""
        with self._lock:
            return self._outbox.rows

    @property
    def dead(self) -> Sequence[Row]:
        """Rows refused for good, newest last."""
        with self._lock:
            return self._outbox.dead

    def address_for(self, configured: str) -> str:
        """Return where the channel moved to, or `configured`."""
        with self._lock:
            return self._outbox.address_for(configured)

    def put(self, event: AlertEvent) -> bool:
        """Take an event in; False when it was known already. Never raises for a full disk."""
        with self._lock:
            changes = self._outbox.plan_put(event)
            self._commit(changes)
            return bool(changes)

    def plan_next(self, *, wall_ms: int, plan: Callable[[Sequence[Row]], Due]) -> Due:
        """Drop what is too old, mend the file if needed, and ask `plan` for the next row."""
        with self._lock:
            self._commit(self._outbox.plan_expiry(wall_ms))
            if self._is_behind:
                self._rewrite()
            return plan(self._outbox.rows)

    def step(self, number: int, row_input: RowInput, reason: str = "") -> Row | None:
        """Record what happened to a row; returns it if it is still to be told."""
        with self._lock:
            if self._outbox.row(number) is None:
                return None
            self._commit((Stepped(number=number, input=row_input, reason=reason),))
            return self._outbox.row(number)

    def recover(self) -> None:
        """Treat rows in flight as possibly sent, when nobody is sending them any more."""
        with self._lock:
            self._commit(self._outbox.plan_restart())

    def tell_drops(self, count: int) -> None:
        """Record that a delivered message named this many dropped events."""
        if count:
            with self._lock:
                self._commit((DropsTold(count=count),))

    def reroute(self, old_address: str, new_address: str) -> None:
        """Record that the channel's address changed."""
        with self._lock:
            self._commit((Rerouted(old_address=old_address, new_address=new_address),))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _load(self) -> None:
        try:
            self._file.prepare()
            loaded = self._file.load()
        except OSError as error:
            self._is_unread = True
            self._note_behind(error)
            return
        self._warning = loaded.warning
        if loaded.problem is not None:
            self._note_behind(loaded.problem)
        skipped = 0
        for change in loaded.changes:
            try:
                self._outbox.apply(change)
            except ValueError:  # only possible where damaged lines are missing in between
                skipped += 1
        if skipped:
            self._warning = f"{self._warning}; {skipped} records did not fit".removeprefix("; ")
        self._commit(self._outbox.plan_restart())
        self._summarise()
        if not self._is_behind:
            self._compact_if_long()

    def _commit(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        if not self._is_behind:
            try:
                self._file.append(changes)
            except OSError as error:
                self._note_behind(error)
        for change in changes:
            self._outbox.apply(change)
        self._summarise()
        if self._is_behind:
            self._rewrite()
        else:
            self._compact_if_long()

    def _summarise(self) -> None:
        self._summary = Summary(
            waiting=len(self._outbox.rows),
            dead=len(self._outbox.dead),
            dropped=self._outbox.dropped,
        )

    def _compact_if_long(self) -> None:
        if self._file.lines > 4 * len(self._outbox.rows) + COMPACT_SLACK_LINES:
            self._rewrite()

    def _rewrite(self) -> None:
        try:
            self._file.prepare()
            if self._is_unread and self._file.exists():
                aside = self._file.set_aside()
                self._warning = f"the outbox could not be read; it was set aside as {aside.name}"
                self._is_unread = False
            self._file.rewrite(self._outbox.snapshot())
        except OSError as error:
            self._note_behind(error)
        else:
            self._is_behind = False
            self._problem = ""

    def _note_behind(self, error: OSError) -> None:
        self._is_behind = True
        self._problem = f"alerts are kept in memory only: {error.strerror or error}"
