"""Reconcile: the evidence rules, one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.findings import Findings, Resolved
from exchange.identity import IdParts, cluster_tag, encode, node_tag
from exchange.intents import ORPHAN_TAG, IntentRecord, IntentState
from exchange.journal import Journal
from exchange.model import (
    Balance,
    ClientOrderId,
    Fill,
    OrderStatus,
    OrderType,
    Position,
    Side,
    Snapshot,
    VenueOrder,
    VenueOrderId,
)
from exchange.positions import PositionRecord
from exchange.reconcile import ReconcileInput, reconcile
from tests.support.journals import CLUSTER, DEADLINE_MS, SYMBOL, make_id, make_record

TAIL_MS = 2000
AFTER_MS = DEADLINE_MS + TAIL_MS + 1


def make_order(
    client_order_id: ClientOrderId | None,
    status: OrderStatus = OrderStatus.OPEN,
    *,
    filled: str = "0",
    number: str = "17",
    side: Side = Side.BUY,
    symbol: str = SYMBOL,
) -> VenueOrder:
    return VenueOrder(
        symbol=symbol,
        venue_order_id=VenueOrderId(number),
        client_order_id=client_order_id,
        side=side,
        type=OrderType.LIMIT,
        status=status,
        amount=Decimal(1),
        filled=Decimal(filled),
        price=Decimal(100),
    )


def make_fill(number: int, amount: str, order: str = "17") -> Fill:
    return Fill(
        symbol=SYMBOL,
        fill_id=str(number),
        venue_order_id=VenueOrderId(order),
        side=Side.BUY,
        amount=Decimal(amount),
        price=Decimal(100),
        fee=Decimal(0),
        fee_asset="USDT",
        venue_ms=AFTER_MS,
    )


def look(
    records: Sequence[IntentRecord] | Journal = (),
    *,
    open_orders: Sequence[VenueOrder] = (),
    looked_up: Mapping[ClientOrderId, VenueOrder | None] | None = None,
    by_venue_id: Mapping[VenueOrderId, VenueOrder | None] | None = None,
    fills: Sequence[Fill] = (),
    now_ms: int = AFTER_MS,
    absences: Mapping[ClientOrderId, int] | None = None,
    balances: Mapping[str, Balance] | None = None,
    epoch: int = 2,
    symbols: tuple[str, ...] = (SYMBOL,),
) -> Findings:
    """Reconcile a journal with one snapshot, as epoch 2 unless said."""
    if isinstance(records, Journal):
        journal = records
    else:
        journal, _ = Journal().edit(epoch=1, intents=records)
    inputs = ReconcileInput(
        journal=journal,
        snapshot=Snapshot(
            symbols=symbols,
            taken_venue_ms=now_ms,
            open_orders=tuple(open_orders),
            looked_up=looked_up or {},
            fills=tuple(fills),
            balances=balances or {},
            looked_up_by_venue_id=by_venue_id or {},
        ),
        cluster_tag=CLUSTER,
        node_tag=node_tag("raspberrypi"),
        my_epoch=epoch,
        effect_tail_ms=TAIL_MS,
        absences=absences or {},
    )
    findings = reconcile(inputs)
    again = reconcile(replace(inputs, journal=findings.journal, absences=findings.absences))
    assert again.change.is_empty, "reconciling the same snapshot twice changes nothing"
    assert not again.resolved
    assert again.absences == findings.absences
    return findings


NOT_FINAL = sorted(set(IntentState) - {s for s in IntentState if s.is_final})


@pytest.mark.parametrize("state", NOT_FINAL)
def test_an_intent_listed_as_open_is_open(state: IntentState) -> None:
    """Whatever was known before, the venue's open list decides."""
    findings = look([make_record(state=state)], open_orders=[make_order(make_id())])
    record = findings.journal.intents[make_id()]
    assert record.state is IntentState.OPEN
    assert record.venue_order_id == "17"
    assert not findings.unclear
    assert not findings.blocked
    assert [w.record.client_order_id for w in findings.working] == [make_id()]
    assert [r.outcome for r in findings.resolved] == (
        [] if state is IntentState.OPEN else [Resolved.OPEN]
    )


@pytest.mark.parametrize("state", NOT_FINAL)
@pytest.mark.parametrize(
    ("status", "outcome", "filled"),
    [
        (OrderStatus.CLOSED, Resolved.FILLED, "1"),
        (OrderStatus.CANCELED, Resolved.CANCELLED, "0.4"),
        (OrderStatus.CANCELED, Resolved.CANCELLED, "0"),
        (OrderStatus.EXPIRED, Resolved.EXPIRED, "0.4"),
        (OrderStatus.REJECTED, Resolved.REJECTED, "0"),
    ],
    ids=str,
)
def test_an_intent_that_ended_is_trimmed_with_its_fills_counted(
    state: IntentState, status: OrderStatus, outcome: Resolved, filled: str
) -> None:
    """Final and all its fills counted: closed, in the write that moves the position."""
    fills = [make_fill(1, filled)] if filled != "0" else []
    order = make_order(make_id(), status, filled=filled)
    findings = look([make_record(state=state)], looked_up={make_id(): order}, fills=fills)
    assert not findings.journal.intents
    assert findings.change.deletes == (f"intent:{make_id()}",)
    assert findings.journal.position(SYMBOL).position.amount == Decimal(filled)
    assert [(r.outcome, r.filled) for r in findings.resolved] == [(outcome, Decimal(filled))]
    assert findings.is_clear


