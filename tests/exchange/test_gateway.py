"""The write path against a server that answers well, badly, or not at all."""

import asyncio
import socket
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest

from exchange.clock_offset import VenueTime
from exchange.model import ClientOrderId, OrderStatus, OrderType, TimeInForce, WriteOutcome
from tests.exchange.writes import WRITES, cancel, place
from tests.support.bad_server import BAD_ANSWERS, BadServer, Fate, Request, refusal, reply_json
from tests.support.venue_link import API_KEY, API_SECRET, an_intent, open_rig


async def test_place_limit_order_is_confirmed_and_carries_our_stamp() -> None:
    """A placement carries our id, our venue time and our window, and its deadline is told."""
    async with BadServer() as server, open_rig(server.url) as rig:
        result = await rig.gateway.place(an_intent())
        sent = server.changes()[0].params

    assert result.outcome is WriteOutcome.CONFIRMED
    assert result.order.client_order_id == an_intent().client_order_id
    assert result.order.status is OrderStatus.OPEN
    assert sent["newClientOrderId"] == an_intent().client_order_id
    assert sent["recvWindow"] == "1500"
    assert int(sent["timestamp"]) + 1500 == result.deadline_venue_ms
    assert (Decimal(sent["quantity"]), Decimal(sent["price"])) == (
        Decimal("0.5"),
        Decimal("100.1"),
    )
    assert rig.permit.ended == len(rig.permit.begun) == 1


@pytest.mark.parametrize("ahead_ms", [-3_600_000, 7_200_000], ids=["behind", "ahead"])
async def test_place_stamps_the_venues_time_not_this_machines(ahead_ms: int) -> None:
    """The stamp is the venue's clock, never ahead of it, whatever the wall clock says (R9)."""
    async with BadServer() as server:
        server.clock_ahead_ms = ahead_ms
        ahead_of_us: list[int] = []

        def note(request: Request) -> Any:
            ahead_of_us.append(int(request.params["timestamp"]) - server.now_ms())
            return server._good(request)

        server.answer("POST", "order", note)
        async with open_rig(server.url) as rig:
            result = await rig.gateway.place(an_intent())

    assert result.outcome is WriteOutcome.CONFIRMED
    assert len(ahead_of_us) == 1
    assert -30_000 < ahead_of_us[0] <= 0


async def test_place_stamps_the_earliest_time_that_the_venue_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ill-known venue time is stamped at its lower end: never ahead of the venue (R9, H12)."""
    known = VenueTime(earliest_ms=1_700_000_000_000.0, error_ms=800.0, age_s=0.1)
    async with BadServer() as server, open_rig(server.url) as rig:
        monkeypatch.setattr(rig.gateway._clock, "estimate", lambda: known)
        result = await rig.gateway.place(an_intent())
        sent = server.changes()[0].params

    assert int(sent["timestamp"]) == int(known.earliest_ms)
    assert result.deadline_venue_ms == int(known.earliest_ms) + int(sent["recvWindow"])


async def test_place_market_order_sends_a_quantity() -> None:
    """A market order is sized in the base currency, never by ccxt's quote amount."""
    intent = an_intent(type=OrderType.MARKET, price=None, time_in_force=TimeInForce.IOC)
    async with BadServer() as server, open_rig(server.url) as rig:
        result = await rig.gateway.place(intent)
        sent = server.changes()[0].params

    assert result.outcome is WriteOutcome.CONFIRMED
    assert result.order.status is OrderStatus.CLOSED
    assert result.order.price is None
    assert sent["quantity"] == "0.5"
    assert "quoteOrderQty" not in sent
    assert "timeInForce" not in sent


@pytest.mark.parametrize(
    ("time_in_force", "kind", "word"),
    [
        (TimeInForce.GTC, "LIMIT", "GTC"),
        (TimeInForce.IOC, "LIMIT", "IOC"),
        (TimeInForce.FOK, "LIMIT", "FOK"),
        (TimeInForce.POST_ONLY, "LIMIT_MAKER", None),
    ],
)
async def test_place_time_in_force_in_the_venues_words(
    time_in_force: TimeInForce, kind: str, word: str | None
) -> None:
    """Each time in force reaches the venue as its own word; post-only is an order type there."""
    async with BadServer() as server, open_rig(server.url) as rig:
        result = await rig.gateway.place(an_intent(time_in_force=time_in_force))
        sent = server.changes()[0].params

    assert result.outcome is WriteOutcome.CONFIRMED
    assert sent["type"] == kind
    assert sent.get("timeInForce") == word


