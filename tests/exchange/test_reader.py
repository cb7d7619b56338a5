"""Reads against a server that answers well, badly, or not at all."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from exchange.errors import (
    AnswerUntrusted,
    VenueError,
    VenueUnavailable,
)
from exchange.model import Balance, ClientOrderId, OrderStatus, OrderType, Side
from tests.support.bad_server import (
    BAD_ANSWERS,
    BadServer,
    Fate,
    Reply,
    Request,
    account,
    candle,
    order_row,
    refusal,
    reply_json,
    ticker,
    trade,
)
from tests.support.venue_link import API_KEY, API_SECRET, Rig, an_intent, open_rig

Read = Callable[[Rig], Awaitable[Any]]


READS: dict[str, tuple[str, Read]] = {
    "account": ("account", lambda rig: rig.venue.account_id()),
    "balances": ("account", lambda rig: rig.venue.balances()),
    "candles": ("klines", lambda rig: rig.venue.candles("BTC/USDT", "5m", 3)),
    "ticker": ("ticker/24hr", lambda rig: rig.venue.ticker("BTC/USDT")),
    "open orders": ("openOrders", lambda rig: rig.venue.open_orders("BTC/USDT")),
    "order": (
        "order",
        lambda rig: rig.venue.order_by_client_id("BTC/USDT", ClientOrderId("abc")),
    ),
    "fills": ("myTrades", lambda rig: rig.venue.fills("BTC/USDT", None)),
    "time": ("time", lambda rig: rig.venue.measure_clock()),
    "markets": ("exchangeInfo", lambda rig: rig.venue.load()),
}


# What is a whole and right answer for one of the reads although it is bad for the others.
GOOD_AFTER_ALL = {("open orders", "an empty list"), ("fills", "an empty list")}


@pytest.mark.parametrize(
    ("read", "name"),
    [(r, n) for r in READS for n in BAD_ANSWERS if (r, n) not in GOOD_AFTER_ALL],
)
async def test_read_with_a_bad_answer_raises(read: str, name: str) -> None:
    """A bad answer is never an empty one: no orders, no fills, flat (S4)."""
    path, act = READS[read]
    is_loaded = read != "markets"
    async with BadServer() as server, open_rig(server.url, is_loaded=is_loaded) as rig:
        server.answer("GET", path, BAD_ANSWERS[name])
        if BAD_ANSWERS[name] is Fate.HANG:
            rig.hurry()
        with pytest.raises(VenueError) as caught:
            await act(rig)
        elsewhere = [r for r in server.requests if r.path == "/elsewhere"]

    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert API_SECRET not in shown
    assert API_KEY not in shown
    assert "signature" not in shown
    assert elsewhere == []
    assert rig.steps


async def test_read_recovers_within_its_budget() -> None:
    """A read goes on after a bad answer, and each attempt counts as progress."""
    async with BadServer() as server, open_rig(server.url) as rig:
        left = [Reply(status=502), Fate.DROP]
        server.answer("GET", "openOrders", lambda _: left.pop() if left else reply_json([]))
        rig.steps.clear()
        orders = await rig.venue.open_orders("BTC/USDT")
        assert len(server.seen("GET", "openOrders")) == 3

    assert orders == ()
    assert rig.steps == ["open_orders"] * 3


async def test_read_side_refuses_to_change_anything() -> None:
    """The reader's ccxt instance cannot place or cancel, even if someone calls it."""
    async with BadServer() as server, open_rig(server.url) as rig:
        exchange = rig.venue._exchange
        with pytest.raises(Exception, match="outside of any call"):
            await exchange.cancel_order(None, "BTC/USDT", {"clientOrderId": "abc"})
        with pytest.raises(Exception, match="tried to change something"):
            await rig.venue._read(
                "ticker", lambda _: exchange.cancel_order("1", "BTC/USDT"), shape=dict
            )
        assert server.changes() == []


async def test_orders_and_lookups_are_exact() -> None:
    """Orders come back as Decimals, with our id and the venue's."""
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.gateway.place(an_intent())
        opened = await rig.venue.open_orders("BTC/USDT")
        by_client = await rig.venue.order_by_client_id("BTC/USDT", an_intent().client_order_id)
        server.answer("GET", "order", lambda _: reply_json(next(iter(server.orders.values()))))
        by_venue = await rig.venue.order_by_venue_id("BTC/USDT", "1")

    assert opened == (by_client,) == (by_venue,)
    assert (opened[0].amount, opened[0].price) == (Decimal("0.5"), Decimal("100.10"))
    assert (opened[0].side, opened[0].type, opened[0].status) == (
        Side.BUY,
        OrderType.LIMIT,
        OrderStatus.OPEN,
    )


