"""The task that drains the outbox: one message at a time, in order, until it is told.

Rules of this file:
1. Nothing here raises into trading: `put` takes what comes, the task survives every outcome.
2. That an attempt begins is on disk before the request leaves; a kill in between makes the next
   attempt say "possibly sent before". Where the disk refuses, the message itself says that it may
   be sent again.
3. After any failure the whole channel rests, so that order is kept.
4. Disk work runs in one thread of its own: an SD card that stalls must stall neither the event
   loop nor the pool of threads that trading uses; one thread also keeps `put_soon` in order.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import ParamSpec, TypeVar, assert_never

from alerts.changes import Row, RowInput
from alerts.durable import DurableOutbox
from alerts.kinds import is_silent
from alerts.model import AlertEvent
from alerts.pace import Backoff, Due, Pace
from alerts.ports import Claims, ClaimState, Delivery, DeliveryState, Observer, Sender
from alerts.render import Message, render_row

P = ParamSpec("P")
R = TypeVar("R")

HEAL_S = 30.0
"""At least this often the task looks after the outbox: age limits, a disk that is full."""

CLAIM_WAIT_S = 30.0
CLAIM_POLL_S = 3.0
CLAIM_CALL_S = 5.0
"""How long the other node may take to deliver what it claimed, before we tell it ourselves;
how often it is asked, and how long one question may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderHealth:
    """State of the alert path for the status page and the logs.

    `problem` is empty when all is well. `is_permanent`: only a person can mend it (a bot that
    was blocked, a wrong token). `failures`: attempts that failed since the last delivery.
    """

    channel: str
    problem: str = ""
    is_permanent: bool = False
    failures: int = 0
    waiting: int = 0
    dead: int = 0
    dropped: int = 0
    last_delivered_wall_ms: int | None = None
    disk_problem: str = ""


class SilentObserver:
    """An observer that keeps nothing, for callers without a log."""

    def note(self, name: str, **fields: str | float) -> None:
        """Take the event and forget it."""


