"""Listening for commands with the real library over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection

import pytest
import pytest_asyncio

from alerts.commands import Command
from alerts.pace import Backoff
from alerts.poller import CommandPoller
from alerts.telegram import TelegramApi
from tests.alerts.builders import Notes, wait_until
from tests.support.bot_api import BotApi, Fault

SENT_S = 1_800_000_000


class Memory:
    """Handled ids, shared by two pollers; keeps what was saved before each command."""

    def __init__(self) -> None:
        self.ids: tuple[int, ...] = ()

    async def load(self) -> Collection[int]:
        return self.ids

    async def save(self, update_ids: Collection[int]) -> None:
        self.ids = tuple(update_ids)


class Node:
    """A command handler that notes what it was asked to do, and can be slow or broken."""

    def __init__(self, memory: Memory) -> None:
        self.commands: list[Command] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.error: Exception | None = None
        self.saved_before: list[bool] = []
        self._memory = memory

    async def handle(self, command: Command) -> str:
        self.commands.append(command)
        self.saved_before.append(command.update_id in self._memory.ids)
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return f"done: {command.name} <b>& more</b>"

    @property
    def names(self) -> list[str]:
        return [command.name.value for command in self.commands]


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def node(memory: Memory) -> Node:
    return Node(memory)


Build = Callable[..., CommandPoller]


@pytest_asyncio.fixture
async def build(bot_api: BotApi, node: Node, memory: Memory, notes: Notes) -> AsyncIterator[Build]:
    """Builds pollers on one bot; each is stopped at the end."""
    made: list[tuple[CommandPoller, TelegramApi]] = []

    def make(poll_wait_s: int = 20) -> CommandPoller:
        api = TelegramApi(token=bot_api.token, base_url=bot_api.base_url)
        poller = CommandPoller(
            api,
            node,
            allowed_user_ids={42},
            memory=memory,
            observer=notes,
            poll_wait_s=poll_wait_s,
            backoff=Backoff(first_s=0.05, max_s=0.2, permanent_s=0.2),
        )
        made.append((poller, api))
        return poller

    yield make
    for poller, api in made:
        await poller.stop(grace_s=0)
        await api.close()


async def test_allowed_command_is_carried_out_and_answered(
    bot_api: BotApi, build: Build, node: Node
) -> None:
    """The node's answer goes back to the chat as plain text; ids are saved before it runs."""
    bot_api.say("/status")
    bot_api.say("/pause@hotspare_test_bot", chat_id=-100)
    poller = build()
    poller.start(takeover_wall_ms=None)
    await wait_until(lambda: len(bot_api.messages) == 2, "two answers")
    assert node.names == ["status", "pause"]
    assert node.saved_before == [True, True]
    assert [shown.chat_id for shown in bot_api.messages] == ["42", "-100"]
    assert bot_api.texts[0] == "done: status <b>& more</b>"
    bot_api.say("/status")
    await wait_until(lambda: len(bot_api.messages) == 3, "a command during the long poll")


async def test_stranger_commands_nothing(
    bot_api: BotApi, build: Build, node: Node, notes: Notes
) -> None:
    """One refusal, and each attempt in the log."""
    for _ in range(3):
        bot_api.say("/pause", user_id=666)
    poller = build()
    poller.start(takeover_wall_ms=None)
    await wait_until(lambda: notes.names.count("command.received") == 3, "three attempts seen")
    assert node.commands == []
    assert len(bot_api.messages) == 1


async def test_resume_by_phone_with_its_code(bot_api: BotApi, build: Build, node: Node) -> None:
    """The code of the answer, typed back, resumes."""
    poller = build()
    poller.start(takeover_wall_ms=None)
    bot_api.say("/resume")
    await wait_until(lambda: len(bot_api.messages) == 1, "a code")
    assert node.commands == []
    bot_api.say(bot_api.texts[0].split("\n")[1])
    await wait_until(lambda: node.names == ["resume"], "resumed")


async def test_updates_are_confirmed_after_they_were_handled(
    bot_api: BotApi, build: Build, node: Node
) -> None:
    """While a command runs Telegram still holds it; at stop it is confirmed."""
    node.may_end.clear()
    update_id = bot_api.say("/pause")
    poller = build()
    poller.start(takeover_wall_ms=None)
    await wait_until(lambda: node.names == ["pause"], "it runs")
    assert bot_api.update_ids == [update_id]
    node.may_end.set()
    await poller.stop(grace_s=10)
    assert bot_api.update_ids == []
    assert len(bot_api.messages) == 1


