"""The venue's record of a drill is read whole, page by page, or it is no answer."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from exchange import order_record
from exchange.clock_offset import LocalInstant, VenueClock
from exchange.errors import AnswerUntrusted
from exchange.limiter import WeightLimiter
from exchange.order_record import OrderRecord
from exchange.retry import RetryTools
from exchange.venues import VenueSettings
from tests.support.bad_server import SYMBOL, BadServer, Request, order_row, reply_json
from tests.support.venue_link import API_KEY, API_SECRET, LeapTime

PAGE, SINCE_MS = 4, 1_700_000_000_000
LIMIT = {"type": "LIMIT", "side": "BUY", "quantity": "0.5", "price": "100.10"}


def rows_at(instants_ms: Sequence[int]) -> list[dict[str, Any]]:
    """Return orders that were accepted at these instants after SINCE_MS."""
    return [
        {
            **order_row({"symbol": "BTCUSDT", **LIMIT, "newClientOrderId": f"c{number}"}, number),
            "time": SINCE_MS + at_ms,
        }
        for number, at_ms in enumerate(instants_ms, start=1)
    ]


async def read(
    server: BadServer, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], int]:
    """Return the ids that the record shows, and how many pages it took."""
    monkeypatch.setattr(order_record, "PAGE", PAGE)

    def answer(request: Request) -> Any:
        since_ms, limit = int(request.params["startTime"]), int(request.params["limit"])
        return reply_json([row for row in rows if row["time"] >= since_ms][:limit])

    server.answer("GET", "allOrders", answer)
    clock = LeapTime()
    record = OrderRecord(
        VenueSettings(
            exchange_id="binance",
            api_key=API_KEY,
            api_secret=API_SECRET,
            symbols=(SYMBOL,),
            base_url=server.url,
            read_timeout_s=4.5,
            read_budget_s=4.9,
        ),
        clock=VenueClock(
            lambda: LocalInstant(
                boot_s=time.clock_gettime(time.CLOCK_BOOTTIME),
                raw_s=time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
            )
        ),
        limiter=WeightLimiter(
            weight_per_minute=6000, monotonic_s=clock.monotonic_s, sleep=clock.sleep
        ),
        tools=RetryTools(monotonic_s=clock.monotonic_s, on_step=lambda _: None, sleep=clock.sleep),
        on_markets=lambda _: None,
    )
    try:
        await record.load()
        orders = await record.accepted_since(SYMBOL, SINCE_MS)
    finally:
        await record.close()
    ids = [str(order.client_order_id) for order in orders]
    return ids, len(server.seen("GET", "allOrders"))


@pytest.mark.parametrize(
    ("instants_ms", "pages"),
    [
        pytest.param([], 1, id="none"),
        pytest.param([1, 2, 3], 1, id="less than a page"),
        pytest.param([1, 2, 3, 4], 2, id="exactly a page"),
        pytest.param([1, 2, 3, 3, 3, 5, 6, 7], 3, id="several in one instant at the seam"),
    ],
)
async def test_every_order_is_read_once(
    instants_ms: list[int], pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing between two pages is lost, nothing on both counts twice."""
    rows = rows_at(instants_ms)
    async with BadServer() as server:
        assert await read(server, rows, monkeypatch) == (
            [row["clientOrderId"] for row in rows],
            pages,
        )


async def test_record_that_cannot_be_whole_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """More orders in one instant than a page shows, or more pages than are asked for."""
    async with BadServer() as server:
        with pytest.raises(AnswerUntrusted, match="does not go on"):
            await read(server, rows_at([3] * (2 * PAGE)), monkeypatch)
    monkeypatch.setattr(order_record, "PAGES_MAX", 2)
    async with BadServer() as server:
        with pytest.raises(AnswerUntrusted, match="too many"):
            await read(server, rows_at(range(20)), monkeypatch)
