"""nodectl telegram test against a local Bot API server over HTTP."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.test_cli import CLOSED
from tests.support.bot_api import BotApi, Fault
from tests.support.nodectl import run_nodectl

CHAT = 4242


class BotServer:
    """The Bot API server in a loop of its own, because the command line runs one too."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.api: BotApi = self.call(self._build)
        self.call(self.api.start)

    async def _build(self) -> BotApi:
        return BotApi()

    def call(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine of the server in its loop."""
        return asyncio.run_coroutine_threadsafe(function(), self._loop).result(30)

    def do(self, function: Callable[[], object]) -> None:
        """Run something short in the server's loop."""

        async def run() -> None:
            function()

        self.call(run)

    def close(self) -> None:
        """Close the port and end the loop."""
        self.call(self.api.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture
def bot() -> Iterator[BotServer]:
    """A running Bot API server."""
    server = BotServer()
    yield server
    server.close()


def nodectl_test(folder: Path, bot: BotServer, chat: str = "", token: str = "") -> tuple[int, str]:
    """Run `nodectl telegram test` for a cluster whose alerts go to the server."""
    path = folder / "cluster.toml"
    text = f'{CLOSED}[telegram]\napi_url = "http://127.0.0.1:{bot.api.port}"\n{chat}\n'
    path.write_text(text, encoding="utf-8")
    (folder / "secrets").mkdir(mode=0o700)
    file = folder / "secrets" / "jetson.toml"
    file.write_text(f'[telegram]\ntoken = "{token or bot.api.token}"\n', encoding="utf-8")
    file.chmod(0o600)
    words = ("telegram", "test", "-c", path, "--node", "jetson", "--wait", "5")
    code, said = run_nodectl(*words)
    assert bot.api.token not in said
    return code, said


def test_the_chat_is_found_and_a_message_delivered(bot: BotServer, tmp_path: Path) -> None:
    """Somebody wrote to the bot: the id is printed as a line for cluster.toml."""
    bot.do(lambda: bot.api.say("hello", user_id=42, chat_id=CHAT))
    code, text = nodectl_test(tmp_path, bot)
    assert code == 0, text
    assert f"chat_id = {CHAT}" in text
    assert "allowed_user_ids = [42]" in text
    assert [m.chat_id for m in bot.api.messages] == [str(CHAT)]


def test_a_configured_chat_gets_the_message_at_once(bot: BotServer, tmp_path: Path) -> None:
    """With a chat id nothing is searched for."""
    code, text = nodectl_test(tmp_path, bot, chat=f"chat_id = {CHAT}")
    assert code == 0, text
    assert bot.api.count("getUpdates") == 0
    assert len(bot.api.messages) == 1


def test_nobody_wrote_is_said(bot: BotServer, tmp_path: Path) -> None:
    """No chat, no message, exit code 1, and what to do."""
    code, text = nodectl_test(tmp_path, bot)
    assert code == 1
    assert "write to the bot" in text
    assert bot.api.messages == []


def test_a_refused_message_is_not_called_delivered(bot: BotServer, tmp_path: Path) -> None:
    """Telegram's own reason is shown."""
    bot.do(lambda: bot.api.script(Fault.CHAT_NOT_FOUND))
    code, text = nodectl_test(tmp_path, bot, chat=f"chat_id = {CHAT}")
    assert code == 1
    assert "not delivered" in text


def test_a_wrong_token_is_said(bot: BotServer, tmp_path: Path) -> None:
    """The token itself is never printed."""
    wrong = "999999999:AAwrongwrongwrongwrongwrongwrongw"
    code, text = nodectl_test(tmp_path, bot, chat="chat_id = 1", token=wrong)
    assert code == 1
    assert "token" in text
    assert wrong not in text
