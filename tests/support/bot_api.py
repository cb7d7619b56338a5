"""A local Telegram Bot API over HTTP with answers that a test chooses.

`async with BotApi() as api:` serves on `api.base_url` (append nothing: it ends in `/bot`).
`api.script(fault, ...)` queues what happens to the next sendMessage calls; without a queued
fault they succeed. `api.messages` is what a person would see on the phone, in order.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self

from aiohttp import web

HTML_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body></html>"
)
TEXT_UNITS_MAX = 4096
ENTITY_TAGS = frozenset({"b", "strong", "i", "em", "u", "s", "code", "pre", "a", "blockquote"})


class Fault(StrEnum):
    """What happens to one call."""

    NONE = "none"
    LOST_ANSWER = "lost_answer"  # taken in and shown, then no answer
    NO_ANSWER = "no_answer"  # neither taken in nor answered
    CUT = "cut"  # taken in and shown, the connection closed without an answer
    GATEWAY_HTML = "gateway_html"  # 502 with a page
    GATEWAY_HTML_TAKEN = "gateway_html_taken"  # the same, but the message was shown
    FLOOD = "flood"  # 429 with retry_after
    FLOOD_BARE = "flood_bare"  # 429 without parameters
    ENTITIES = "entities"  # 400 can't parse entities
    TEXT = "text"  # 400 message text is empty: refused in any form
    CHAT_NOT_FOUND = "chat_not_found"
    MIGRATED = "migrated"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    CUT_JSON = "cut_json"  # 200 with half a body


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A message on the phone: `text` is what is read, after entity parsing."""

    chat_id: str
    text: str
    is_html: bool
    is_silent: bool
    at_wall_s: float = field(default_factory=time.time, compare=False)


@dataclass(slots=True)
class Script:
    """A queued fault: how often, and its value (seconds of a flood, the new chat id)."""

    fault: Fault
    value: int = 0


class EntityError(Exception):
    """The text is not the HTML that Telegram understands."""


