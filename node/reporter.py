"""Order events and findings as log lines and alerts: nothing that happens to an order is silent.

Rules of this file: the order path's observer must not block, so alerts are queued here in order
and handed to the outbox by a task of its own; the log is written at once. It decides nothing.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.model import Kind, Verdict
from exchange.findings import Findings, Resolution
from exchange.model import ClientOrderId, OrderIntent, Position, VenueOrderId
from exchange.orders import OrderEvent, OrderEventKind
from exchange.positions import CountedFill
from node.bench import money
from node.logs import log_event
from node.teller import Teller

# More than the outbox itself keeps; beyond it the oldest order notes go first.
QUEUE_MAX = 500
# An unknown outcome usually resolves itself within seconds after its deadline.
OLD_MS = 60_000

_LOG_NAMES: Mapping[OrderEventKind, str] = {
    OrderEventKind.REFUSED: "order.limited",
    OrderEventKind.WITHHELD: "order.not_sent",
    OrderEventKind.SENDING: "order.intended",
    OrderEventKind.CONFIRMED: "order.confirmed",
    OrderEventKind.REJECTED: "order.rejected",
    OrderEventKind.UNKNOWN: "order.unknown",
    OrderEventKind.CANCEL_CONFIRMED: "order.cancelled",
    OrderEventKind.CANCEL_REJECTED: "order.cancel_failed",
    OrderEventKind.CANCEL_UNKNOWN: "order.cancel_failed",
    OrderEventKind.CANCEL_WITHHELD: "order.cancel_failed",
    OrderEventKind.ADOPTED: "order.adopted",
    OrderEventKind.DISK_FAILED: "journal.failed",
    OrderEventKind.OUTCOME_OWED: "ledger.refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    kind: Kind
    unique: str
    facts: Mapping[str, str]
    epoch: int
    verdict: Verdict | None = None


@dataclass(slots=True)
class Reporter:
    """Writes order events to the log and queues their alerts."""

    teller: Teller
    _queue: deque[_Note] = field(default_factory=lambda: deque(maxlen=QUEUE_MAX))
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _foreign: frozenset[VenueOrderId] = frozenset()
    _notes: frozenset[str] = frozenset()
    _old: frozenset[ClientOrderId] = frozenset()

    async def run(self) -> None:
        """Hand queued alerts to the outbox until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self.flush()

    async def flush(self) -> None:
        """Hand everything queued to the outbox now."""
        while self._queue:
            note = self._queue.popleft()
            await self.teller.tell(
                note.kind,
                note.unique,
                note.facts,
                epoch=note.epoch,
                verdict=note.verdict,
            )

    def later(
        self,
        kind: Kind,
        unique: str,
        facts: Mapping[str, str],
        *,
        epoch: int,
        verdict: Verdict | None = None,
    ) -> None:
        """Queue one alert; returns at once."""
        if len(self._queue) == QUEUE_MAX:
            log_event("alert.left_out", reason=f"{QUEUE_MAX} alerts wait already")
        self._queue.append(
            _Note(
                kind=kind,
                unique=unique,
                facts=facts,
                epoch=epoch,
                verdict=verdict,
            )
        )
        self._woken.set()

    def order_event(self, event: OrderEvent) -> None:
        """Observe the one write path."""
        fields: dict[str, object] = {
            "symbol": event.symbol,
            "client_order_id": event.client_order_id,
            "reason": event.reason,
        }
        intent = event.intent
        if intent is not None:
            fields |= _intent_fields(intent)
        if event.result is not None:
            fields |= {
                "outcome": event.result.outcome.value,
                "code": event.result.code,
                "latency_ms": event.result.latency_ms,
            }
        log_event(_LOG_NAMES[event.kind], **fields)
        if intent is not None:
            self._tell_order(event, intent)

    def _tell_order(self, event: OrderEvent, intent: OrderIntent) -> None:
        facts = {**order_facts(intent), "reason": event.reason}
        cid = intent.client_order_id
        match event.kind:
            case OrderEventKind.CONFIRMED:
                self.later(Kind.ORDER_PLACED, cid, facts, epoch=intent.epoch)
            case OrderEventKind.REJECTED:
                by = {"refused_by": "the venue"}
                self.later(Kind.ORDER_REJECTED, cid, facts | by, epoch=intent.epoch)
            case OrderEventKind.UNKNOWN:
                self.later(Kind.ORDER_UNKNOWN, cid, facts, epoch=intent.epoch)
            case OrderEventKind.REFUSED:
                by = {"refused_by": "the risk limits"}
                self.later(Kind.ORDER_REJECTED, cid, facts | by, epoch=intent.epoch)
            case _:
                return

    def findings(self, findings: Findings, *, epoch: int) -> None:
        """Report what a reconcile pass found."""
        for counted in findings.fills:
            position = findings.journal.position(counted.fill.symbol).position
            self._fill(counted, position, epoch)
        for resolution in findings.resolved:
            self._resolution(resolution, epoch)
        foreign = {order.venue_order_id: order for order in findings.foreign}
        for venue_order_id in foreign.keys() - self._foreign:
            symbol = foreign[venue_order_id].symbol
            log_event("order.foreign", symbol=symbol, venue_order_id=venue_order_id)
        self._foreign = frozenset(foreign)  # said once, as long as it rests there
        for cid in findings.orphans:
            log_event("order.orphaned", client_order_id=cid)
        for note in findings.balance_notes:
            if note not in self._notes:
                log_event("reconcile.corrected", reason=note)
        self._notes = frozenset(findings.balance_notes)
        self._tell_old(findings, epoch)

    def _tell_old(self, findings: Findings, epoch: int) -> None:
        """Tell once of each order that stays unclear: its symbol takes no new risk meanwhile."""
        old = {u.client_order_id: u for u in findings.unclear if u.past_deadline_ms >= OLD_MS}
        for cid in old.keys() - self._old:
            record = findings.journal.intents.get(cid)
            if record is None:
                continue
            facts = {
                **order_facts(record.intent),
                "reason": old[cid].why,
                "age": f"{old[cid].past_deadline_ms // 1000} s",
            }
            self.later(Kind.ORDER_UNKNOWN, f"{cid}:old", facts, epoch=epoch, verdict=Verdict.LOOK)
        self._old = frozenset(old)

    def _fill(self, counted: CountedFill, position: Position, epoch: int) -> None:
        fill = counted.fill
        fee = f"{money(fill.fee)} {fill.fee_asset}"
        log_event(
            "order.filled",
            symbol=fill.symbol,
            client_order_id=counted.client_order_id,
            fill_id=fill.fill_id,
            side=fill.side.value,
            amount=str(fill.amount),
            price=str(fill.price),
            fee=fee,
            position=str(position.amount),
        )
        facts = {
            "symbol": fill.symbol,
            "side": fill.side.value,
            "amount": money(fill.amount),
            "price": money(fill.price),
            "fee": fee,
            "position": money(position.amount),
            "result_today": money(round(position.realised_quote, 8)),
            "client_order_id": counted.client_order_id,
        }
        self.later(Kind.ORDER_FILLED, f"{fill.symbol}:{fill.fill_id}", facts, epoch=epoch)

    def _resolution(self, found: Resolution, epoch: int) -> None:
        name = "order.resolved" if found.was_unknown else "order.done"
        log_event(
            name,
            symbol=found.symbol,
            client_order_id=found.client_order_id,
            outcome=found.outcome.value,
            filled=str(found.filled),
            evidence=found.evidence,
        )
        if found.was_unknown:
            facts = {
                "symbol": found.symbol,
                "outcome": found.outcome.value,
                "filled": money(found.filled),
                "found_in": found.evidence,
                "client_order_id": found.client_order_id,
            }
            self.later(
                Kind.ORDER_RESOLVED,
                found.client_order_id,
                facts,
                epoch=epoch,
            )


def order_facts(intent: OrderIntent) -> dict[str, str]:
    """Return an order's facts for a message."""
    return {
        "symbol": intent.symbol,
        "side": intent.side.value,
        "amount": money(intent.amount),
        "price": "market" if intent.price is None else money(intent.price),
        "type": f"{intent.type.value} {intent.time_in_force.value}",
        "strategy": intent.tag,
        "client_order_id": intent.client_order_id,
    }


def _intent_fields(intent: OrderIntent) -> dict[str, object]:
    return {
        "side": intent.side.value,
        "type": intent.type.value,
        "time_in_force": intent.time_in_force.value,
        "amount": str(intent.amount),
        "price": None if intent.price is None else str(intent.price),
        "tag": intent.tag,
    }
