"""What strictness adds to ccxt, part by part: fence, addresses, sandbox, silence."""

import asyncio
import logging
from typing import Any

import pytest

from exchange.ccxt_build import build_exchange, build_session
from exchange.ccxt_errors import describe, read_failure
from exchange.ccxt_strict import (
    CURRENT_CALL,
    CallRefused,
    Evidence,
    Hooks,
    ReadCall,
    evidence_of,
    strict_class,
)
from exchange.errors import ConfigurationRefused, VenueError
from exchange.model import WriteOutcome
from exchange.reader import CcxtVenue
from exchange.venues import BINANCE, VenueSettings
from tests.support.bad_server import BAD_ANSWERS, BadServer, Fate, refusal, reply_json
from tests.support.venue_link import API_KEY, API_SECRET, an_intent, open_rig


def settings(**changes: Any) -> VenueSettings:
    values: dict[str, Any] = {
        "exchange_id": "binance",
        "api_key": API_KEY,
        "api_secret": API_SECRET,
        "symbols": ("BTC/USDT",),
    }
    return VenueSettings(**{**values, **changes})


def build(chosen: VenueSettings) -> Any:
    return build_exchange(
        chosen,
        BINANCE,
        session=build_session(chosen),
        now_ms=lambda: 1,
        on_headers=lambda *_: None,
    )


def hosts(exchange: Any) -> set[str]:
    return {url.split("/")[2] for url in exchange.urls["api"].values() if isinstance(url, str)}


def test_local_exchange_gets_every_address() -> None:
    """No call of any kind can reach the real host when a local one is configured."""
    exchange = build(settings(base_url="http://127.0.0.1:8800"))

    assert hosts(exchange) == {"127.0.0.1:8800"}
    assert exchange.urls["api"]["private"] == "http://127.0.0.1:8800/api/v3"


def test_real_exchange_keeps_its_addresses() -> None:
    """Without base_url and sandbox the addresses are the venue's own."""
    assert build(settings()).urls["api"]["private"] == "https://api.binance.com/api/v3"


def test_sandbox_replaces_the_addresses() -> None:
    """The sandbox is another host, and the error tables are found there too."""
    exchange = build(settings(is_sandbox=True))
    url = exchange.urls["api"]["private"]

    assert "testnet" in url
    assert exchange.get_exceptions_by_url(f"{url}/order", "exact")


