"""Reads against a server that answers well, badly, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from exchange.errors import (
    AnswerUntrusted,
    ConfigurationRefused,
    VenueError,
    VenueRateLimited,
    VenueRefused,
    VenueUnavailable,
)
from exchange.model import Balance, ClientOrderId, OrderStatus, OrderType, Side, WriteOutcome
from tests.support.bad_server import (
    BAD_ANSWERS,
    BadServer,
    Fate,
    Reply,
    Request,
    account,
    candle,
    market,
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


REFUSED = {
    "a wrong key": (refusal(-2014, "API-key format invalid."), "-2014"),
    "a wrong address or right": (
        refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401),
        "-2015",
    ),
    "a wrong secret": (refusal(-1022, "Signature for this request is not valid."), "-1022"),
    "an unknown key": (refusal(-2008, "Invalid Api-Key ID"), "-2008"),
    "a wrong place": (Reply(status=451, body=b'{"msg":"restricted location"}'), None),
}


@pytest.mark.parametrize("name", list(REFUSED))
async def test_refused_key_says_how_to_mend_it(name: str) -> None:
    """What a person must mend is not asked again, also after the key has once worked."""
    reply, code = REFUSED[name]
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.venue.account_id()
        server.answer("GET", "account", reply)
        with pytest.raises(VenueRefused) as caught:
            await rig.venue.account_id()
        assert len(server.seen("GET", "account")) == 2

    assert caught.value.code == code
    assert len(str(caught.value)) > 60


async def test_rate_limit_is_told_with_its_time_and_holds_everything() -> None:
    """429 raises with the seconds asked for, and no other read leaves meanwhile."""
    quiet = reply_json({"code": -1003, "msg": "Too many requests."}, 429, {"Retry-After": "33"})
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "ticker/24hr", quiet)
        with pytest.raises(VenueRateLimited) as caught:
            await rig.venue.ticker("BTC/USDT")
        before = len(server.requests)
        with pytest.raises(VenueRateLimited):
            await rig.venue.open_orders("BTC/USDT")
        assert len(server.requests) == before

    assert caught.value.retry_after_s == 33
    assert not caught.value.is_ban


async def test_ban_is_told_as_one() -> None:
    """418 is a ban of the address."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "ticker/24hr", refusal(-1003, "IP banned until 1.", 418))
        with pytest.raises(VenueRateLimited) as caught:
            await rig.venue.ticker("BTC/USDT")

    assert caught.value.is_ban
    assert caught.value.retry_after_s >= 60


async def test_used_weight_near_the_limit_holds() -> None:
    """The venue's own count, which holds the other box too, is obeyed."""
    used = {"X-MBX-USED-WEIGHT-1M": "5990"}
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "ticker/24hr", reply_json(ticker(), 200, used))
        await rig.venue.ticker("BTC/USDT")

    assert rig.link.limiter.quiet_s() > 0


async def test_refused_time_is_measured_anew_before_the_next_attempt() -> None:
    """-1021 on a read: the clock is dropped and measured, then the read succeeds."""
    async with BadServer() as server, open_rig(server.url) as rig:
        left = [refusal(-1021, "Timestamp for this request is outside of the recvWindow.")]
        server.answer("GET", "account", lambda _: left.pop() if left else reply_json(account()))
        before = len(server.seen("GET", "time"))
        await rig.venue.account_id()
        assert len(server.seen("GET", "time")) > before


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


async def test_only_the_configured_markets_are_loaded() -> None:
    """All markets would block the loop for a second; one or a few are asked for by name."""
    two = [market(), market("ETHUSDT", "ETH", "USDT")]
    async with BadServer() as server:
        server.answer("GET", "exchangeInfo", reply_json({"symbols": two}))
        async with open_rig(server.url, symbols=("BTC/USDT", "ETH/USDT")) as rig:
            rules = await rig.venue.market_rules("ETH/USDT")
        asked = server.seen("GET", "exchangeInfo")
        paths = {r.path for r in server.requests}

    assert [r.params for r in asked] == [{"symbols": '["BTCUSDT","ETHUSDT"]'}]
    assert paths == {"/api/v3/exchangeInfo", "/api/v3/time"}
    assert (rules.base, rules.quote) == ("ETH", "USDT")
    assert (rules.amount_step, rules.price_step) == (Decimal("0.00001"), Decimal("0.01"))
    assert (rules.amount_min, rules.cost_min) == (Decimal("0.00001"), Decimal(5))
    assert rules.is_active


