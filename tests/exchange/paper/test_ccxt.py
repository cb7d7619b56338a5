"""Real ccxt against the paper exchange, exactly as against the real host."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from exchange.paper.process import PaperAccount, PaperKey, PaperProcess
from tests.support.paper_server import BALANCES, still_symbol

SYMBOL = "ETH/BTC"
# One account with two keys for each test, so that they share a process and nothing else.
ACCOUNTS = tuple(
    PaperAccount(
        name=f"account-{number}",
        uid=1000 + number,
        balances=BALANCES,
        keys=tuple(
            PaperKey(name=f"{node}-{number}", key=f"key-{node}-{number}", secret=f"secret-{number}")
            for node in ("jetson", "raspberrypi")
        ),
    )
    for number in range(30)
)


def spot_client(paper: PaperProcess, key: PaperKey) -> Any:
    """A ccxt Binance client whose spot calls go to the paper exchange."""
    client = ccxt.binance(
        {
            "apiKey": key.key,
            "secret": key.secret,
            "enableRateLimit": False,
            "options": {
                "fetchCurrencies": False,
                "fetchMargins": False,
                "fetchMarkets": {"types": ["spot"]},
                "warnOnFetchOpenOrdersWithoutSymbol": False,
            },
        }
    )
    for name in ("public", "private"):
        client.urls["api"][name] = f"{paper.url}/api/v3"
    # ccxt chooses its error table by the real host's name.
    client.get_exceptions_by_url = lambda _url, kind: client.exceptions["spot"].get(kind, {})
    return client


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperProcess]:
    directory = tmp_path_factory.mktemp("paper")
    with PaperProcess(directory, accounts=ACCOUNTS, symbols=[still_symbol(directory)]) as running:
        yield running


@pytest.fixture
def paper(venue: PaperProcess) -> PaperProcess:
    """The module's exchange with its price at 0.05 and all of its displayed liquidity."""
    venue.jump("ETHBTC", "0.05")
    venue.advance(points=1)
    return venue


@pytest.fixture(scope="module")
def fresh_accounts() -> Iterator[PaperAccount]:
    return iter(ACCOUNTS[:-1])


@pytest.fixture
def account(fresh_accounts: Iterator[PaperAccount]) -> PaperAccount:
    """An account that no other test has used."""
    return next(fresh_accounts)


@pytest.fixture
async def client(paper: PaperProcess, account: PaperAccount) -> AsyncIterator[Any]:
    client = spot_client(paper, account.keys[0])
    await client.load_markets()
    yield client
    await client.close()


@pytest.fixture
async def peer(paper: PaperProcess, account: PaperAccount) -> AsyncIterator[Any]:
    """The other node: own key, same account."""
    client = spot_client(paper, account.keys[1])
    await client.load_markets()
    yield client
    await client.close()


def by_id(fills: list[Any]) -> list[Any]:
    """Oldest first; ccxt sorts fills of the same millisecond by the text of their id."""
    return sorted(fills, key=lambda fill: int(fill["id"]))


async def place(client: Any, side: str, amount: str, price: str, **params: Any) -> Any:
    return await client.create_order(SYMBOL, "limit", side, amount, price, params)


async def test_markets_and_prices_are_parsed(client: Any, paper: PaperProcess) -> None:
    """Filters, ticker and candles come out of ccxt as the feed has them."""
    market = client.market(SYMBOL)
    assert (market["precision"]["amount"], market["precision"]["price"]) == (0.001, 0.00001)
    assert market["limits"]["cost"]["min"] == 0.0001

    ticker = await client.fetch_ticker(SYMBOL)
    assert (ticker["bid"], ticker["last"], ticker["ask"]) == (0.04999, 0.05, 0.05001)
    book = await client.fetch_order_book(SYMBOL)
    assert book["asks"][0] == [0.05001, 1.0]

    before = await client.fetch_ohlcv(SYMBOL, "1m", limit=3)
    paper.advance(candles=1)
    after = await client.fetch_ohlcv(SYMBOL, "1m", limit=3)
    assert [row[0] for row in after[:2]] == [row[0] for row in before[1:]]
    assert abs(await client.fetch_time() - client.milliseconds()) < 5000