def test_an_intent_whose_fills_are_not_listed_yet_is_unclear_and_not_trimmed() -> None:
    """Stale trade list: the position would be wrong, and a target would be bought twice."""
    order = make_order(make_id(), OrderStatus.CLOSED, filled="1")
    findings = look([make_record()], looked_up={make_id(): order}, fills=[make_fill(1, "0.4")])
    (unclear,) = findings.unclear
    assert unclear.may_fill == Decimal("0.6")
    assert SYMBOL in findings.blocked
    rest = look(findings.journal, looked_up={make_id(): order}, fills=[make_fill(2, "0.6")])
    assert rest.is_clear
    assert not rest.journal.intents
    assert rest.journal.position(SYMBOL).position.amount == 1


def test_an_open_order_with_fills_not_listed_yet_blocks_its_symbol() -> None:
    """The same for an order that still rests."""
    findings = look([make_record()], open_orders=[make_order(make_id(), filled="0.5")])
    assert SYMBOL in findings.blocked
    assert findings.working


# --- absence rule ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", NOT_FINAL)
@pytest.mark.parametrize(
    ("now_ms", "first_ms", "is_absent"),
    [
        (DEADLINE_MS, None, False),
        (DEADLINE_MS + TAIL_MS, None, False),
        (AFTER_MS, None, False),
        (AFTER_MS + 999, AFTER_MS, False),
        (AFTER_MS + 1000, AFTER_MS, True),
    ],
    ids=[
        "before its deadline",
        "at the end of the effect tail",
        "first read after it",
        "second read 999 ms later",
        "second read 1000 ms later",
    ],
)
def test_absence_needs_deadline_tail_and_two_reads_a_second_apart(
    state: IntentState, now_ms: int, first_ms: int | None, is_absent: bool
) -> None:
    """The absence rule, on both sides of each of its boundaries."""
    absences = {} if first_ms is None else {make_id(): first_ms}
    findings = look(
        [make_record(state=state)], looked_up={make_id(): None}, now_ms=now_ms, absences=absences
    )
    if is_absent:
        assert [r.outcome for r in findings.resolved] == [Resolved.ABSENT]
        assert not findings.journal.intents
        assert findings.is_clear
    else:
        assert findings.journal.intents[make_id()].state is IntentState.UNKNOWN
        assert [u.client_order_id for u in findings.unclear] == [make_id()]
        assert SYMBOL in findings.blocked
        assert (make_id() in findings.absences) is (now_ms > DEADLINE_MS + TAIL_MS)


@pytest.mark.parametrize(("late_ms", "is_absent"), [(0, False), (1, True)])
def test_a_read_before_the_deadline_is_no_first_read(late_ms: int, is_absent: bool) -> None:
    """Two reads after deadline and tail: an earlier one, of another process, proves nothing."""
    findings = look(
        [make_record(state=IntentState.UNKNOWN)],
        looked_up={make_id(): None},
        now_ms=AFTER_MS + 9000,
        absences={make_id(): DEADLINE_MS + TAIL_MS + late_ms},
    )
    assert bool(findings.resolved) is is_absent
    assert findings.absences == ({} if is_absent else {make_id(): AFTER_MS + 9000})


def test_a_sighting_between_two_absent_reads_takes_the_evidence_away() -> None:
    """The two reads must agree with everything in between."""
    record = make_record(state=IntentState.UNKNOWN)
    findings = look(
        [record], open_orders=[make_order(make_id())], absences={make_id(): AFTER_MS - 5000}
    )
    assert not findings.absences
    assert findings.journal.intents[make_id()].state is IntentState.OPEN


def test_an_intent_that_was_not_looked_up_is_not_absent() -> None:
    """No answer is not the answer `no`."""
    findings = look(
        [make_record(state=IntentState.UNKNOWN)],
        now_ms=AFTER_MS + 9000,
        absences={make_id(): AFTER_MS},
    )
    assert len(findings.unclear) == 1


def test_a_nameless_fill_in_the_symbol_forbids_absence() -> None:
    """Trades must agree too: that fill may be the missing order's."""
    findings = look(
        [make_record(state=IntentState.UNKNOWN)],
        looked_up={make_id(): None},
        fills=[make_fill(1, "1", order="99")],
        now_ms=AFTER_MS + 5000,
        absences={make_id(): AFTER_MS},
    )
    assert findings.unattributed == {SYMBOL: ("99",)}
    assert len(findings.unclear) == 1
    assert findings.journal.position(SYMBOL).after_fill_id is None