async def test_command_of_a_node_that_died_is_not_run_by_the_next(
    bot_api: BotApi, build: Build, node: Node
) -> None:
    """The first node dies while it runs a command, unconfirmed: the next one is handed it
    again, does not run it, and says so."""
    node.may_end.clear()
    bot_api.say("/pause")
    first = build()
    first.start(takeover_wall_ms=None)
    await wait_until(lambda: node.names == ["pause"], "it runs")
    await first.stop(grace_s=0)
    second = build()
    second.start(takeover_wall_ms=None)
    await wait_until(lambda: len(bot_api.messages) == 1, "it is told")
    assert "not carried out again" in bot_api.texts[0]
    assert node.names == ["pause"]


async def test_command_sent_before_the_takeover_is_refused(
    bot_api: BotApi, build: Build, node: Node
) -> None:
    """It was meant for the leader before."""
    bot_api.say("/pause", sent_wall_s=SENT_S)
    bot_api.say("/status", sent_wall_s=SENT_S)
    poller = build()
    poller.start(takeover_wall_ms=SENT_S * 1000 + 1)
    await wait_until(lambda: len(bot_api.messages) == 2, "two answers")
    assert node.names == ["status"]


async def test_two_pollers_conflict_and_both_go_on(
    bot_api: BotApi, build: Build, notes: Notes
) -> None:
    """409 is counted as a hint that another node polls; it ends when the other one stops."""
    first, second = build(), build()
    first.start(takeover_wall_ms=None)
    await wait_until(lambda: bot_api.count("getUpdates") == 1, "the first one polls")
    second.start(takeover_wall_ms=None)
    await wait_until(lambda: second.conflicts >= 2, "conflicts are counted")
    assert second.problem
    assert "command.conflict" in notes.names
    await first.stop()
    bot_api.say("/status")
    await wait_until(lambda: len(bot_api.messages) == 1, "the second one answers")


async def test_stop_ends_a_long_poll_at_once(bot_api: BotApi, build: Build) -> None:
    """A node that must stop does not wait for Telegram; starting again works."""
    poller = build()
    poller.start(takeover_wall_ms=None)
    await wait_until(lambda: bot_api.count("getUpdates") == 1, "it polls")
    began_s = time.monotonic()
    await poller.stop(grace_s=0)
    assert time.monotonic() - began_s < 10  # the poll itself would take 20
    poller.start(takeover_wall_ms=None)
    bot_api.say("/status")
    await wait_until(lambda: len(bot_api.messages) == 1, "it listens again")


async def test_outage_of_telegram_is_lived_through(
    bot_api: BotApi, build: Build, node: Node
) -> None:
    """Refused connections and pages of HTML: listening goes on when it is over."""
    await bot_api.stop()
    poller = build()
    poller.start(takeover_wall_ms=None)
    await wait_until(lambda: poller.problem != "", "it says why")
    bot_api.updates_fault = Fault.GATEWAY_HTML
    await bot_api.start()
    await wait_until(lambda: "502" in poller.problem, "it says why else")
    bot_api.updates_fault = Fault.NONE
    bot_api.say("/status")
    await wait_until(lambda: node.names == ["status"], "it listens again")
    assert poller.problem == ""


async def test_command_that_fails_is_answered(bot_api: BotApi, build: Build, node: Node) -> None:
    """The person hears that it failed, and the next command is carried out."""
    node.error = RuntimeError("secret details")
    bot_api.say("/pause")
    poller = build()
    poller.start(takeover_wall_ms=None)
    await wait_until(lambda: len(bot_api.messages) == 1, "an answer")
    assert "failed" in bot_api.texts[0]
    assert "secret" not in bot_api.texts[0]
    node.error = None
    bot_api.say("/status")
    await wait_until(lambda: len(bot_api.messages) == 2, "the next answer")


async def test_answer_that_did_not_leave_is_tried_again(bot_api: BotApi, build: Build) -> None:
    """One more try; the command itself is not run twice."""
    bot_api.script(Fault.GATEWAY_HTML)
    bot_api.say("/status")
    poller = build()
    poller.start(takeover_wall_ms=None)
    await wait_until(lambda: len(bot_api.messages) == 1, "the answer at the second try")


async def test_update_ids_that_begin_anew_are_handled(
    bot_api: BotApi, build: Build, node: Node
) -> None:
    """After a quiet week Telegram may continue at a lower id."""
    bot_api.say("/status", update_id=900_000)
    poller = build(poll_wait_s=1)
    poller.start(takeover_wall_ms=None)

    def offsets() -> list[str]:
        polls = [fields for name, fields in bot_api.requests if name == "getUpdates"]
        return [fields.get("offset", "none") for fields in polls]

    # A count that is confirmed is not repeated for ever: it would forget all lower ids.
    await wait_until(lambda: offsets()[:3] == ["none", "900001", "none"], "confirmed once")
    bot_api.say("/pause", update_id=17)
    await wait_until(lambda: node.names == ["status", "pause"], "the lower id")
