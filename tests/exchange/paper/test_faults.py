"""Every fault on request: what the client sees, and whether the request took effect."""

import http.client
import json
import threading
import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from exchange.paper.faults import FaultKind, FaultPlan
from exchange.paper.process import PaperAdminError, PaperProcess
from tests.support.paper_server import JETSON, RASPBERRYPI, RawClient, paper_process, wait_until

ORDER: dict[str, Any] = {
    "symbol": "ETHBTC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "0.04",
    "newClientOrderId": "x1",
}
MATCH = {"method": "POST", "path": "order"}
CUT = (http.client.HTTPException, urllib.error.URLError, ConnectionError)


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperProcess]:
    with paper_process(tmp_path_factory.mktemp("paper")) as paper:
        yield paper


@pytest.fixture
def paper(venue: PaperProcess) -> Iterator[PaperProcess]:
    """The module's exchange, without faults, skew and open orders."""
    yield venue
    venue.clear_faults()
    venue.set_skew(0)
    RawClient(venue).signed("DELETE", "openOrders", symbol="ETHBTC")
    assert open_ids(venue) == []


def open_ids(paper: PaperProcess) -> list[str]:
    orders = paper.state()["accounts"]["main"]["open_orders"]
    return [order["clientOrderId"] for order in orders]


def last_request(paper: PaperProcess) -> dict[str, Any]:
    return [line for line in paper.read_log() if line["type"] == "request"][-1]


def test_dropped_answer_leaves_the_order_in_place(paper: PaperProcess, client: RawClient) -> None:
    """`drop`: accepted, then the connection is cut; the log says accepted, without a status."""
    paper.arm("drop", **MATCH)
    with pytest.raises(CUT):
        client.signed("POST", "order", **ORDER)
    assert open_ids(paper) == ["x1"]
    line = last_request(paper)
    assert (line["outcome"], line["http_status"], line["faults"]) == ("accepted", None, ["drop"])


def test_dropped_request_may_also_be_left_undone(paper: PaperProcess, client: RawClient) -> None:
    """`drop` with is_processed false: the same sight for the client, and no order."""
    paper.arm("drop", is_processed=False, **MATCH)
    with pytest.raises(CUT):
        client.signed("POST", "order", **ORDER)
    assert open_ids(paper) == []
    assert last_request(paper)["outcome"] == "not_processed"


def test_blackholed_request_is_never_processed(paper: PaperProcess, client: RawClient) -> None:
    """`blackhole`: silence for some time, then a cut; nothing happens."""
    paper.arm("blackhole", seconds=0.2, **MATCH)
    started_s = time.monotonic()
    with pytest.raises(CUT):
        client.signed("POST", "order", **ORDER)
    assert time.monotonic() - started_s >= 0.2
    assert open_ids(paper) == []
    assert last_request(paper)["outcome"] == "not_processed"


