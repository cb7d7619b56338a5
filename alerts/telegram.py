"""Telegram through python-telegram-bot: one request a call, every outcome a value.

Rules of this file:
1. No exception of the library leaves it: its traceback may hold the URL, and the URL holds the
   bot's token. Every text that leaves it went through `redact`.
2. `Bot.send_message` makes exactly one request and needs no `initialize()`; `initialize()` would
   cost a getMe and fail when offline (measured with python-telegram-bot 22.8).
3. `BadRequest` and `TimedOut` are subclasses of `NetworkError`: order of the table matters.
4. A connection is not kept between messages: a kept one that died meanwhile makes an answer look
   lost that was never asked for, and messages are rare.
"""

import asyncio
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import httpx
from telegram import Bot, LinkPreviewOptions, Update
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest
from telegram.warnings import PTBDeprecationWarning

from alerts.commands import Incoming
from alerts.ports import Delivery, DeliveryState

BASE_URL = "https://api.telegram.org/bot"
"""Where the Bot API is. A local Bot API server is another base URL ending in `/bot`."""

REASON_CHARS_MAX = 200
"""A gateway answers an outage with a page of HTML; its beginning says enough."""

QUIET_LOGGERS = ("httpx", "httpcore", "telegram")
"""They log URLs (with the token), whole error pages, and tracebacks of what is handled here."""