async def test_unknown_order_is_none_and_nothing_else_is() -> None:
    """None means exactly that the venue knows no such order."""
    async with BadServer() as server, open_rig(server.url) as rig:
        absent = await rig.venue.order_by_client_id("BTC/USDT", ClientOrderId("abc"))
        server.answer("GET", "order", refusal(-2013, "Order does not exist.", 500))
        with pytest.raises(VenueUnavailable):
            await rig.venue.order_by_client_id("BTC/USDT", ClientOrderId("abc"))
        server.answer("GET", "order", refusal(-2011, "Unknown order sent."))
        with pytest.raises(VenueError):
            await rig.venue.order_by_client_id("BTC/USDT", ClientOrderId("abc"))

    assert absent is None


async def test_lookup_that_returns_another_order_is_untrusted() -> None:
    """An answer about another order than asked for is no answer."""
    other = order_row(
        {
            "symbol": "BTCUSDT",
            "type": "LIMIT",
            "side": "BUY",
            "price": "1.00",
            "quantity": "1",
            "newClientOrderId": "other",
        },
        9,
    )
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "order", reply_json(other))
        with pytest.raises(AnswerUntrusted):
            await rig.venue.order_by_client_id("BTC/USDT", ClientOrderId("abc"))
        with pytest.raises(AnswerUntrusted):
            await rig.venue.order_by_venue_id("BTC/USDT", "8")


async def test_foreign_stop_order_is_read_and_not_choked_on() -> None:
    """Order kinds that we never send still count as open orders of the account."""
    foreign = order_row(
        {"symbol": "BTCUSDT", "type": "LIMIT", "side": "SELL", "price": "90.00", "quantity": "1"}, 3
    )
    rows = [
        {**foreign, "type": "STOP_LOSS_LIMIT", "stopPrice": "91.00"},
        {**foreign, "orderId": 4, "type": "STOP_LOSS", "price": "0.00"},
        {**foreign, "orderId": 5, "status": "PENDING_NEW"},
        {**foreign, "orderId": 6, "status": "PENDING_CANCEL"},
    ]
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "openOrders", reply_json(rows))
        orders = await rig.venue.open_orders("BTC/USDT")

    kinds = [OrderType.LIMIT, OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT]
    assert [order.type for order in orders] == kinds
    assert {order.status for order in orders} == {OrderStatus.OPEN}
    assert {order.client_order_id for order in orders} == {None}


BAD_ROWS: dict[str, tuple[str, Any]] = {
    "a closed order among the open": (
        "openOrders",
        [
            {
                **order_row(
                    _params := {
                        "symbol": "BTCUSDT",
                        "type": "LIMIT",
                        "side": "BUY",
                        "price": "1.00",
                        "quantity": "1",
                    },
                    1,
                ),
                "status": "FILLED",
                "executedQty": "1",
            }
        ],
    ),
    "an order of another symbol": ("openOrders", [{**order_row(_params, 1), "symbol": "ETHUSDT"}]),
    "an order without filled amount": (
        "openOrders",
        [{k: v for k, v in order_row(_params, 1).items() if k != "executedQty"}],
    ),
    "an order of a negative amount": ("openOrders", [{**order_row(_params, 1), "origQty": "-1"}]),
    "fills of another symbol": ("myTrades", [trade(1, symbol="ETHUSDT")]),
    "a fill twice": ("myTrades", [trade(1), trade(1)]),
    "a fill without commission": (
        "myTrades",
        [{k: v for k, v in trade(1).items() if k != "commission"}],
    ),
    "a fill of nothing": ("myTrades", [trade(1, qty="0")]),
    "a fill in seconds": ("myTrades", [trade(1, time=1_700_000_000)]),
    "a candle twice": ("klines", [candle(1), candle(1)]),
    "a candle off the grid": ("klines", [[candle(0)[0] + 1, *candle(0)[1:]]]),
    "a candle with high below low": ("klines", [[candle(0)[0], "1", "2", "3", "1", "1"]]),
    "a candle of price zero": ("klines", [[candle(0)[0], "0", "2", "0", "1", "1"]]),
    "a candle with a float": ("klines", [[candle(0)[0], 1.5, "2", "1", "1", "1"]]),
    "a candle with text": ("klines", [[candle(0)[0], "x", "2", "1", "1", "1"]]),
    "more candles than asked for": ("klines", [candle(i) for i in range(9)]),
    "an account without an id": ("account", {"balances": []}),
    "an account without balances": ("account", {"uid": 1}),
    "a negative balance": (
        "account",
        account(balances=[{"asset": "BTC", "free": "-1", "locked": "0"}]),
    ),
    "a balance without locked": ("account", account(balances=[{"asset": "BTC", "free": "1"}])),
    "a ticker without bid": ("ticker/24hr", {**ticker(), "bidPrice": "0.00000000"}),
    "a ticker of another symbol": ("ticker/24hr", {**ticker(), "symbol": "ETHUSDT"}),
    "a ticker with crossed prices": ("ticker/24hr", {**ticker(), "bidPrice": "200"}),
    "a time in seconds": ("time", {"serverTime": 1_700_000_000}),
    "a time that is text": ("time", {"serverTime": "now"}),
}


