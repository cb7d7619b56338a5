"""The doctor's checks of stores, clocks, venue and Telegram: one finding for each trouble."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from exchange.key_rights import KeyRights, KeySeen
from node.doctor.examine import look_outside
from node.doctor.findings import Level
from node.doctor.looking import look_at_telegram, look_at_venue
from node.doctor.reach import (
    ClockSeen,
    How,
    TelegramLook,
    VenueLook,
    check_accounts,
    check_clocks,
    check_server,
    check_telegram,
    check_venue,
    read_clock,
)
from node.secrets import Secrets
from tests.node.test_doctor_losses import THREE
from tests.support.pair import BotApiThread
from tests.support.paper_server import JETSON, paper_process, still_symbol
from tests.support.status_cases import THREE as THREE_TEXT
from tests.support.status_cases import make_config

DEAD = "http://127.0.0.1:9"
NOW_MS = 1_800_000_000_000
GOOD_RIGHTS = KeyRights(can_trade=True, can_withdraw=False, is_address_bound=True)
SERVER = {
    "redis_version": "7.0.15",
    "aof_enabled": "0",
    "rdb_saves": "0",
    "rdb_last_save_time": "1000000",
    "uptime_in_seconds": "90000",
    "server_time_usec": "1090000000000",
    "maxmemory": "0",
    "used_memory": "900000",
}


def seen(rights: KeyRights = GOOD_RIGHTS, *, ahead_ms: float = 3.0) -> VenueLook:
    key = KeySeen(account_id="7", rights=rights, venue_ahead_ms=ahead_ms, error_ms=5.0)
    return VenueLook(how=How.SEEN, key=key)


# --- stores ------------------------------------------------------------------------------------


def test_a_store_as_it_should_be_has_no_finding() -> None:
    assert list(check_server("one", SERVER)) == []
    assert list(check_server("one", {})) == []


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"aof_enabled": "1"}, Level.LOOK, "(appendonly)"),
        ({"rdb_saves": "2"}, Level.LOOK, "(snapshots)"),
        ({"rdb_last_save_time": "1050000"}, Level.LOOK, "(snapshots)"),
        ({"maxmemory": "1000000"}, Level.LOOK, "90% of its maxmemory"),
        ({"redis_version": "4.0.9"}, Level.GOOD, "has no users"),
        ({"uptime_in_seconds": "30", "rdb_last_save_time": "1089970"}, Level.GOOD, "30 s ago"),
    ],
)
def test_what_a_store_says_of_itself(changes: Mapping[str, str], level: Level, words: str) -> None:
    (found,) = check_server("one", {**SERVER, **changes})
    assert (found.level, found.area) == (level, "stores")
    assert words in found.what
    assert found.fix


def test_a_valkey_calls_itself_an_old_redis_for_old_clients() -> None:
    info = {**SERVER, "redis_version": "4.0.9", "valkey_version": "8.1.1"}
    assert list(check_server("one", info)) == []


# --- clocks ------------------------------------------------------------------------------------


def test_clocks_that_agree_are_no_finding() -> None:
    clocks = [ClockSeen(label="a", ahead_ms=-900.0, venue_ahead_ms=1999.0),
              ClockSeen(label="b", ahead_ms=1099.0, venue_ahead_ms=None)]  # fmt: skip
    assert list(check_clocks(clocks, seen())) == []


def test_two_nodes_whose_clocks_differ_are_named() -> None:
    """Against each other: this machine's own clock may be the wrong one, and does not count."""
    clocks = [ClockSeen(label="jetson", ahead_ms=60_000.0, venue_ahead_ms=None),
              ClockSeen(label="pi", ahead_ms=63_500.0, venue_ahead_ms=None)]  # fmt: skip
    (found,) = check_clocks(clocks, VenueLook(how=How.SKIPPED))
    assert "pi is 3.5 s ahead of jetson's" in found.what
    assert "timedatectl" in found.fix


def test_a_clock_far_from_the_venues_is_named_with_its_side() -> None:
    clocks = [ClockSeen(label="jetson", ahead_ms=None, venue_ahead_ms=-4000.0)]
    here, node = sorted(f.what for f in check_clocks(clocks, seen(ahead_ms=9000.0)))[::-1]
    assert "jetson is 4.0 s ahead of the venue's" in node
    assert "this machine's clock is 9.0 s behind the venue's" in here