async def test_account_is_the_same_for_both_keys_and_another_for_a_stranger(
    client: Any, peer: Any, paper: PaperProcess, account: PaperAccount
) -> None:
    """uid identifies the account; a second account sees neither balances nor orders."""
    await place(client, "buy", "1", "0.04", clientOrderId="mine")
    stranger = spot_client(paper, ACCOUNTS[-1].keys[0])
    try:
        assert (await client.fetch_balance())["info"]["uid"] == account.uid
        assert (await peer.fetch_balance())["info"]["uid"] == account.uid
        assert (await stranger.fetch_balance())["info"]["uid"] != account.uid
        assert [o["clientOrderId"] for o in await peer.fetch_open_orders(SYMBOL)] == ["mine"]
        assert await stranger.fetch_open_orders(SYMBOL) == []
    finally:
        await stranger.close()


async def test_resting_order_fills_in_parts_as_candle_volume_allows(
    client: Any, peer: Any, paper: PaperProcess
) -> None:
    """Each point carries a quarter of the candle's volume; the order gets no more than that."""
    order = await place(client, "buy", "8", "0.04", clientOrderId="part")
    assert (order["status"], order["filled"]) == ("open", 0.0)
    paper.jump("ETHBTC", "0.039")

    partial = await peer.fetch_order(None, SYMBOL, {"clientOrderId": "part"})
    assert partial["status"] == "open"
    assert 0 < partial["filled"] < 8
    paper.advance(points=8)
    whole = await peer.fetch_order(None, SYMBOL, {"clientOrderId": "part"})
    assert (whole["status"], whole["filled"], whole["average"]) == ("closed", 8.0, 0.04)

    fills = by_id(await peer.fetch_my_trades(SYMBOL))
    assert len(fills) >= 2
    assert sum(Decimal(str(fill["amount"])) for fill in fills) == 8
    assert {fill["takerOrMaker"] for fill in fills} == {"maker"}
    assert len({fill["id"] for fill in fills}) == len(fills)
    newer = await peer.fetch_my_trades(SYMBOL, None, None, {"fromId": int(fills[1]["id"])})
    assert [f["id"] for f in by_id(newer)] == [f["id"] for f in fills[1:]]


async def test_fee_is_taken_from_what_is_received(client: Any) -> None:
    """Ten basis points: of the base bought, of the quote sold."""
    bought = await client.create_order(SYMBOL, "market", "buy", "1")
    assert bought["status"] == "closed"
    assert bought["trades"][0]["fee"] == {"cost": 0.001, "currency": "ETH"}
    sold = await client.create_order(SYMBOL, "market", "sell", "1")
    assert sold["trades"][0]["fee"] == {"cost": 0.00004999, "currency": "BTC"}
    balance = await client.fetch_balance()
    assert balance["ETH"]["free"] == 9.999
    assert balance["BTC"]["free"] == pytest.approx(2 - 0.05001 + 0.04999 - 0.00004999)


async def test_market_order_walks_the_displayed_levels(client: Any) -> None:
    """Ten levels of one ETH each: the average of three levels is the middle one's price."""
    order = await client.create_order(SYMBOL, "market", "buy", "3")
    assert order["average"] == pytest.approx(0.05002)
    assert sorted(t["price"] for t in order["trades"]) == [0.05001, 0.05002, 0.05003]


async def test_second_market_order_finds_what_the_first_left(client: Any) -> None:
    """What was taken is gone until the next price point."""
    await client.create_order(SYMBOL, "market", "buy", "2")
    assert (await client.create_order(SYMBOL, "market", "buy", "1"))["average"] == 0.05003


async def test_quote_amount_buys_what_it_can(client: Any) -> None:
    """quoteOrderQty is spent in whole amount steps, never exceeded."""
    params = {"quoteOrderQty": "0.1"}
    order = await client.create_order(SYMBOL, "market", "buy", None, None, params)
    assert order["status"] == "closed"
    assert order["filled"] == 1.999
    assert order["cost"] <= 0.1


async def test_duplicate_open_id_is_refused_and_free_again_after_cancel(client: Any) -> None:
    """Binance's rule: unique among open orders only; a look-up finds the newest."""
    first = await place(client, "buy", "1", "0.04", clientOrderId="again")
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await place(client, "buy", "1", "0.04", clientOrderId="again")
    await client.cancel_order(None, SYMBOL, {"clientOrderId": "again"})
    cancelled = await client.fetch_order(None, SYMBOL, {"clientOrderId": "again"})
    assert (cancelled["id"], cancelled["status"]) == (first["id"], "canceled")

    second = await place(client, "buy", "1", "0.04", clientOrderId="again")
    found = await client.fetch_order(None, SYMBOL, {"clientOrderId": "again"})
    assert found["id"] == second["id"] != first["id"]


