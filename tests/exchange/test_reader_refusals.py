"""Reads that the venue refuses: a wrong key, a rate limit, a ban, a time that it does not take."""

import pytest

from exchange.errors import (
    VenueRateLimited,
    VenueRefused,
)
from tests.support.bad_server import (
    BadServer,
    Reply,
    account,
    refusal,
    reply_json,
    ticker,
)
from tests.support.venue_link import open_rig

REFUSED = {
    "a wrong key": (refusal(-2014, "API-key format invalid."), "-2014"),
    "a wrong address or right": (
        refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401),
        "-2015",
    ),
    "a wrong secret": (refusal(-1022, "Signature for this request is not valid."), "-1022"),
    "an unknown key": (refusal(-2008, "Invalid Api-Key ID"), "-2008"),
    "a wrong place": (Reply(status=451, body=b'{"msg":"restricted location"}'), None),
}


@pytest.mark.parametrize("name", list(REFUSED))
async def test_refused_key_says_how_to_mend_it(name: str) -> None:
    """What a person must mend is not asked again, also after the key has once worked."""
    reply, code = REFUSED[name]
    async with BadServer() as server, open_rig(server.url) as rig:
        await rig.venue.account_id()
        server.answer("GET", "account", reply)
        with pytest.raises(VenueRefused) as caught:
            await rig.venue.account_id()
        assert len(server.seen("GET", "account")) == 2

    assert caught.value.code == code
    assert len(str(caught.value)) > 60


async def test_rate_limit_is_told_with_its_time_and_holds_everything() -> None:
    """429 raises with the seconds asked for, and no other read leaves meanwhile."""
    quiet = reply_json({"code": -1003, "msg": "Too many requests."}, 429, {"Retry-After": "33"})
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "ticker/24hr", quiet)
        with pytest.raises(VenueRateLimited) as caught:
            await rig.venue.ticker("BTC/USDT")
        before = len(server.requests)
        with pytest.raises(VenueRateLimited):
            await rig.venue.open_orders("BTC/USDT")
        assert len(server.requests) == before

    assert caught.value.retry_after_s == 33
    assert not caught.value.is_ban


async def test_ban_is_told_as_one() -> None:
    """418 is a ban of the address."""
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "ticker/24hr", refusal(-1003, "IP banned until 1.", 418))
        with pytest.raises(VenueRateLimited) as caught:
            await rig.venue.ticker("BTC/USDT")

    assert caught.value.is_ban
    assert caught.value.retry_after_s >= 60


async def test_used_weight_near_the_limit_holds() -> None:
    """The venue's own count, which holds the other box too, is obeyed."""
    used = {"X-MBX-USED-WEIGHT-1M": "5990"}
    async with BadServer() as server, open_rig(server.url) as rig:
        server.answer("GET", "ticker/24hr", reply_json(ticker(), 200, used))
        await rig.venue.ticker("BTC/USDT")

    assert rig.link.limiter.quiet_s() > 0


async def test_refused_time_is_measured_anew_before_the_next_attempt() -> None:
    """-1021 on a read: the clock is dropped and measured, then the read succeeds."""
    async with BadServer() as server, open_rig(server.url) as rig:
        left = [refusal(-1021, "Timestamp for this request is outside of the recvWindow.")]
        server.answer("GET", "account", lambda _: left.pop() if left else reply_json(account()))
        before = len(server.seen("GET", "time"))
        await rig.venue.account_id()
        assert len(server.seen("GET", "time")) > before