def test_a_board_entrys_clock_counts_its_age() -> None:
    """Written two seconds ago with the right time: it does not lag."""
    body = {"wall_ms": NOW_MS - 2000, "venue_ahead_ms": 12}
    clock = read_clock("x", body, age_s=2.0, now_wall_ms=NOW_MS)
    assert (clock.ahead_ms, clock.venue_ahead_ms) == (0.0, 12.0)


@pytest.mark.parametrize("body", [{}, {"wall_ms": "soon", "venue_ahead_ms": True}])
def test_a_node_of_an_older_release_says_nothing_of_its_clock(body: dict[str, object]) -> None:
    clock = read_clock("x", body, age_s=0.0, now_wall_ms=NOW_MS)
    assert (clock.ahead_ms, clock.venue_ahead_ms) == (None, None)


# --- the venue ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "levels", "words"),
    [
        (seen(), [], ""),
        (seen(KeyRights(can_trade=True, can_withdraw=True)), [Level.ACT], "may withdraw"),
        (seen(KeyRights(can_trade=False)), [Level.ACT], "may not trade"),
        (seen(KeyRights(can_trade=True, more=("borrow",))), [Level.LOOK], "borrow"),
        (seen(KeyRights(can_trade=True, is_address_bound=False)), [Level.GOOD], "not bound"),
        (VenueLook(how=How.REFUSED, reason="-2015"), [Level.ACT], "refuses: -2015"),
        (VenueLook(how=How.SILENT, reason="no route"), [Level.LOOK], "does not answer: no route"),
        (VenueLook(how=How.SKIPPED, reason="no key"), [Level.GOOD], "not tried: no key"),
    ],
)
def test_each_look_at_the_venue_has_its_findings(
    look: VenueLook, levels: list[Level], words: str
) -> None:
    found = list(check_venue(look, THREE))
    assert [f.level for f in found] == levels
    assert all(words in f.what and f.fix for f in found)


def account(account_id: str) -> VenueLook:
    key = KeySeen(account_id=account_id, rights=GOOD_RIGHTS, venue_ahead_ms=0.0, error_ms=1.0)
    return VenueLook(how=How.SEEN, key=key)


def test_keys_of_one_account_and_of_each_box_its_own_are_no_finding() -> None:
    silent = VenueLook(how=How.SILENT, reason="no route")
    assert list(check_accounts({"a": account("7"), "b": account("7")}, ())) == []
    assert list(check_accounts({"a": account("7"), "b": silent}, ())) == []


def test_keys_of_two_accounts_or_one_key_for_both_are_found() -> None:
    """The account itself is not shown: a report may be sent away."""
    (found,) = check_accounts({"jetson": account("4711"), "pi": account("4712")}, ())
    assert (found.level, "jetson and pi" in found.what) == (Level.ACT, True)
    assert "471" not in found.what
    (found,) = check_accounts({}, ("jetson", "pi"))
    assert (found.level, "same API key" in found.what) == (Level.LOOK, True)


def test_the_owners_machine_looks_with_both_keys(tmp_path: Path) -> None:
    """Nobody listens there: both are named. On a box, or with --node, there is one."""
    text = THREE_TEXT.replace("http://192.168.1.12:8800", DEAD)
    config = make_config(tmp_path, text.replace("[venue]", "[venue]\nread_budget_s = 2"))
    (tmp_path / "secrets").mkdir(mode=0o700)
    for node_id in config.nodes:
        path = tmp_path / "secrets" / f"{node_id}.toml"
        path.write_text('[venue]\napi_key = "the-same-key"\napi_secret = "secret"\n')
        path.chmod(0o600)
    looks = look_outside(config, Secrets(), None)
    assert set(looks.venues) == {"Jetson in the hall", "Pi in the attic"}
    assert looks.alike == ("Jetson in the hall", "Pi in the attic")
    (tmp_path / "secrets" / "jetson.toml").chmod(0o644)
    refused = look_outside(config, Secrets(), None).venues["Jetson in the hall"]
    assert refused.how is How.UNUSABLE
    (found,) = check_venue(refused, config, "Jetson")
    assert (found.level, "others can read it" in found.what) == (Level.ACT, True)
    (tmp_path / "secrets" / "jetson.toml").unlink()
    assert set(look_outside(config, Secrets(), None).venues) == {""}
    assert set(look_outside(config, Secrets(), "jetson").venues) == {"Jetson in the hall"}


