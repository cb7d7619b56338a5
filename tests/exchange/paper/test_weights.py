"""Request weights: what each request costs, 429 above the limit, 418 for those who go on."""

from pathlib import Path

import pytest

from exchange.paper.refusals import Refused
from exchange.paper.weights import OrderMeter, WeightMeter, weight_of
from tests.support.paper_server import RawClient, paper_process

MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("method", "path", "parameters", "weight"),
    [
        ("GET", "ping", {}, 1),
        ("GET", "time", {}, 1),
        ("GET", "exchangeInfo", {}, 20),
        ("GET", "klines", {"symbol": "A"}, 2),
        ("GET", "ticker/24hr", {"symbol": "A"}, 2),
        ("GET", "ticker/24hr", {}, 80),
        ("GET", "ticker/price", {"symbol": "A"}, 2),
        ("GET", "ticker/price", {}, 4),
        ("GET", "ticker/bookTicker", {}, 4),
        ("GET", "depth", {"symbol": "A"}, 5),
        ("GET", "depth", {"symbol": "A", "limit": "500"}, 25),
        ("GET", "depth", {"symbol": "A", "limit": "5000"}, 250),
        ("GET", "trades", {"symbol": "A"}, 25),
        ("GET", "account", {}, 20),
        ("GET", "order", {"symbol": "A"}, 4),
        ("POST", "order", {"symbol": "A"}, 1),
        ("DELETE", "order", {"symbol": "A"}, 1),
        ("GET", "openOrders", {"symbol": "A"}, 6),
        ("GET", "openOrders", {}, 80),
        ("DELETE", "openOrders", {"symbol": "A"}, 1),
        ("GET", "allOrders", {"symbol": "A"}, 20),
        ("GET", "myTrades", {"symbol": "A"}, 20),
        ("GET", "myTrades", {"symbol": "A", "orderId": "1"}, 5),
    ],
)
def test_weight_is_the_documented_one(
    method: str, path: str, parameters: dict[str, str], weight: int
) -> None:
    """Source: Binance spot documentation, weight of each endpoint."""
    assert weight_of(method, path, parameters) == weight


def refused(meter: WeightMeter, now_ms: int) -> tuple[int, int] | None:
    """Return status and Retry-After of a refused charge of 10, None when it was accepted."""
    try:
        meter.charge("client", 10, now_ms)
    except Refused as e:
        return e.status, e.retry_after_s
    return None


def test_meter_refuses_until_the_minute_ends() -> None:
    """429 with the seconds that are left; the next minute starts at zero."""
    meter = WeightMeter(limit=20)
    now_ms = 100 * MINUTE_MS + 45_000
    assert [refused(meter, now_ms) for _ in range(3)] == [None, None, (429, 15)]
    assert refused(meter, 101 * MINUTE_MS - 1) == (429, 1)
    assert refused(meter, 101 * MINUTE_MS) is None


def test_meter_bans_who_goes_on() -> None:
    """More than `ban_after` refused requests in a minute: 418 for `ban_s`, over the minute."""
    meter = WeightMeter(limit=10, ban_after=2, ban_s=120)
    now_ms = 100 * MINUTE_MS
    assert refused(meter, now_ms) is None
    seen = [refused(meter, now_ms) for _ in range(4)]
    assert seen == [(429, 60), (429, 60), (418, 120), (418, 120)]
    assert refused(meter, now_ms + 119_001) == (418, 1)
    assert refused(meter, now_ms + 120_000) is None


def test_meter_counts_clients_apart() -> None:
    """The limit belongs to an address, not to the venue."""
    meter = WeightMeter(limit=10)
    assert meter.charge("one", 10, 0) == 10
    assert meter.charge("two", 10, 0) == 10


def test_order_meter_counts_ten_seconds_and_day() -> None:
    """-1015 with HTTP 429 above either limit; the ten seconds start anew."""
    meter = OrderMeter(ten_s_limit=2, day_limit=3)
    assert [meter.charge("a", 0), meter.charge("a", 0)] == [(1, 1), (2, 2)]
    with pytest.raises(Refused) as refusal:
        meter.charge("a", 9_999)
    assert (refusal.value.code, refusal.value.status) == (-1015, 429)
    assert meter.charge("a", 10_000) == (1, 3)
    with pytest.raises(Refused):
        meter.charge("a", 20_000)
    assert meter.charge("b", 20_000) == (1, 1)


def test_server_shows_used_weight_and_refuses_with_retry_after(tmp_path: Path) -> None:
    """X-MBX-USED-WEIGHT-1M grows by the weight; then 429, then 418; other endpoints too."""
    with paper_process(tmp_path, weight_limit=60, ban_after=2, ban_s=30) as paper:
        client = RawClient(paper)
        seen: list[int] = []
        used: list[int] = []
        # A minute may end between two requests, which resets the count once, not for ever.
        while 418 not in seen and len(seen) < 50:
            status, answer = client.signed("GET", "account")
            seen.append(status)
            if status == 200:
                used.append(int(client.headers["X-MBX-USED-WEIGHT-1M"]))
            else:
                assert answer["code"] == -1003
                assert int(client.headers["Retry-After"]) > 0
        assert seen[-3:] == [429, 429, 418]
        assert used[:1] == [20]
        assert 60 in used
        assert client.public("ping")[0] == 418
        assert paper.state()["skew_ms"] == 0  # admin requests have no weight
