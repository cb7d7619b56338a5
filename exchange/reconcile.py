"""Reconcile: compare the journal with what the venue says, and account for every order.

Invariants that every path keeps:
1. an intent becomes final only on the venue's word, and only when its fills are counted;
2. absent means: deadline + effect tail is past, and two passes at least one second apart agree
   (open orders, order by id, and no fill of an order we cannot name); anything else stays
   unclear and blocks new risk in its symbol;
3. reconciling the same snapshot twice changes nothing the second time;
4. a foreign order is never more than reported;
5. a later epoch at the venue means that I was deposed: report, and write nothing.

Pure: values in, values out. What to do about the findings is decided in plan.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from exchange.balances import compare_balances
from exchange.findings import Findings, Resolution, Resolved, Unclear, Working
from exchange.identity import Owner, decode, owner_of
from exchange.intents import (
    ORPHAN_TAG,
    IntentEvent,
    IntentRecord,
    IntentState,
    step_intent,
)
from exchange.journal import Change, Journal
from exchange.model import (
    ZERO,
    ClientOrderId,
    Fill,
    OrderIntent,
    OrderStatus,
    OrderType,
    Snapshot,
    TimeInForce,
    VenueOrder,
    VenueOrderId,
)
from exchange.positions import CountedFill, PositionRecord, count_fills

# Two reads that agree must lie this far apart, because a venue's memory and its database may
# disagree for a moment after a placement (Binance documents that order queries read one, then
# the other). Halving it weakens the proof; doubling it only delays.
ABSENCE_GAP_MS: Final = 1000

_OUTCOMES: Final = {
    OrderStatus.OPEN: Resolved.OPEN,
    OrderStatus.CLOSED: Resolved.FILLED,
    OrderStatus.CANCELED: Resolved.CANCELLED,
    OrderStatus.EXPIRED: Resolved.EXPIRED,
    OrderStatus.REJECTED: Resolved.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileInput:
    """Everything a pass is judged from.

    `absences` comes from the findings of the pass before. `born_venue_ms`: fills before it are
    older than the cluster and not looked at; pass the cluster's birth less a day, because it was
    stamped by a board's wall clock, or 0 when unknown.
    """

    journal: Journal
    snapshot: Snapshot
    cluster_tag: str
    node_tag: str
    my_epoch: int
    effect_tail_ms: int
    absences: Mapping[ClientOrderId, int] = field(default_factory=dict)
    born_venue_ms: int = 0


@dataclass(slots=True, kw_only=True)
class _Pass:
    """Notes of one pass; lives only inside `reconcile`."""

    inputs: ReconcileInput
    orders: dict[ClientOrderId, VenueOrder]
    foreign: list[VenueOrder]
    deposed_by: int | None = None
    records: dict[ClientOrderId, IntentRecord] = field(default_factory=dict)
    positions: dict[str, PositionRecord] = field(default_factory=dict)
    fills: list[CountedFill] = field(default_factory=list)
    unattributed: dict[str, tuple[VenueOrderId, ...]] = field(default_factory=dict)
    resolved: list[Resolution] = field(default_factory=list)
    unclear: list[Unclear] = field(default_factory=list)
    orphans: list[ClientOrderId] = field(default_factory=list)
    closed: list[ClientOrderId] = field(default_factory=list)
    absences: dict[ClientOrderId, int] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)


def reconcile(inputs: ReconcileInput) -> Findings:
    """Account for everything that the journal and the snapshot name.

    Raises:
        ValueError: a fill id is not a number (the snapshot's shell checks that first).
    """
    notes = _sort_orders(inputs)
    if notes.deposed_by is not None:
        return Findings(
            journal=inputs.journal,
            change=Change(),
            foreign=tuple(notes.foreign),
            deposed_by=notes.deposed_by,
            absences=inputs.absences,
        )
    notes.records = dict(inputs.journal.intents)
    _admit_orphans(notes)
    _count(notes)
    for record in tuple(notes.records.values()):
        if record.intent.symbol in inputs.snapshot.symbols:
            _account_for(notes, record)
        elif record.is_in_flight:
            _leave_unclear(notes, record, "its symbol was not read in this pass")
    for unclear in notes.unclear:
        notes.blocked.setdefault(
            unclear.symbol, f"order {unclear.client_order_id} is unclear: {unclear.why}"
        )
    baselines, balance_notes = compare_balances(
        inputs.snapshot,
        lambda symbol: notes.positions.get(symbol, inputs.journal.position(symbol)),
        unsure=notes.blocked,
    )
    notes.positions.update((r.position.symbol, r) for r in baselines)
    journal, change = _write(notes)
    return Findings(
        journal=journal,
        change=change,
        resolved=tuple(notes.resolved),
        unclear=tuple(notes.unclear),
        working=(working := _working(notes, journal)),
        adoptable=tuple(w.record.client_order_id for w in working if w.owner is Owner.OLDER_EPOCH),
        orphans=tuple(notes.orphans),
        foreign=tuple(notes.foreign),
        fills=tuple(notes.fills),
        unattributed=notes.unattributed,
        blocked=notes.blocked,
        absences=notes.absences,
        balance_notes=balance_notes,
    )


def _sort_orders(inputs: ReconcileInput) -> _Pass:
    """Sort what the venue showed into ours (newest view of each), foreign, and a later epoch."""
    snapshot = inputs.snapshot
    looked_up = [o for o in snapshot.looked_up.values() if o is not None]
    looked_up += [o for o in snapshot.looked_up_by_venue_id.values() if o is not None]
    notes = _Pass(inputs=inputs, orders={}, foreign=[])
    for order in (*snapshot.open_orders, *looked_up):
        client_order_id = order.client_order_id
        owner = owner_of(client_order_id, cluster_tag=inputs.cluster_tag, my_epoch=inputs.my_epoch)
        if owner is Owner.FOREIGN or client_order_id is None:
            if not order.status.is_final:
                notes.foreign.append(order)
            continue
        parts = decode(client_order_id)
        assert parts is not None
        is_stranger = owner is Owner.MINE and parts.node_tag != inputs.node_tag
        if owner is Owner.NEWER_EPOCH or is_stranger:
            notes.deposed_by = max(notes.deposed_by or 0, parts.epoch)
        held = notes.orders.get(client_order_id)
        if held is None or (order.status.is_final, order.filled) > (
            held.status.is_final,
            held.filled,
        ):
            notes.orders[client_order_id] = order
    return notes


def _admit_orphans(notes: _Pass) -> None:
    """Journal open orders that are ours by id but not in the journal; their tag is lost."""
    listed: dict[VenueOrderId, Decimal] = {}
    for fill in notes.inputs.snapshot.fills:
        listed[fill.venue_order_id] = listed.get(fill.venue_order_id, ZERO) + fill.amount
    for client_order_id, order in notes.orders.items():
        if client_order_id in notes.records or order.status.is_final:
            continue
        parts = decode(client_order_id)
        assert parts is not None
        notes.orphans.append(client_order_id)
        intent = OrderIntent(
            client_order_id=client_order_id,
            symbol=order.symbol,
            side=order.side,
            type=order.type,
            time_in_force=TimeInForce.GTC,
            amount=order.amount,
            price=order.price if order.type is OrderType.LIMIT else None,
            tag=ORPHAN_TAG,
            epoch=parts.epoch,
            node_id="",
            created_wall_ms=order.created_venue_ms or 0,
        )
        notes.records[client_order_id] = IntentRecord(
            intent=intent,
            state=IntentState.OPEN,
            deadline_venue_ms=notes.inputs.snapshot.taken_venue_ms,
            venue_order_id=order.venue_order_id,
            # What was filled before the cursor was counted then; the rest is in this snapshot.
            filled=max(ZERO, order.filled - listed.get(order.venue_order_id, ZERO)),
            reason="found at the venue, not in the journal",
        )


def _count(notes: _Pass) -> None:
    """Count fills into positions and into the intents they belong to."""
    inputs = notes.inputs
    owners: dict[VenueOrderId, ClientOrderId | None] = {
        record.venue_order_id: client_order_id
        for client_order_id, record in notes.records.items()
        if record.venue_order_id is not None
    }
    # Foreign orders are known as such only from their own look-up or the open list.
    for order in (*inputs.snapshot.open_orders, *inputs.snapshot.looked_up_by_venue_id.values()):
        if order is not None:
            owners.setdefault(order.venue_order_id, None)
    owners.update((o.venue_order_id, cid) for cid, o in notes.orders.items())
    by_symbol: dict[str, list[Fill]] = {symbol: [] for symbol in inputs.snapshot.symbols}
    for fill in inputs.snapshot.fills:
        by_symbol.setdefault(fill.symbol, []).append(fill)
    for symbol, fills in by_symbol.items():
        before = inputs.journal.position(symbol)
        counted = count_fills(before, fills, owners, born_venue_ms=inputs.born_venue_ms)
        if counted.record != before:
            notes.positions[symbol] = counted.record
        for item in counted.counted:
            notes.fills.append(item)
            record = notes.records.get(item.client_order_id)
            if record is not None:
                notes.records[item.client_order_id] = replace(
                    record, filled=record.filled + item.fill.amount
                )
        if counted.unattributed:
            notes.unattributed[symbol] = counted.unattributed
            notes.blocked[symbol] = (
                f"{len(counted.unattributed)} filled order(s) not yet known to be ours or foreign"
            )


def _account_for(notes: _Pass, record: IntentRecord) -> None:
    """Bring one intent forward as far as the evidence goes."""
    record = notes.records[record.client_order_id]
    if record.state.is_final:
        notes.closed.append(record.client_order_id)
        return
    order = notes.orders.get(record.client_order_id)
    if order is None:
        _account_for_unseen(notes, record)
        return
    record = replace(record, venue_order_id=order.venue_order_id)
    notes.records[record.client_order_id] = record
    is_settled = record.filled >= order.filled
    if not order.status.is_final:
        _resolve(notes, record, order, IntentEvent.FIND, "listed as open by the venue")
        if not is_settled:
            notes.blocked.setdefault(
                order.symbol, f"fills of order {record.client_order_id} are not listed yet"
            )
    elif is_settled:
        _resolve(notes, record, order, IntentEvent.FINISH, f"venue says {order.status.value}")
    else:
        _leave_unclear(
            notes,
            record,
            f"venue says {order.status.value} with {order.filled} filled, "
            f"but lists fills of {record.filled} only",
        )


def _account_for_unseen(notes: _Pass, record: IntentRecord) -> None:
    """Apply the absence rule to an intent that no read has shown."""
    client_order_id, snapshot = record.client_order_id, notes.inputs.snapshot
    if client_order_id not in snapshot.looked_up:
        _leave_unclear(notes, record, "it was not looked up in this pass")
        return
    if record.state is not IntentState.UNKNOWN:
        record = _step(notes, record, IntentEvent.LOSE)
    may_arrive_until = record.deadline_venue_ms + notes.inputs.effect_tail_ms
    if snapshot.taken_venue_ms <= may_arrive_until:
        _leave_unclear(notes, record, "the venue does not show it, but it may still arrive")
    elif record.intent.symbol in notes.unattributed:
        _leave_unclear(notes, record, "a fill of an order without name may be its fill")
    elif record.filled > ZERO:
        _leave_unclear(notes, record, "it has fills, but the venue does not show the order")
    else:
        first_ms = notes.inputs.absences.get(client_order_id, snapshot.taken_venue_ms)
        if first_ms <= may_arrive_until:  # that read was too early for the deadline of this copy
            first_ms = snapshot.taken_venue_ms
        if snapshot.taken_venue_ms - first_ms >= ABSENCE_GAP_MS:
            _resolve_absent(notes, record, first_ms)
        else:
            notes.absences[client_order_id] = first_ms
            _leave_unclear(notes, record, "the venue does not show it; one more read is needed")


def _resolve_absent(notes: _Pass, record: IntentRecord, first_ms: int) -> None:
    taken_ms = notes.inputs.snapshot.taken_venue_ms
    record = _step(notes, record, IntentEvent.MISS)
    notes.closed.append(record.client_order_id)
    notes.resolved.append(
        Resolution(
            client_order_id=record.client_order_id,
            symbol=record.intent.symbol,
            tag=record.intent.tag,
            outcome=Resolved.ABSENT,
            was_unknown=True,
            filled=ZERO,
            evidence=f"not shown by two reads {taken_ms - first_ms} ms apart, "
            "both after its deadline and effect tail",
            intent=record.intent,
        )
    )


def _resolve(
    notes: _Pass, record: IntentRecord, order: VenueOrder, event: IntentEvent, evidence: str
) -> None:
    was = record.state
    record = _step(notes, record, event)
    if event is IntentEvent.FINISH:
        notes.closed.append(record.client_order_id)
    if record.state is was:
        return
    notes.resolved.append(
        Resolution(
            client_order_id=record.client_order_id,
            symbol=record.intent.symbol,
            tag=record.intent.tag,
            outcome=_OUTCOMES[order.status],
            was_unknown=was is not IntentState.OPEN,
            filled=order.filled,
            evidence=evidence,
            intent=record.intent,
        )
    )


def _step(notes: _Pass, record: IntentRecord, event: IntentEvent) -> IntentRecord:
    record = replace(record, state=step_intent(record.state, event))
    notes.records[record.client_order_id] = record
    return record


def _leave_unclear(notes: _Pass, record: IntentRecord, why: str) -> None:
    may_arrive_until = record.deadline_venue_ms + notes.inputs.effect_tail_ms
    notes.unclear.append(
        Unclear(
            client_order_id=record.client_order_id,
            symbol=record.intent.symbol,
            tag=record.intent.tag,
            side=record.intent.side,
            may_fill=max(ZERO, record.intent.amount - record.filled),
            past_deadline_ms=notes.inputs.snapshot.taken_venue_ms - may_arrive_until,
            why=why,
        )
    )


def _working(notes: _Pass, journal: Journal) -> tuple[Working, ...]:
    working = []
    for client_order_id, order in notes.orders.items():
        record = journal.intents.get(client_order_id)
        if order.status.is_final or record is None:
            continue
        owner = owner_of(
            client_order_id,
            cluster_tag=notes.inputs.cluster_tag,
            my_epoch=notes.inputs.my_epoch,
        )
        working.append(Working(order=order, record=record, owner=owner))
    return tuple(sorted(working, key=lambda w: w.record.client_order_id))


def _write(notes: _Pass) -> tuple[Journal, Change]:
    before = notes.inputs.journal
    changed = [
        record
        for client_order_id, record in notes.records.items()
        if record != before.intents.get(client_order_id)
    ]
    return before.edit(
        epoch=notes.inputs.my_epoch,
        intents=changed,
        closed=notes.closed,
        positions=notes.positions.values(),
    )
