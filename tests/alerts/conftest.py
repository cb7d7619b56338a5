"""Fixtures of the sender's tests: a Bot API over HTTP, and senders on one outbox file."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from alerts.durable import DurableOutbox
from alerts.outbox import Outbox
from alerts.pace import Backoff
from alerts.ports import Claims
from alerts.sender import AlertSender
from alerts.telegram import TelegramApi, TelegramSender
from tests.alerts.builders import WALL_MS, Notes
from tests.support.bot_api import BotApi

BuildSender = Callable[..., AlertSender]


@pytest_asyncio.fixture
async def bot_api() -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        yield api


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest_asyncio.fixture
async def build_sender(bot_api: BotApi, tmp_path: Path, notes: Notes) -> AsyncIterator[BuildSender]:
    """Builds senders on one outbox file; each is stopped at the end."""
    made: list[AlertSender] = []

    def make(
        *,
        chat_id: str = "42",
        timeout_s: float = 20.0,
        claims: Claims | None = None,
        first_s: float = 0.05,
        permanent_s: float = 0.1,
        outbox: Outbox | None = None,
    ) -> AlertSender:
        api = TelegramApi(token=bot_api.token, base_url=bot_api.base_url, timeout_s=timeout_s)
        sender = AlertSender(
            DurableOutbox(tmp_path / "outbox.jsonl", outbox),
            TelegramSender(api, chat_id=chat_id),
            claims=claims,
            claim_wait_s=0.2,
            observer=notes,
            backoff=Backoff(first_s=first_s, max_s=4 * first_s, permanent_s=permanent_s),
            wall_ms=lambda: WALL_MS,
        )
        made.append(sender)
        return sender

    yield make
    for sender in made:
        await sender.stop(grace_s=0.1)
