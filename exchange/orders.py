"""The one write path: risk → journal → permit → send → outcome. Nothing else may send.

Order of things, and why:
1. risk limits, before anything is written;
2. the intent is journalled: a majority of the stores accepts it under this epoch (a deposed
   holder is refused here) and it is fsynced on this disk, in threads. It says until when the
   venue may still accept the order, so that whoever reads it knows when absence can be proven;
3. *then* the permit is checked, because a disk or a store may have stalled meanwhile; the
   gateway checks it again in the last hop;
4. the gateway sends, once;
5. the outcome is journalled. If that fails it is owed, and the next write carries it: until
   then readers see an intent that may have been sent, which is the truth for them.

A cancel is fenced by the permit, here and in the gateway; it is not journalled, because it is
idempotent and adds no exposure: reconcile learns the result from the venue.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from exchange.errors import IllegalTransition, VenueError
from exchange.identity import decode
from exchange.intents import IntentEvent, IntentRecord, IntentState, step_intent
from exchange.journal_writer import JournalWriter, Written
from exchange.model import ClientOrderId, OrderIntent, WriteOutcome, WriteResult
from exchange.ports import Gateway, Permit
from exchange.risk import RiskFacts, RiskLimits, check_order, is_reducing

RATE_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTiming:
    """Times of the write path.

    - `window_ms`: from journalling until the venue may no longer accept the order. It must hold
      the journal write and the send. Shorter makes slow disks withhold orders, longer delays
      the proof of absence after a crash: 4 s and the second between its two reads pass while
      the lease itself runs out.
    - `write_ms`: total timeout of one request (R9); what must be left of the window at the send.
    - `needed_s`: permit that must be left for new risk (R9: below 700 ms only cancels and
      reductions); `needed_softer_s`: for those.
    """

    window_ms: int = 4000
    write_ms: int = 1000
    needed_s: float = 0.7
    needed_softer_s: float = 0.2


class OrderEventKind(StrEnum):
    """What the observer is told about."""

    REFUSED = "refused"  # by a risk limit
    WITHHELD = "withheld"  # by journal, permit or time: proven not sent
    SENDING = "sending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    CANCEL_CONFIRMED = "cancel_confirmed"
    CANCEL_REJECTED = "cancel_rejected"
    CANCEL_UNKNOWN = "cancel_unknown"
    CANCEL_WITHHELD = "cancel_withheld"
    ADOPTED = "adopted"
    DISK_FAILED = "disk_failed"
    OUTCOME_OWED = "outcome_owed"  # the outcome is not in a majority of the stores yet


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """Detail object for logs and alerts; `intent` is None for cancels and adoptions."""

    kind: OrderEventKind
    symbol: str
    client_order_id: ClientOrderId
    reason: str
    intent: OrderIntent | None = None
    result: WriteResult | None = None


def ignore_event(event: OrderEvent) -> None:
    """Observer that looks away."""


class OrderPath:
    """The write path of one grant. A new grant has a new epoch and needs a new path."""

    def __init__(
        self,
        *,
        writer: JournalWriter,
        permit: Permit,
        gateway: Gateway,
        limits: RiskLimits,
        venue_now_ms: Callable[[], Awaitable[int]],
        clock_s: Callable[[], float],
        is_disk_optional: bool,
        timing: PathTiming | None = None,
        observe: Callable[[OrderEvent], None] = ignore_event,
    ) -> None:
        """Bind the parts.

        Args:
            writer: journal of this grant.
            permit: the right to send.
            gateway: the last hop.
            limits: risk limits.
            venue_now_ms: `Venue.venue_now_ms`; never ahead of the venue.
            clock_s: monotonic seconds, for the order rate only.
            is_disk_optional: True with three stores: an active node whose disk fails goes on;
                with one store it then only reduces and cancels.
            timing: see PathTiming.
            observe: told of every event; must not raise and must not block.
        """
        self._writer = writer
        self._permit = permit
        self._gateway = gateway
        self._limits = limits
        self._venue_now_ms = venue_now_ms
        self._clock_s = clock_s
        self._is_disk_optional = is_disk_optional
        self._timing = timing or PathTiming()
        self._observe = observe
        self._next_counter = 0
        self._sent_at_s: deque[float] = deque()
        self._lock = asyncio.Lock()

    @property
    def next_counter(self) -> int:
        """The first intent counter that no order of this grant has used."""
        return self._next_counter

    @property
    def orders_last_minute(self) -> int:
        """How many orders were sent within the last 60 s."""
        horizon_s = self._clock_s() - RATE_WINDOW_S
        while self._sent_at_s and self._sent_at_s[0] <= horizon_s:
            self._sent_at_s.popleft()
        return len(self._sent_at_s)

    async def place(self, intent: OrderIntent, facts: RiskFacts) -> WriteResult:
        """Send one order, or say why not; never raises for stores, disk, network or venue.

        Raises:
            IllegalTransition: the id was used before or is not of this grant; our own bug.
        """
        async with self._lock:
            self._check_id(intent)
            facts = replace(facts, orders_last_minute=self.orders_last_minute)
            refusal = check_order(
                side=intent.side,
                amount=intent.amount,
                price=intent.price,
                facts=facts,
                limits=self._limits,
            )
            if refusal is not None:
                return self._not_sent(intent, OrderEventKind.REFUSED, f"risk: {refusal}")
            is_softer = is_reducing(side=intent.side, amount=intent.amount, facts=facts)
            needed_s = self._timing.needed_softer_s if is_softer else self._timing.needed_s
            reason = self._permit_gap(needed_s)
            if reason:
                return self._not_sent(intent, OrderEventKind.WITHHELD, reason)
            try:
                deadline_venue_ms = await self._venue_now_ms() + self._timing.window_ms
            except VenueError as error:
                reason = f"the venue's time is not known: {error}"
                return self._not_sent(intent, OrderEventKind.WITHHELD, reason)
            written = await self._journal_intent(intent, deadline_venue_ms)
            reason = await self._why_not_now(written, is_softer, needed_s, deadline_venue_ms)
            if reason:
                return await self._withhold(intent, reason, is_accepted=written.is_accepted)
            return await self._send(intent, deadline_venue_ms)

    async def cancel(self, symbol: str, client_order_id: ClientOrderId) -> WriteResult:
        """Cancel one order of ours; never raises for network or venue."""
        async with self._lock:
            reason = self._permit_gap(self._timing.needed_softer_s)
            if reason:
                result = WriteResult(outcome=WriteOutcome.NOT_SENT, reason=reason)
            else:
                result = await self._call(
                    self._gateway.cancel(symbol, client_order_id, epoch=self._writer.epoch)
                )
            kinds = {
                WriteOutcome.CONFIRMED: OrderEventKind.CANCEL_CONFIRMED,
                WriteOutcome.REJECTED: OrderEventKind.CANCEL_REJECTED,
                WriteOutcome.UNKNOWN: OrderEventKind.CANCEL_UNKNOWN,
                WriteOutcome.NOT_SENT: OrderEventKind.CANCEL_WITHHELD,
            }
            self._observe(
                OrderEvent(
                    kind=kinds[result.outcome],
                    symbol=symbol,
                    client_order_id=client_order_id,
                    reason=result.reason,
                    result=result,
                )
            )
            return result

    async def adopt(self, client_order_id: ClientOrderId, tag: str) -> Written:
        """Journal that this grant keeps an order under a tag; nothing is sent."""
        async with self._lock:
            record = self._writer.journal.intents[client_order_id]
            record = replace(
                record,
                intent=replace(record.intent, tag=tag),
                adopted_epoch=self._writer.epoch,
            )
            written = await self._put(record)
            self._observe(
                OrderEvent(
                    kind=OrderEventKind.ADOPTED,
                    symbol=record.intent.symbol,
                    client_order_id=client_order_id,
                    reason=f"epoch {record.intent.epoch} placed it",
                )
            )
            return written

    # --- steps of a placement ----------------------------------------------------------------

    def _check_id(self, intent: OrderIntent) -> None:
        parts = decode(intent.client_order_id)
        if (
            parts is None
            or parts.epoch != self._writer.epoch
            or intent.epoch != self._writer.epoch
            or parts.counter < self._next_counter
        ):
            raise IllegalTransition(
                f"order {intent.client_order_id} cannot be placed under epoch "
                f"{self._writer.epoch} with intent counter {self._next_counter}"
            )

    def _permit_gap(self, needed_s: float) -> str:
        """Return what is missing of the permit, empty when it is long enough."""
        if self._permit.epoch != self._writer.epoch:
            return f"the permit is of epoch {self._permit.epoch}, not {self._writer.epoch}"
        left_s = self._permit.remaining_s()
        if left_s < needed_s:
            return f"the permit has {left_s:.3f} s left, {needed_s} s are needed"
        return ""

    async def _journal_intent(self, intent: OrderIntent, deadline_venue_ms: int) -> Written:
        parts = decode(intent.client_order_id)
        assert parts is not None
        # From here on the id is used, whatever becomes of it.
        self._next_counter = parts.counter + 1
        return await self._put(
            IntentRecord(
                intent=replace(intent, deadline_venue_ms=None),
                state=IntentState.JOURNALLED,
                deadline_venue_ms=deadline_venue_ms,
            )
        )

    async def _why_not_now(
        self, written: Written, is_softer: bool, needed_s: float, deadline_venue_ms: int
    ) -> str:
        """Return why a journalled intent may not be sent, empty when it may."""
        if not written.is_accepted:
            return f"the stores did not take the intent: {written.ledger_reason}"
        if not written.is_on_disk and not (self._is_disk_optional or is_softer):
            return f"the disk did not take the intent: {written.disk_reason}"
        try:
            left_ms = deadline_venue_ms - await self._venue_now_ms()
        except VenueError as error:
            return f"the venue's time is not known: {error}"
        if left_ms < self._timing.write_ms:
            return f"journalling took too long: {left_ms} ms of the order's window are left"
        return self._permit_gap(needed_s)

    async def _withhold(
        self, intent: OrderIntent, reason: str, *, is_accepted: bool
    ) -> WriteResult:
        record = self._writer.journal.intents[intent.client_order_id]
        record = replace(record, state=step_intent(record.state, IntentEvent.WITHHOLD))
        self._trim(record)
        # A store majority that has just refused would refuse again: the trim stays owed.
        if is_accepted:
            await self._flush(record)
        return self._not_sent(intent, OrderEventKind.WITHHELD, reason)

    async def _send(self, intent: OrderIntent, deadline_venue_ms: int) -> WriteResult:
        record = self._writer.journal.intents[intent.client_order_id]
        # In memory only: for every other reader the journalled record says the same.
        record = replace(record, state=step_intent(record.state, IntentEvent.SEND))
        self._edit(record)
        self._sent_at_s.append(self._clock_s())
        self._tell(OrderEventKind.SENDING, intent, "")
        result = await self._call(
            self._gateway.place(replace(intent, deadline_venue_ms=deadline_venue_ms))
        )
        match result.outcome:
            case WriteOutcome.CONFIRMED:
                order = result.order
                record = replace(
                    record,
                    state=step_intent(record.state, IntentEvent.CONFIRM),
                    venue_order_id=None if order is None else order.venue_order_id,
                )
                self._edit(record)
                kind = OrderEventKind.CONFIRMED
            case WriteOutcome.UNKNOWN:
                # Only what was really sent counts; it can never be later than was journalled.
                own_ms = result.deadline_venue_ms or deadline_venue_ms
                record = replace(
                    record,
                    state=step_intent(record.state, IntentEvent.LOSE),
                    deadline_venue_ms=min(own_ms, deadline_venue_ms),
                    reason=result.reason,
                )
                self._edit(record)
                kind = OrderEventKind.UNKNOWN
            case WriteOutcome.REJECTED:
                self._trim(replace(record, state=step_intent(record.state, IntentEvent.REJECT)))
                kind = OrderEventKind.REJECTED
            case WriteOutcome.NOT_SENT:
                self._trim(replace(record, state=step_intent(record.state, IntentEvent.WITHHOLD)))
                kind = OrderEventKind.WITHHELD
        await self._flush(record)
        self._tell(kind, intent, result.reason, result)
        return result

    # --- leaves ------------------------------------------------------------------------------

    async def _call(self, call: Awaitable[WriteResult]) -> WriteResult:
        try:
            return await call
        except Exception as error:  # noqa: BLE001  (a gateway that raises is a bug: it may have sent)
            return WriteResult(
                outcome=WriteOutcome.UNKNOWN,
                reason=f"the gateway failed: {type(error).__name__}: {error}",
            )

    def _edit(self, record: IntentRecord) -> None:
        self._writer.adopt(*self._writer.journal.edit(epoch=self._writer.epoch, intents=[record]))

    def _trim(self, record: IntentRecord) -> None:
        edited = self._writer.journal.edit(
            epoch=self._writer.epoch, closed=[record.client_order_id]
        )
        self._writer.adopt(*edited)

    async def _put(self, record: IntentRecord) -> Written:
        self._edit(record)
        return await self._flush(record, is_outcome=False)

    async def _flush(self, record: IntentRecord, *, is_outcome: bool = True) -> Written:
        written = await self._writer.flush()
        if not written.is_on_disk:
            self._tell(OrderEventKind.DISK_FAILED, record.intent, written.disk_reason)
        if is_outcome and not written.is_accepted:
            self._tell(OrderEventKind.OUTCOME_OWED, record.intent, written.ledger_reason)
        return written

    def _not_sent(self, intent: OrderIntent, kind: OrderEventKind, reason: str) -> WriteResult:
        result = WriteResult(outcome=WriteOutcome.NOT_SENT, reason=reason)
        self._tell(kind, intent, reason, result)
        return result

    def _tell(
        self,
        kind: OrderEventKind,
        intent: OrderIntent,
        reason: str,
        result: WriteResult | None = None,
    ) -> None:
        self._observe(
            OrderEvent(
                kind=kind,
                symbol=intent.symbol,
                client_order_id=intent.client_order_id,
                reason=reason,
                intent=intent,
                result=result,
            )
        )
