"""What the signed reads answer: which rows, in which order, cut by which parameter."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from exchange.paper.config import PaperConfig, SymbolConfig
from exchange.paper.faults import FaultKind
from exchange.paper.process import PaperProcess
from tests.support.paper_server import (
    READ_ONLY,
    STRANGER,
    UID,
    RawClient,
    paper_process,
    still_symbol,
)

LIMIT: dict[str, Any] = {
    "symbol": "ETHBTC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "0.04",
}
MARKET: dict[str, Any] = {"symbol": "ETHBTC", "side": "BUY", "type": "MARKET", "quantity": "2"}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperProcess]:
    """Six orders: two filled in two levels each, one cancelled, three open."""
    directory = tmp_path_factory.mktemp("paper")
    symbols = [still_symbol(directory), still_symbol(directory, "XRP/ETH")]
    with paper_process(directory, symbols=symbols) as paper:
        client = RawClient(paper)
        for number in (1, 2):
            client.signed("POST", "order", newClientOrderId=f"market-{number}", **MARKET)
        for number in (1, 2, 3):
            client.signed("POST", "order", newClientOrderId=f"open-{number}", **LIMIT)
        client.signed("POST", "order", newClientOrderId="gone", **LIMIT)
        client.signed("DELETE", "order", symbol="ETHBTC", origClientOrderId="gone")
        yield paper


def ids(client: RawClient, path: str, **parameters: Any) -> list[int]:
    rows = client.signed("GET", path, **({"symbol": "ETHBTC"} | parameters))[1]
    return [row["orderId" if path == "allOrders" else "id"] for row in rows]


def test_all_orders_are_cut_by_id_time_and_limit(venue: PaperProcess) -> None:
    """Newest when only limited, from `orderId` or `startTime` on otherwise; oldest first."""
    client = RawClient(venue)
    every = ids(client, "allOrders")
    assert every == sorted(every)
    assert len(every) == 6
    assert ids(client, "allOrders", limit=2) == every[-2:]
    assert ids(client, "allOrders", orderId=every[1], limit=2) == every[1:3]
    assert ids(client, "allOrders", startTime=1, limit=2) == every[:2]
    assert ids(client, "allOrders", endTime=1) == []


def test_fills_are_cut_by_id_order_time_and_limit(venue: PaperProcess) -> None:
    """fromId is inclusive; orderId picks one order's; ids grow."""
    client = RawClient(venue)
    every = ids(client, "myTrades")
    assert every == [1, 2, 3, 4]
    assert ids(client, "myTrades", fromId=3) == [3, 4]
    assert ids(client, "myTrades", fromId=5) == []
    assert ids(client, "myTrades", limit=1) == [4]
    assert ids(client, "myTrades", startTime=1, limit=1) == [1]
    first = client.signed("GET", "order", symbol="ETHBTC", origClientOrderId="market-1")[1]
    assert ids(client, "myTrades", orderId=first["orderId"]) == [1, 2]


def test_both_ids_must_name_the_same_order(venue: PaperProcess) -> None:
    """An orderId with another order's client id finds nothing."""
    client = RawClient(venue)
    one = client.signed("GET", "order", symbol="ETHBTC", origClientOrderId="open-1")[1]
    both = {"symbol": "ETHBTC", "orderId": one["orderId"]}
    assert client.signed("GET", "order", origClientOrderId="open-1", **both)[1] == one
    assert client.signed("GET", "order", origClientOrderId="open-2", **both)[0] == 400


def test_nobody_sees_or_cancels_anothers_orders(venue: PaperProcess) -> None:
    """The second account knows no such order, by either id."""
    one = RawClient(venue).signed("GET", "order", symbol="ETHBTC", origClientOrderId="open-1")[1]
    stranger = RawClient(venue, STRANGER)
    by_id = {"symbol": "ETHBTC", "orderId": one["orderId"]}
    assert stranger.signed("GET", "order", **by_id)[1]["code"] == -2013
    assert stranger.signed("DELETE", "order", **by_id)[1]["code"] == -2011
    assert stranger.signed("GET", "openOrders")[1] == []
    assert stranger.signed("GET", "myTrades", symbol="ETHBTC")[1] == []


def test_account_names_itself_its_rights_and_its_fees(venue: PaperProcess) -> None:
    """uid, canTrade of the key, commission; zero balances can be left out."""
    reader = RawClient(venue, READ_ONLY)
    account = reader.signed("GET", "account")[1]
    assert (account["uid"], account["canTrade"]) == (UID, False)
    assert account["canWithdraw"] is False
    assert account["commissionRates"]["taker"] == "0.00100000"
    held = {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]}
    assert held["BTC"][1] == "0.12000000"
    assert held["ETH"] == ("13.99600000", "0.00000000")


def test_numbers_have_eight_decimals(venue: PaperProcess) -> None:
    """As on the wire; a market order has no price."""
    order = RawClient(venue).signed("GET", "order", symbol="ETHBTC", orderId=1)[1]
    assert (order["origQty"], order["price"]) == ("2.00000000", "0.00000000")
    assert order["cummulativeQuoteQty"] == "0.10003000"
    assert (order["orderListId"], order["isWorking"]) == (-1, True)


def test_public_answers_that_need_no_key(venue: PaperProcess) -> None:
    """ping, avgPrice, depth with its limit; what is not served is 404."""
    client = RawClient(venue)
    assert client.public("ping") == (200, {})
    assert client.public("avgPrice", symbol="ETHBTC")[1]["price"] == "0.05000000"
    depth = client.public("depth", symbol="XRPETH", limit=5)[1]
    assert (len(depth["bids"]), len(depth["asks"])) == (5, 5)
    assert client.public("historicalTrades", symbol="ETHBTC")[0] == 404


def test_minimum_can_be_the_older_filter(tmp_path: Path) -> None:
    """Some symbols have MIN_NOTIONAL instead of NOTIONAL."""
    symbol = still_symbol(tmp_path, notional_filter="MIN_NOTIONAL", notional_min="0.01")
    with paper_process(tmp_path, symbols=[symbol]) as paper:
        client = RawClient(paper)
        answer = client.signed("POST", "order", **(LIMIT | {"quantity": "0.2"}))[1]
        assert answer["msg"] == "Filter failure: MIN_NOTIONAL"
        shown = client.public("exchangeInfo")[1]["symbols"][0]["filters"]
        assert "MIN_NOTIONAL" in {entry["filterType"] for entry in shown}


def test_page_names_every_setting_and_fault() -> None:
    """docs/paper-exchange.md leaves out no key of the configuration and no kind of fault."""
    page = (Path(__file__).parents[3] / "docs" / "paper-exchange.md").read_text()
    names = [field.name for kind in (PaperConfig, SymbolConfig) for field in fields(kind)]
    missing = [name for name in [*names, *FaultKind] if f"`{name}`" not in page]
    assert missing == []