async def test_symbol_that_is_configured_no_more_is_loaded_alone() -> None:
    """The journal may hold a symbol that left the configuration: it is read and can be cancelled,
    but nothing new is placed in it.
    """
    async with BadServer() as server, open_rig(server.url) as rig:
        other = {"symbols": [market("ETHUSDT", "ETH", "USDT")]}
        server.answer("GET", "exchangeInfo", reply_json(other))
        orders = await rig.venue.open_orders("ETH/USDT")
        cancelled = await rig.gateway.cancel("ETH/USDT", ClientOrderId("abc"), epoch=7)
        placed = await rig.gateway.place(an_intent(symbol="ETH/USDT"))
        rules = await rig.venue.market_rules("BTC/USDT")
        asked = [r.params for r in server.seen("GET", "exchangeInfo")]

    assert orders == ()
    assert cancelled.outcome is WriteOutcome.REJECTED
    assert placed.outcome is WriteOutcome.NOT_SENT
    assert rules.base == "BTC"
    assert asked == [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT"}]


async def test_market_that_the_venue_lacks_is_refused() -> None:
    """A mistyped symbol is a matter for a person, found before READY."""
    async with (
        BadServer() as server,
        open_rig(server.url, is_loaded=False, symbols=("BTC/USDT", "ETH/USDT")) as rig,
    ):
        with pytest.raises(VenueRefused):
            await rig.link.load()
        server.answer("GET", "exchangeInfo", refusal(-1121, "Invalid symbol."))
        with pytest.raises(VenueRefused):
            await rig.link.load()


async def test_cancelled_caller_does_not_spoil_loading_for_others() -> None:
    """ccxt shares one loading task and cancels everybody with it; here each has its own."""
    async with BadServer() as server, open_rig(server.url, is_loaded=False) as rig:
        release = asyncio.Event()

        async def late(request: Request) -> Reply:
            await release.wait()
            return server._good(request)

        server.answer("GET", "exchangeInfo", late)
        first = asyncio.create_task(rig.venue.market_rules("BTC/USDT"))
        second = asyncio.create_task(rig.venue.market_rules("BTC/USDT"))
        await server.wait_for("GET", "exchangeInfo")
        first.cancel()
        release.set()
        rules = await second
        with pytest.raises(asyncio.CancelledError):
            await first

    assert rules.symbol == "BTC/USDT"


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


def test_settings_show_no_secret_and_refuse_what_cannot_work() -> None:
    """Settings can be printed; each impossible combination is refused."""
    rig = Rig("http://127.0.0.1:1")
    shown = f"{rig.settings!r} {rig.settings}"
    assert API_SECRET not in shown
    assert API_KEY not in shown
    for wrong in (
        {"exchange_id": "mtgox"},
        {"base_url": "ftp://x"},
        {"base_url": "http://user:pass@host"},
        {"base_url": "http://host/path"},
        {"is_sandbox": True},
        {"symbols": ()},
        {"symbols": ("BTC/USDT", "BTC/USDT")},
        {"symbols": ("BTCUSDT",)},
        {"recv_window_ms": 699},
        {"recv_window_ms": 60_001},
        {"write_timeout_s": 1.01},
        {"read_budget_s": 5.0},
        {"read_timeout_s": 4.95},
        {"api_secret": ""},
    ):
        with pytest.raises(ConfigurationRefused) as caught:
            Rig("http://127.0.0.1:1", **wrong)
        assert API_SECRET not in str(caught.value)