class _Entities(HTMLParser):
    """Telegram's strictness: known tags only, closed in order, no bare `<` or `&`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ENTITY_TAGS:
            raise EntityError(f'Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise EntityError(f'Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise EntityError("Unexpected '<'")
        self.text += data

    def handle_entityref(self, name: str) -> None:
        if name not in {"amp", "lt", "gt", "quot"}:
            raise EntityError(f"Unknown entity {name}")
        self.text += {"amp": "&", "lt": "<", "gt": ">", "quot": '"'}[name]

    def handle_charref(self, name: str) -> None:
        self.text += chr(int(name[1:], 16) if name.startswith("x") else int(name))

    def handle_comment(self, data: str) -> None:
        raise EntityError("Comments are not entities")


def parse_entities(text: str) -> str:
    """Return the text as read, or raise EntityError as the Bot API does."""
    parser = _Entities()
    parser.feed(text)
    parser.close()
    if parser.open:
        raise EntityError(f'Can\'t find end tag "{parser.open[-1]}"')
    if parser.rawdata:
        raise EntityError("Unclosed tag")
    return parser.text


@dataclass
class BotApi:
    """The server. `requests` counts calls by method; `is_down` refuses nothing by itself:
    use `stop`/`start` for a refused connection (same port)."""

    token: str = "1234567890:AAtestTOKENtestTOKENtestTOKENtest"
    user_name: str = "hotspare_test_bot"
    messages: list[Shown] = field(default_factory=list)
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"
    chats: tuple[str, ...] = ("42",)

    def __post_init__(self) -> None:
        self._script: deque[Script] = deque()
        self._always: Script | None = None
        self._updates: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._pollers = 0
        self._polls_refused = 0
        self._next_update_id = 1000
        self._next_message_id = 1
        self._runner: web.AppRunner | None = None
        self._freed = asyncio.Event()
        self.updates_fault: Fault = Fault.NONE

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bot"

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    @property
    def update_ids(self) -> list[int]:
        """Ids of updates that nobody confirmed yet."""
        return [update["update_id"] for update in self._updates]

    def count(self, method: str) -> int:
        return sum(1 for name, _ in self.requests if name == method)

    def script(self, *faults: Fault | Script) -> None:
        """Queue what happens to the next sendMessage calls."""
        self._script += [f if isinstance(f, Script) else Script(f) for f in faults]

    def always(self, fault: Fault | None) -> None:
        """Let every sendMessage call end like this, until changed; None: succeed again."""
        self._always = None if fault is None else Script(fault)

    def say(
        self,
        text: str,
        *,
        user_id: int = 42,
        chat_id: int = 42,
        sent_wall_s: int = 1_800_000_000,
        update_id: int | None = None,
    ) -> int:
        """Let a person write to the bot; returns the update id."""
        if update_id is None:
            update_id = self._next_update_id
            self._next_update_id += 1
        is_group = chat_id < 0
        chat: dict[str, Any] = {"id": chat_id, "type": "group" if is_group else "private"}
        chat |= {"title": "Bots"} if is_group else {"first_name": "Ada"}
        self._updates.append(
            {
                "update_id": update_id,
                "message": {
                    "message_id": update_id,
                    "date": sent_wall_s,
                    "chat": chat,
                    "from": {"id": user_id, "is_bot": False, "first_name": "Ada"},
                    "text": text,
                },
            }
        )
        self._news.set()
        return update_id

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a `stop` on the same port as before."""
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._dispatch)
        self._freed.clear()
        # A poll whose client is gone must not count as a second poller.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port: connections are refused."""
        self._freed.set()
        self._news.set()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        fields = {name: str(value) for name, value in (await request.post()).items()}
        self.requests.append((method, fields))
        if request.match_info["token"] != self.token:
            return _error(401, "Unauthorized")
        match method:
            case "getMe":
                return _ok(
                    {"id": 7, "is_bot": True, "first_name": "Spare", "username": self.user_name}
                )
            case "getChat":
                return self._get_chat(fields)
            case "sendMessage":
                return await self._send_message(request, fields)
            case "getUpdates":
                return await self._get_updates(fields)
            case _:
                return _error(404, "Not Found")

    def _get_chat(self, fields: Mapping[str, str]) -> web.Response:
        if fields.get("chat_id") not in self.chats:
            return _error(400, "Bad Request: chat not found")
        chat = {"id": int(fields["chat_id"]), "type": "private", "first_name": "Ada"}
        return _ok({**chat, "accent_color_id": 0, "max_reaction_count": 1})

    async def _send_message(  # noqa: PLR0911 - one return for each way to answer
        self, request: web.Request, fields: Mapping[str, str]
    ) -> web.StreamResponse:
        script = self._script.popleft() if self._script else self._always or Script(Fault.NONE)
        simple = _refusal(script, fields)
        if simple is not None:
            return simple
        if script.fault is Fault.NO_ANSWER:
            return await self._hang(request)
        try:
            shown = self._show(fields)
        except EntityError as error:
            return _error(400, f"Bad Request: can't parse entities: {error}")
        match script.fault:
            case Fault.LOST_ANSWER:
                return await self._hang(request)
            case Fault.CUT:
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case Fault.GATEWAY_HTML_TAKEN:
                return web.Response(status=502, text=HTML_502, content_type="text/html")
            case Fault.CUT_JSON:
                return web.Response(text='{"ok":true,"result":{"mess')
            case _:
                return _ok(
                    {
                        "message_id": self._next_message_id,
                        "date": 1_800_000_000,
                        "chat": {"id": int(shown.chat_id), "type": "private"},
                        "text": shown.text,
                    }
                )

    def _show(self, fields: Mapping[str, str]) -> Shown:
        text, is_html = fields["text"], fields.get("parse_mode") == "HTML"
        if is_html:
            text = parse_entities(text)
        if not 1 <= len(text.encode("utf-16-le")) // 2 <= TEXT_UNITS_MAX:
            raise EntityError("message is too long")
        shown = Shown(
            chat_id=fields["chat_id"],
            text=text,
            is_html=is_html,
            is_silent=fields.get("disable_notification", "").lower() == "true",
        )
        self.messages.append(shown)
        self._next_message_id += 1
        return shown

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        """Answer nothing until the client goes or the server stops."""
        await self._freed.wait()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def _get_updates(self, fields: Mapping[str, str]) -> web.StreamResponse:
        if self.updates_fault is Fault.GATEWAY_HTML:
            return web.Response(status=502, text=HTML_502, content_type="text/html")
        if self._pollers > 0:
            self._polls_refused += 1
            return _error(
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot "
                "instance is running",
            )
        offset = int(fields.get("offset", "0"))
        self._updates = [u for u in self._updates if u["update_id"] >= offset]
        self._pollers += 1
        try:
            if not self._updates:
                self._news.clear()
                try:
                    async with asyncio.timeout(float(fields.get("timeout", "0"))):
                        await self._news.wait()
                except TimeoutError:
                    return _ok([])
            return _ok(list(self._updates))
        finally:
            self._pollers -= 1


def _refusal(  # noqa: PLR0911 - one return for each way to refuse
    script: Script, fields: Mapping[str, str]
) -> web.Response | None:
    """The answers that refuse a message at once; None when it goes on."""
    match script.fault:
        case Fault.GATEWAY_HTML:
            return web.Response(status=502, text=HTML_502, content_type="text/html")
        case Fault.FLOOD:
            seconds = script.value or 1
            return _error(
                429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds}
            )
        case Fault.FLOOD_BARE:
            return _error(429, "Too Many Requests")
        case Fault.ENTITIES if fields.get("parse_mode") == "HTML":
            return _error(400, "Bad Request: can't parse entities: Unsupported start tag at byte 7")
        case Fault.TEXT:
            return _error(400, "Bad Request: message text is empty")
        case Fault.CHAT_NOT_FOUND:
            return _error(400, "Bad Request: chat not found")
        case Fault.MIGRATED:
            return _error(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": script.value or -100500},
            )
        case Fault.UNAUTHORIZED:
            return _error(401, "Unauthorized")
        case Fault.FORBIDDEN:
            return _error(403, "Forbidden: bot was blocked by the user")
        case _:
            return None


def _ok(result: object) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _error(
    code: int, description: str, parameters: Mapping[str, int] | None = None
) -> web.Response:
    body: dict[str, object] = {"ok": False, "error_code": code, "description": description}
    if parameters is not None:
        body["parameters"] = dict(parameters)
    return web.Response(status=code, text=json.dumps(body), content_type="application/json")
