"""Commands from phones: who listens when, and what pause and resume leave behind (S6)."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from alerts.commands import Command, CommandName
from alerts.telegram import BotName, TelegramApi, Updates
from node.latches import LOSS_LIMIT, PAUSE
from node.parts import NodeParts
from node.phone import SILENCE_S, Phone
from node.role import Role
from node.watch import Member
from tests.support.memory_boards import NAMES
from tests.support.trading_rig import Rig
from tests.support.until import until


class Line:
    """A Bot API that nobody writes to; `is_slow` holds the last poll up."""

    def __init__(self) -> None:
        self.polls = 0
        self.ends = asyncio.Event()

    async def name(self) -> BotName:
        return BotName(user_id=1, user_name="bot")

    async def poll(self, *, offset: int | None, wait_s: int) -> Updates:
        del offset, wait_s
        self.polls += 1
        await self.ends.wait()
        raise AssertionError("a poll ended")


class Desk:
    """A phone of one node, with a role that the test sets."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.line = rig, Line()
        self.peers: dict[str, Member] = {}
        telegram = SimpleNamespace(allowed_user_ids=(7,))
        self.watch = rig.watch
        parts = SimpleNamespace(
            telegram=cast("TelegramApi", self.line),
            config=SimpleNamespace(telegram=telegram),
            health=rig.health,
            watch=self.watch,
            node_id="jetson",
            fresh_s=5.0,
            wall_ms=lambda: rig.exchange.now_ms,
            monotonic_s=rig.now_s,
        )
        self.phone = Phone(cast("NodeParts", parts))

    async def say(self, name: CommandName) -> str:
        return await self.phone.handle(
            Command(name=name, by="eva", user_id=7, update_id=1, chat_id=7)
        )


async def desk(role: Role = Role.ACTIVE) -> Desk:
    rig = Rig()
    await rig.watch.put("cluster", {"born_ms": 0}, reason="test")
    await rig.watch.refresh()
    rig.health.role = role
    return Desk(rig)


async def test_the_active_node_listens_and_hangs_up_at_once() -> None:
    """A hand-over does not wait for Telegram."""
    node = await desk()
    await node.phone.step(None)
    await until(lambda: node.line.polls)
    node.phone.hang_up()
    node.rig.health.role = Role.DRAINING
    await node.phone.step(None)
    await node.phone.stop()
    assert node.line.polls <= 2


async def test_a_standby_listens_only_after_a_long_silence() -> None:
    """Two nodes that poll with one token conflict."""
    node = await desk(Role.STANDBY)
    await node.phone.step(None)
    assert not node.line.polls
    node.rig.exchange.now_ms += int(SILENCE_S * 1000) + 1
    await node.phone.step(None)
    await until(lambda: node.line.polls)
    await node.phone.stop()


@pytest.mark.parametrize("role", [Role.STANDBY, Role.FENCED])
async def test_a_node_that_does_not_trade_changes_nothing(role: Role) -> None:
    """It answers /status; latches are for the leader, or for the command line."""
    node = await desk(role)
    assert "nodectl" in await node.say(CommandName.PAUSE)
    assert not node.watch.latches.is_paused


async def test_pause_holds_at_once_and_says_when_the_stores_did_not_take_it() -> None:
    """It holds here in any case; too few stores are said."""
    node = await desk()
    node.rig.control.down = set(NAMES[1:])
    assert "too few" in await node.say(CommandName.PAUSE)
    assert node.watch.latches.is_paused
    node.rig.control.down = set()
    assert "Paused" in await node.say(CommandName.PAUSE)


async def test_resume_lifts_pause_and_loss_and_remembers_what_was_lifted() -> None:
    """Day and loss stay in the record: the same loss must not latch again."""
    node = await desk()
    latched = {"is_latched": True, "day": "2026-01-02", "quote": "USDT", "loss": "31"}
    await node.watch.put(LOSS_LIMIT, latched, reason="test")
    await node.say(CommandName.PAUSE)
    await node.say(CommandName.RESUME)
    latches = node.watch.latches
    assert not latches.is_paused
    assert latches.records[LOSS_LIMIT].value == {**latched, "is_latched": False}
    assert latches.records[PAUSE].reason == "asked by phone by eva"


async def test_handled_commands_are_remembered_by_the_cluster() -> None:
    """The next leader must not run them again."""
    node = await desk()
    await node.phone.save([3, 1, 2])
    assert await (await other(node)).load() == [1, 2, 3]


async def other(node: Desk) -> Phone:
    rig = Rig(control=node.rig.control)
    await rig.watch.refresh()
    return Desk(rig).phone