@pytest.mark.parametrize("name", list(BAD_ANSWERS))
@pytest.mark.parametrize("write", list(WRITES))
async def test_write_with_a_bad_answer_is_unknown_and_sent_once(write: str, name: str) -> None:
    """No bad answer is success or rejection, and none makes anything be sent again (S3)."""
    method, act = WRITES[write]
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer(method, "order", BAD_ANSWERS[name])
        if BAD_ANSWERS[name] is Fate.HANG:
            rig.permit.left_s = 1.0
        result = await act(rig)
        changes = server.changes()
        elsewhere = [r for r in server.requests if r.path == "/elsewhere"]

    assert result.outcome is WriteOutcome.UNKNOWN
    assert len(changes) == 1
    assert elsewhere == []
    stamp = {name: int(changes[0].params[name]) for name in ("timestamp", "recvWindow")}
    assert result.deadline_venue_ms == stamp["timestamp"] + stamp["recvWindow"]
    assert rig.permit.ended == len(rig.permit.begun) == 1
    assert API_SECRET not in repr(result)
    assert API_KEY not in repr(result)
    assert changes[0].params["signature"] not in repr(result)


@pytest.mark.parametrize("write", list(WRITES))
async def test_write_that_never_connected_is_not_sent(write: str) -> None:
    """A connection that was refused proves that nothing left."""
    async with BadServer() as closed:
        nowhere = closed.url
    async with BadServer() as server, open_rig(server.url) as rig:
        api = rig.gateway._exchange.urls["api"]
        api["private"] = api["private"].replace(server.url, nowhere)
        result = await WRITES[write][1](rig)

    assert result.outcome is WriteOutcome.NOT_SENT
    assert result.deadline_venue_ms is None
    assert rig.permit.ended == len(rig.permit.begun) == 1


async def test_write_that_cannot_connect_in_time_is_not_sent() -> None:
    """A venue behind a cut link takes no connection: nothing was written, and that is proven."""
    with socket.socket() as deaf, ExitStack() as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # fill its queue, so that further connections are left unanswered
            knock = waiting.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(deaf.getsockname())
        async with BadServer() as server, open_rig(server.url) as rig:
            api = rig.gateway._exchange.urls["api"]
            nowhere = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            api["private"] = api["private"].replace(server.url, nowhere)
            rig.permit.left_s = 1.0
            result = await place(rig)

    assert result.outcome is WriteOutcome.NOT_SENT


async def test_write_after_close_is_not_sent() -> None:
    """A closed gateway opens nothing again."""
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.gateway.close()
        result = await place(rig)
        assert server.changes() == []

    assert result.outcome is WriteOutcome.NOT_SENT


NOT_OURS: dict[str, dict[str, Any]] = {
    "another client order id": {"clientOrderId": "someone-else"},
    "another symbol": {"symbol": "ETHUSDT"},
    "another side": {"side": "SELL"},
    "another amount": {"origQty": "0.6"},
    "another price": {"price": "100.2"},
    "no venue order id": {"orderId": None},
    "no status": {"status": None},
    "an unknown status": {"status": "PONDERING"},
    "no filled amount": {"executedQty": None},
    "more filled than ordered": {"executedQty": "0.7"},
    "a float that is not a number": {"executedQty": "nan"},
}


@pytest.mark.parametrize("name", list(NOT_OURS))
async def test_place_answered_about_another_order_is_unknown(name: str) -> None:
    """A good-looking answer about something else than the order sent proves nothing."""

    def reply(request: Request) -> Any:
        row = {**server._order(request), **NOT_OURS[name]}
        return reply_json({k: v for k, v in row.items() if v is not None})

    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("POST", "order", reply)
        result = await rig.gateway.place(an_intent())
        assert len(server.changes()) == 1

    assert result.outcome is WriteOutcome.UNKNOWN
    assert result.order is None


