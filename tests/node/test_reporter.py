"""What happens to an order becomes a message that says all it must, told once."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from alerts.changes import Row
from alerts.model import AlertEvent, Kind
from alerts.render import NOT_KNOWN, render_row
from exchange.findings import Findings, Resolution, Resolved
from exchange.journal import Change, Journal
from exchange.model import ZERO, Fill, Side, VenueOrderId, WriteOutcome, WriteResult
from exchange.orders import OrderEvent, OrderEventKind
from exchange.positions import CountedFill
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
    return Reporter(teller=teller), told


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
    for word in (event.symbol, event.client_order_id, "the venue said so", "epoch 1"):
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
