"""The sender beside others: a stalled disk, a process that ends, a node that tells the same."""

import asyncio
import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

from alerts.changes import Change
from alerts.durable import DurableOutbox
from alerts.outbox_file import OutboxFile
from alerts.ports import Claims, ClaimState
from alerts.render import MAY_COME_AGAIN
from alerts.sender import AlertSender
from alerts.telegram import TelegramApi, TelegramSender
from tests.alerts.builders import (
    WALL_MS,
    Notes,
    all_told,
    build_role_change,
    marked,
    told,
)
from tests.alerts.conftest import BuildSender
from tests.support.bot_api import BotApi, Fault


async def test_disk_that_stalls_stalls_nothing_else(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """While a write hangs, the event loop runs, health answers, and no thread of the shared
    pool is taken; then everything is told in the order in which it was put."""
    sender = build_sender()
    sender.start()
    sender._outbox._lock.acquire()  # as a thread does that waits for the disk
    puts = [asyncio.create_task(sender.put_soon(build_role_change(number))) for number in range(15)]
    for _ in range(100):
        await asyncio.sleep(0)
    assert sender.health.waiting == 0
    assert not any(task.done() for task in puts)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 20) == "free"
    sender._outbox._lock.release()
    await asyncio.gather(*puts)
    assert await sender.wait_told(40)
    assert told(bot_api) == list(range(15))


class ForgetfulDisk(OutboxFile):
    """A file that takes nothing any more once `is_full`."""

    is_full = False

    def append(self, changes: Iterable[Change]) -> None:
        """Refuse when full."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(changes)

    def rewrite(self, changes: Sequence[Change]) -> None:
        """Refuse when full."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().rewrite(changes)


async def test_message_whose_attempt_no_disk_keeps_says_that_it_may_come_again(
    bot_api: BotApi, tmp_path: Path
) -> None:
    """Taken in by a disk that refuses since: a restart sends it again, so this one warns of it."""
    disk = ForgetfulDisk(tmp_path / "outbox.jsonl")
    outbox = DurableOutbox(disk)
    outbox.put(build_role_change(0))
    for is_full in (True, False):
        disk.is_full = is_full
        api = TelegramApi(token=bot_api.token, base_url=bot_api.base_url, timeout_s=20.0)
        sender = AlertSender(outbox, TelegramSender(api, chat_id="42"), wall_ms=lambda: WALL_MS)
        sender.start()
        await all_told(sender)
        await sender.stop()
        disk = ForgetfulDisk(tmp_path / "outbox.jsonl")
        outbox = DurableOutbox(disk)  # as the next process does
    assert told(bot_api) == [0, 0]
    assert [MAY_COME_AGAIN in text for text in bot_api.texts] == [True, False]
    assert marked(bot_api) == [False, False]


async def test_event_put_after_stop_is_told_after_the_next_start(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """The last words of a process that ends are not lost."""
    sender = build_sender()
    sender.start()
    await sender.stop()
    await sender.put_soon(build_role_change(0))
    sender.put(build_role_change(1))
    again = build_sender()
    again.start()
    assert await again.wait_told(40)
    assert told(bot_api) == [0, 1]


async def test_wait_told_ends_when_all_is_told_or_time_is_over(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """A process that is about to end can wait for its last words, within a bound."""
    sender = build_sender()
    assert await sender.wait_told(0.01)
    bot_api.always(Fault.FORBIDDEN)
    await sender.put_soon(build_role_change(0))
    sender.start()
    assert not await sender.wait_told(0.05)
    bot_api.always(None)
    assert await sender.wait_told(40)
    assert told(bot_api) == [0]


class MemoryClaims:
    """Claims of two nodes in one process."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.told: set[str] = set()
        self.is_down = False

    def of(self, node_id: str) -> Claims:
        return _NodeClaims(self, node_id)


class _NodeClaims:
    def __init__(self, shared: MemoryClaims, node_id: str) -> None:
        self._shared = shared
        self._node_id = node_id

    async def claim(self, event_id: str) -> ClaimState:
        if self._shared.is_down:
            raise ConnectionError("stores are away")
        if event_id in self._shared.told:
            return ClaimState.TOLD
        owner = self._shared.owners.setdefault(event_id, self._node_id)
        return ClaimState.MINE if owner == self._node_id else ClaimState.BUSY

    async def confirm(self, event_id: str) -> None:
        if self._shared.is_down:
            raise ConnectionError("stores are away")
        self._shared.told.add(event_id)


async def test_event_known_to_both_nodes_is_told_once(
    bot_api: BotApi, build_sender: BuildSender, tmp_path: Path, notes: Notes
) -> None:
    """What the other node delivered is not told again."""
    claims = MemoryClaims()
    first = build_sender(claims=claims.of("jetson"))
    first.put(build_role_change(5))
    first.start()
    await all_told(first)
    other = AlertSender(
        DurableOutbox(tmp_path / "other.jsonl"),
        TelegramSender(TelegramApi(token=bot_api.token, base_url=bot_api.base_url), chat_id="42"),
        claims=claims.of("pi"),
        observer=notes,
    )
    other.start()
    await other.put_soon(build_role_change(5))
    await other.put_soon(build_role_change(6))
    await all_told(other)
    await other.stop()
    assert told(bot_api) == [5, 6]


async def test_event_claimed_by_a_node_that_died_is_told_and_marked(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """A claim without a delivery silences an event for a while only; it may be a repeat."""
    claims = MemoryClaims()
    claims.owners["took_over:5"] = "jetson"
    sender = build_sender(claims=claims.of("pi"))
    sender.put(build_role_change(5))
    sender.start()
    await all_told(sender)
    assert told(bot_api) == [5]
    assert marked(bot_api) == [True]


async def test_event_that_the_other_node_delivers_meanwhile_is_not_told(
    bot_api: BotApi, build_sender: BuildSender, notes: Notes
) -> None:
    """While the other node is at it, we wait for its confirmation."""
    claims = MemoryClaims()
    claims.told.add("took_over:5")
    sender = build_sender(claims=claims.of("pi"))
    sender.put(build_role_change(5))
    sender.put(build_role_change(6))
    sender.start()
    await all_told(sender)
    assert told(bot_api) == [6]
    assert "alert.told_elsewhere" in notes.names


async def test_unreachable_claims_do_not_silence_alerts(
    bot_api: BotApi, build_sender: BuildSender
) -> None:
    """Double is better than none: with the stores away, everything is told."""
    claims = MemoryClaims()
    claims.is_down = True
    sender = build_sender(claims=claims.of("pi"))
    sender.put(build_role_change(5))
    sender.start()
    await all_told(sender)
    assert told(bot_api) == [5]
