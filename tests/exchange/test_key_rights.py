"""What an API key may do: read from the venue through real ccxt, and judged."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from exchange.errors import AnswerUntrusted, VenueRefused
from exchange.key_reader import look_with_key
from exchange.key_rights import (
    KeyRights,
    KeySeen,
    judge_rights,
    parse_can_trade,
    parse_restrictions,
)
from exchange.paper.process import PaperAccount, PaperKey, PaperProcess
from exchange.venues import VenueSettings
from tests.support.bad_server import BadServer, reply_json
from tests.support.paper_server import BALANCES, JETSON, READ_ONLY, UID, still_symbol

GREEDY = PaperKey(name="greedy", key="key-greedy", secret="secret-of-greedy", can_withdraw=True)
GOOD = {
    "ipRestrict": True,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableSpotAndMarginTrading": True,
}


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


async def look(url: str, key: PaperKey = JETSON, symbol: str = "ETH/BTC") -> KeySeen:
    settings = VenueSettings(
        exchange_id="binance",
        api_key=key.key,
        api_secret=key.secret,
        symbols=(symbol,),
        base_url=url,
        read_timeout_s=4.5,
        read_budget_s=4.9,
    )
    return await look_with_key(settings, wall_ms=wall_ms, within_s=120)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperProcess]:
    folder = tmp_path_factory.mktemp("paper")
    accounts = [
        PaperAccount(name="main", uid=UID, balances=BALANCES, keys=(JETSON, READ_ONLY, GREEDY))
    ]
    process = PaperProcess(folder, accounts=accounts, symbols=[still_symbol(folder)])
    process.start()
    yield process
    process.stop()


@pytest.mark.parametrize(
    ("key", "rights"),
    [
        (JETSON, KeyRights(can_trade=True, can_withdraw=False, is_address_bound=True)),
        (READ_ONLY, KeyRights(can_trade=False, can_withdraw=False, is_address_bound=True)),
        (GREEDY, KeyRights(can_trade=True, can_withdraw=True, is_address_bound=True)),
    ],
    ids=["as it should be", "reads only", "withdraws"],
)
async def test_one_look_shows_account_rights_and_clock(
    paper: PaperProcess, key: PaperKey, rights: KeyRights
) -> None:
    """Signed, through real ccxt; the exchange here reads the same clock as we do."""
    seen = await look(paper.url, key)
    assert seen.rights == rights
    assert seen.account_id == str(UID)
    assert str(UID) not in repr(seen)
    # the true difference is zero, and stamps are whole milliseconds
    assert abs(seen.venue_ahead_ms) <= seen.error_ms + 2


async def test_a_key_that_the_venue_does_not_know_is_refused(paper: PaperProcess) -> None:
    unknown = PaperKey(name="x", key="key-unknown", secret="secret-unknown")
    with pytest.raises(VenueRefused) as caught:
        await look(paper.url, unknown)
    assert "secret-unknown" not in str(caught.value)


async def test_a_stand_in_that_knows_no_rights_tells_none() -> None:
    """An own test server, or a paper exchange of an older release: the account still answers."""
    async with BadServer() as server:
        server.answer("GET", "account", lambda _: reply_json(_account()))
        seen = await look(server.url, symbol="BTC/USDT")
    assert seen.rights == KeyRights(can_trade=True)


def _account() -> dict[str, Any]:
    return {"uid": 7, "canTrade": True, "balances": [], "accountType": "SPOT", "updateTime": 1}


@pytest.mark.parametrize(
    ("changes", "words", "is_grave"),
    [
        ({"enableWithdrawals": True}, "may withdraw", True),
        ({"enableSpotAndMarginTrading": False}, "may not trade", True),
        ({"enableInternalTransfer": True}, "move money to other accounts", False),
        ({"permitsUniversalTransfer": True}, "between this account's wallets", False),
        ({"enableFutures": True, "enableMargin": True}, "may also borrow, trade futures", False),
        ({"ipRestrict": False}, "not bound to an address", False),
    ],
)
def test_each_wrong_right_has_its_finding(
    changes: dict[str, bool], words: str, *, is_grave: bool
) -> None:
    rights = parse_restrictions({**GOOD, **changes}, account_can_trade=True)
    (found,) = judge_rights(rights)
    assert words in found.what
    assert found.fix
    assert found.is_grave is is_grave


@pytest.mark.parametrize(
    "rights",
    [parse_restrictions(GOOD, account_can_trade=None), KeyRights(can_trade=None)],
    ids=["as it should be", "nothing told"],
)
def test_a_good_key_and_an_untold_right_are_no_finding(rights: KeyRights) -> None:
    assert judge_rights(rights) == ()


def test_an_account_that_may_not_trade_is_found_whatever_the_key_may() -> None:
    (found,) = judge_rights(parse_restrictions(GOOD, account_can_trade=False))
    assert "may not trade" in found.what


@pytest.mark.parametrize("raw", [None, [], {}, {**GOOD, "enableWithdrawals": "false"}])
def test_rights_that_are_not_told_clearly_are_no_answer(raw: Any) -> None:
    """ "false" as text is true for a careless reader."""
    with pytest.raises(AnswerUntrusted):
        parse_restrictions(raw, account_can_trade=True)


@pytest.mark.parametrize("unified", [None, {}, {"info": []}, {"info": {"canTrade": "yes"}}])
def test_an_account_that_does_not_say_is_not_known(unified: Any) -> None:
    assert parse_can_trade(unified) is None
