"""The sender with the real library against a Bot API over HTTP: nothing lost, nothing doubled
but where the answer was lost, and then marked."""

import asyncio
import logging
import threading
import time
from pathlib import Path

import pytest

from alerts.durable import DurableOutbox
from alerts.model import Kind, Verdict
from alerts.outbox import Outbox
from alerts.pace import Backoff
from alerts.ports import Delivery, DeliveryState
from alerts.render import short_id
from alerts.sender import AlertSender
from alerts.telegram import TelegramApi
from tests.alerts.builders import (
    WALL_MS,
    Notes,
    all_told,
    build_event,
    build_role_change,
    marked,
    told,
    wait_until,
)
from tests.alerts.conftest import BuildSender
from tests.support.bot_api import BotApi, Fault, Script


async def test_messages_arrive_once_in_order(bot_api: BotApi, build_sender: BuildSender) -> None:
    """Without faults: one request a message, HTML, silent when there is nothing to do, and no
    other request at all (no getMe)."""
    sender = build_sender()
    for number in range(3):
        sender.put(build_role_change(number))
    sender.put(build_event("unknown", Kind.ORDER_UNKNOWN))
    sender.start()
    sender.put(build_role_change(1))
    await all_told(sender)
    assert told(bot_api) == [0, 1, 2, 7]
    assert [name for name, _ in bot_api.requests] == ["sendMessage"] * 4
    assert [shown.is_silent for shown in bot_api.messages] == [True, True, True, False]
    assert all(shown.is_html and shown.chat_id == "42" for shown in bot_api.messages)
    assert sender.health.last_delivered_wall_ms == WALL_MS


@pytest.mark.parametrize(
    "faults",
    [
        [Fault.FLOOD],
        [Fault.FLOOD_BARE, Fault.FLOOD_BARE],
        [Fault.UNAUTHORIZED],
        [Fault.FORBIDDEN, Fault.FORBIDDEN],
        [Fault.CHAT_NOT_FOUND],
    ],
    ids="+".join,
)
async def test_refused_message_is_sent_again_and_not_marked(
    bot_api: BotApi, build_sender: BuildSender, faults: list[Fault]
) -> None:
    """A refusal proves that nothing was shown: the same message again, in order, unmarked."""
    bot_api.script(*faults)
    sender = build_sender()
    for number in range(3):
        sender.put(build_role_change(number))
    sender.start()
    await all_told(sender)
    assert told(bot_api) == [0, 1, 2]
    assert not any(marked(bot_api))


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault.LOST_ANSWER, [0, 0, 1, 2]),
        (Fault.NO_ANSWER, [0, 1, 2]),
        (Fault.CUT, [0, 0, 1, 2]),
        (Fault.CUT_JSON, [0, 0, 1, 2]),
        (Fault.GATEWAY_HTML, [0, 1, 2]),
        (Fault.GATEWAY_HTML_TAKEN, [0, 0, 1, 2]),
    ],
)
async def test_message_whose_answer_was_lost_is_repeated_and_marked(
    bot_api: BotApi, build_sender: BuildSender, fault: Fault, shown: list[int]
) -> None:
    """Without an answer nobody knows: it is told again, says so, and carries the same id."""
    bot_api.script(fault)
    sender = build_sender(timeout_s=1.5)
    for number in range(3):
        sender.put(build_role_change(number))
    sender.start()
    await all_told(sender)
    assert told(bot_api) == shown
    repeat = shown.index(1) - 1
    assert marked(bot_api) == [index == repeat for index in range(len(shown))]
    assert all(short_id("took_over:0") in text for text in bot_api.texts[: repeat + 1])