@pytest.mark.parametrize("name", list(BAD_ROWS))
async def test_impossible_values_are_untrusted(name: str) -> None:
    """A well-formed answer with impossible or missing values is no answer either."""
    path, value = BAD_ROWS[name]
    read = {"account": "balances"}.get(path) or next(r for r, (p, _) in READS.items() if p == path)
    if name == "an account without an id":
        read = "account"
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", path, reply_json(value))
        with pytest.raises(AnswerUntrusted):
            await READS[read][1](rig)


async def test_balances_keep_what_is_not_zero() -> None:
    """Balances are exact, free and locked apart, zeros left out."""
    async with BadServer() as server, open_rig(server.url) as rig:
        balances = await rig.venue.balances()
        account_id = await rig.venue.account_id()

    assert account_id == "354937868"
    assert balances == {
        "BTC": Balance(free=Decimal("1.5"), locked=Decimal("0.25")),
        "USDT": Balance(free=Decimal("1000.10")),
    }


async def test_candles_leave_the_forming_one_out() -> None:
    """All but the last row are closed; as many as asked for, oldest first."""
    async with BadServer() as server, open_rig(server.url) as rig:
        three = await rig.venue.candles("BTC/USDT", "5m", 3)
        all_there_are = await rig.venue.candles("BTC/USDT", "5m", 50)

    assert [c.open_ms for c in three] == [candle(i)[0] for i in (1, 2, 3)]
    assert [c.open_ms for c in all_there_are] == [candle(i)[0] for i in (0, 1, 2, 3)]
    assert three[0].volume == Decimal("12.5")


async def test_candles_of_more_than_a_page_are_joined() -> None:
    """A long history is asked for page by page and comes back without gap or overlap."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.candle_count = 2_600
        found = await rig.venue.candles("BTC/USDT", "5m", 2_400)
        assert len(server.seen("GET", "klines")) == 3

    assert [c.open_ms for c in found] == [candle(i)[0] for i in range(199, 2_599)]


async def test_fills_are_paged_by_id() -> None:
    """All pages after the given fill, oldest first, each fill once."""

    def pages(request: Request) -> Reply:
        first = max(int(request.params["fromId"]), 5)
        limit = int(request.params["limit"])
        return reply_json([trade(n) for n in range(first, min(first + limit, 2_305))])

    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "myTrades", pages)
        everything = await rig.venue.fills("BTC/USDT", None)
        rest = await rig.venue.fills("BTC/USDT", "2300")
        none = await rig.venue.fills("BTC/USDT", "2304")

    assert [int(f.fill_id) for f in everything] == list(range(5, 2_305))
    assert [int(f.fill_id) for f in rest] == [2_301, 2_302, 2_303, 2_304]
    assert none == ()
    assert (rest[0].fee, rest[0].fee_asset) == (Decimal("0.00001"), "BTC")


async def test_venue_time_is_never_ahead() -> None:
    """The estimate stays at or behind the venue's clock and close to it."""
    async with BadServer() as server:
        server.clock_ahead_ms = 86_400_000
        async with open_rig(server.url) as rig:
            differences = [await rig.venue.venue_now_ms() - server.now_ms() for _ in range(50)]
            error_ms = await rig.venue.measure_clock()

    assert max(differences) <= 0
    assert min(differences) > -5_000
    assert 0 <= error_ms < 5_000
