"""Order events and findings as log lines and alerts: nothing that happens to an order is silent.

Rules of this file: the order path's observer must not block, so alerts are queued here in order
and handed to the outbox by a task of its own; the log is written at once. It decides nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alerts.model import Kind, Verdict
from exchange.findings import Findings, Resolution, Unclear
from exchange.model import ClientOrderId, OrderIntent, VenueOrderId
from exchange.orders import OrderEvent, OrderEventKind
from exchange.positions import CountedFill, assets_of, realised_on, utc_day
from exchange.steps import Skip
from node.bench import money
from node.logs import log_event
from node.teller import Teller

# More than the outbox itself keeps; beyond it the oldest order notes go first.
QUEUE_MAX = 500
# An unknown outcome usually resolves itself within seconds after its deadline: the first age is
# worth a look; at the second one nothing will resolve by itself any more.
OLD_MS = 60_000
STUCK_MS = 300_000
# Bound of the memory of what was told; clearing it only repeats a message.
TOLD_MAX = 1000

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
    epoch: int | None  # None: the one that is granted when it is handed on
    verdict: Verdict | None = None


@dataclass(slots=True)
class Reporter:
    """Writes order events to the log and queues their alerts.

    `strategies`: symbol -> name of the strategy that owns it. `watchers` are shown every order
    event after it was logged.
    """

    teller: Teller
    strategies: Mapping[str, str] = field(default_factory=dict)
    watchers: list[Callable[[OrderEvent], None]] = field(default_factory=list)
    _queue: deque[_Note] = field(default_factory=lambda: deque(maxlen=QUEUE_MAX))
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _foreign: frozenset[VenueOrderId] = frozenset()
    _notes: frozenset[str] = frozenset()
    _old: frozenset[str] = frozenset()
    _refused: dict[tuple[str, str], str] = field(default_factory=dict)
    _refusals: int = 0
    _damages: set[str] = field(default_factory=set)

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
        epoch: int | None,
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
        for watcher in self.watchers:
            watcher(event)
        if event.kind is OrderEventKind.SENDING and intent is not None:
            self._refused.pop((intent.symbol, intent.tag), None)
        if intent is not None:
            self._tell_order(event, intent)

    def refused(self, skip: Skip, *, limit: str, why: str, epoch: int) -> None:
        """Tell that the limits keep a wanted order back; again only after it was sent once.

        Figures move with every price, so the limit's name decides what is news.
        """
        key = (skip.symbol, skip.tag)
        if self._refused.get(key) == limit:
            return
        if len(self._refused) >= TOLD_MAX:
            self._refused.clear()
        self._refused[key] = limit
        facts = {
            "symbol": skip.symbol,
            "refused_by": "the risk limits",
            "reason": why,
            "strategy": self.strategies.get(skip.symbol, ""),
            "tag": skip.tag,
        }
        self._refusals += 1  # an epoch belongs to one process
        unique = f"{skip.symbol}:{skip.tag}:{limit}:{epoch}:{self._refusals}"
        self.later(Kind.ORDER_REJECTED, unique, facts, epoch=epoch)

    def damaged(self, key: str, *, where: str, why: str) -> None:
        """Tell of a journal document that cannot be read; each damage once a process."""
        mark = f"{where}:{key}:{why}"
        if mark in self._damages:
            return
        if len(self._damages) >= TOLD_MAX:
            self._damages.clear()
        self._damages.add(mark)
        log_event("journal.corrupt", key=key, where=where, reason=why)
        self.later(
            Kind.DEGRADED,
            f"damage:{mark}",
            {
                "what": "a journal document cannot be read",
                "reason": f"{key}, {where}: {why}",
                "meaning": "it is left out; the stores, the other node and the venue fill the gap, "
                "and the next holder writes it anew",
                "fix": "if it is this disk: check it (dmesg), replace the SD card; if it is a "
                "store: see that nothing but hotspare writes there",
            },
            epoch=None,
        )

    def _facts_of(self, intent: OrderIntent) -> dict[str, str]:
        strategy = self.strategies.get(intent.symbol, "")
        return {**order_facts(intent), "strategy": strategy, "tag": intent.tag}

    def _tell_order(self, event: OrderEvent, intent: OrderIntent) -> None:
        facts = {**self._facts_of(intent), "reason": event.reason}
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
            self._fill(counted, findings, epoch)
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
        """Tell of each order that stays unclear: its symbol takes no new risk meanwhile."""
        told: set[str] = set()
        for unclear in findings.unclear:
            record = findings.journal.intents.get(unclear.client_order_id)
            for age_ms, mark, verdict in (
                (OLD_MS, "old", Verdict.LOOK),
                (STUCK_MS, "stuck", Verdict.ACT),
            ):
                unique = f"{unclear.client_order_id}:{mark}"
                if record is None or unclear.past_deadline_ms < age_ms:
                    continue
                told.add(unique)
                if unique not in self._old:
                    facts = self._facts_of(record.intent) | _age_facts(unclear, verdict)
                    self.later(Kind.ORDER_UNKNOWN, unique, facts, epoch=epoch, verdict=verdict)
        self._old = frozenset(told)

    def _fill(self, counted: CountedFill, findings: Findings, epoch: int) -> None:
        position = findings.journal.position(counted.fill.symbol).position
        fill = counted.fill
        fee = f"{money(fill.fee)} {fill.fee_asset}"
        result = realised_on(position, utc_day(fill.venue_ms))
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
            "result_today": f"{money(round(result, 8))} {assets_of(fill.symbol)[1]}",
            "strategy": self.strategies.get(fill.symbol, ""),
            "client_order_id": counted.client_order_id,
            **_progress_facts(counted.client_order_id, findings),
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
            known = {} if found.intent is None else self._facts_of(found.intent)
            facts = {
                **known,
                "symbol": found.symbol,
                "outcome": found.outcome.value,
                "filled": f"{money(found.filled)} {assets_of(found.symbol)[0]}",
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
        "client_order_id": intent.client_order_id,
    }


def _progress_facts(cid: ClientOrderId, findings: Findings) -> dict[str, str]:
    """Say how much of the order was filled; nothing when nobody knows the order any more."""
    record = findings.journal.intents.get(cid)
    if record is not None:
        intent, filled = record.intent, record.filled
    else:
        done = [r for r in findings.resolved if r.client_order_id == cid]
        if not done or done[0].intent is None:
            return {}
        intent, filled = done[0].intent, done[0].filled
    return {"filled": money(filled), "ordered": money(intent.amount), "tag": intent.tag}


def _age_facts(unclear: Unclear, verdict: Verdict) -> dict[str, str]:
    facts = {"reason": unclear.why, "age": f"{unclear.past_deadline_ms // 1000} s"}
    if verdict is Verdict.ACT:
        facts["fix"] = (
            "look for the order at the venue, under its id; check what the log says about it "
            "(nodectl explain), then cancel it at the venue if it rests there unwanted"
        )
    return facts


def _intent_fields(intent: OrderIntent) -> dict[str, object]:
    return {
        "side": intent.side.value,
        "type": intent.type.value,
        "time_in_force": intent.time_in_force.value,
        "amount": str(intent.amount),
        "price": None if intent.price is None else str(intent.price),
        "tag": intent.tag,
    }
