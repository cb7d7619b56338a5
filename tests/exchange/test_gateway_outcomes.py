"""The four outcomes, code by code, and that a write cannot be repeated by construction."""

import ast
from pathlib import Path

import pytest

import exchange.ccxt_gateway
import exchange.ccxt_ticket
from exchange.ccxt_strict import CallRefused
from exchange.ccxt_ticket import WriteTicket
from exchange.model import ClientOrderId, WriteOutcome
from exchange.venues import ROWS
from tests.support.bad_server import BAD_ANSWERS, BadServer, Fate, Reply, refusal, reply_json
from tests.support.fake_permit import FakePermit
from tests.support.venue_link import an_intent, open_rig

REJECTED, UNKNOWN = WriteOutcome.REJECTED, WriteOutcome.UNKNOWN

PLACE_ROWS = {
    "-1013 lot size": (refusal(-1013, "Filter failure: LOT_SIZE"), REJECTED),
    "-1013 price filter": (refusal(-1013, "Filter failure: PRICE_FILTER"), REJECTED),
    "-1013 notional": (refusal(-1013, "Filter failure: NOTIONAL"), REJECTED),
    "-1013 percent price": (refusal(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"), REJECTED),
    "-1013 too many orders": (refusal(-1013, "Filter failure: MAX_NUM_ORDERS"), REJECTED),
    "-1013 market closed": (refusal(-1013, "Market is closed."), REJECTED),
    "-1015 too many orders": (refusal(-1015, "Too many new orders.", 429), REJECTED),
    "-1021 outside of the window": (
        refusal(-1021, "Timestamp for this request is outside of the recvWindow."),
        REJECTED,
    ),
    "-1022 signature": (refusal(-1022, "Signature for this request is not valid."), REJECTED),
    "-1102 mandatory": (refusal(-1102, "Mandatory parameter 'price' was not sent."), REJECTED),
    "-1111 precision": (refusal(-1111, "Parameter 'quantity' has too much precision."), REJECTED),
    "-1121 symbol": (refusal(-1121, "Invalid symbol."), REJECTED),
    "-2010 balance": (
        refusal(-2010, "Account has insufficient balance for requested action."),
        REJECTED,
    ),
    "-2010 post-only": (refusal(-2010, "Order would immediately match and take."), REJECTED),
    "-2010 market closed": (refusal(-2010, "Market is closed."), REJECTED),
    "-2010 restricted": (
        refusal(-2010, "This symbol is restricted for this account."),
        REJECTED,
    ),
    "-2014 key format": (refusal(-2014, "API-key format invalid."), REJECTED),
    "-2015 key, address or rights": (
        refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401),
        REJECTED,
    ),
    "429": (refusal(-1003, "Too much request weight used.", 429), REJECTED),
    "418": (refusal(-1003, "Way too much request weight used; IP banned.", 418), REJECTED),
    "429 with HTML": (Reply(status=429, body=b"<html>slow down</html>"), REJECTED),
    "-2010 duplicate": (refusal(-2010, "Duplicate order sent."), UNKNOWN),
    "-2010 in words that nobody listed": (refusal(-2010, "It did not please us."), UNKNOWN),
    "-2010 without words": (reply_json({"code": -2010}, 400), UNKNOWN),
    "-2010 with status 500": (refusal(-2010, "Market is closed.", 500), UNKNOWN),
    "-2010 with status 200": (refusal(-2010, "Market is closed.", 200), UNKNOWN),
    "-1008 overloaded": (refusal(-1008, "Server is currently overloaded.", 503), UNKNOWN),
    "-1008 with status 400": (refusal(-1008, "Server is currently overloaded."), UNKNOWN),
    "-1016 shutting down": (refusal(-1016, "This service is no longer available."), UNKNOWN),
    "-2011 is no answer to a placement": (refusal(-2011, "Unknown order sent."), UNKNOWN),
    "-2013 is no answer to a placement": (refusal(-2013, "Order does not exist."), UNKNOWN),
    "-4116, another market's code": (refusal(-4116, "ClientOrderId is duplicated."), UNKNOWN),
}

CANCEL_ROWS = {
    "-2011 unknown order": (refusal(-2011, "Unknown order sent."), REJECTED),
    "-2011 restrictions": (
        refusal(-2011, "Order was not canceled due to cancel restrictions."),
        UNKNOWN,
    ),
    "-2011 with status 500": (refusal(-2011, "Unknown order sent.", 500), UNKNOWN),
    "-1021": (refusal(-1021, "Timestamp for this request is outside."), REJECTED),
    "-2015": (refusal(-2015, "Invalid API-key, IP, or permissions for action."), REJECTED),
    "-2010 is no answer to a cancel": (refusal(-2010, "Market is closed."), UNKNOWN),
    "-1006": (refusal(-1006, "An unexpected response was received."), UNKNOWN),
    "-1007": (refusal(-1007, "Timeout waiting for response.", 408), UNKNOWN),
}


@pytest.mark.parametrize("name", list(PLACE_ROWS))
async def test_place_outcome_by_code(name: str) -> None:
    """Rejected only by class, code and text of the allow-list; all else is unknown."""
    reply, outcome = PLACE_ROWS[name]
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("POST", "order", reply)
        result = await rig.gateway.place(an_intent())
        assert len(server.changes()) == 1

    assert result.outcome is outcome
    assert result.deadline_venue_ms is not None
    assert result.latency_ms is not None


@pytest.mark.parametrize("name", list(CANCEL_ROWS))
async def test_cancel_outcome_by_code(name: str) -> None:
    """The same for cancels, with their own list."""
    reply, outcome = CANCEL_ROWS[name]
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("DELETE", "order", reply)
        result = await rig.gateway.cancel("BTC/USDT", ClientOrderId("abc"), epoch=7)
        assert len(server.changes()) == 1

    assert result.outcome is outcome


async def test_duplicate_says_that_an_order_exists() -> None:
    """A duplicate id is neither success nor rejection: an order with that id is there."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("POST", "order", refusal(-2010, "Duplicate order sent."))
        result = await rig.gateway.place(an_intent())

    assert result.outcome is UNKNOWN
    assert result.code == "-2010"
    assert "exists" in result.reason


SPOT_ONLY = {"-2008": "AuthenticationError", "-1131": "BadRequest", "-1145": "BadRequest"}


@pytest.mark.parametrize("code", list(SPOT_ONLY))
async def test_per_market_error_tables_work_against_a_local_host(code: str) -> None:
    """ccxt picks its spot table by the real host's name; a local host gets the same one."""
    async with BadServer() as server, open_rig(server.url) as rig:
        exchange = rig.gateway._exchange
        local = exchange.get_exceptions_by_url(f"{server.url}/api/v3/order", "exact")
        futures = exchange.get_exceptions_by_url(f"{server.url}/fapi/v1/order", "exact")
        server.answer("POST", "order", refusal(int(code), "A text."))
        result = await rig.gateway.place(an_intent())

    assert local is exchange.exceptions["spot"]["exact"]
    assert futures is exchange.exceptions["linear"]["exact"]
    assert local[code].__name__ == SPOT_ONLY[code]
    assert result.outcome is REJECTED


def test_codes_of_unproven_effect_are_on_no_list() -> None:
    """What the venue documents as "execution unknown" never proves a rejection."""
    unproven = {"-1000", "-1001", "-1006", "-1007", "-1008"}
    for row in ROWS.values():
        assert not unproven & row.place_rejected.keys()
        assert not unproven & row.cancel_rejected.keys()


@pytest.mark.parametrize("module", [exchange.ccxt_gateway, exchange.ccxt_ticket])
def test_write_path_has_no_loop_and_no_retry(module: object) -> None:
    """What could repeat a write is not in the files that write."""
    path = getattr(module, "__file__", None)
    assert path is not None
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    loops = [n for n in ast.walk(tree) if isinstance(n, ast.For | ast.While | ast.AsyncFor)]
    imported = {
        alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
    } | {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}

    assert loops == []
    assert not {name for name in imported if name and ("retry" in name or "backoff" in name)}


@pytest.mark.parametrize("fate", list(Fate))
async def test_even_a_retrying_ccxt_sends_once(fate: Fate) -> None:
    """With ccxt's own re-sending switched on by mistake, the spent ticket stops the second."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("POST", "order", fate)
        rig.gateway._exchange.options["maxRetriesOnFailure"] = 5
        rig.permit.left_s = 1.0 if fate is Fate.HANG else 60.0
        result = await rig.gateway.place(an_intent())
        assert len(server.changes()) == 1

    assert result.outcome is UNKNOWN


async def test_even_a_retrying_http_library_sends_once() -> None:
    """The session given to ccxt has aiohttp's own re-sending switched off."""
    async with BadServer() as server, open_rig(server.url) as rig:
        assert rig.gateway._session._inner._retry_connection is False
        server.answer("DELETE", "order", Fate.DROP)
        await rig.gateway.cancel("BTC/USDT", ClientOrderId("abc"), epoch=7)
        assert len(server.changes()) == 1


@pytest.mark.parametrize("name", ["302 to another place", "307 to another place"])
async def test_signed_order_is_not_sent_on_to_another_place(name: str) -> None:
    """R9: a 307 would send it a second time, past the permit and to whoever answers there."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("POST", "order", BAD_ANSWERS[name])
        result = await rig.gateway.place(an_intent())
        elsewhere = [r for r in server.requests if not r.path.startswith("/api/")]

    assert elsewhere == []
    assert len(server.changes()) == 1
    assert result.outcome is UNKNOWN


def test_ticket_lets_one_request_out() -> None:
    """A ticket is spent by its first request and tells the permit once."""
    permit = FakePermit()
    ticket = WriteTicket(permit=permit, epoch=7, timeout_s=1.0)
    states = [ticket.is_spent]
    assert ticket.enter(is_change=True) == pytest.approx(1.0)
    states.append(ticket.is_spent)
    with pytest.raises(CallRefused):
        ticket.enter(is_change=True)
    ticket.close(lingers_s=0.0)

    assert states == [False, True]
    assert len(permit.begun) == permit.ended == 1


def test_ticket_refuses_reads_and_short_permits() -> None:
    """A ticket is for one changing request within the permit, and for nothing else."""
    permit = FakePermit(left_s=0.099)
    ticket = WriteTicket(permit=permit, epoch=7, timeout_s=1.0)
    for is_change in (True, False):
        with pytest.raises(CallRefused):
            ticket.enter(is_change=is_change)
    ticket.close(lingers_s=0.0)
    permit.left_s = 0.11
    assert ticket.enter(is_change=True) == pytest.approx(0.06)

    assert permit.ended == 0
