"""Commands from phones: who listens when, and what each command does here.

Rules of this file: the active node listens to everything; a standby listens only while nobody
trades, and then answers /status alone, so that two nodes never poll with one token for long.
Deciding who may command is in alerts/; this file carries out.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from alerts.commands import Command, CommandName, render_help
from alerts.poller import CommandPoller
from election.model import Granted
from election.peek import peek
from node.latches import LOSS_LIMIT, PAUSE
from node.logs import log_event
from node.parts import NodeParts
from node.role import Role, has_lease
from node.status import build_status
from node.status_render import render_status

MEMORY = "phone"
PEEK_S = 1.0
# A standby waits this long for somebody to trade before it begins to listen.
SILENCE_S = 10.0


class LogObserver:
    """Alert and command events into the node's log."""

    def note(self, name: str, **fields: str | float) -> None:
        """Write one event."""
        log_event(name, **fields)


@dataclass(slots=True)
class Phone:
    """Runs the poller when it is this node's turn; satisfies `alerts.ports.CommandHandler`."""

    parts: NodeParts
    _poller: CommandPoller | None = None
    _silent_since_s: float | None = None
    _taken_over_ms: int | None = None
    _stopping: set[asyncio.Task[None]] = field(default_factory=set)

    async def step(self, granted: Granted | None) -> None:
        """Start or stop listening, as the role asks for."""
        parts = self.parts
        if granted is None:
            self._taken_over_ms = None
        elif self._taken_over_ms is None:
            # What was asked of the holder before changes nothing any more.
            self._taken_over_ms = parts.wall_ms()
        if parts.telegram is None or not parts.config.telegram.allowed_user_ids:
            return
        is_turn = parts.health.role is Role.ACTIVE or self._is_nobody_trading()
        if is_turn and self._poller is None and not self._stopping:
            self._poller = CommandPoller(
                parts.telegram,
                self,
                allowed_user_ids=parts.config.telegram.allowed_user_ids,
                memory=self,
                observer=LogObserver(),
            )
            self._poller.start(takeover_wall_ms=self._taken_over_ms)
        elif not is_turn and self._poller is not None:
            self.hang_up()

    def hang_up(self) -> None:
        """Stop listening, in the background: Telegram's answers must not hold up a hand-over."""
        poller, self._poller = self._poller, None
        if poller is not None:
            task = asyncio.create_task(poller.stop(), name="phone hangs up")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    async def stop(self) -> None:
        """Stop listening and wait until that is done."""
        self.hang_up()
        if self._stopping:
            await asyncio.wait(set(self._stopping))

    async def handle(self, command: Command) -> str:
        """Carry out one command that passed authorisation and confirmation."""
        match command.name:
            case CommandName.STATUS:
                return await self._status()
            case CommandName.PAUSE | CommandName.RESUME if not has_lease(self.parts.health.role):
                return "Nobody trades now; on a box use nodectl pause or nodectl resume."
            case CommandName.PAUSE:
                return await self._pause(command)
            case CommandName.RESUME:
                return await self._resume(command)
            case _:
                return render_help()

    async def load(self) -> Collection[int]:
        """Return the update ids handled lately (`alerts.ports.CommandMemory`)."""
        record = self.parts.watch.latches.records.get(MEMORY)
        ids = [] if record is None else record.value.get("ids", [])
        return [i for i in ids if isinstance(i, int)] if isinstance(ids, list) else []

    async def save(self, update_ids: Collection[int]) -> None:
        """Replace the remembered ids."""
        await self.parts.watch.put(MEMORY, {"ids": sorted(update_ids)}, reason="handled")

    async def _status(self) -> str:
        parts = self.parts
        # Right after a takeover the board still shows this node as it was a second ago.
        await parts.watch.refresh()
        seen = await asyncio.to_thread(
            peek, parts.addresses, cluster_id=parts.config.cluster_id, timeout_s=PEEK_S
        )
        return render_status(build_status(seen, parts.config, now_wall_ms=parts.wall_ms()))

    async def _pause(self, command: Command) -> str:
        done = await self.parts.watch.put(
            PAUSE, {"is_paused": True}, reason=f"asked by phone by {command.by}"
        )
        if not done:
            return "Paused here, but too few lease stores took it; ask again when they are back."
        return "Paused. Nothing new is sent; resting orders stay at the venue. /resume lifts it."

    async def _resume(self, command: Command) -> str:
        watch = self.parts.watch
        reason = f"asked by phone by {command.by}"
        done = await watch.put(PAUSE, {"is_paused": False}, reason=reason)
        limit = watch.latches.records.get(LOSS_LIMIT)
        if limit is not None and watch.latches.is_loss_latched:
            # Day and loss stay: what was lifted does not latch again, one more limit does.
            lifted = {**limit.value, "is_latched": False}
            done &= await watch.put(LOSS_LIMIT, lifted, reason=reason)
        return "Resumed." if done else "Too few lease stores took it; it may stay paused."

    def _is_nobody_trading(self) -> bool:
        parts = self.parts
        trading = {Role.ACTIVE.value, Role.TAKEOVER.value, Role.DRAINING.value}
        others = parts.watch.peers().items()
        fresh = {n: m for n, m in others if m.age_s <= parts.fresh_s}
        is_silent = (
            parts.health.role is Role.STANDBY
            and parts.watch.has_looked
            and not any(m.role in trading for m in fresh.values())
            # Of two standbys the first one listens.
            and all(parts.node_id < other for other in fresh)
        )
        now_s = parts.monotonic_s()
        if not is_silent:
            self._silent_since_s = None
            return False
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        return now_s - self._silent_since_s >= SILENCE_S