@pytest.mark.parametrize("is_processed", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize(
    ("kind", "fields", "status", "body"),
    [
        ("5xx", {}, 502, "502 Bad Gateway"),
        ("5xx", {"status": 503}, 503, "503 Service Unavailable"),
        ("5xx", {"status": 524}, 524, "524 Origin Error"),
        ("html", {}, 200, "Just a moment"),
        ("empty", {}, 200, ""),
        ("error", {"code": -1007, "message": "Timeout", "status": 504}, 504, "-1007"),
    ],
)
def test_wrong_answer_instead_of_the_right_one(
    paper: PaperProcess,
    client: RawClient,
    kind: str,
    fields: dict[str, Any],
    status: int,
    body: str,
    is_processed: bool,
) -> None:
    """5xx, HTML, nothing or a JSON error are sent; `is_processed` says whether it took effect."""
    paper.arm(kind, is_processed=is_processed, **fields, **MATCH)
    seen_status, answer = client.signed("POST", "order", **ORDER)
    assert seen_status == status
    assert body in (answer if isinstance(answer, str) else json.dumps(answer))
    assert open_ids(paper) == (["x1"] if is_processed else [])
    line = last_request(paper)
    assert line["outcome"] == ("accepted" if is_processed else "not_processed")
    assert line["http_status"] == status


def test_cut_body_is_shorter_than_announced(paper: PaperProcess, client: RawClient) -> None:
    """`cut`: Content-Length promises more than comes; the order is in place."""
    paper.arm("cut", **MATCH)
    with pytest.raises(http.client.IncompleteRead):
        client.signed("POST", "order", **ORDER)
    assert open_ids(paper) == ["x1"]


def test_cut_json_is_whole_http_but_half_json(paper: PaperProcess, client: RawClient) -> None:
    """`cut_json`: HTTP 200 and no JSON; the order is in place."""
    paper.arm("cut_json", **MATCH)
    status, answer = client.signed("POST", "order", **ORDER)
    assert status == 200
    assert isinstance(answer, str)
    assert answer.startswith('{"symbol"')
    assert open_ids(paper) == ["x1"]


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("418", 418)])
def test_rate_limit_on_request(
    paper: PaperProcess, client: RawClient, kind: str, status: int
) -> None:
    """429 and 418 come with -1003 and Retry-After; the request is not processed."""
    paper.arm(kind, seconds=7, **MATCH)
    seen_status, answer = client.signed("POST", "order", **ORDER)
    assert (seen_status, answer["code"]) == (status, -1003)
    assert client.headers["Retry-After"] == "7"
    assert open_ids(paper) == []


def test_request_that_waits_too_long_is_refused_before_matching(
    paper: PaperProcess, client: RawClient
) -> None:
    """The window is checked again after the delay: -1021, although it was met at receipt."""
    paper.arm("delay_before", seconds=0.6, **MATCH)
    status, answer = client.signed("POST", "order", recvWindow=300, **ORDER)
    assert (status, answer["code"]) == (400, -1021)
    assert open_ids(paper) == []
    line = last_request(paper)
    assert line["processed_venue_ms"] - line["arrived_venue_ms"] >= 500
    assert (line["outcome"], line["code"]) == ("rejected", -1021)


def test_request_that_comes_too_late_is_refused_at_receipt(
    paper: PaperProcess, client: RawClient
) -> None:
    """The window is checked before any waiting: the answer does not wait for the delay."""
    paper.arm("delay_before", seconds=3600, **MATCH)
    late_ms = int(time.time() * 1000) - 2000
    answer = client.signed("POST", "order", timestamp=late_ms, recvWindow=1000, **ORDER)[1]
    assert answer["code"] == -1021


def test_request_that_waits_within_its_window_is_accepted(
    paper: PaperProcess, client: RawClient
) -> None:
    """The delay alone refuses nothing, and the order takes effect even if the client has gone."""
    paper.arm("delay_before", seconds=0.5, **MATCH)
    connection = http.client.HTTPConnection("127.0.0.1", paper.port, timeout=0.1)
    body, headers = client.signed_form(ORDER | {"recvWindow": 30_000})
    connection.request("POST", "/api/v3/order", body=body, headers=headers)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    wait_until(lambda: open_ids(paper) == ["x1"])


def test_late_answer_comes_after_the_order(paper: PaperProcess, client: RawClient) -> None:
    """`delay_after`: the order is in place while its answer is still on the way."""
    paper.arm("delay_after", seconds=1.0, **MATCH)
    answers: list[int] = []
    sender = threading.Thread(
        target=lambda: answers.append(client.signed("POST", "order", **ORDER)[0])
    )
    sender.start()
    wait_until(lambda: open_ids(paper) == ["x1"])
    assert answers == []
    sender.join(30)
    assert answers == [200]


def test_wrong_answer_may_also_be_late(paper: PaperProcess, client: RawClient) -> None:
    """Faults of different kinds meet in one request: a 502 after a delay."""
    paper.arm("5xx", **MATCH)
    paper.arm("delay_after", seconds=0.3, **MATCH)
    started_s = time.monotonic()
    assert client.signed("POST", "order", **ORDER)[0] == 502
    assert time.monotonic() - started_s >= 0.3
    assert last_request(paper)["faults"] == ["5xx", "delay_after"]


