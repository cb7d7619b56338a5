"""The sender's process is killed and started again: nothing lost; told twice only where the
process died (or the answer was lost) during the attempt, and then marked."""

import asyncio
import itertools
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.alerts.builders import wait_until
from tests.support.bot_api import BotApi, Fault

REPOSITORY = Path(__file__).parents[2]
COUNT = 12  # below the twenty a minute that one process may send


@asynccontextmanager
async def running_sender(
    bot_api: BotApi, path: Path, count: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A sender in its own process; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.alerts.sender_child",
        bot_api.base_url,
        bot_api.token,
        str(path),
        str(count),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


async def lines_until(process: asyncio.subprocess.Process, last: str) -> None:
    """Read its output until this line."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while (line := (await process.stdout.readline()).decode().strip()) != last:
            assert line, "the sender ended by itself"


def told(bot_api: BotApi) -> list[tuple[int, bool]]:
    """Epoch and whether it is marked as a possible repeat, in order of arrival."""
    return [
        (int(text.split("· epoch ")[1].split(" ")[0]), "possibly sent before" in text)
        for text in bot_api.texts
    ]


async def test_killed_while_telegram_was_away_loses_nothing(tmp_path: Path) -> None:
    """Events put during an outage are told after SIGKILL and restart, once and unmarked."""
    async with BotApi() as bot_api:
        await bot_api.stop()
        async with running_sender(bot_api, tmp_path / "outbox", COUNT) as process:
            await lines_until(process, f"put {COUNT - 1}")
            process.send_signal(signal.SIGKILL)
            await process.wait()
        await bot_api.start()
        async with running_sender(bot_api, tmp_path / "outbox", 0) as process:
            await lines_until(process, "idle")
        # An attempt that was killed while it connected cannot be told from a lost answer.
        assert [epoch for epoch, _ in told(bot_api)] == list(range(COUNT))
        assert [mark for _, mark in told(bot_api)].count(True) <= 1


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.NO_ANSWER])
async def test_killed_during_an_attempt_repeats_only_that_message(
    tmp_path: Path, fault: Fault
) -> None:
    """The one message in flight is told again and marked, the others once."""
    async with BotApi() as bot_api:
        bot_api.script(Fault.NONE, Fault.NONE, fault)
        async with running_sender(bot_api, tmp_path / "outbox", COUNT) as process:
            await lines_until(process, f"put {COUNT - 1}")
            await wait_until(lambda: bot_api.count("sendMessage") == 3, "third attempt")
            process.send_signal(signal.SIGKILL)
            await process.wait()
        async with running_sender(bot_api, tmp_path / "outbox", COUNT) as process:
            await lines_until(process, "idle")
        first = [(2, False)] * (fault is Fault.LOST_ANSWER)
        expected = [(0, False), (1, False), *first, (2, True)]
        assert told(bot_api) == expected + [(number, False) for number in range(3, COUNT)]


async def test_killed_again_and_again_tells_all_in_order(tmp_path: Path) -> None:
    """SIGKILL after every second message, wherever the process then is: every event is told,
    in order, and each repeat directly follows its first telling and is marked."""
    async with BotApi() as bot_api:
        kills = 0
        for _ in range(COUNT):
            before = len(bot_api.messages)
            async with running_sender(bot_api, tmp_path / "outbox", COUNT) as process:
                idle = asyncio.create_task(lines_until(process, "idle"))
                await wait_until(
                    lambda before=before, idle=idle: (  # type: ignore[misc]
                        len(bot_api.messages) >= before + 2 or idle.done()
                    ),
                    "two more messages",
                )
                if idle.done():
                    await idle
                    break
                process.send_signal(signal.SIGKILL)
                kills += 1
                await asyncio.wait({idle})
                assert idle.exception() is None or isinstance(idle.exception(), AssertionError)
        seen = told(bot_api)
        assert kills >= 1
        assert list(dict.fromkeys(epoch for epoch, _ in seen)) == list(range(COUNT))
        assert [epoch for epoch, _ in seen] == sorted(epoch for epoch, _ in seen)
        for (epoch, _), (later, mark) in itertools.pairwise(seen):
            assert mark or later == epoch + 1
