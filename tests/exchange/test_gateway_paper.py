"""Gateway and reader together against the paper exchange over HTTP, as against Binance."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.errors import VenueRefused, VenueUnavailable
from exchange.model import (
    ClientOrderId,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    WriteOutcome,
)
from exchange.paper.process import PaperKey, PaperProcess
from tests.support.paper_server import (
    JETSON,
    OTHER_UID,
    RASPBERRYPI,
    STRANGER,
    UID,
    paper_process,
    wait_until,
)
from tests.support.venue_link import Rig, an_intent, open_rig

SYMBOL = "ETH/BTC"


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[PaperProcess]:
    with paper_process(tmp_path) as running:
        yield running


@pytest.fixture
async def rig(paper: PaperProcess) -> AsyncIterator[Rig]:
    async with open_rig(paper.url, **as_node(JETSON)) as opened:
        yield opened


def as_node(key: PaperKey) -> dict[str, Any]:
    # A window that no busy machine misses; where lateness is the case, the permit is shortened.
    patient = {"recv_window_ms": 30_000}
    return {"api_key": key.key, "api_secret": key.secret, "symbols": (SYMBOL,), **patient}


def intent(number: int, **changes: Any) -> Any:
    values = {"amount": Decimal("0.5"), "price": Decimal("0.04000"), "symbol": SYMBOL}
    return an_intent(client_order_id=ClientOrderId(f"abc{number:015}"), **{**values, **changes})


async def test_life_of_a_resting_order(rig: Rig, paper: PaperProcess) -> None:
    """Placed, seen as open, found by both ids, cancelled, gone."""
    wanted = intent(1)
    placed = await rig.gateway.place(wanted)
    opened = await rig.venue.open_orders(SYMBOL)
    by_client = await rig.venue.order_by_client_id(SYMBOL, wanted.client_order_id)
    by_venue = await rig.venue.order_by_venue_id(SYMBOL, placed.order.venue_order_id)
    locked = (await rig.venue.balances())["BTC"].locked
    cancelled = await rig.gateway.cancel(SYMBOL, wanted.client_order_id, epoch=7)
    again = await rig.gateway.cancel(SYMBOL, wanted.client_order_id, epoch=7)
    after = await rig.venue.order_by_client_id(SYMBOL, wanted.client_order_id)

    assert placed.outcome is WriteOutcome.CONFIRMED
    assert [o.client_order_id for o in opened] == [wanted.client_order_id]
    assert by_client == by_venue == opened[0]
    assert locked == Decimal("0.02")
    assert cancelled.outcome is WriteOutcome.CONFIRMED
    assert (again.outcome, again.code) == (WriteOutcome.REJECTED, "-2011")
    assert after.status is OrderStatus.CANCELED
    assert await rig.venue.open_orders(SYMBOL) == ()


async def test_market_order_fills_and_its_fills_are_read(rig: Rig) -> None:
    """Amounts, fees and balances after a fill are exact; fills go on from the last one."""
    bought = await rig.gateway.place(
        intent(1, type=OrderType.MARKET, price=None, time_in_force=TimeInForce.IOC)
    )
    fills = await rig.venue.fills(SYMBOL, None)
    sold = await rig.gateway.place(
        intent(
            2,
            type=OrderType.MARKET,
            price=None,
            time_in_force=TimeInForce.IOC,
            side=Side.SELL,
            amount=Decimal("0.2"),
        )
    )
    rest = await rig.venue.fills(SYMBOL, fills[-1].fill_id)

    assert bought.order.status is sold.order.status is OrderStatus.CLOSED
    assert sum(f.amount for f in fills) == Decimal("0.5")
    assert {f.venue_order_id for f in fills} == {bought.order.venue_order_id}
    assert {f.side for f in rest} == {Side.SELL}
    assert sum(f.amount for f in rest) == Decimal("0.2")


async def test_refusals_of_the_venue_are_rejections(rig: Rig) -> None:
    """What the venue documents as refused is proven to be refused."""
    too_dear = await rig.gateway.place(intent(1, amount=Decimal(100)))
    too_small = await rig.gateway.place(intent(2, amount=Decimal("0.001")))
    crossing = await rig.gateway.place(
        intent(3, price=Decimal("0.06000"), time_in_force=TimeInForce.POST_ONLY)
    )
    resting = await rig.gateway.place(intent(4, time_in_force=TimeInForce.POST_ONLY))
    nothing = await rig.gateway.place(intent(5, time_in_force=TimeInForce.IOC))

    assert [(r.outcome, r.code) for r in (too_dear, too_small, crossing)] == [
        (WriteOutcome.REJECTED, "-2010"),
        (WriteOutcome.REJECTED, "-1013"),
        (WriteOutcome.REJECTED, "-2010"),
    ]
    assert resting.order.status is OrderStatus.OPEN
    assert nothing.outcome is WriteOutcome.CONFIRMED
    assert (nothing.order.status, nothing.order.filled) == (OrderStatus.EXPIRED, Decimal(0))


async def test_used_id_is_unknown_and_can_be_looked_up(rig: Rig) -> None:
    """A duplicate of an open order's id says that it exists, and it is found."""
    await rig.gateway.place(intent(1))
    again = await rig.gateway.place(intent(1))
    found = await rig.venue.order_by_client_id(SYMBOL, intent(1).client_order_id)

    assert again.outcome is WriteOutcome.UNKNOWN
    assert again.code == "-2010"
    assert found.status is OrderStatus.OPEN