class AlertSender:
    """Drains an outbox into one channel.

    Args:
        outbox: what is to be told; owned by this sender, closed by `stop`.
        sender: the channel; owned by this sender, closed by `stop`.
        claims: the nodes' shared memory, None when a node tells all it knows.
        observer: log.
        backoff: waits after failures.
        claim_wait_s: how long the other node may take to deliver what it claimed.
        now_s: monotonic seconds.
        wall_ms: Unix time in ms, for ages only.
        chance: random numbers in [0, 1) for the jitter.
    """

    def __init__(
        self,
        outbox: DurableOutbox,
        sender: Sender,
        *,
        claims: Claims | None = None,
        observer: Observer | None = None,
        backoff: Backoff | None = None,
        claim_wait_s: float = CLAIM_WAIT_S,
        now_s: Callable[[], float] = time.monotonic,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._claims = claims
        self._observer: Observer = SilentObserver() if observer is None else observer
        self._backoff = Backoff() if backoff is None else backoff
        self._claim_wait_s = claim_wait_s
        self._now_s = now_s
        self._wall_ms = wall_ms
        self._chance = chance
        self._pace = Pace()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts-disk")
        self._is_stopping = False
        self._is_stopped = False
        self._task: asyncio.Task[None] | None = None
        self._plain_rows: set[int] = set()
        self._disk_problem = ""
        self._health = SenderHealth(channel=sender.name)
        sender.move_to(outbox.address_for(sender.address))

    @property
    def health(self) -> SenderHealth:
        """State of the alert path now."""
        summary = self._outbox.summary
        return replace(
            self._health,
            waiting=summary.waiting,
            dead=summary.dead,
            dropped=summary.dropped,
            disk_problem=self._outbox.problem or self._outbox.warning,
        )

    def put(self, event: AlertEvent) -> bool:
        """Take an event in, durably; False when it was known already.

        Blocks for one fsync: from an event loop prefer `put_soon`. From any thread. Never raises:
        a disk that refuses is said in `health`, and the event is kept in memory.
        """
        is_new = self._outbox.put(event)
        self._note_disk()
        self._observer.note(
            "alert.queued" if is_new else "alert.known",
            event_id=event.event_id,
            kind=event.kind.value,
        )
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; the file has the event
                self._loop.call_soon_threadsafe(self._wake.set)
        return is_new

    async def put_soon(self, event: AlertEvent) -> bool:
        """Take an event in, durably when this returns, without blocking the event loop."""
        if self._is_stopped:
            return await asyncio.to_thread(self.put, event)
        return await self._on_disk(self.put, event)

    def start(self) -> None:
        """Start the task on the running event loop."""
        assert self._task is None, "started twice"
        assert not self._is_stopped, "a stopped sender has closed its channel"
        self._loop = asyncio.get_running_loop()
        self._is_stopping = False
        if self._outbox.warning:
            self._observer.note("alert.outbox_damaged", words=self._outbox.warning)
        self._task = asyncio.create_task(self._run(), name="alerts")

    async def wait_told(self, timeout_s: float) -> bool:
        """Wait until nothing is left to be told; False when time ran out first."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._outbox.summary.waiting:
                    self._progress.clear()
                    await self._progress.wait()
                return True
        return False

    async def stop(self, *, grace_s: float = 5.0) -> None:
        """End the task: an attempt in flight may finish within `grace_s`; the rest stays queued.

        Safe to call twice. What is `put` afterwards is durable and told after the next start.
        """
        task, self._task = self._task, None
        self._is_stopping = True
        self._wake.set()
        if task is not None:
            done, _ = await asyncio.wait({task}, timeout=grace_s)
            if not done:
                task.cancel()
                await asyncio.wait({task})
        await self._sender.close()
        if not self._is_stopped:
            self._is_stopped = True
            await self._on_disk(self._outbox.close)
            self._disk.shutdown(wait=False)

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001 - a bug here must not end the alerts
                self._observer.note("alert.sender_failed", error=f"{type(error).__name__}: {error}")
                self._fail(f"internal error: {type(error).__name__}: {error}")
                await self._on_disk(self._outbox.recover)
                await self._rest(self._backoff.wait_s(self._health.failures, self._chance()))

    async def _turn(self) -> None:
        """Send one message, or wait until there may be one."""
        self._wake.clear()
        due = await self._on_disk(self._plan)
        if due.row is None:
            await self._rest(HEAL_S if due.wait_s is None else min(due.wait_s, HEAL_S))
            return
        claim = await self._claim(due.row)
        if claim is ClaimState.TOLD:
            await self._step(due.row, RowInput.TOLD_ELSEWHERE)
            self._observer.note("alert.told_elsewhere", event_id=due.row.event.event_id)
        elif not self._is_stopping:
            await self._attempt(due.row, is_possibly_told=claim is ClaimState.BUSY)

    def _plan(self) -> Due:
        return self._outbox.plan_next(
            wall_ms=self._wall_ms(),
            plan=lambda rows: self._pace.plan_next(rows, self._now_s()),
        )

    async def _rest(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._wake.wait()

    async def _claim(self, row: Row) -> ClaimState:
        """Ask the nodes' shared memory; BUSY when the other node never confirmed."""
        if self._claims is None or row.count > 1:
            return ClaimState.MINE
        until_s = self._now_s() + self._claim_wait_s
        while True:
            try:
                async with asyncio.timeout(CLAIM_CALL_S):
                    state = await self._claims.claim(row.event.event_id)
            except Exception as error:  # noqa: BLE001 - whatever ails the claims, tell it
                self._observer.note("alert.claim_failed", error=type(error).__name__)
                return ClaimState.UNREACHABLE
            if state is not ClaimState.BUSY or self._now_s() >= until_s or self._is_stopping:
                return state
            await asyncio.sleep(min(CLAIM_POLL_S, self._claim_wait_s))

    async def _confirm(self, row: Row) -> None:
        if self._claims is None:
            return
        try:
            async with asyncio.timeout(CLAIM_CALL_S):
                await self._claims.confirm(row.event.event_id)
        except Exception as error:  # noqa: BLE001 - the other node tells it again, in the worst case
            self._observer.note("alert.claim_failed", error=type(error).__name__)

    async def _attempt(self, row: Row, *, is_possibly_told: bool) -> None:
        # Planned and started in two steps: meanwhile repeats may have joined the row.
        started = await self._step(row, RowInput.START)
        if started is None:
            return
        self._pace.note_started(started, self._now_s())
        dropped = self._outbox.summary.dropped
        message = render_row(
            started,
            wall_ms=self._wall_ms(),
            dropped=dropped,
            is_possibly_told=is_possibly_told,
            is_kept=not self._outbox.problem,
        )
        try:
            delivery = await self._deliver(started, message)
        except BaseException:
            # Cancelled or failed in the middle: nobody knows whether it was delivered.
            self._outbox.step(started.number, RowInput.ANSWER_LOST, "attempt was broken off")
            raise
        await self._settle(started, delivery, dropped=dropped)

    async def _deliver(self, row: Row, message: Message) -> Delivery:
        is_html = self._sender.has_html and row.number not in self._plain_rows
        silent = is_silent(row.event)
        if not is_html:
            return await self._sender.send(message.plain, is_silent=silent, is_html=False)
        delivery = await self._sender.send(message.html, is_silent=silent, is_html=True)
        if delivery.state is not DeliveryState.REJECTED_TEXT:
            return delivery
        self._observer.note("alert.html_refused", reason=delivery.reason)
        self._plain_rows.add(row.number)
        return await self._sender.send(message.plain, is_silent=silent, is_html=False)

    async def _settle(self, row: Row, delivery: Delivery, *, dropped: int) -> None:
        """Record the outcome and let the channel rest where that is due."""
        match delivery.state:
            case DeliveryState.DELIVERED:
                await self._settle_delivered(row, dropped=dropped)
            case DeliveryState.REJECTED_TEXT:
                await self._step(row, RowInput.REFUSED, delivery.reason)
                self._plain_rows.discard(row.number)
                self._note_failure("alert.text_refused", row, delivery)
            case DeliveryState.MIGRATED:
                await self._step(row, RowInput.NOT_SENT, delivery.reason)
                await self._on_disk(
                    self._outbox.reroute, self._sender.address, delivery.new_address
                )
                self._sender.move_to(delivery.new_address)
                self._fail(delivery.reason)
                if self._health.failures > 1:  # moved again: not in a hot loop
                    self._rest_channel()
                self._note_failure("alert.address_moved", row, delivery)
            case DeliveryState.RETRY_AFTER:
                await self._step(row, RowInput.NOT_SENT, delivery.reason)
                self._fail(delivery.reason)
                self._pace.rest_until(self._now_s() + max(1.0, delivery.wait_s))
                self._note_failure("alert.told_to_wait", row, delivery)
            case DeliveryState.GONE_PERMANENTLY:
                await self._step(row, RowInput.NOT_SENT, delivery.reason)
                self._fail(delivery.reason, is_permanent=True)
                self._pace.rest_until(self._now_s() + self._backoff.permanent_s)
                self._note_failure("alert.channel_gone", row, delivery)
            case DeliveryState.UNKNOWN | DeliveryState.NOT_SENT:
                is_lost = delivery.state is DeliveryState.UNKNOWN
                await self._step(
                    row, RowInput.ANSWER_LOST if is_lost else RowInput.NOT_SENT, delivery.reason
                )
                self._fail(delivery.reason)
                wait_s = self._backoff.wait_s(self._health.failures, self._chance())
                self._pace.rest_until(self._now_s() + wait_s)
                self._note_failure(
                    "alert.answer_lost" if is_lost else "alert.not_sent", row, delivery
                )
            case _:
                assert_never(delivery.state)

    async def _settle_delivered(self, row: Row, *, dropped: int) -> None:
        await self._step(row, RowInput.DELIVERED)
        await self._on_disk(self._outbox.tell_drops, dropped)
        self._plain_rows.discard(row.number)
        self._health = SenderHealth(
            channel=self._sender.name, last_delivered_wall_ms=self._wall_ms()
        )
        self._observer.note(
            "alert.delivered",
            event_id=row.event.event_id,
            kind=row.event.kind.value,
            attempt=row.attempt,
            count=row.count,
        )
        await self._confirm(row)

    async def _step(self, row: Row, row_input: RowInput, reason: str = "") -> Row | None:
        after = await self._on_disk(self._outbox.step, row.number, row_input, reason)
        self._progress.set()
        return after

    async def _on_disk(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, partial(call, *args, **kwargs))

    def _note_disk(self) -> None:
        """Say a disk problem when it begins or changes, not with every event."""
        problem = self._outbox.problem
        if problem and problem != self._disk_problem:
            self._observer.note("alert.outbox_in_memory", reason=problem)
        self._disk_problem = problem

    def _fail(self, problem: str, *, is_permanent: bool = False) -> None:
        self._health = replace(
            self._health,
            problem=problem,
            is_permanent=is_permanent,
            failures=self._health.failures + 1,
        )

    def _rest_channel(self) -> None:
        wait_s = self._backoff.wait_s(self._health.failures, self._chance())
        self._pace.rest_until(self._now_s() + wait_s)

    def _note_failure(self, name: str, row: Row, delivery: Delivery) -> None:
        self._observer.note(
            name,
            event_id=row.event.event_id,
            attempt=row.attempt,
            reason=delivery.reason,
            wait_s=delivery.wait_s,
        )
