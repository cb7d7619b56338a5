"""Every documented refusal, with code, HTTP status and message, against a running exchange."""

from collections.abc import Iterator
from typing import Any

import pytest

from exchange.paper.calls import Call, check_window
from exchange.paper.process import PaperProcess
from exchange.paper.refusals import REFUSALS, Refused
from tests.exchange.paper.refusal_cases import CASES, LIMIT, Case, now_ms
from tests.support.paper_server import RawClient, paper_process, still_symbol

# Rows whose situation takes more than one request; each has its own test, here or where named.
TOLD_APART = {
    "duplicate_order",
    "duplicate_parameter",
    "market_closed",
    "no_liquidity",
    "too_many_orders",
    "too_much_weight",  # test_weights.py
    "banned",  # test_weights.py
}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperProcess]:
    directory = tmp_path_factory.mktemp("paper")
    symbols = (
        still_symbol(directory),
        still_symbol(directory, "XRP/BTC", open_orders_max=2),
        still_symbol(directory, "DRY/BTC", volume="0"),
    )
    with paper_process(directory, symbols=symbols, order_limit_10s=1000) as paper:
        yield paper


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_refused_request_gets_the_documented_answer(venue: PaperProcess, case: Case) -> None:
    """Code, HTTP status and message are those of Binance's documentation; nothing changes."""
    before = venue.state()["accounts"]
    client = RawClient(venue, case.key)

    status, answer = client.signed(case.method, case.path, **case.parameters())

    assert (status, answer) == (case.status, {"code": case.code, "msg": case.message})
    assert venue.state()["accounts"] == before


def test_every_documented_refusal_has_a_case() -> None:
    """A row of the table without a case would be a claim that nothing checks."""
    assert {case.row for case in CASES.values()} | TOLD_APART == set(REFUSALS)


def test_duplicate_parameter_is_refused(venue: PaperProcess) -> None:
    """-1101, HTTP 400."""
    text = "symbol=ETHBTC&symbol=ETHBTC&side=BUY"
    status, answer = RawClient(venue).send("POST", "order", text)
    assert (status, answer["code"]) == (400, -1101)


def test_signature_that_is_not_last_is_refused(venue: PaperProcess) -> None:
    """-1022: the signature covers what comes before it, so nothing may follow."""
    text = f"symbol=ETHBTC&signature=00&timestamp={now_ms()}"
    status, answer = RawClient(venue).send("DELETE", "order", text)
    assert (status, answer["code"]) == (400, -1022)


def test_missing_signature_and_missing_timestamp_are_refused(venue: PaperProcess) -> None:
    """-1102, HTTP 400, naming the parameter."""
    status, answer = RawClient(venue).send("GET", "account", f"timestamp={now_ms()}")
    assert (status, answer["code"]) == (400, -1102)
    assert "'signature'" in answer["msg"]


def test_open_client_order_id_is_taken_until_the_order_is_done(venue: PaperProcess) -> None:
    """-2010 "Duplicate order sent." while open; accepted again after a cancel, as documented."""
    client = RawClient(venue)
    order = LIMIT | {"newClientOrderId": "twice"}
    assert client.signed("POST", "order", **order)[0] == 200

    status, answer = client.signed("POST", "order", **order)
    assert (status, answer) == (400, {"code": -2010, "msg": "Duplicate order sent."})

    client.signed("DELETE", "order", symbol="ETHBTC", origClientOrderId="twice")
    assert client.signed("POST", "order", **order)[0] == 200
    client.signed("DELETE", "order", symbol="ETHBTC", origClientOrderId="twice")


def test_too_many_open_orders_are_refused(venue: PaperProcess) -> None:
    """-1013 "Filter failure: MAX_NUM_ORDERS"."""
    client = RawClient(venue)
    order = LIMIT | {"symbol": "XRPBTC"}
    for _ in range(2):
        assert client.signed("POST", "order", **order)[0] == 200
    status, answer = client.signed("POST", "order", **order)
    assert (status, answer) == (400, {"code": -1013, "msg": "Filter failure: MAX_NUM_ORDERS"})
    assert len(client.signed("DELETE", "openOrders", symbol="XRPBTC")[1]) == 2


def test_halted_symbol_is_refused(venue: PaperProcess) -> None:
    """-1013 "Market is closed."."""
    venue.admin("POST", "symbol", {"symbol": "XRP/BTC", "has_trading": False})
    try:
        status, answer = RawClient(venue).signed("POST", "order", **(LIMIT | {"symbol": "XRPBTC"}))
    finally:
        venue.admin("POST", "symbol", {"symbol": "XRP/BTC", "has_trading": True})
    assert (status, answer) == (400, {"code": -1013, "msg": "Market is closed."})


def test_quote_market_order_on_an_empty_market_is_refused(venue: PaperProcess) -> None:
    """-2010, the message for a book without liquidity."""
    order = {"symbol": "DRYBTC", "side": "BUY", "type": "MARKET", "quoteOrderQty": "0.1"}
    status, answer = RawClient(venue).signed("POST", "order", **order)
    assert (status, answer["code"]) == (400, -2010)
    assert "liquidity" in answer["msg"]


def test_too_many_new_orders_are_refused(tmp_path: Any) -> None:
    """-1015, HTTP 429, without Retry-After; the other account is not concerned."""
    with paper_process(tmp_path, order_limit_day=2) as paper:
        client = RawClient(paper)
        for count in ("1", "2"):
            assert client.signed("POST", "order", **LIMIT)[0] == 200
            assert client.headers["X-MBX-ORDER-COUNT-1D"] == count
        status, answer = client.signed("POST", "order", **LIMIT)
        assert (status, answer["code"]) == (429, -1015)
        assert "Retry-After" not in client.headers


def test_window_boundaries_are_the_documented_ones() -> None:
    """timestamp < server + 1000 and server - timestamp <= recvWindow, both sides of each."""

    def is_accepted(timestamp_ms: int, server_ms: int, window_ms: int) -> bool:
        call = Call(
            method="POST",
            path="order",
            query="",
            body="",
            api_key=None,
            arrived_ms=server_ms,
            parameters={"timestamp": str(timestamp_ms), "recvWindow": str(window_ms)},
        )
        try:
            check_window(call, server_ms)
        except Refused:
            return False
        return True

    assert is_accepted(10_999, 10_000, 100)
    assert not is_accepted(11_000, 10_000, 100)
    assert is_accepted(9_900, 10_000, 100)
    assert not is_accepted(9_899, 10_000, 100)
