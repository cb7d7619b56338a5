"""What people are told: once, in order, even when Telegram or both boxes were away (S5)."""

import pytest

from tests.e2e.conftest import PairMaker
from tests.support.pair import ETH, JETSON, PI, BotApiThread, Pair, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CHAT = 42


def test_telegram_down_during_a_failover(make_pair: PairMaker) -> None:
    """S5: the takeover message waits for Telegram and comes once, in its place."""
    with BotApiThread() as telegram:
        api = telegram.api
        url = api.base_url.removesuffix("/bot")
        secret = f'[telegram]\ntoken = "{api.token}"\n'
        pair = make_pair(
            plan_of(
                extra_toml=f'[telegram]\nchat_id = {CHAT}\napi_url = "{url}"\n',
                secrets_toml={JETSON: secret, PI: secret},
            )
        )
        pair.open()
        pair.wait(lambda: _place(api.texts, f"{PI} started") is not None, "the Pi's first message")
        telegram.down()
        pair.kill(JETSON)
        pair.wait_active(PI)
        pair.wait_event(PI, "alert.not_sent")
        # Trading does not wait for Telegram.
        pair.wait_order(PI)
        pair.wait_event(PI, "order.confirmed", epoch=2)
        assert _place(api.texts, f"{PI} trades now") is None

        telegram.up()
        pair.wait(lambda: _place(api.texts, f"{PI} trades now") is not None, "the message")
        pair.wait_told("order_placed", PI)
        pair.judge()
        texts = api.texts
        assert sum(f"{PI} trades now" in text.splitlines()[0] for text in texts) == 1
        started, took_over = _place(texts, f"{PI} started"), _place(texts, f"{PI} trades now")
        assert started is not None
        assert took_over is not None
        assert started < took_over
        # What the Pi placed as leader is told after it led, however long all of it had to wait.
        placed = [
            place
            for place, text in enumerate(texts)
            if "placed" in text.splitlines()[0] and f"epoch 2 · {PI}" in text
        ]
        assert placed
        assert took_over < placed[0]
        assert {message.chat_id for message in api.messages} == {str(CHAT)}


def test_both_were_off_while_orders_filled(pair: Pair) -> None:
    """S5, S3: after a time without any node one message says so, and the fills are counted."""
    pair.open()
    for node in (PI, JETSON):
        assert pair.node(node).stop(60.0) == 0
    pair.fill_some()
    pair.stage.paper.pause(ETH)
    fills = len(pair.venue_fills())

    since = pair.stage.role_changes(JETSON)
    pair.start(JETSON)
    report = pair.wait_active(JETSON, since=since)
    assert "buy 0.0" in report["fills_in_gap"]
    assert report["position_after"] != report["position_before"]
    pair.wait_told("both_were_off", JETSON)
    pair.wait(lambda: len(pair.events(JETSON, "order.filled")) >= fills, "the fills to be counted")
    # The other box returns, and leads later: the outage is old news by then.
    pair.start(PI)
    pair.story.wait_spare(PI)
    switched = pair.stage.nodectl("switchover", "--to", PI)
    assert switched.returncode == 0, switched.stderr
    pair.wait_active(PI)
    assert len(pair.told("both_were_off")) == 1
    pair.judge()


def _place(texts: list[str], headline: str) -> int | None:
    """Return the place of the first message with these words in its first line."""
    return next((i for i, text in enumerate(texts) if headline in text.splitlines()[0]), None)
