"""What was looked at is said, and what was not: silence is no proof of health."""

from dataclasses import replace
from pathlib import Path

import pytest

from exchange.key_rights import KeyRights, KeySeen
from node.doctor.examine import OutsideLooks
from node.doctor.looked import render_looked
from node.doctor.reach import How, TelegramLook, VenueLook
from tests.node.test_doctor_box import GOOD
from tests.support.status_cases import all_with, make_config, make_down, make_peek


def seen(rights: KeyRights) -> VenueLook:
    key = KeySeen(account_id="4711", rights=rights, venue_ahead_ms=-1250.0, error_ms=5.0)
    return VenueLook(how=How.SEEN, key=key)


BOT = TelegramLook(how=How.SEEN, bot="spare_bot", chat="Ada")
RIGHTS = KeyRights(can_trade=True, can_withdraw=False)


def looked(folder: Path, looks: OutsideLooks | None, *, has_box: bool = True) -> str:
    one, two, _ = all_with()
    young = replace(one, info={"uptime_in_seconds": "200000"})
    peek = make_peek(young, two, make_down("witness"))
    return render_looked(make_config(folder), peek, looks, GOOD if has_box else None)


def test_everything_that_was_seen_has_its_line(tmp_path: Path) -> None:
    """The account is not among it: the page may be sent away."""
    looks = OutsideLooks(venues={"": seen(RIGHTS)}, alike=(), telegram=BOT)
    text = looked(tmp_path, looks)
    assert "  store jetson: 7.0.15, up 2 d" in text
    assert "  store witness: does not answer" in text
    assert "binance: the key signs; it may trade, may not withdraw" in text
    assert "this machine's clock +1.25 s" in text
    assert "Telegram: @spare_bot reaches Ada (no message was sent)" in text
    assert "box Jetson: Raspberry Pi 4 Model B" in text
    assert "unit active" in text
    assert "4711" not in text


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (seen(KeyRights(can_trade=None)), "trading is not told, withdrawing is not told"),
        (seen(KeyRights(can_trade=False, can_withdraw=True)), "it may not trade, may withdraw"),
        (VenueLook(how=How.SKIPPED), "not asked"),
        (VenueLook(how=How.REFUSED, reason="-2015"), "no good answer"),
    ],
)
def test_what_is_not_known_is_not_called_good(tmp_path: Path, look: VenueLook, words: str) -> None:
    silent = TelegramLook(how=How.SILENT, reason="x")
    text = looked(tmp_path, OutsideLooks(venues={"Pi": look}, alike=(), telegram=silent))
    assert "binance with the key of Pi: " in text
    assert words in text
    assert "Telegram: no good answer" in text


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    text = looked(tmp_path, None, has_box=False)
    assert "binance and Telegram: not looked at (--quick)" in text
    assert "this machine is neither box" in text