_NEVER_LEFT = (
    httpx.ConnectError,  # also: no such host, TLS refused because the clock is wrong
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
"""Causes that prove that no byte of the request reached the Bot API."""

_WRONG_ADDRESS = (
    "chat not found",
    "chat_id is empty",
    "user not found",
    "peer_id_invalid",
    "group chat was deactivated",
    "have no rights to send",
    "not enough rights",
    "need administrator rights",
    "bot is not a member",
)
"""BadRequest descriptions that speak of the chat, not of the text: no other text would help."""

_HTTP_SERVER_ERROR = 500
_HTTP_TOO_MANY = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class BotName:
    """Who the token belongs to."""

    user_id: int
    user_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """Answer of a poll. `delivery` tells how it ended; DELIVERED means that it was answered.

    `is_conflict`: another process polls with this token (409). `highest_id` is None when there
    was no update; it includes updates that hold no text for us.
    """

    delivery: Delivery
    incoming: Sequence[Incoming] = ()
    chats: Mapping[int, str] | None = None
    highest_id: int | None = None
    is_conflict: bool = False


_STATUS: ContextVar[int | None] = ContextVar("telegram_http_status", default=None)
"""HTTP status of the last answer to the running task: sending and listening share a client."""


class _StatusRequest(HTTPXRequest):
    """The library's request object, keeping the HTTP status that its exceptions do not tell."""

    async def do_request(self, *args: object, **kwargs: object) -> tuple[int, bytes]:
        _STATUS.set(None)
        answer = await super().do_request(*args, **kwargs)  # type: ignore[arg-type]
        _STATUS.set(answer[0])
        return answer


class TelegramApi:
    """The few Bot API calls that are used, with every outcome as a value.

    Args:
        token: the bot's token, a secret.
        base_url: `BASE_URL`, or a local Bot API server.
        timeout_s: for connecting, writing and reading, each.
    """

    def __init__(self, *, token: str, base_url: str = BASE_URL, timeout_s: float = 5.0) -> None:
        quiet_libraries()
        self._token = token
        self._timeout_s = timeout_s
        # Each read has its own timeout in the library: an answer that drips would never end.
        self._call_s_max = 4 * timeout_s
        self._request = self._build_request()
        self._poll_request = self._build_request()
        self._bot = Bot(
            token,
            base_url=base_url,
            request=self._request,
            get_updates_request=self._poll_request,
        )

    def __repr__(self) -> str:
        """Return a text without the token."""
        return f"{type(self).__name__}()"

    async def send(self, chat_id: str, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
        """Send one message; exactly one request."""
        try:
            async with asyncio.timeout(self._call_s_max):
                await self._bot.send_message(
                    chat_id=chat_id,
                    text=text,
                    parse_mode=ParseMode.HTML if is_html else None,
                    disable_notification=is_silent,
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                )
        except Exception as error:  # noqa: BLE001 - rule 1: nothing may leave but a value
            return self._delivery(error)
        return Delivery(state=DeliveryState.DELIVERED)

    async def name(self) -> BotName | Delivery:
        """Ask who the token belongs to; a Delivery tells why that failed."""
        try:
            async with asyncio.timeout(self._call_s_max):
                user = await self._bot.get_me()
        except Exception as error:  # noqa: BLE001 - rule 1
            return self._delivery(error)
        return BotName(user_id=user.id, user_name=user.username or "")

    async def chat_name(self, chat_id: str) -> str | Delivery:
        """Ask what a chat is called, without writing to it; a Delivery tells why that failed."""
        try:
            async with asyncio.timeout(self._call_s_max):
                chat = await self._bot.get_chat(chat_id)
        except Exception as error:  # noqa: BLE001 - rule 1
            return self._delivery(error)
        return chat.effective_name or chat_id

    async def poll(self, *, offset: int | None, wait_s: int) -> Updates:
        """Wait up to `wait_s` for updates; `offset` confirms all updates before it."""
        try:
            async with asyncio.timeout(wait_s + self._call_s_max):
                updates = await self._bot.get_updates(
                    offset=offset,
                    timeout=wait_s,
                    allowed_updates=[Update.MESSAGE, Update.MY_CHAT_MEMBER],
                    read_timeout=wait_s + 2 * self._timeout_s,
                )
        except Exception as error:  # noqa: BLE001 - rule 1
            return Updates(
                delivery=self._delivery(error),
                is_conflict=isinstance(error, Conflict),
            )
        incoming = [found for found in map(parse_update, updates) if found is not None]
        chats = dict(found for found in map(_chat_of, updates) if found is not None)
        return Updates(
            delivery=Delivery(state=DeliveryState.DELIVERED),
            incoming=incoming,
            chats=chats,
            highest_id=max((update.update_id for update in updates), default=None),
        )

    async def close(self) -> None:
        """Close both connections; safe to call twice."""
        await self._request.shutdown()
        await self._poll_request.shutdown()

    def _build_request(self) -> _StatusRequest:
        return _StatusRequest(
            connect_timeout=self._timeout_s,
            read_timeout=self._timeout_s,
            write_timeout=self._timeout_s,
            pool_timeout=self._timeout_s,
            httpx_kwargs={"limits": httpx.Limits(max_connections=4, max_keepalive_connections=0)},
        )

    def _delivery(self, error: Exception) -> Delivery:
        outcome = classify_error(error, _STATUS.get())
        return Delivery(
            state=outcome.state,
            reason=redact(outcome.reason, self._token)[:REASON_CHARS_MAX],
            wait_s=outcome.wait_s,
            new_address=outcome.new_address,
        )


class TelegramSender:
    """`alerts.ports.Sender` to one chat.

    Args:
        api: the Bot API; owned by the caller if `is_api_owned` is False.
        chat_id: where to write: the id of a person or a group.
    """

    def __init__(self, api: TelegramApi, *, chat_id: str, is_api_owned: bool = True) -> None:
        self._api = api
        self._chat_id = chat_id
        self._is_api_owned = is_api_owned

    @property
    def name(self) -> str:
        """Name of the channel."""
        return "telegram"

    @property
    def address(self) -> str:
        """The chat id in use."""
        return self._chat_id

    @property
    def has_html(self) -> bool:
        """Telegram reads HTML."""
        return True

    def move_to(self, address: str) -> None:
        """Write to this chat id from now on."""
        self._chat_id = address

    async def send(self, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
        """Send one message; exactly one request."""
        return await self._api.send(self._chat_id, text, is_silent=is_silent, is_html=is_html)

    async def close(self) -> None:
        """Close the connections if they are ours."""
        if self._is_api_owned:
            await self._api.close()


def classify_error(error: Exception, status: int | None) -> Delivery:  # noqa: PLR0911 - a table
    """Return what an exception of the library means for the message.

    Args:
        error: as raised by python-telegram-bot; its cause tells whether anything left.
        status: HTTP status of the answer, None when there was none.
    """
    words = _words(error)
    match error:
        case RetryAfter():
            return Delivery(
                state=DeliveryState.RETRY_AFTER, wait_s=_retry_after_s(error), reason=words
            )
        case ChatMigrated():
            return Delivery(
                state=DeliveryState.MIGRATED, new_address=str(error.new_chat_id), reason=words
            )
        case Forbidden() | InvalidToken():
            return Delivery(state=DeliveryState.GONE_PERMANENTLY, reason=words)
        case BadRequest() if any(mark in words.lower() for mark in _WRONG_ADDRESS):
            return Delivery(state=DeliveryState.GONE_PERMANENTLY, reason=words)
        case BadRequest():
            return Delivery(state=DeliveryState.REJECTED_TEXT, reason=words)
        case _ if isinstance(error.__cause__, _NEVER_LEFT):
            return Delivery(state=DeliveryState.NOT_SENT, reason=words)
        case Conflict():
            return Delivery(state=DeliveryState.NOT_SENT, reason=words)
        case _ if status is not None and _HTTP_TOO_MANY <= status < _HTTP_SERVER_ERROR:
            return Delivery(state=DeliveryState.NOT_SENT, reason=words)  # refused without a wait
        case NetworkError() | TelegramError():
            # No answer, half an answer, or a gateway's page: what stood behind it may have acted.
            return Delivery(state=DeliveryState.UNKNOWN, reason=words)
        case _:
            return Delivery(state=DeliveryState.UNKNOWN, reason=words)


def parse_update(update: Update) -> Incoming | None:
    """Return the text message in an update; None for anything else (edits, stickers, joins)."""
    message = update.message
    if message is None or message.text is None or message.from_user is None:
        return None
    return Incoming(
        update_id=update.update_id,
        chat_id=message.chat.id,
        user_id=message.from_user.id,
        user_name=message.from_user.username or message.from_user.first_name,
        text=message.text,
        sent_wall_s=int(message.date.timestamp()),
    )


def redact(text: str, token: str) -> str:
    """Return the text without the token, also where it is written as in a URL."""
    for form in (token, quote(token, safe="")):
        if form:
            text = text.replace(form, "<token>")
    return text


def quiet_libraries() -> None:
    """Keep the libraries' own logs away: they write the URL with the token at INFO and DEBUG."""
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Said at each RetryAfter: a later release gives a timedelta. Both forms are understood here.
    warnings.filterwarnings("ignore", category=PTBDeprecationWarning)


def _chat_of(update: Update) -> tuple[int, str] | None:
    chat = update.effective_chat
    if chat is None:
        return None
    return chat.id, chat.effective_name or ""


def _retry_after_s(error: RetryAfter) -> float:
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    cause = error.__cause__
    if cause is not None and type(cause).__name__ not in text:
        text += f" ({type(cause).__name__})"
    return text
