"""What happens to an order becomes a message that says all it must, told once."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from alerts.changes import Row
from alerts.model import AlertEvent, Kind, Verdict
from alerts.render import NOT_KNOWN, render_row
from exchange.findings import Findings, Resolution, Resolved, Unclear
from exchange.intents import IntentRecord, IntentState
from exchange.journal import Change, Journal
from exchange.model import ZERO, Fill, Side, VenueOrderId, WriteOutcome, WriteResult
from exchange.orders import OrderEvent, OrderEventKind
from exchange.positions import CountedFill
from exchange.steps import Skip
from node.reporter import Reporter
from node.teller import Teller
from tests.support.journals import make_id
from tests.support.order_rig import intent

EPOCH = 7
NOW_MS = 1_800_000_000_000


@dataclass(slots=True)
class Told:
    """The alert path: keeps each event once, as the outbox does."""

    events: dict[str, AlertEvent] = field(default_factory=dict)

    async def put_soon(self, event: AlertEvent) -> bool:
        """Take the event in; False when it was known."""
        is_new = event.event_id not in self.events
        self.events.setdefault(event.event_id, event)
        return is_new

    def message(self, kind: Kind) -> str:
        """Return the message of the only event of this kind."""
        (event,) = [e for e in self.events.values() if e.kind is kind]
        return render_row(Row(number=1, events=(event,)), wall_ms=NOW_MS).plain


def make_reporter() -> tuple[Reporter, Told]:
    """A reporter of node jetson under epoch 7."""
    told = Told()
    teller = Teller(
        told,
        cluster="test-home",
        node_id="jetson",
        epoch=lambda: EPOCH,
        wall_ms=lambda: NOW_MS,
    )
    return Reporter(teller=teller, strategies={"ETH/USDT": "grid"}), told


def order_event(kind: OrderEventKind, outcome: WriteOutcome) -> OrderEvent:
    """What the write path says of one order."""
    order = intent(0)
    return OrderEvent(
        kind=kind,
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        reason="the venue said so",
        intent=order,
        result=WriteResult(outcome=outcome, reason="the venue said so"),
    )


@pytest.mark.parametrize(
    ("kind", "outcome", "told_as"),
    [
        (OrderEventKind.CONFIRMED, WriteOutcome.CONFIRMED, Kind.ORDER_PLACED),
        (OrderEventKind.REJECTED, WriteOutcome.REJECTED, Kind.ORDER_REJECTED),
        (OrderEventKind.REFUSED, WriteOutcome.NOT_SENT, Kind.ORDER_REJECTED),
        (OrderEventKind.UNKNOWN, WriteOutcome.UNKNOWN, Kind.ORDER_UNKNOWN),
    ],
    ids=["placed", "refused by the venue", "refused by the limits", "outcome unknown"],
)
async def test_reporter_order_event_is_told_once_with_all_it_must_say(
    kind: OrderEventKind, outcome: WriteOutcome, told_as: Kind
) -> None:
    reporter, told = make_reporter()
    event = order_event(kind, outcome)
    for _ in range(2):
        reporter.order_event(event)
    await reporter.flush()
    text = told.message(told_as)
    assert NOT_KNOWN not in text
    strategy = f"Strategy grid, order {intent(0).tag}."
    for word in (event.symbol, event.client_order_id, "the venue said so", "epoch 1", strategy):
        assert word in text


async def test_reporter_fill_is_told_with_the_position_after_it() -> None:
    reporter, told = make_reporter()
    one = Fill(
        symbol="ETH/USDT",
        fill_id="1",
        venue_order_id=VenueOrderId("17"),
        side=Side.BUY,
        amount=Decimal("0.4"),
        price=Decimal(100),
        fee=Decimal("0.1"),
        fee_asset="USDT",
        venue_ms=NOW_MS,
    )
    fill = CountedFill(fill=one, client_order_id=make_id())
    findings = Findings(journal=Journal(), change=Change(), fills=(fill,))
    for _ in range(2):
        reporter.findings(findings, epoch=EPOCH)
    await reporter.flush()
    text = told.message(Kind.ORDER_FILLED)
    assert NOT_KNOWN not in text
    assert "Position now" in text
    assert "Result today: 0 USDT" in text


async def test_reporter_fill_says_how_much_of_its_order_is_filled() -> None:
    """Also when this very fill ended the order, and the journal has dropped it."""
    order = intent(0)
    one = Fill(
        symbol=order.symbol,
        fill_id="1",
        venue_order_id=VenueOrderId("17"),
        side=order.side,
        amount=Decimal("0.4"),
        price=Decimal(99),
        fee=Decimal(0),
        fee_asset="USDT",
        venue_ms=NOW_MS,
    )
    fill = CountedFill(fill=one, client_order_id=order.client_order_id)
    open_record = IntentRecord(
        intent=order, state=IntentState.OPEN, deadline_venue_ms=NOW_MS, filled=Decimal("0.4")
    )
    known, _ = Journal().edit(epoch=1, intents=[open_record])
    done = Resolution(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        tag=order.tag,
        outcome=Resolved.FILLED,
        was_unknown=False,
        filled=order.amount,
        evidence="venue says closed",
        intent=order,
    )
    for journal, resolved, said in (
        (known, (), "Filled 0.4 of 1."),
        (Journal(), (done,), "Filled 1 of 1."),
    ):
        reporter, told = make_reporter()
        reporter.findings(
            Findings(journal=journal, change=Change(), fills=(fill,), resolved=resolved),
            epoch=EPOCH,
        )
        await reporter.flush()
        text = told.message(Kind.ORDER_FILLED)
        assert said in text
        assert f"Strategy grid, order {order.tag}." in text


async def test_reporter_order_that_stays_unknown_is_told_again_and_then_asks_to_act() -> None:
    """Once after a minute, once after five with what to do, each with its age; then no more."""
    reporter, told = make_reporter()
    order = intent(0)
    record = IntentRecord(intent=order, state=IntentState.UNKNOWN, deadline_venue_ms=NOW_MS)
    journal, _ = Journal().edit(epoch=1, intents=[record])
    told_at: list[tuple[int, Verdict, str]] = []
    for age_s in (30, 61, 120, 301, 400, 4000):
        unclear = Unclear(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            tag=order.tag,
            side=order.side,
            may_fill=order.amount,
            past_deadline_ms=age_s * 1000,
            why="the venue does not show it",
        )
        before = len(told.events)
        findings = Findings(journal=journal, change=Change(), unclear=(unclear,))
        reporter.findings(findings, epoch=EPOCH)
        await reporter.flush()
        news = list(told.events.values())[before:]
        told_at += [(age_s, event.verdict, event.facts["age"]) for event in news]
    assert told_at == [(61, Verdict.LOOK, "61 s"), (301, Verdict.ACT, "301 s")]
    last = list(told.events.values())[-1]
    text = render_row(Row(number=1, events=(last,)), wall_ms=NOW_MS).plain
    assert NOT_KNOWN not in text
    assert "What mends it" in text


async def test_reporter_order_kept_back_by_a_limit_is_told_once_until_it_was_sent() -> None:
    """The figures of a limit move with the price; the same limit is no news."""
    reporter, told = make_reporter()
    skip = Skip(symbol="ETH/USDT", tag=intent(0).tag, reason="risk: ...")
    for value in (150, 151):
        why = f"max_order_value was {value}, allowed 100"
        reporter.refused(skip, limit="max_order_value", why=why, epoch=EPOCH)
    await reporter.flush()
    text = told.message(Kind.ORDER_REJECTED)
    assert "ETH/USDT order refused by the risk limits" in text
    assert "max_order_value was 150, allowed 100" in text
    assert NOT_KNOWN not in text
    reporter.refused(skip, limit="max_open_orders", why="max_open_orders was 9", epoch=EPOCH)
    reporter.order_event(order_event(OrderEventKind.SENDING, WriteOutcome.CONFIRMED))
    reporter.refused(skip, limit="max_open_orders", why="max_open_orders was 9", epoch=EPOCH)
    await reporter.flush()
    limits = [e.facts["reason"].partition(" ")[0] for e in told.events.values()]
    assert limits == ["max_order_value", "max_open_orders", "max_open_orders"]


async def test_reporter_damaged_document_is_told_once_with_what_mends_it() -> None:
    """What was lost of the journal must not be known to the log alone."""
    reporter, told = make_reporter()
    for _ in range(3):
        reporter.damaged("intent:x", where="store pi", why="not JSON")
    await reporter.flush()
    text = told.message(Kind.DEGRADED)
    for word in ("intent:x, store pi: not JSON", "fill the gap", "What mends it"):
        assert word in text


@pytest.mark.parametrize("was_unknown", [True, False])
async def test_reporter_only_what_had_been_unknown_is_told_as_cleared_up(
    *, was_unknown: bool
) -> None:
    """An order that ends in the ordinary way is in the log, and its fills are told."""
    reporter, told = make_reporter()
    resolution = Resolution(
        client_order_id=make_id(),
        symbol="ETH/USDT",
        tag="grid-1",
        outcome=Resolved.ABSENT,
        was_unknown=was_unknown,
        filled=ZERO,
        evidence="open orders, order by id and trades",
        intent=intent(0),
    )
    reporter.findings(
        Findings(journal=Journal(), change=Change(), resolved=(resolution,)), epoch=EPOCH
    )
    await reporter.flush()
    assert [e.kind for e in told.events.values()] == [Kind.ORDER_RESOLVED] * was_unknown
    if was_unknown:
        text = told.message(Kind.ORDER_RESOLVED)
        assert NOT_KNOWN not in text
        assert make_id() in text
        assert "buy 1 ETH/USDT at 99 (limit" in text