async def test_filled_id_may_be_used_again(client: Any) -> None:
    """A re-sent market order places a second one: the id is no idempotency key."""
    params = {"clientOrderId": "market-1"}
    first = await client.create_order(SYMBOL, "market", "buy", "1", None, params)
    second = await client.create_order(SYMBOL, "market", "buy", "1", None, params)
    assert first["id"] != second["id"]


async def test_expired_window_is_refused_and_places_nothing(client: Any) -> None:
    """timestamp and recvWindow of the request are enforced: -1021 is InvalidNonce in ccxt."""
    late = {"clientOrderId": "late", "timestamp": client.milliseconds() - 3000, "recvWindow": 1000}
    with pytest.raises(ccxt.InvalidNonce):
        await place(client, "buy", "1", "0.04", **late)
    with pytest.raises(ccxt.OrderNotFound):
        await client.fetch_order(None, SYMBOL, {"clientOrderId": "late"})


async def test_immediate_or_cancel_takes_what_is_there(client: Any) -> None:
    """IOC: two levels are within the limit; the rest expires."""
    order = await place(client, "buy", "5", "0.05002", timeInForce="IOC")
    assert (order["status"], order["filled"], order["remaining"]) == ("expired", 2.0, 3.0)
    assert await client.fetch_open_orders(SYMBOL) == []


async def test_fill_or_kill_takes_all_or_nothing(client: Any) -> None:
    """FOK that cannot be filled whole expires without a fill; one that can is filled."""
    killed = await place(client, "buy", "5", "0.05002", timeInForce="FOK")
    assert (killed["status"], killed["filled"]) == ("expired", 0.0)
    filled = await place(client, "buy", "2", "0.05002", timeInForce="FOK")
    assert (filled["status"], filled["filled"]) == ("closed", 2.0)


async def test_post_only_rests_or_is_refused(client: Any) -> None:
    """LIMIT_MAKER never takes: OrderImmediatelyFillable where it would."""
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await place(client, "buy", "1", "0.05001", postOnly=True)
    order = await place(client, "buy", "1", "0.04999", postOnly=True)
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "open"


async def test_crossing_limit_order_takes_and_rests(client: Any) -> None:
    """GTC: what is within the limit is taken, the rest stays open at its price."""
    order = await place(client, "buy", "5", "0.05002")
    assert (order["status"], order["filled"], order["remaining"]) == ("open", 2.0, 3.0)
    balance = await client.fetch_balance()
    assert balance["BTC"]["used"] == pytest.approx(3 * 0.05002)


async def test_cancel_gives_locked_balance_back(client: Any) -> None:
    """All orders of a symbol are cancelled at once; a second cancel finds none."""
    for number in range(3):
        await place(client, "sell", "2", "0.06", clientOrderId=f"many-{number}")
    assert (await client.fetch_balance())["ETH"]["used"] == 6.0
    assert len(await client.cancel_all_orders(SYMBOL)) == 3
    assert (await client.fetch_balance())["ETH"] == {"free": 10.0, "used": 0.0, "total": 10.0}
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(None, SYMBOL, {"clientOrderId": "many-0"})
    assert [o["status"] for o in await client.fetch_orders(SYMBOL)] == ["canceled"] * 3


@pytest.mark.parametrize("kind", ["ACK", "RESULT", "FULL"])
async def test_response_type_decides_how_much_is_answered(client: Any, kind: str) -> None:
    """ACK has no status, RESULT no fills, FULL both; none looks like a swap order."""
    params = {"newOrderRespType": kind}
    info = (await client.create_order(SYMBOL, "market", "buy", "1", None, params))["info"]
    assert ("status" in info, "fills" in info) == (kind != "ACK", kind == "FULL")
    assert not {"closePosition", "positionSide"} & set(info)


async def test_market_without_depth_expires_what_it_cannot_fill(client: Any) -> None:
    """A market order larger than all ten levels is filled in part, the rest expires."""
    sell = await client.create_order(SYMBOL, "market", "sell", "9")
    assert sell["status"] == "closed"
    rest = await client.create_order(SYMBOL, "market", "buy", "10.5")
    assert (rest["status"], rest["filled"]) == ("expired", 10.0)
