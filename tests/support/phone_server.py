"""The local Bot API server in a thread of its own, with a person who writes and reads.

For tests that run real processes and wait without an event loop of their own.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Self

from tests.support.bot_api import BotApi

PERSON = 42


class PhoneServer:
    """Bot API server and phones; a context manager that ends both."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.api: BotApi = self._call(_build())

    def __enter__(self) -> Self:
        self._call(self.api.start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self.api.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    @property
    def url(self) -> str:
        """What `telegram.api_url` is set to."""
        return f"http://127.0.0.1:{self.api.port}"

    def toml(self) -> str:
        """Return a configuration's section for one person who may command."""
        return (
            f'[telegram]\nchat_id = {PERSON}\nallowed_user_ids = [{PERSON}]\napi_url = "{self.url}"'
        )

    def write(self, text: str, *, user_id: int = PERSON) -> int:
        """Let a person write to the bot now; return how many messages were shown before."""
        before = len(self.api.messages)

        def say() -> None:
            self.api.say(text, user_id=user_id, chat_id=user_id, sent_wall_s=int(time.time()))

        self._do(say)
        return before

    def answers(self, since: int, *, chat_id: int = PERSON) -> list[str]:
        """Return what was shown in a chat after the first `since` messages."""
        return [m.text for m in list(self.api.messages)[since:] if m.chat_id == str(chat_id)]

    def _do(self, function: Callable[[], None]) -> None:
        async def run() -> None:
            function()

        self._call(run())

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30.0)


async def _build() -> BotApi:
    return BotApi()
