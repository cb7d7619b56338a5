"""No write without the right to send it: permit, deadline, last hop, loaded markets (R9)."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from exchange.model import ClientOrderId, WriteOutcome
from tests.exchange.writes import WRITES, cancel, place
from tests.support.bad_server import BadServer, Fate
from tests.support.venue_link import Rig, an_intent, open_rig

STOPPED: dict[str, Callable[[Rig], None]] = {
    "the permit is closed": lambda rig: setattr(rig.permit, "left_s", 0.0),
    "the permit was lost": lambda rig: setattr(rig.permit, "left_s", -3.0),
    "the permit is of another epoch": lambda rig: setattr(rig.permit, "epoch", 8),
    "the permit refuses at the last moment": lambda rig: setattr(rig.permit, "is_refusing", True),
    "the venue's time is not known": lambda rig: rig.link.clock.invalidate(),
    "the venue wants quiet": lambda rig: rig.link.limiter.hold(30),
}


@pytest.mark.parametrize("name", list(STOPPED))
@pytest.mark.parametrize("write", list(WRITES))
async def test_write_without_the_right_to_send_never_leaves(write: str, name: str) -> None:
    """Without permit, time or the venue's leave nothing reaches the venue, cancels included."""
    async with BadServer() as server, open_rig(server.url) as rig:
        STOPPED[name](rig)
        result = await WRITES[write][1](rig)
        assert server.changes() == []

    assert result.outcome is WriteOutcome.NOT_SENT
    assert result.deadline_venue_ms is None
    assert rig.permit.begun == []


async def test_place_needs_a_window_and_a_cancel_a_shorter_one() -> None:
    """With less than 700 ms of permit left only cancels go (R9)."""
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.gateway.place(an_intent())
        rig.permit.left_s = 0.7
        placed = await rig.gateway.place(an_intent(client_order_id=ClientOrderId("abd")))
        cancelled = await cancel(rig)
        window = server.seen("DELETE", "order")[0].params["recvWindow"]
        rig.permit.left_s = 0.76
        placed_again = await rig.gateway.place(an_intent(client_order_id=ClientOrderId("abe")))
        placed_window = server.seen("POST", "order")[-1].params["recvWindow"]

    assert placed.outcome is WriteOutcome.NOT_SENT
    assert cancelled.outcome is WriteOutcome.REJECTED
    assert int(window) <= 650
    assert placed_again.outcome is not WriteOutcome.NOT_SENT
    assert 700 <= int(placed_window) <= 710


async def test_deadline_is_never_later_than_the_journal_says() -> None:
    """The venue's deadline stays at or before the journalled one; too close to it, nothing goes."""
    async with BadServer() as server, open_rig(server.url) as rig:
        journalled_ms = await rig.venue.venue_now_ms() + 1_200
        result = await rig.gateway.place(an_intent(deadline_venue_ms=journalled_ms))
        sent = server.changes()[0].params
        late = await rig.gateway.place(
            an_intent(deadline_venue_ms=await rig.venue.venue_now_ms() + 600)
        )
        assert len(server.changes()) == 1

    assert result.outcome is WriteOutcome.CONFIRMED
    assert result.deadline_venue_ms == journalled_ms
    assert int(sent["timestamp"]) + int(sent["recvWindow"]) == journalled_ms
    assert late.outcome is WriteOutcome.NOT_SENT


async def test_permit_that_ends_between_build_and_last_hop_stops_the_request() -> None:
    """The permit is asked after throttle and signature: a late request never leaves (R9)."""
    async with BadServer() as server, open_rig(server.url) as rig:
        exchange = rig.gateway._exchange
        held = asyncio.Event()

        async def throttle(_: object = None) -> None:
            await held.wait()

        exchange.enableRateLimit, exchange.throttle = True, throttle
        task = asyncio.create_task(rig.gateway.place(an_intent()))
        await asyncio.sleep(0)
        rig.permit.left_s = 0.0
        held.set()
        result = await task
        assert server.changes() == []

    assert result.outcome is WriteOutcome.NOT_SENT


async def test_write_is_cut_before_the_permit_ends() -> None:
    """A write's total timeout ends 50 ms before the permit, connect and answer included (R9)."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("DELETE", "order", Fate.HANG)
        rig.permit.left_s = 0.3
        started_s = time.monotonic()
        result = await cancel(rig)
        took_s = time.monotonic() - started_s

    assert result.outcome is WriteOutcome.UNKNOWN
    assert rig.permit.begun == [pytest.approx(0.25)]
    assert 0.2 < took_s < 20


async def test_place_of_a_step_that_does_not_fit_is_not_sent() -> None:
    """What the venue would get is exactly what was journalled, or nothing is sent."""
    async with BadServer() as server, open_rig(server.url) as rig:
        odd = [
            await rig.gateway.place(an_intent(amount=Decimal("0.123456789"))),
            await rig.gateway.place(an_intent(amount=Decimal("0.000000001"))),
            await rig.gateway.place(an_intent(price=Decimal("100.001"))),
            await rig.gateway.place(an_intent(symbol="ETH/USDT")),
        ]
        assert server.changes() == []

    assert {result.outcome for result in odd} == {WriteOutcome.NOT_SENT}


async def test_write_before_the_markets_are_loaded_is_not_sent() -> None:
    """A gateway that is not ready reads nothing by itself and sends nothing."""
    async with BadServer() as server, open_rig(server.url, is_loaded=False) as rig:
        results = [await place(rig), await cancel(rig)]
        assert server.requests == []

    assert {result.outcome for result in results} == {WriteOutcome.NOT_SENT}