async def test_outage_loses_nothing_and_keeps_order(
    bot_api: BotApi, build_sender: BuildSender, notes: Notes
) -> None:
    """Refused connections: all waits, health says why, then all is told once and unmarked."""
    await bot_api.stop()
    sender = build_sender()
    sender.start()
    for number in range(8):
        await sender.put_soon(build_role_change(number))
    await wait_until(lambda: notes.names.count("alert.not_sent") >= 3, "three failed attempts")
    assert sender.health.problem
    assert not sender.health.is_permanent
    await bot_api.start()
    await all_told(sender)
    assert told(bot_api) == list(range(8))
    assert not any(marked(bot_api))
    assert (sender.health.problem, sender.health.failures) == ("", 0)


async def test_wait_asked_for_is_waited(bot_api: BotApi, build_sender: BuildSender) -> None:
    """429 names the wait; no request leaves before it is over."""
    bot_api.script(Script(Fault.FLOOD, 2))
    sender = build_sender()
    sender.put(build_role_change(0))
    began_s = time.monotonic()
    sender.start()
    await all_told(sender)
    assert time.monotonic() - began_s >= 2.0
    assert bot_api.count("sendMessage") == 2


async def test_html_that_is_refused_is_sent_as_plain_text(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """Entities that cannot be parsed cost the bold line, never the message."""
    bot_api.script(Fault.ENTITIES)
    sender = build_sender()
    sender.put(build_role_change(0))
    sender.put(build_role_change(1))
    sender.start()
    await all_told(sender)
    assert told(bot_api) == [0, 1]
    assert [shown.is_html for shown in bot_api.messages] == [False, True]
    assert "<b>" not in bot_api.texts[0]


async def test_text_that_is_refused_twice_does_not_block_the_others(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """Refused as HTML and as plain text: kept for the status page; the next one is told."""
    bot_api.script(Fault.TEXT, Fault.TEXT)
    sender = build_sender()
    sender.put(build_role_change(0))
    sender.put(build_role_change(1))
    sender.start()
    await all_told(sender)
    assert told(bot_api) == [1]
    assert sender.health.dead == 1


async def test_blocked_bot_is_said_and_tried_slowly(
    bot_api: BotApi, build_sender: BuildSender, notes: Notes
) -> None:
    """403 is for a person to mend: health says so; all waits and is told after it was mended."""
    bot_api.always(Fault.FORBIDDEN)
    sender = build_sender(permanent_s=0.5)
    sender.put(build_role_change(0))
    sender.put(build_role_change(1))
    sender.start()
    await wait_until(lambda: sender.health.is_permanent, "health says permanent")
    assert "blocked" in sender.health.problem
    assert sender.health.waiting == 2
    bot_api.always(None)
    await all_told(sender)
    assert told(bot_api) == [0, 1]
    assert not sender.health.is_permanent


async def test_group_that_moved_is_followed_also_after_a_restart(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """A group that became a supergroup has a new id; the configured old one is translated."""
    bot_api.script(Script(Fault.MIGRATED, -100777))
    sender = build_sender(chat_id="-5")
    sender.put(build_role_change(0))
    sender.start()
    await all_told(sender)
    await sender.stop()
    again = build_sender(chat_id="-5")
    again.put(build_role_change(1))
    again.start()
    await all_told(again)
    assert [shown.chat_id for shown in bot_api.messages] == ["-100777", "-100777"]
    assert not any(marked(bot_api))


async def test_group_that_moves_for_ever_is_not_asked_in_a_hot_loop(
    bot_api: BotApi, build_sender: BuildSender, notes: Notes
) -> None:
    """A server that always answers "moved" is asked with backoff."""
    bot_api.always(Fault.MIGRATED)
    sender = build_sender(chat_id="-5", first_s=1000.0)
    sender.put(build_role_change(0))
    sender.start()
    await wait_until(lambda: notes.names.count("alert.address_moved") == 2, "moved twice")
    due = sender._pace.plan_next([], time.monotonic())
    assert due.wait_s is not None
    assert due.wait_s > 100


async def test_storm_is_one_message_and_a_count(bot_api: BotApi, build_sender: BuildSender) -> None:
    """Repeats within a minute wait as one row with a count; a role change does not wait for it."""
    sender = build_sender()
    sender.start()
    for number in range(40):
        await sender.put_soon(build_event(f"lost:{number}", Kind.STORE_LOST, collapse_key="store"))
        if number == 0:
            await all_told(sender)
    await sender.put_soon(build_role_change(9))
    await wait_until(lambda: len(bot_api.messages) == 2, "the role change was told")
    assert told(bot_api) == [7, 9]
    # The server knows of a delivery before the sender has noted it.
    await wait_until(lambda: sender.health.waiting == 1, "the delivery was noted")


async def test_messages_left_out_are_said_with_the_next_one(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """Nothing is dropped silently: the count stands in the next message, once."""
    sender = build_sender(outbox=Outbox(rows_max=2))
    for number in range(5):
        sender.put(build_event(f"f{number}", Kind.ORDER_FILLED, verdict=Verdict.NOTHING_TO_DO))
    assert sender.health.dropped == 3
    sender.start()
    await all_told(sender)
    assert [("Left out before this one: 3" in text) for text in bot_api.texts] == [True, False]
    assert sender.health.dropped == 0


async def test_events_put_from_a_thread_are_told(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """The heartbeat's thread may tell something as well."""
    sender = build_sender()
    sender.start()
    await asyncio.sleep(0)
    thread = threading.Thread(target=sender.put, args=(build_role_change(3),))
    thread.start()
    await wait_until(lambda: told(bot_api) == [3], "told from a thread")
    thread.join()


async def test_stop_ends_an_attempt_in_flight_and_marks_it(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """Stopping does not wait for a dead network; what was in flight is told again, marked."""
    bot_api.script(Fault.LOST_ANSWER)
    sender = build_sender()
    sender.put(build_role_change(0))
    sender.start()
    await wait_until(lambda: told(bot_api) == [0], "the first attempt arrived")
    began_s = time.monotonic()
    await sender.stop(grace_s=0.1)
    assert time.monotonic() - began_s < 10
    again = build_sender()
    again.start()
    await all_told(again)
    assert told(bot_api) == [0, 0]
    assert marked(bot_api) == [False, True]


async def test_bug_in_a_channel_does_not_end_the_alerts(tmp_path: Path, notes: Notes) -> None:
    """A channel that breaks its contract and raises: the message is told again, marked."""

    class Raising:
        name = "raising"
        address = ""
        has_html = False

        def __init__(self) -> None:
            self.texts: list[str] = []
            self.calls = 0

        def move_to(self, address: str) -> None:
            del address

        async def send(self, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("a bug")
            self.texts.append(text)
            return Delivery(state=DeliveryState.DELIVERED)

        async def close(self) -> None:
            return

    channel = Raising()
    sender = AlertSender(
        DurableOutbox(tmp_path / "o"), channel, observer=notes, backoff=Backoff(first_s=0.01)
    )
    sender.put(build_role_change(0))
    sender.start()
    await all_told(sender)
    await sender.stop()
    assert "possibly sent before" in channel.texts[0]
    assert "alert.sender_failed" in notes.names


async def test_token_is_in_no_log_and_no_error(
    bot_api: BotApi, build_sender: BuildSender, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at DEBUG and every kind of failure, the token is nowhere."""
    caplog.set_level(logging.DEBUG)
    bot_api.script(
        Fault.UNAUTHORIZED, Fault.GATEWAY_HTML, Fault.CUT, Fault.CUT_JSON, Fault.FLOOD_BARE
    )
    sender = build_sender()
    sender.put(build_role_change(0))
    sender.start()
    await all_told(sender)
    await bot_api.stop()
    sender.put(build_role_change(1))
    await wait_until(lambda: sender.health.failures >= 2, "refused twice")
    secret = bot_api.token.split(":")[1]
    api = TelegramApi(token=bot_api.token, base_url=bot_api.base_url)
    for text in [caplog.text, str(notes.fields), str(sender.health), repr(api)]:
        assert secret not in text
    await api.close()