FAULTS: dict[str, dict[str, Any]] = {
    "drop": {"kind": "drop"},
    "html": {"kind": "html"},
    "cut": {"kind": "cut"},
    "empty": {"kind": "empty"},
    "cut JSON": {"kind": "cut_json"},
    "502 page": {"kind": "5xx"},
    "500 with a code": {"kind": "error", "status": 500},
    "answered after our timeout": {"kind": "delay_after", "seconds": 3.0},
}


@pytest.mark.parametrize("name", list(FAULTS))
async def test_lost_answer_is_unknown_and_the_order_is_found_once(
    rig: Rig, paper: PaperProcess, name: str
) -> None:
    """An order whose answer was lost is found by its id; it was sent and placed once."""
    fault = {"is_processed": True, **FAULTS[name]}
    if "seconds" in fault:
        rig.permit.left_s = 2.0
    paper.arm(fault.pop("kind"), method="POST", path="order", **fault)
    result = await rig.gateway.place(intent(1))
    found = await rig.venue.order_by_client_id(SYMBOL, intent(1).client_order_id)
    opened = await rig.venue.open_orders(SYMBOL)

    assert result.outcome is WriteOutcome.UNKNOWN
    assert result.deadline_venue_ms is not None
    assert found.client_order_id == intent(1).client_order_id
    assert len(opened) == 1


async def test_request_that_arrives_late_is_refused_by_the_venue(
    rig: Rig, paper: PaperProcess
) -> None:
    """The venue itself refuses what comes after the deadline (S2), here by a faster clock."""
    paper.set_skew(100_000)
    result = await rig.gateway.place(intent(1))

    assert (result.outcome, result.code) == (WriteOutcome.REJECTED, "-1021")
    assert await rig.venue.open_orders(SYMBOL) == ()


async def test_request_held_up_past_its_deadline_has_no_effect(
    rig: Rig, paper: PaperProcess
) -> None:
    """Held up inside the venue beyond its window, a request is unknown here and void there (S2)."""
    paper.arm("delay_before", method="POST", path="order", seconds=3.0)
    rig.permit.left_s = 2.0
    result = await rig.gateway.place(intent(1))
    wait_until(lambda: str(intent(1).client_order_id) in str(paper.read_log()))
    found = await rig.venue.order_by_client_id(SYMBOL, intent(1).client_order_id)

    assert result.outcome is WriteOutcome.UNKNOWN
    assert found is None
    assert await rig.venue.open_orders(SYMBOL) == ()


async def test_account_ids_by_key(paper: PaperProcess) -> None:
    """Each box has its own key; the account's id tells whether they belong together (R7)."""
    ids = []
    for key in (JETSON, RASPBERRYPI, STRANGER):
        async with open_rig(paper.url, **as_node(key)) as rig:
            ids.append(await rig.venue.account_id())

    assert ids == [str(UID), str(UID), str(OTHER_UID)]


async def test_wrong_secret_and_unknown_key_are_refused(paper: PaperProcess) -> None:
    """A wrong key is told at once, with how to mend it, and never shown."""
    wrong_secret = {**as_node(JETSON), "api_secret": "not-the-secret"}
    wrong_key = {**as_node(JETSON), "api_key": "not-a-key"}
    for settings in (wrong_secret, wrong_key):
        async with open_rig(paper.url, **settings) as rig:
            with pytest.raises(VenueRefused) as caught:
                await rig.venue.account_id()
            placed = await rig.gateway.place(intent(1))
        assert "not-" not in str(caught.value)
        assert placed.outcome is WriteOutcome.REJECTED


async def test_reads_survive_a_fault_and_writes_are_not_repeated(
    rig: Rig, paper: PaperProcess
) -> None:
    """Two lost answers: the read asks again, the write does not."""
    paper.arm("drop", method="GET", path="openOrders", count=2)
    assert await rig.venue.open_orders(SYMBOL) == ()

    paper.arm("drop", method="POST", path="order", count=2)
    await rig.gateway.place(intent(1))
    assert len(await rig.venue.open_orders(SYMBOL)) == 1


async def test_venue_that_died_is_unavailable(rig: Rig, paper: PaperProcess) -> None:
    """With the venue gone reads raise; the write is not sent or unknown, never anything else."""
    paper.kill()
    with pytest.raises(VenueUnavailable):
        await rig.venue.open_orders(SYMBOL)
    result = await rig.gateway.place(intent(1))
    assert result.outcome in {WriteOutcome.NOT_SENT, WriteOutcome.UNKNOWN}

    paper.start()
    assert await rig.venue.open_orders(SYMBOL) == ()


async def test_market_data_is_read(rig: Rig, paper: PaperProcess) -> None:
    """Rules, prices and candles of the paper exchange are trusted; a new candle closes one."""
    rules = await rig.venue.market_rules(SYMBOL)
    ticker = await rig.venue.ticker(SYMBOL)
    before = await rig.venue.candles(SYMBOL, "1m", 5)
    paper.advance(SYMBOL, candles=1)
    after = await rig.venue.candles(SYMBOL, "1m", 5)

    assert (rules.amount_step, rules.price_step) == (Decimal("0.001"), Decimal("0.00001"))
    assert ticker.bid < ticker.ask
    assert len(before) == len(after) == 5
    assert after[-2] == before[-1]
    assert after[-1].open_ms == before[-1].open_ms + 60_000
