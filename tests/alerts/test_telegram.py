"""What the library's exceptions mean for a message, finding a chat, and the console."""

import asyncio
import io
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from alerts.console import NO_BOT, ConsoleSender
from alerts.find_chat import SearchState, find_chats, send_test
from alerts.ports import Delivery, DeliveryState
from alerts.telegram import BotName, TelegramApi, classify_error, redact
from tests.alerts.builders import WALL_MS, wait_until
from tests.support.bot_api import BotApi, Fault

D = DeliveryState


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "state"),
    [
        (Forbidden("bot was blocked"), 403, D.GONE_PERMANENTLY),
        (InvalidToken("Unauthorized"), 401, D.GONE_PERMANENTLY),
        (InvalidToken("Not Found"), 404, D.GONE_PERMANENTLY),
        (BadRequest("Can't parse entities: bad"), 400, D.REJECTED_TEXT),
        (BadRequest("Message is too long"), 400, D.REJECTED_TEXT),
        (BadRequest("Chat not found"), 400, D.GONE_PERMANENTLY),
        (BadRequest("Not enough rights to send text messages"), 400, D.GONE_PERMANENTLY),
        (ChatMigrated(-5), 400, D.MIGRATED),
        (Conflict("terminated by other getUpdates"), 409, D.NOT_SENT),
        (NetworkError("Too Many Requests (429)"), 429, D.NOT_SENT),
        (NetworkError("Bad Gateway (502)"), 502, D.UNKNOWN),
        (NetworkError("Internal Server Error (500)"), 500, D.UNKNOWN),
        (TelegramError("Invalid server response"), 200, D.UNKNOWN),
        (TimedOut(), None, D.UNKNOWN),
        (caused(TimedOut(), httpx.ReadTimeout("")), None, D.UNKNOWN),
        (caused(TimedOut(), httpx.WriteTimeout("")), None, D.UNKNOWN),
        (caused(TimedOut(), httpx.ConnectTimeout("")), None, D.NOT_SENT),
        (caused(TimedOut(), httpx.PoolTimeout("")), None, D.NOT_SENT),
        (caused(NetworkError("x"), httpx.ConnectError("")), None, D.NOT_SENT),
        (caused(NetworkError("x"), httpx.ReadError("")), None, D.UNKNOWN),
        (caused(NetworkError("x"), httpx.RemoteProtocolError("")), None, D.UNKNOWN),
        (ValueError("from nowhere"), None, D.UNKNOWN),
    ],
    ids=lambda value: str(value) if not isinstance(value, Exception) else type(value).__name__,
)
def test_exception_means(error: Exception, status: int | None, state: DeliveryState) -> None:
    """BadRequest and TimedOut are NetworkErrors; only a proof counts as "not sent"."""
    assert classify_error(error, status).state is state


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
def test_values_of_a_refusal_are_kept() -> None:
    """The wait and the new address are what the sender acts on."""
    wait = classify_error(RetryAfter(7), 429)
    assert (wait.state, wait.wait_s) == (D.RETRY_AFTER, 7.0)
    assert classify_error(ChatMigrated(-100), 400).new_address == "-100"


def test_token_is_redacted_in_both_forms() -> None:
    """Plain, and as it stands in a URL."""
    assert redact("a 1:x/y b 1%3Ax%2Fy c", "1:x/y") == "a <token> b <token> c"
    assert redact("a", "") == "a"


@pytest_asyncio.fixture
async def api(bot_api: BotApi) -> AsyncIterator[TelegramApi]:
    made = TelegramApi(token=bot_api.token, base_url=bot_api.base_url)
    yield made
    await made.close()