# --- Telegram ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "levels", "words"),
    [
        (TelegramLook(how=How.SEEN, bot="b", chat="c"), [], ""),
        (TelegramLook(how=How.REFUSED, reason="Unauthorized"), [Level.ACT], "cannot be used"),
        (
            TelegramLook(how=How.REFUSED, reason="x", is_about_chat=True),
            [Level.ACT],
            "cannot write",
        ),
        (TelegramLook(how=How.SILENT, reason="timed out"), [Level.LOOK], "does not answer"),
        (TelegramLook(how=How.SKIPPED, reason="nobody is told"), [Level.GOOD], "nobody is told"),
    ],
)
def test_each_look_at_telegram_has_its_finding(
    look: TelegramLook, levels: list[Level], words: str
) -> None:
    found = list(check_telegram(look))
    assert [f.level for f in found] == levels
    assert all(words in f.what and f.fix for f in found)


def telegram(url: str, chat_id: int) -> str:
    return f'{THREE_TEXT}\n[telegram]\nchat_id = {chat_id}\napi_url = "{url}"\n'


def test_telegram_is_looked_at_without_a_message(tmp_path: Path) -> None:
    """Bot and chat are asked for; nobody's phone rings."""
    with BotApiThread() as server:
        url = f"http://127.0.0.1:{server.api.port}"
        secrets = Secrets.model_validate({"telegram": {"token": server.api.token}})
        wrong = Secrets.model_validate({"telegram": {"token": "1:wrongwrongwrongwrongwrong"}})
        config = make_config(tmp_path, telegram(url, 43))
        look = look_at_telegram(config, secrets)
        assert (look.how, look.is_about_chat) == (How.REFUSED, True)
        config = make_config(tmp_path, telegram(url, 42))
        look = look_at_telegram(config, secrets)
        assert (look.how, look.bot, look.chat) == (How.SEEN, server.api.user_name, "Ada")
        look = look_at_telegram(config, wrong)
        assert (look.how, look.is_about_chat) == (How.REFUSED, False)
        assert server.api.messages == []
    look = look_at_telegram(config, secrets)
    assert look.how is How.SILENT
    assert server.api.token not in look.reason


def test_no_chat_and_no_token_are_told_apart(tmp_path: Path) -> None:
    assert look_at_telegram(make_config(tmp_path), Secrets()).how is How.SKIPPED
    config = make_config(tmp_path, telegram("http://127.0.0.1:9", 42))
    assert look_at_telegram(config, Secrets()).how is How.REFUSED


def test_the_venue_is_looked_at_with_this_boxs_key(tmp_path: Path) -> None:
    """Through real ccxt at a paper exchange; then with a wrong key, and with nobody there."""
    symbols = [still_symbol(tmp_path / "p", name) for name in ("BTC/USDT", "ETH/USDT")]
    paper = paper_process(tmp_path / "p", symbols=symbols)
    paper.start()
    config = make_config(tmp_path, THREE_TEXT.replace("http://192.168.1.12:8800", paper.url))
    good = Secrets.model_validate({"venue": {"api_key": JETSON.key, "api_secret": JETSON.secret}})
    wrong = Secrets.model_validate({"venue": {"api_key": "unknown-key", "api_secret": "oh-well"}})
    look = look_at_venue(config, good)
    assert look.how is How.SEEN, look.reason
    assert list(check_venue(look, config)) == []
    look = look_at_venue(config, wrong)
    assert look.how is How.REFUSED
    assert not {"unknown-key", "oh-well"} & set(look.reason.split())
    assert look_at_venue(config, Secrets()).how is How.SKIPPED
    paper.stop()
    assert look_at_venue(config, good).how is How.SILENT