@pytest.mark.parametrize("does", ["raises", "nothing"])
def test_sandbox_that_fails_is_fatal(does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some classes raise and keep the live addresses; going on would trade real money."""

    def set_sandbox_mode(_: Any, __: bool) -> None:
        if does == "raises":
            raise TypeError("no test address")

    monkeypatch.setattr(strict_class("binance").__mro__[2], "set_sandbox_mode", set_sandbox_mode)
    with pytest.raises(ConfigurationRefused):
        build(settings(is_sandbox=True))


def test_ccxt_is_told_to_keep_out_of_the_way() -> None:
    """No throttle, no re-sending, no kept bodies, exact numbers, no foreign settings."""
    exchange = build(settings())

    assert exchange.enableRateLimit is False
    assert exchange.options["maxRetriesOnFailure"] == 0
    assert exchange.enableLastHttpResponse is False
    assert exchange.number is str
    assert exchange.options["fetchMarkets"]["types"] == ["spot"]
    assert exchange.options["adjustForTimeDifference"] is False
    assert exchange.has["fetchCurrencies"] is False


@pytest.mark.parametrize(
    ("method", "path", "is_change"),
    [
        ("GET", "order", False),
        ("POST", "order", True),
        ("PUT", "order", True),
        ("DELETE", "order", True),
        ("PATCH", "order", True),
        ("GET", "private/buy", True),
        ("GET", "private/buy?amount=1", True),
        ("GET", "private/buyers", False),
    ],
)
def test_what_counts_as_a_change(method: str, path: str, is_change: bool) -> None:
    """Everything but a GET changes something, and so do the GETs that a row names (R9)."""
    exchange = build(settings())
    exchange.hooks = Hooks(
        now_ms=lambda: 1,
        on_headers=lambda *_: None,
        changing_gets=frozenset({"/private/buy"}),
    )

    assert exchange._is_change(method, f"https://venue.example/{path}") is is_change


async def test_request_outside_of_a_call_is_stopped() -> None:
    """Whatever part of ccxt sends by itself has no call, and does not leave."""
    async with BadServer() as server:
        exchange = build(settings(base_url=server.url))
        with pytest.raises(CallRefused):
            await exchange.fetch_time()
        assert server.requests == []
        await exchange.close()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("HTML with status 200", None),
        ("an empty body", None),
        ("cut JSON", None),
        ("a JSON number", None),
        ("204 without content", None),
        ("an empty object", list),
        ("an empty list", dict),
        ("524 with a list", None),
        ("302 with JSON", None),
        ("a body cut by disconnect", None),
        ("bad gzip", None),
    ],
)
async def test_what_is_no_answer_is_a_bad_response(name: str, shape: type | None) -> None:
    """ccxt itself would return text, None or an empty thing here; strict ccxt raises."""
    async with BadServer() as server:
        exchange = build(settings(base_url=server.url))
        server.answer("GET", "time", BAD_ANSWERS[name])
        CURRENT_CALL.set(ReadCall(timeout_s=30, shape=shape))
        with pytest.raises(exchange.errors.BadResponse):
            await exchange.public_get_time()
        CURRENT_CALL.set(None)
        await exchange.session.close()
        await exchange.close()


async def test_calls_of_two_tasks_do_not_mix() -> None:
    """Each task's request has its own timeout: a quick one is not slowed, a slow one not cut."""
    async with BadServer() as server:
        exchange = build(settings(base_url=server.url))
        release = asyncio.Event()

        async def late(_: object) -> Any:
            await release.wait()
            return reply_json({"serverTime": server.now_ms()})

        async def ask(timeout_s: float) -> Any:
            CURRENT_CALL.set(ReadCall(timeout_s=timeout_s, shape=dict))
            return await exchange.fetch_time()

        server.answer("GET", "time", late)
        patient = asyncio.create_task(ask(30))
        await server.wait_for("GET", "time")
        with pytest.raises(Exception, match="GET"):
            await asyncio.create_task(ask(0.2))
        release.set()
        assert await patient
        await exchange.session.close()
        await exchange.close()


async def test_nothing_secret_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Even with every logger at debug level no key, secret or signature is written."""
    caplog.set_level(logging.DEBUG)
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.venue.account_id()
        await rig.gateway.place(an_intent())
        server.answer("POST", "order", Fate.DROP)
        await rig.gateway.place(an_intent())
        signatures = [r.params["signature"] for r in server.requests if "signature" in r.params]

    assert signatures
    for secret in (API_KEY, API_SECRET, *signatures):
        assert secret not in caplog.text


async def test_errors_carry_what_the_venue_said_and_no_more() -> None:
    """Status, code, text and Retry-After are kept; long or odd texts are cut and cleaned."""
    said: list[Evidence | None] = []
    async with BadServer() as server:
        exchange = build(settings(base_url=server.url))
        for reply in (
            refusal(-1013, "Filter failure: LOT_SIZE"),
            refusal(-9, "x" * 5_000),
            refusal(-9, "a\nforged\x1b[31m line"),
            reply_json({"code": -1003, "msg": "m"}, 429, {"Retry-After": "7"}),
            reply_json({"code": -1003, "msg": "m"}, 429, {"Retry-After": "Wed, 21 Oct 2026"}),
        ):
            server.answer("GET", "time", reply)
            CURRENT_CALL.set(ReadCall(timeout_s=20))
            with pytest.raises(Exception, match="binance") as caught:
                await exchange.fetch_time()
            said.append(evidence_of(caught.value))
            assert len(describe(caught.value)) < 300
        CURRENT_CALL.set(None)
        await exchange.session.close()
        await exchange.close()

    assert [s and (s.status, s.code, s.retry_after_s) for s in said] == [
        (400, "-1013", None),
        (400, "-9", None),
        (400, "-9", None),
        (429, "-1003", 7.0),
        (429, "-1003", None),
    ]
    assert said[1] is not None
    assert len(said[1].message) == 200
    assert said[2] is not None
    assert "\n" not in said[2].message
    assert "\x1b" not in said[2].message


def test_error_without_an_answer_shows_its_class_only() -> None:
    """ccxt's own message holds a signed URL; it is never repeated."""
    error = RuntimeError(f"binance GET https://x/order?signature=abc&key={API_KEY}")
    shown = read_failure(error, BINANCE, "order")

    assert isinstance(shown, VenueError)
    assert "signature" not in str(shown)
    assert "RuntimeError" in str(shown)


async def test_frozen_settings_of_a_link_reach_both_sides() -> None:
    """Reader and gateway speak to the same place with the same key."""
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.venue.account_id()
        result = await rig.gateway.place(an_intent())
        keys = {r.headers.get("x-mbx-apikey") for r in server.requests if r.path != "/api/v3/time"}

    assert isinstance(rig.venue, CcxtVenue)
    assert result.outcome is WriteOutcome.CONFIRMED
    assert keys - {None} == {API_KEY}