async def test_chat_is_found_when_somebody_writes(bot_api: BotApi, api: TelegramApi) -> None:
    """The name to write to, then the chats and people that wrote; nothing is confirmed."""
    assert await api.name() == BotName(user_id=7, user_name="hotspare_test_bot")
    bot_api.say("hello", user_id=42, chat_id=42)
    bot_api.say("hello bot", user_id=43, chat_id=-100)
    search = await find_chats(api, wait_s=30)
    assert search.state is SearchState.FOUND
    assert [(c.chat_id, c.title, c.user_id) for c in search.chats] == [
        (42, "Ada", 42),
        (-100, "Bots", 43),
    ]
    assert len(bot_api.update_ids) == 2


async def test_nobody_writes(api: TelegramApi) -> None:
    """The search ends by itself."""
    assert (await find_chats(api, wait_s=1)).state is SearchState.NOBODY_WROTE


async def test_search_during_a_run_says_that_a_node_listens(
    bot_api: BotApi, api: TelegramApi
) -> None:
    """A running node polls already: a conflict, not a mystery."""
    other = TelegramApi(token=bot_api.token, base_url=bot_api.base_url)
    poll = asyncio.create_task(other.poll(offset=None, wait_s=20))
    await wait_until(lambda: bot_api.count("getUpdates") == 1, "a node polls")
    assert (await find_chats(api, wait_s=30)).state is SearchState.CONFLICT
    poll.cancel()
    await asyncio.wait({poll})
    await other.close()


async def test_search_without_network_says_why(bot_api: BotApi, api: TelegramApi) -> None:
    """A failure has words."""
    await bot_api.stop()
    search = await find_chats(api, wait_s=30)
    assert search.state is SearchState.FAILED
    assert search.reason
    name = await api.name()
    assert isinstance(name, Delivery)
    assert name.state is DeliveryState.NOT_SENT


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.NONE, DeliveryState.DELIVERED),
        (Fault.CHAT_NOT_FOUND, DeliveryState.GONE_PERMANENTLY),
        (Fault.UNAUTHORIZED, DeliveryState.GONE_PERMANENTLY),
    ],
)
async def test_test_message(
    bot_api: BotApi, api: TelegramApi, fault: Fault, state: DeliveryState
) -> None:
    """It looks like an alert, sounds, and its outcome is a value."""
    bot_api.script(fault)
    delivery = await send_test(
        api, chat_id="42", cluster="test-home", node_id="pi", by="ada", wall_ms=WALL_MS
    )
    assert delivery.state is state
    if fault is Fault.NONE:
        assert "test message from pi" in bot_api.texts[0]
        assert not bot_api.messages[0].is_silent


async def test_outcomes_of_calls_at_the_same_time_are_not_mixed_up(
    bot_api: BotApi, api: TelegramApi
) -> None:
    """A refusal of one call (a command's answer) proves nothing about another (an alert)."""
    bot_api.script(Fault.LOST_ANSWER, Fault.FLOOD_BARE)
    alert = asyncio.create_task(api.send("42", "alert", is_silent=False, is_html=False))
    await wait_until(lambda: len(bot_api.messages) == 1, "the alert arrived")
    answer = await api.send("42", "answer", is_silent=False, is_html=False)
    await bot_api.stop()
    assert answer.state is DeliveryState.NOT_SENT
    assert (await alert).state is DeliveryState.UNKNOWN


async def test_console_says_once_that_there_is_no_bot() -> None:
    """Without a token alerts are written to the stream, with one announcement."""
    stream = io.StringIO()
    sender = ConsoleSender(stream)
    for text in ("first\nsecond line", "third"):
        delivery = await sender.send(text, is_silent=False, is_html=False)
        assert delivery.state is DeliveryState.DELIVERED
    assert stream.getvalue() == f"{NO_BOT}\nALERT first\n  second line\nALERT third\n"


async def test_console_that_is_closed_is_not_sent() -> None:
    """A closed stream is tried again later, like any channel."""
    stream = io.StringIO()
    stream.close()
    delivery = await ConsoleSender(stream).send("x", is_silent=False, is_html=False)
    assert delivery.state is DeliveryState.NOT_SENT
