"""Finding the chat to write to, and one test message: what `nodectl telegram test` is made of.

Values for a command line, no printing. Nothing is confirmed to Telegram unless it must be, so
that looking does not swallow a command meant for a running node.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from alerts.changes import Row
from alerts.model import AlertEvent, Kind, Verdict
from alerts.ports import Delivery, DeliveryState
from alerts.render import render_row
from alerts.telegram import BotName, Updates

POLL_S = 10
"""Seconds of one look; the whole search takes `wait_s`."""


class SearchState(StrEnum):
    """How a search ended."""

    FOUND = "found"
    NOBODY_WROTE = "nobody_wrote"  # in time: write to the bot, or add it to the group, and repeat
    CONFLICT = "conflict"  # a running node (or another program) listens with this token
    FAILED = "failed"  # `reason` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChat:
    """A chat in which the bot was written to. `user_id` is for the list of who may command."""

    chat_id: int
    title: str
    user_id: int | None = None
    user_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSearch:
    """What a search found, newest chat last."""

    state: SearchState
    chats: tuple[FoundChat, ...] = ()
    reason: str = ""


class ChatSource(Protocol):
    """The part of the Bot API that the search needs; see `alerts.telegram.TelegramApi`."""

    async def name(self) -> BotName | Delivery:
        """Who the token belongs to: the name to write to."""
        ...

    async def poll(self, *, offset: int | None, wait_s: int) -> Updates:
        """Wait for updates; `offset` confirms those before it."""
        ...

    async def send(self, chat_id: str, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
        """Send one message."""
        ...


async def find_chats(
    source: ChatSource, *, wait_s: float = 60.0, now_s: Callable[[], float] = time.monotonic
) -> ChatSearch:
    """Wait until somebody wrote to the bot; the caller asks the person to do so beforehand."""
    until_s = now_s() + wait_s
    offset: int | None = None
    while (left_s := until_s - now_s()) > 0:
        updates = await source.poll(offset=offset, wait_s=max(1, min(POLL_S, int(left_s))))
        if updates.is_conflict:
            return ChatSearch(state=SearchState.CONFLICT, reason=updates.delivery.reason)
        if updates.delivery.state is not DeliveryState.DELIVERED:
            return ChatSearch(state=SearchState.FAILED, reason=updates.delivery.reason)
        found = _chats_in(updates)
        if found:
            return ChatSearch(state=SearchState.FOUND, chats=found)
        if updates.highest_id is not None:  # nothing for us: confirm, or it comes for ever
            offset = updates.highest_id + 1
    return ChatSearch(state=SearchState.NOBODY_WROTE)


async def send_test(
    source: ChatSource, *, chat_id: str, cluster: str, node_id: str, by: str, wall_ms: int
) -> Delivery:
    """Send one test message, as an alert would look."""
    event = AlertEvent(
        event_id=f"test:{node_id}:{wall_ms}",
        kind=Kind.TEST,
        verdict=Verdict.NOTHING_TO_DO,
        created_wall_ms=wall_ms,
        cluster=cluster,
        node_id=node_id,
        epoch=0,
        facts={"by": by},
    )
    message = render_row(Row(number=1, events=(event,)), wall_ms=wall_ms)
    return await source.send(chat_id, message.html, is_silent=False, is_html=True)


def _chats_in(updates: Updates) -> tuple[FoundChat, ...]:
    found = {
        chat_id: FoundChat(chat_id=chat_id, title=title)
        for chat_id, title in (updates.chats or {}).items()
    }
    for incoming in updates.incoming:
        found[incoming.chat_id] = FoundChat(
            chat_id=incoming.chat_id,
            title=found[incoming.chat_id].title if incoming.chat_id in found else "",
            user_id=incoming.user_id,
            user_name=incoming.user_name,
        )
    return tuple(found.values())
