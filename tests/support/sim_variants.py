"""Production code with one rule broken each, to see whether the simulator's checkers notice.

Each variant is a context manager that breaks one rule for as long as it is entered; the seams are
here, never in the product.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from unittest.mock import PropertyMock, patch

from alerts.changes import Row
from alerts.outbox import Outbox
from election.observation import Observation
from exchange import reconcile
from exchange.ccxt_ticket import WriteTicket
from exchange.journal import Merged, merge
from exchange.journal_codec import Document
from exchange.journal_writer import JournalWriter, Written
from exchange.wanted import TradingMode
from node.active import Active
from node.cluster_watch import ClusterWatch
from node.sim.disk import SimEpochFile
from node.sim.loop import Deferred
from node.sim.stores import SimStore
from node.standby import Standby
from tests.support.edited_function import edited_function

OWN = "own disk"  # what standby.py calls this node's copy
Breaking = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A broken rule, the faults that bring it out, and which checker must notice."""

    breaks: Breaking
    only: tuple[str, ...]
    stores: int = 1
    fault_every_s: float = 8.0
    caught_by: tuple[str, ...]  # words of the checkers that may notice first
    strategy: str = "grid"
    first_seed: int = 0  # of those that are tried: one that is known to show it saves the others


@contextmanager
def permit_not_asked() -> Iterator[None]:
    """R9: the last hop sends although the permit has ended."""

    def enter(ticket: WriteTicket, *, is_change: bool) -> float:
        del is_change
        return ticket._timeout_s

    with patch.object(WriteTicket, "enter", enter), patch.object(WriteTicket, "close"):
        yield


@contextmanager
def half_a_wait() -> Iterator[None]:
    """R6: a contender has waited long enough after half a ttl."""
    waits = "unchanged_s = ttl_ms / 1000 * (1 + timing.drift) - elapsed_s"
    with edited_function(Observation, "takeable_in_s", waits, waits.replace("1000", "2000")):
        yield


@contextmanager
def held_for_ever() -> Iterator[None]:
    """R6: what is held is never taken, however long it stood still."""
    unless_held = "return None if record.state is LeaseState.HELD else unchanged_s"
    with edited_function(Observation, "takeable_in_s", "return unchanged_s", unless_held):
        yield


@contextmanager
def pause_not_asked() -> Iterator[None]:
    """S6: whoever leads trades on, whatever a person said."""
    asks = "self.watch.latches.is_paused or seat.is_unaccepted"
    with (
        edited_function(Active, "_decide_on_new_candles", asks, "seat.is_unaccepted"),
        patch.object(Active, "mode", lambda _: TradingMode.NORMAL),
        patch.object(Active, "modes", lambda _: {}),
        patch.object(Active, "why_stop", lambda _: ""),
    ):
        yield


@contextmanager
def epoch_not_on_disk() -> Iterator[None]:
    """R7: the epoch is asked for before it is durable."""

    def store_soon(file: SimEpochFile, epoch: int) -> Deferred[None]:
        del epoch
        done: Deferred[None] = Deferred()
        done.resolve(None)
        return done

    with patch.object(SimEpochFile, "store_soon", store_soon):
        yield


@contextmanager
def absent_after_one_read() -> Iterator[None]:
    """Absence rule: one read after the deadline proves that an order is not there."""
    with patch.object(reconcile, "ABSENCE_GAP_MS", 0):
        yield


@contextmanager
def journal_not_written() -> Iterator[None]:
    """S3: an order is sent without a journalled intent."""

    async def flush(writer: JournalWriter) -> Written:
        writer._owed_ledger.clear()
        writer._owed_disk.clear()
        return Written(is_accepted=True, is_on_disk=True)

    with patch.object(JournalWriter, "flush", flush):
        yield


@contextmanager
def no_tail() -> Iterator[None]:
    """Amendment "Journal": the standby keeps no copy of its own."""

    async def tail(standby: Standby) -> None:
        standby.on_step("journal tail")

    with patch.object(Standby, "tail", tail):
        yield


@contextmanager
def journal_not_fenced() -> Iterator[None]:
    """Amendment "Journal": a store takes documents from whoever writes."""
    with patch.object(SimStore, "_check_fence", lambda *_: None):
        yield


@contextmanager
def latches_forgotten() -> Iterator[None]:
    """S6: latches are neither kept on the own disk nor pushed again after a wipe."""

    async def nothing(watch: ClusterWatch) -> None:
        return None

    with (
        patch.object(ClusterWatch, "_keep", nothing),
        patch.object(ClusterWatch, "push", nothing),
        patch.object(ClusterWatch, "_is_ahead_of", lambda *_: False),
    ):
        yield


@contextmanager
def latches_not_merged() -> Iterator[None]:
    """S6: what the stores say replaces what this node knows."""
    merge = "node.cluster_watch.merge_latches"

    def newest(*sources: Any, **how: Any) -> Any:
        from node.latches import merge_latches  # noqa: PLC0415  (the real one)

        if len(sources) == 2 and sources[0]:  # a reading, and what is known
            return merge_latches(sources[0], **how)
        return merge_latches(*sources, **how)

    with patch(merge, newest):
        yield


@contextmanager
def takeover_without_own_disk() -> Iterator[None]:
    """Amendment "Journal": a takeover, and the tail, believe the stores alone."""

    def of_others(
        sources: Sequence[tuple[str, Mapping[str, str]]],
        *,
        known: Mapping[tuple[str, str], Document] = MappingProxyType({}),
    ) -> Merged:
        return merge([s for s in sources if s[0] != OWN], known=known)

    with patch("node.standby.merge", of_others):
        yield


@contextmanager
def repeats_not_marked() -> Iterator[None]:
    """S5: a message whose answer was lost is told again as if it were new."""
    with patch.object(Row, "is_possibly_sent", PropertyMock(return_value=False)):
        yield


@contextmanager
def announcement_forgotten() -> Iterator[None]:
    """S5: what was in flight when the process ended counts as told."""
    apply = Outbox.plan_restart

    def forget(outbox: Outbox) -> Any:
        for row in outbox.rows:
            outbox._rows.pop(row.number)
        return apply(outbox)

    with patch.object(Outbox, "plan_restart", forget):
        yield


@contextmanager
def drain_ignored() -> Iterator[None]:
    """R10, R16: whoever finds a released lease takes it at once, whatever may still arrive."""
    waits = "wait_s = record.drain_ms / 1000 * (1 + timing.drift)"
    with edited_function(Observation, "takeable_in_s", waits, "wait_s = 0.0"):
        yield


@contextmanager
def inherited_orders_ignored() -> Iterator[None]:
    """S4: a pass does not see which of the open orders were sent under an older epoch."""
    finds = "if order.status.is_final or record is None:"
    is_older = "client_order_id in journal.intents and record.intent.epoch < notes.inputs.my_epoch"
    with edited_function(reconcile, "_working", finds, f"{finds[:-1]} or ({is_older}):"):
        yield


@contextmanager
def loss_latch_not_asked() -> Iterator[None]:
    """The daily loss limit latches, and no order is refused for it."""
    with patch("exchange.risk._check_latch", lambda _: None):
        yield