async def test_cancel_is_confirmed_only_for_our_order() -> None:
    """A cancel is confirmed by the original id in the answer, not by the cancel's own."""
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.gateway.place(an_intent())
        mine = await rig.gateway.cancel("BTC/USDT", an_intent().client_order_id, epoch=7)
        again = await rig.gateway.cancel("BTC/USDT", an_intent().client_order_id, epoch=7)
        server.answer(
            "DELETE",
            "order",
            reply_json({"symbol": "BTCUSDT", "origClientOrderId": "other", "status": "CANCELED"}),
        )
        other = await rig.gateway.cancel("BTC/USDT", an_intent().client_order_id, epoch=7)

    assert mine.outcome is WriteOutcome.CONFIRMED
    assert (again.outcome, again.code) == (WriteOutcome.REJECTED, "-2011")
    assert other.outcome is WriteOutcome.UNKNOWN


async def test_cancelled_caller_still_gets_the_outcome_told() -> None:
    """A caller that gives up leaves a request under way: its outcome is told, unknown or not."""
    async with BadServer() as server, open_rig(server.url) as rig:
        release = asyncio.Event()

        async def late(request: Request) -> Any:
            await release.wait()
            return server._good(request)

        server.answer("POST", "order", late)
        task = asyncio.create_task(rig.gateway.place(an_intent()))
        await server.wait_for("POST", "order")
        task.cancel()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(server.changes()) == 1

    assert [order_id for order_id, _ in rig.late] == [an_intent().client_order_id]
    assert rig.late[0][1].outcome is WriteOutcome.CONFIRMED
    assert rig.permit.ended == 1


async def test_request_cut_off_under_way_is_told_as_unknown() -> None:
    """A request whose own task is cut (the loop ends) is unknown, and the permit is told."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("POST", "order", Fate.HANG)
        task = asyncio.create_task(rig.gateway.place(an_intent()))
        await server.wait_for("POST", "order")
        for inner in list(rig.gateway._in_flight):
            inner.cancel()
        result = await task

    assert result.outcome is WriteOutcome.UNKNOWN
    assert result.deadline_venue_ms is not None
    assert rig.permit.ended == 1


async def test_cancel_without_an_answer_may_take_effect_until_its_deadline() -> None:
    """R10: it is in no journal; the permit is told how long a successor has to wait for it."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("DELETE", "order", Fate.HANG)
        task = asyncio.create_task(cancel(rig))
        await server.wait_for("DELETE", "order")
        for inner in list(rig.gateway._in_flight):
            inner.cancel()
        lost = await task
        server.answer("DELETE", "order", refusal(-2011, "Unknown order sent."))
        known = await cancel(rig)
    assert (lost.outcome, known.outcome) == (WriteOutcome.UNKNOWN, WriteOutcome.REJECTED)
    lingers_s, answered_s = rig.permit.lingers_s
    assert answered_s == 0.0
    assert 0 < lingers_s <= rig.permit.left_s


async def test_refused_time_makes_the_clock_unknown() -> None:
    """-1021 is a rejection, and no further write is stamped before the clock is measured."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer(
            "POST",
            "order",
            refusal(-1021, "Timestamp for this request is outside of the recvWindow."),
        )
        first = await place(rig)
        second = await place(rig)
        await rig.venue.measure_clock()
        third = await place(rig)
        assert len(server.changes()) == 2

    assert [r.outcome for r in (first, second, third)] == [
        WriteOutcome.REJECTED,
        WriteOutcome.NOT_SENT,
        WriteOutcome.REJECTED,
    ]


async def test_rate_limit_is_a_rejection_and_quiets_both_sides() -> None:
    """429 to a write proves that nothing was done, and reads wait as well."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer(
            "POST",
            "order",
            reply_json({"code": -1003, "msg": "Too many requests."}, 429, {"Retry-After": "17"}),
        )
        result = await place(rig)
        quiet_s = rig.link.limiter.quiet_s()

    assert result.outcome is WriteOutcome.REJECTED
    assert 10 < quiet_s <= 17


async def test_parallel_writes_are_each_sent_once() -> None:
    """Writes at the same time do not share tickets, timeouts or answers."""
    ids = [ClientOrderId(f"abc{n:03}") for n in range(12)]
    async with BadServer() as server, open_rig(server.url) as rig:
        results = await asyncio.gather(
            *(rig.gateway.place(an_intent(client_order_id=order_id)) for order_id in ids)
        )
        sent = sorted(r.params["newClientOrderId"] for r in server.changes())

    assert [r.order.client_order_id for r in results] == ids
    assert sent == sorted(ids)
    assert rig.permit.ended == 12
