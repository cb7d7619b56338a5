"""Listening for commands: a long poll that starts and stops with the active role.

Rules of this file:
1. An update is confirmed to Telegram only after it was handled; the ids of handled updates are
   saved before a command runs. A kill in between loses an answer, never runs a command twice.
2. A 409 means that someone else polls with this token: counted in `conflicts` and noted, because
   it hints at another node that thinks it is active. Polling goes on, slower.
3. Every wait has a bound; `stop` ends a long poll at once.

Deciding who may do what is in commands.py; the commands themselves are the node's.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Collection
from typing import Protocol

from alerts.commands import Answer, CommandDesk, Ignore, Incoming, Run
from alerts.pace import Backoff
from alerts.ports import CommandHandler, CommandMemory, Delivery, DeliveryState, Observer
from alerts.render import TEXT_UNITS_MAX, cut
from alerts.sender import SilentObserver
from alerts.telegram import BotName, Updates

POLL_WAIT_S = 25
"""Seconds a poll stays open; below the 30 s after which home routers forget idle connections."""

TURN_S_MIN = 0.5
"""A server that does not hold polls open is asked no more often than this."""

HANDLE_S = 30.0
"""A command that takes longer is answered with "look at /status"."""

REPLY_TRIES = 2
"""An answer is worth a second try; after that, the person asks again."""


class UpdateSource(Protocol):
    """The part of the Bot API that polling needs; see `alerts.telegram.TelegramApi`."""

    async def name(self) -> BotName | Delivery:
        """Who the token belongs to."""
        ...

    async def poll(self, *, offset: int | None, wait_s: int) -> Updates:
        """Wait for updates; `offset` confirms those before it."""
        ...

    async def send(self, chat_id: str, text: str, *, is_silent: bool, is_html: bool) -> Delivery:
        """Send one message."""
        ...


class CommandPoller:
    """Takes commands from phones and hands the allowed ones to the node.

    Args:
        source: the Bot API; the caller closes it after `stop`.
        handler: carries out commands.
        allowed_user_ids: who may command; empty: nobody.
        memory: ids of handled updates, shared by the nodes; None: this process only.
        observer: log.
        poll_wait_s: seconds a poll stays open.
        backoff: waits after failed polls.
    """

    def __init__(
        self,
        source: UpdateSource,
        handler: CommandHandler,
        *,
        allowed_user_ids: Collection[int],
        memory: CommandMemory | None = None,
        observer: Observer | None = None,
        poll_wait_s: int = POLL_WAIT_S,
        backoff: Backoff | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._handler = handler
        self._allowed_user_ids = frozenset(allowed_user_ids)
        self._memory = memory
        self._observer: Observer = SilentObserver() if observer is None else observer
        self._poll_wait_s = poll_wait_s
        self._backoff = Backoff(max_s=60.0) if backoff is None else backoff
        self._now_s = now_s
        self._task: asyncio.Task[None] | None = None
        self._desk = CommandDesk(allowed_user_ids=self._allowed_user_ids)
        self._takeover_wall_ms: int | None = None
        self._offset: int | None = None
        self._is_handling = False
        self._is_stopping = False
        self._failures = 0
        self._conflicts = 0
        self._problem = ""

    @property
    def conflicts(self) -> int:
        """How often Telegram said that another process polls with this token; only grows."""
        return self._conflicts

    @property
    def problem(self) -> str:
        """Why commands are not heard now; empty when they are."""
        return self._problem

    def start(self, *, takeover_wall_ms: int | None) -> None:
        """Begin to listen; what was sent before `takeover_wall_ms` changes nothing any more."""
        assert self._task is None, "started twice"
        self._takeover_wall_ms = takeover_wall_ms
        self._is_stopping = False
        self._task = asyncio.create_task(self._run(), name="commands")

    async def stop(self, *, grace_s: float = 2.0) -> None:
        """Stop listening at once; a command that is being carried out has `grace_s` to end.

        With time left, the handled updates are confirmed, so that the next node is not handed
        them again. With `grace_s=0` nothing is waited for.
        """
        task, self._task = self._task, None
        if task is None:
            return
        self._is_stopping = True
        if self._is_handling and grace_s > 0:
            await asyncio.wait({task}, timeout=grace_s)
        task.cancel()
        await asyncio.wait({task})
        if self._offset is not None and grace_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._source.poll(offset=self._offset, wait_s=0)
        self._offset = None

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                if not await self._prepare():
                    continue
                while not self._is_stopping:
                    await self._turn()
            except Exception as error:  # noqa: BLE001 - a bug here must not end the listening
                self._observer.note(
                    "command.poller_failed", error=f"{type(error).__name__}: {error}"
                )
                await self._rest(f"internal error: {type(error).__name__}")

    async def _prepare(self) -> bool:
        """Learn the bot's name and what was handled before; False when Telegram is away."""
        name = await self._source.name()
        if isinstance(name, Delivery):
            await self._rest(name.reason, delivery=name)
            return False
        handled = () if self._memory is None else await self._memory.load()
        self._desk = CommandDesk(
            allowed_user_ids=self._allowed_user_ids,
            bot_name=name.user_name,
            handled_update_ids=handled,
        )
        self._observer.note("command.listening", bot=name.user_name)
        return True

    async def _turn(self) -> None:
        """Wait for updates once and handle them."""
        began_s = self._now_s()
        updates = await self._source.poll(offset=self._offset, wait_s=self._poll_wait_s)
        if updates.delivery.state is not DeliveryState.DELIVERED:
            if updates.is_conflict:
                self._conflicts += 1
                self._observer.note("command.conflict", conflicts=self._conflicts)
            await self._rest(updates.delivery.reason, delivery=updates.delivery)
            return
        self._failures, self._problem = 0, ""
        # Confirmed by this very answer; a fixed offset would outlive Telegram's renumbering.
        self._offset = None
        self._is_handling = True
        try:
            for incoming in updates.incoming:
                await self._handle(incoming)
                self._offset = incoming.update_id + 1
        finally:
            self._is_handling = False
        if updates.highest_id is not None:
            self._offset = updates.highest_id + 1
        elif self._now_s() - began_s < TURN_S_MIN <= self._poll_wait_s:
            await asyncio.sleep(TURN_S_MIN)  # an empty answer came at once: no hot loop

    async def _handle(self, incoming: Incoming) -> None:
        decision = self._desk.step(
            incoming,
            now_s=self._now_s(),
            fresh_code=f"{secrets.randbelow(10_000):04d}",
            takeover_wall_ms=self._takeover_wall_ms,
        )
        self._observer.note(
            "command.received",
            user_id=incoming.user_id,
            chat_id=incoming.chat_id,
            decision="run" if isinstance(decision, Run) else decision.reason,
        )
        match decision:
            case Ignore():
                return
            case Answer():
                await self._reply(incoming, decision.text)
            case Run():
                if self._memory is not None:
                    await self._memory.save(self._desk.handled_update_ids)
                await self._reply(incoming, await self._carry_out(decision))

    async def _carry_out(self, run: Run) -> str:
        name = run.command.name.value
        try:
            async with asyncio.timeout(HANDLE_S):
                answer = await self._handler.handle(run.command)
        except TimeoutError:
            self._observer.note("command.timed_out", command=name)
            return f"/{name} has not ended after {HANDLE_S:.0f} s. Look at /status."
        except Exception as error:  # noqa: BLE001 - the person must hear that it failed
            self._observer.note("command.failed", command=name, error=type(error).__name__)
            return f"/{name} failed ({type(error).__name__}). Look at /status and the logs."
        self._observer.note("command.done", command=name, by=run.command.by)
        return answer

    async def _reply(self, incoming: Incoming, text: str) -> None:
        text = cut(text, TEXT_UNITS_MAX) or "Done."
        for tries in range(1, REPLY_TRIES + 1):
            delivery = await self._source.send(
                str(incoming.chat_id), text, is_silent=False, is_html=False
            )
            if delivery.state is DeliveryState.DELIVERED:
                return
            self._observer.note("command.answer_failed", reason=delivery.reason)
            if tries < REPLY_TRIES:
                await asyncio.sleep(min(max(delivery.wait_s, 1.0), 5.0))

    async def _rest(self, problem: str, *, delivery: Delivery | None = None) -> None:
        self._failures += 1
        self._problem = problem
        wait_s = self._backoff.wait_s(self._failures, random.random())  # noqa: S311 - jitter
        if delivery is not None and delivery.state is DeliveryState.RETRY_AFTER:
            wait_s = max(wait_s, delivery.wait_s)
        if delivery is not None and delivery.state is DeliveryState.GONE_PERMANENTLY:
            wait_s = self._backoff.permanent_s
        self._observer.note("command.poll_failed", reason=problem, wait_s=wait_s)
        await asyncio.sleep(wait_s)