def test_stale_reads_answer_from_the_past(paper: PaperProcess, client: RawClient) -> None:
    """Open orders, look-ups and fills as they were; writes and other reads are up to date."""
    client.signed("POST", "order", **ORDER)
    paper.arm("stale", seconds=3600, count=None)
    assert client.signed("GET", "openOrders", symbol="ETHBTC") == (200, [])
    status, answer = client.signed("GET", "order", symbol="ETHBTC", origClientOrderId="x1")
    assert (status, answer["code"]) == (400, -2013)
    assert client.signed("GET", "myTrades", symbol="ETHBTC") == (200, [])
    paper.clear_faults()
    assert len(client.signed("GET", "openOrders", symbol="ETHBTC")[1]) == 1


def test_cancelled_order_is_still_open_in_a_stale_read(
    paper: PaperProcess, client: RawClient
) -> None:
    """A stale read shows each order in the state it had then."""
    client.signed("POST", "order", **ORDER)
    placed_s = time.monotonic()
    wait_until(lambda: time.monotonic() - placed_s > 0.2)
    client.signed("DELETE", "order", symbol="ETHBTC", origClientOrderId="x1")
    past_s = time.monotonic() - placed_s - 0.1
    paper.arm("stale", seconds=past_s)
    answer = client.signed("GET", "order", symbol="ETHBTC", origClientOrderId="x1")[1]
    assert answer["status"] == "NEW"
    answer = client.signed("GET", "order", symbol="ETHBTC", origClientOrderId="x1")[1]
    assert answer["status"] == "CANCELED"


def test_clock_skew_moves_the_window(paper: PaperProcess, client: RawClient) -> None:
    """A venue that is 10 s ahead refuses our timestamps; its own time is accepted."""
    paper.set_skew(10_000)
    assert client.signed("GET", "account")[1]["code"] == -1021
    venue_ms = client.public("time")[1]["serverTime"]
    assert client.signed("GET", "account", timestamp=venue_ms)[0] == 200
    paper.set_skew(-10_000)
    answer = client.signed("GET", "account")[1]
    assert answer["msg"].endswith("ahead of the server's time.")


def test_fault_hits_only_what_it_matches(paper: PaperProcess) -> None:
    """By key, method and path, after some passed, for a number of times."""
    paper.arm("5xx", key=JETSON.name, method="GET", path="openOrders", after=1, count=2)
    jetson, raspberrypi = RawClient(paper, JETSON), RawClient(paper, RASPBERRYPI)

    assert raspberrypi.signed("GET", "openOrders")[0] == 200
    assert jetson.signed("GET", "allOrders", symbol="ETHBTC")[0] == 200
    seen = [jetson.signed("GET", "openOrders")[0] for _ in range(4)]
    assert seen == [200, 502, 502, 200]
    assert [fault["hits"] for fault in paper.faults()] == [2]


def test_wrong_admin_requests_are_refused_with_a_reason(paper: PaperProcess) -> None:
    """An unknown kind, field or symbol is an error, not a fault that never strikes."""
    with pytest.raises(PaperAdminError, match="explode"):
        paper.arm("explode")
    with pytest.raises(PaperAdminError, match="colour"):
        paper.arm("drop", colour="red")
    with pytest.raises(PaperAdminError, match="Invalid symbol"):
        paper.jump("XXXYYY", "1")
    with pytest.raises(PaperAdminError, match="never processed"):
        paper.arm("429", is_processed=True)


@pytest.mark.parametrize("kind", list(FaultKind), ids=str)
def test_each_kind_can_be_armed_and_is_counted(kind: FaultKind) -> None:
    """A fault of count 1 strikes the first matching request and no other."""
    plan = FaultPlan()
    plan.arm({"kind": str(kind), "match": {"path": "/api/v3/order"}})

    def met(path: str) -> list[FaultKind]:
        return list(plan.meet(method="POST", path=path, key=None, symbol=None))

    assert [met("account"), met("order"), met("order")] == [[], [kind], []]
