"""Which markets are loaded, and what the connection to a venue is set up with."""

import asyncio
from decimal import Decimal

import pytest

from exchange.errors import (
    ConfigurationRefused,
    VenueRefused,
)
from exchange.model import ClientOrderId, WriteOutcome
from tests.support.bad_server import (
    BadServer,
    Reply,
    Request,
    market,
    refusal,
    reply_json,
)
from tests.support.venue_link import API_KEY, API_SECRET, Rig, an_intent, open_rig


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


async def test_rules_that_are_ten_minutes_old_are_read_again_for_one_symbol_alone() -> None:
    """R8: a node that trades never loads all of its markets; what is younger is not asked for."""
    two = [market(), market("ETHUSDT", "ETH", "USDT")]
    async with BadServer() as server:
        server.answer("GET", "exchangeInfo", reply_json({"symbols": two}))
        async with open_rig(server.url, symbols=("BTC/USDT", "ETH/USDT")) as rig:
            rig.time.now_s += 599.0
            await rig.venue.market_rules("ETH/USDT")
            assert len(server.seen("GET", "exchangeInfo")) == 1
            rig.time.now_s += 1.0
            rules = await rig.venue.market_rules("ETH/USDT")
        asked = server.seen("GET", "exchangeInfo")

    assert [r.params for r in asked[1:]] == [{"symbol": "ETHUSDT"}]
    assert rules.base == "ETH"


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