def test_an_intent_of_a_symbol_that_was_not_read_stays_unclear() -> None:
    """Configuration may have dropped a symbol; its orders are not forgotten."""
    findings = look([make_record(state=IntentState.SENT)], symbols=("BTC/USDT",))
    assert [u.symbol for u in findings.unclear] == [SYMBOL]


# --- owners ----------------------------------------------------------------------------------


def test_foreign_orders_are_reported_and_nothing_else() -> None:
    """A person's order, another cluster's, and one with a broken check character."""
    other = encode(IdParts(cluster_tag=cluster_tag("prod-x"), epoch=9, node_tag="0a", counter=1))
    ids = [None, ClientOrderId("web_1"), other, ClientOrderId(make_id()[:-1] + "?")]
    orders = [make_order(cid, number=str(n)) for n, cid in enumerate(ids)]
    findings = look(open_orders=orders)
    assert findings.foreign == tuple(orders)
    assert findings.change.is_empty
    assert not findings.working


def test_an_order_of_ours_that_the_journal_lost_is_journalled_as_an_orphan() -> None:
    """All stores emptied: the venue gives the order back, with what it still may do."""
    order = make_order(make_id(3), filled="0.5")
    findings = look(open_orders=[order], fills=[make_fill(8, "0.5")])
    record = findings.journal.intents[make_id(3)]
    assert findings.orphans == (make_id(3),)
    assert findings.adoptable == (make_id(3),)
    assert record.intent.tag == ORPHAN_TAG
    assert record.state is IntentState.OPEN
    assert record.filled == Decimal("0.5")
    assert findings.journal.position(SYMBOL).position.amount == Decimal("0.5")


def test_a_fill_of_an_order_that_the_journal_lost_is_counted_after_its_look_up() -> None:
    """The order is final and unknown to the journal; its client order id says that it is ours."""
    fills = [make_fill(1, "1", order="42")]
    first = look(fills=fills)
    assert first.unattributed == {SYMBOL: ("42",)}
    assert SYMBOL in first.blocked
    order = make_order(make_id(5), OrderStatus.CLOSED, filled="1", number="42")
    second = look(first.journal, fills=fills, by_venue_id={VenueOrderId("42"): order})
    assert second.journal.position(SYMBOL).position.amount == 1
    assert second.is_clear


def test_a_fill_of_a_foreign_order_moves_the_cursor_only() -> None:
    """What others do on the account is not our position."""
    order = make_order(ClientOrderId("web_1"), OrderStatus.CLOSED, filled="1", number="42")
    findings = look(fills=[make_fill(1, "1", order="42")], by_venue_id={VenueOrderId("42"): order})
    assert findings.journal.position(SYMBOL).position.amount == 0
    assert findings.journal.position(SYMBOL).after_fill_id == "1"
    assert findings.is_clear


@pytest.mark.parametrize(
    ("epoch", "node_id", "deposed_by"),
    [(2, "raspberrypi", None), (3, "jetson", 3), (2, "jetson", 2)],
    ids=["my own order", "a later epoch", "another node with my epoch"],
)
def test_an_order_of_a_later_grant_means_deposed(
    epoch: int, node_id: str, deposed_by: int | None
) -> None:
    """Whatever the stores say; and then nothing is written any more."""
    order = make_order(make_id(0, epoch=epoch, node_id=node_id))
    findings = look([make_record(1)], open_orders=[order], looked_up={make_id(1): None})
    assert findings.deposed_by == deposed_by
    assert findings.change.is_empty is (deposed_by is not None)


def test_the_newest_view_of_an_order_wins() -> None:
    """It ended between the list and the look-up: final is final."""
    findings = look(
        [make_record()],
        open_orders=[make_order(make_id())],
        looked_up={make_id(): make_order(make_id(), OrderStatus.CANCELED)},
    )
    assert [r.outcome for r in findings.resolved] == [Resolved.CANCELLED]
    assert not findings.working


# --- balances --------------------------------------------------------------------------------


def test_balances_that_do_not_add_up_are_noted_and_change_nothing() -> None:
    """A baseline is taken once; a later difference is a report, not a correction."""
    journal, _ = Journal().edit(
        epoch=1,
        positions=[PositionRecord(position=Position(symbol=SYMBOL, amount=Decimal(2)))],
    )
    first = look(journal, balances={"ETH": Balance(free=Decimal(5))})
    assert first.journal.position(SYMBOL).baseline_amount == 3
    assert not first.balance_notes
    second = look(first.journal, balances={"ETH": Balance(free=Decimal(4))})
    assert len(second.balance_notes) == 1
    assert second.change.is_empty


def test_balances_of_an_asset_that_several_symbols_move_are_not_compared() -> None:
    """ETH/BTC and BTC/USDT both move BTC."""
    findings = look(
        symbols=("BTC/USDT", "ETH/BTC"),
        balances={"BTC": Balance(free=Decimal(1)), "ETH": Balance(free=Decimal(1))},
    )
    assert findings.journal.position("BTC/USDT").baseline_amount is None
    assert findings.journal.position("ETH/BTC").baseline_amount == 1
