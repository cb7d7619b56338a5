"""The work loop: lease events in, duties out, one turn after another.

Rules of this file: one task owns the role and is the only one that changes it; every turn reports
progress, on which the lease's renewals depend (R8); what happens in other threads arrives as an
event and is acted on here. Duties do the work (standby.py, takeover.py, active.py); this file
only decides which one has the turn.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import assert_never

from alerts.model import Kind, Verdict
from election.model import (
    Anomaly,
    Deposed,
    Granted,
    HolderChanged,
    Lapsed,
    LeaseEvent,
    NodeId,
    Reincarnated,
    Released,
    StoreBack,
    StoreLost,
)
from exchange.errors import VenueError
from exchange.journal_writer import JournalWriter
from node import role as roles
from node.active import Active
from node.cluster_watch import is_node_id_taken
from node.eligibility import judge_eligibility
from node.latches import CLUSTER
from node.logs import log_event
from node.outage import judge_outage
from node.overseer import Overseer
from node.parts import NodeParts
from node.phone import Phone
from node.role import IllegalTransition, Role, Trigger
from node.standby import Standby
from node.takeover import (
    GrantEnded,
    TakeoverReport,
    build_report,
    reconcile_grant,
    seat_all,
    settle_orders,
)
from node.trader import Trader
from strategy.errors import WorkerUnusable

# A new attempt to load markets after the venue did not answer; each has its own budget.
START_RETRY_S = 2.0
# Longest wait for the last request of a drain: the total timeout of a write (R9), and some.
DRAIN_IN_FLIGHT_S = 2.0
# Longest wait for the stores to acknowledge a release; then the lease runs out by itself.
RELEASE_WAIT_S = 3.0
POLL_S = 0.01
HEARTBEAT_STOP_S = 2.0


class Runtime:
    """One node process from start to end."""

    def __init__(self, parts: NodeParts) -> None:
        """Bind the parts; nothing runs yet."""
        self.parts = parts
        self.health = parts.health
        self._active: Active | None = None
        self._trader: Trader | None = None
        self._granted: Granted | None = None
        self._granted_at_s = 0.0
        self._ended_epoch = 0
        self._stop_reason = ""
        self._release_event: Released | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.standby = Standby(
            ledger=parts.ledger,
            disk=parts.disk,
            venue=parts.link.venue,
            clock_error_ms=parts.clock_error_ms,
            health=parts.health,
            symbols=tuple(seat.symbol for seat in parts.seats),
            cluster_id=parts.config.cluster_id,
            raise_floor=parts.heartbeat.raise_floor,
            on_step=parts.heartbeat.progress,
            monotonic_s=parts.monotonic_s,
        )
        self.overseer = Overseer(parts)
        self.phone = Phone(parts)

    # --- life ------------------------------------------------------------------------------

    def ask_to_stop(self, reason: str) -> None:
        """Ask the work loop to end; callable from a signal handler of the loop."""
        self._stop_reason = self._stop_reason or reason
        self.parts.mailbox.wake()

    def note_lease_over(self, epoch: int) -> None:
        """Remember, from any thread, that a grant ended: a takeover in progress must give up."""
        self._ended_epoch = max(self._ended_epoch, epoch)

    async def run(self) -> int:
        """Run until asked to stop; return the exit code."""
        parts = self.parts
        parts.sender.start()
        self._spawn(parts.reporter.run(), "reporter")
        try:
            await parts.watch.refresh()
            if await self._is_duplicate():
                return 1
            self._spawn(self._watch_cluster(), "cluster watch")
            await self._start_workers()
            parts.heartbeat.start()
            await self._work()
        finally:
            await self._close()
        return 0

    async def _work(self) -> None:
        parts = self.parts
        while not (self._stop_reason and not roles.has_lease(self.health.role)):
            for event in parts.mailbox.take_all():
                await self._on_event(event)
            await self._turn()
            self._judge()
            await self.overseer.step(self._trader, self._active)
            await self.phone.step(self._granted)
            parts.heartbeat.progress(f"{self.health.role.value} cycle")
            parts.notifier.watchdog()
            if not self._stop_reason:
                await parts.mailbox.wait(parts.config.venue.cycle_ms / 1000)

    async def _turn(self) -> None:
        match self.health.role:
            case Role.STARTING:
                await self._try_ready()
            case Role.STANDBY:
                await self.standby.cycle()
            case Role.TAKEOVER:
                await self._take_over()
            case Role.ACTIVE:
                await self._trade()
            case Role.FENCED:
                await self._settle()
            case Role.DRAINING | Role.HALTED:
                pass
            case _:
                assert_never(self.health.role)

    # --- starting --------------------------------------------------------------------------

    async def _is_duplicate(self) -> bool:
        """Watch three beats of a record that bears this node's id, if there is one (R1)."""
        parts = self.parts
        before = dict(parts.watch.members)
        mine = before.get(NodeId(parts.node_id))
        if mine is None or mine.nonce == parts.identity.nonce or mine.age_s > parts.fresh_s:
            return False
        for _ in range(3):
            await asyncio.sleep(parts.watch_interval_s)
            now = await asyncio.to_thread(parts.members.read)
            if is_node_id_taken(
                before, now, node_id=NodeId(parts.node_id), nonce=parts.identity.nonce
            ):
                text = (
                    f"another living process uses the node id {parts.node_id}; stop it, or give "
                    "this box its own id (was the SD card copied?)"
                )
                log_event("member.duplicate", reason=text)
                await parts.teller.tell(
                    Kind.ERROR,
                    f"duplicate:{parts.identity.nonce}",
                    {"what": "this node id is used twice", "error": text},
                    verdict=Verdict.ACT,
                )
                return True
        return False

    async def _start_workers(self) -> None:
        workers = {id(seat.worker): seat.worker for seat in self.parts.seats}
        for worker in workers.values():
            try:
                await worker.start()
            except WorkerUnusable as error:
                # The node goes on: it can protect and reconcile; each candle is a skipped one.
                log_event("strategy.stopped", strategy=worker.strategy.file, reason=str(error))
                await self.parts.teller.tell(
                    Kind.ERROR,
                    f"worker:{self.parts.identity.nonce}:{worker.strategy.file}",
                    {
                        "what": f"strategy {worker.strategy.file} does not start",
                        "error": str(error),
                    },
                    verdict=Verdict.ACT,
                )
                continue
            log_event("strategy.started", strategy=worker.strategy.file, pid=worker.pid)

    async def _try_ready(self) -> None:
        parts = self.parts
        parts.heartbeat.progress("starting")
        try:
            await parts.link.load()
        except VenueError as error:
            text = f"{type(error).__name__}: {error}"
            if text != self.health.venue_error:
                log_event("venue.unreachable", reason=text)
            self.health.venue_error = text
            parts.notifier.ready(f"waiting for the venue: {text}")
            await parts.mailbox.wait(START_RETRY_S)
            return
        await self.standby.check_venue()
        self.health.is_ready = True
        self._change(Trigger.READY, "markets loaded, clock measured")
        parts.notifier.ready("standing by")
        log_event("node.ready", account=self.health.account)
        await self.overseer.tell_started()

    # --- lease events ----------------------------------------------------------------------

    async def _on_event(self, event: LeaseEvent) -> None:
        match event:
            case Granted():
                await self._on_granted(event)
            case Lapsed():
                log_event("lease.lapsed", lease_epoch=event.epoch, reason=event.reason)
                await self._on_lost(event.epoch, event.reason)
            case Deposed():
                reason = f"{event.by_node} holds epoch {event.by_epoch}"
                log_event("lease.deposed", lease_epoch=event.epoch, reason=reason)
                await self._on_lost(event.epoch, reason)
            case Released():
                self._release_event = event
                log_event(
                    "lease.released",
                    lease_epoch=event.epoch,
                    was_acknowledged=event.was_acknowledged,
                )
            case HolderChanged():
                log_event("lease.holder_changed", holder=event.holder, lease_epoch=event.epoch)
            case StoreLost() | StoreBack():
                await self.overseer.on_store(event)
            case Reincarnated():
                log_event("store.reincarnated", store=event.name)
                await self._push_again()
            case Anomaly():
                await self._on_anomaly(event)
            case _:
                assert_never(event)

    async def _on_granted(self, event: Granted) -> None:
        log_event(
            "lease.granted",
            lease_epoch=event.epoch,
            previous=event.previous,
            was_released=event.was_released,
            silent_s=event.silent_s,
            reason=event.reason,
        )
        if self.health.role is not Role.STANDBY or self._stop_reason:
            # Granted too late: somebody asked this process to end, or it is halted.
            self.parts.heartbeat.release(drain_ms=0, reserved_for="", reason="not standing by")
            return
        self._granted, self._granted_at_s = event, self.parts.monotonic_s()
        self.parts.log.set_context(epoch=event.epoch)
        self._change(Trigger.GRANTED, event.reason)

    async def _on_lost(self, epoch: int, reason: str) -> None:
        if not roles.has_lease(self.health.role):
            return
        self._change(Trigger.LEASE_LOST, reason)
        trader, self._trader, self._active = self._trader, None, None
        await self._settle()
        await self.overseer.tell_gave_up(epoch, reason, trader)

    async def _on_anomaly(self, event: Anomaly) -> None:
        log_event("lease.anomaly", code=event.code, reason=event.detail)
        if event.code.startswith("clock"):
            self.parts.link.clock.invalidate()
            self.standby.ask_venue_soon()
        if event.is_fatal:
            self.health.fatal = event.detail
        await self.parts.teller.tell(
            Kind.ERROR if event.is_fatal else Kind.DEGRADED,
            f"anomaly:{self.parts.identity.nonce}:{event.code}:{event.detail[:80]}",
            {"what": event.code.replace("_", " "), "error": event.detail, "reason": event.detail},
            verdict=Verdict.ACT if event.is_fatal else None,
        )
        if event.is_fatal:
            self._stop_reason = event.detail

    async def _push_again(self) -> None:
        """A store lost its data: the holder writes journal and latches to it again."""
        await self.parts.watch.push()
        if self._trader is not None:
            self._trader.writer.owe_everything()
            await self._trader.flush()
            log_event("ledger.pushed", documents=len(self._trader.journal.documents()))

    async def _settle(self) -> None:
        """Wait until nothing of ours can be in flight, then stand by again."""
        if self.health.role is not Role.FENCED:
            return
        if self.parts.heartbeat.settle():
            self.parts.log.set_context(epoch=0)
            self._granted = None
            self._change(Trigger.QUIET, "nothing is in flight any more")

    # --- taking over -----------------------------------------------------------------------

    async def _take_over(self) -> None:
        granted = self._granted
        assert granted is not None, "a takeover without a grant"
        try:
            await self._take_over_grant(granted)
        except GrantEnded as error:
            log_event("takeover.failed", reason=str(error))
            if self._should_leave():
                await self._drain(str(error), reserved_for="")
            else:
                await self.parts.mailbox.wait(POLL_S)

    async def _take_over_grant(self, granted: Granted) -> None:
        parts = self.parts
        log_event("takeover.started", previous=granted.previous, reason=granted.reason)
        merged = await self.standby.gather()
        if merged.journal.stamp.epoch > granted.epoch:
            parts.heartbeat.raise_floor(merged.journal.stamp.epoch)
            raise GrantEnded(f"the journal knows epoch {merged.journal.stamp.epoch}")
        writer = JournalWriter(
            merged.journal,
            epoch=granted.epoch,
            ledger=parts.ledger,
            disk=parts.disk,
            on_step=lambda: parts.heartbeat.progress("journal write"),
        )
        trader = Trader(parts.trader_parts, writer=writer)
        await trader.flush()
        await parts.watch.push()
        for problem in seat_all(parts.seats, trader):
            log_event("journal.corrupt", reason=problem)
        findings = await reconcile_grant(
            trader,
            born_ms=parts.watch.latches.born_ms,
            is_over=self._is_takeover_over,
            on_step=parts.heartbeat.progress,
            on_trouble=self._note_venue,
        )
        if findings.deposed_by is not None:
            # Another grant of ours was busy at the venue: ask for an epoch above it (R7).
            parts.heartbeat.raise_floor(findings.deposed_by)
            raise GrantEnded(f"epoch {findings.deposed_by} was seen at the venue")
        active = self._build_active(trader)
        plan = await settle_orders(
            trader,
            findings,
            modes=active.modes(),
            is_paused=parts.watch.latches.is_paused,
            is_over=self._is_takeover_over,
            on_step=parts.heartbeat.progress,
        )
        report = build_report(
            granted=granted,
            outage=judge_outage(
                now_ms=parts.wall_ms(),
                started_ms=parts.started_wall_ms,
                last_trading_ms=parts.last_trading.load_ms(),
                silent_s=granted.silent_s,
                since_grant_s=parts.monotonic_s() - self._granted_at_s,
            ),
            before=merged,
            findings=findings,
            plan=plan,
            symbols=trader.symbols,
        )
        await self._become_active(trader, active, report)

    async def _become_active(self, trader: Trader, active: Active, report: TakeoverReport) -> None:
        parts = self.parts
        at_ms = parts.wall_ms()
        body = report.to_body(node_id=parts.node_id, at_wall_ms=at_ms)
        trader.writer.adopt(
            *trader.journal.edit(epoch=trader.epoch, takeovers={trader.epoch: body})
        )
        await trader.flush()
        if self._is_takeover_over():
            raise GrantEnded("the lease ended while the takeover was journalled")
        self._trader, self._active = trader, active
        self._change(Trigger.RECONCILED, "everything is accounted for")
        log_event("takeover.finished", **body, adopted=report.adopted)
        await self.overseer.tell_took_over(trader.epoch, report)
        latches = parts.watch.latches
        if latches.account is None and self.health.account is not None:
            record = latches.records.get(CLUSTER)
            known = {} if record is None else dict(record.value)
            await parts.watch.put(
                CLUSTER, known | {"account": self.health.account}, reason="first holder's account"
            )

    def _build_active(self, trader: Trader) -> Active:
        parts = self.parts
        return Active(
            trader=trader,
            watch=parts.watch,
            health=self.health,
            reporter=parts.reporter,
            fingerprint=parts.fingerprint,
            pass_interval_s=parts.config.venue.reconcile_interval_ms / 1000,
            monotonic_s=parts.monotonic_s,
        )

    def _note_venue(self, trouble: str) -> None:
        self.health.venue_error = trouble

    def _is_takeover_over(self) -> bool:
        granted = self._granted
        return (
            granted is None
            or self._ended_epoch >= granted.epoch
            or self.parts.heartbeat.permit.epoch != granted.epoch
            or self._should_leave()
        )

    def _should_leave(self) -> bool:
        """Tell whether this node should give the lease up while taking over."""
        return bool(self._stop_reason) or bool(self.overseer.reason_to_hand_over())

    # --- trading and giving up --------------------------------------------------------------

    async def _trade(self) -> None:
        active, parts = self._active, self.parts
        assert active is not None, "active without a grant"
        if self._stop_reason:
            await self._drain(self._stop_reason, reserved_for="")
            return
        request = self.overseer.requested_successor()
        if request is not None:
            await self._drain("switchover was asked for", reserved_for=request)
            return
        reason = self.overseer.reason_to_hand_over()
        if reason:
            await self._drain(reason, reserved_for="")
            return
        try:
            await active.cycle()
        except (AssertionError, IllegalTransition) as error:
            await self._halt(error)
            return
        if active.deposed_by is not None:
            parts.heartbeat.close_gate(f"epoch {active.deposed_by} was seen at the venue")
            parts.heartbeat.raise_floor(active.deposed_by)
            active.deposed_by = None

    async def _drain(self, reason: str, *, reserved_for: str) -> None:
        """Close the gate, wait for what is in flight, journal it, release (R10)."""
        parts, trader = self.parts, self._trader
        self._change(Trigger.DRAIN, reason)
        await self.phone.stop()
        parts.heartbeat.close_gate(reason)
        until_s = parts.monotonic_s() + DRAIN_IN_FLIGHT_S
        # The permit belongs to several threads and has no event to wait for.
        while parts.heartbeat.permit.in_flight and parts.monotonic_s() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        drain_ms = 0
        epoch = parts.heartbeat.permit.epoch
        if trader is not None:
            await trader.flush()
            drain_ms = await self._drain_ms(trader)
        parts.heartbeat.progress("drained")
        self._release_event = None
        parts.heartbeat.release(drain_ms=drain_ms, reserved_for=reserved_for, reason=reason)
        await self._wait_released()
        if self.health.role is Role.DRAINING:
            parts.heartbeat.settle()
            self._trader, self._active, self._granted = None, None, None
            parts.log.set_context(epoch=0)
            self._change(Trigger.DRAINED, reason)
            await self.overseer.tell_gave_up(epoch, reason, trader, successor=reserved_for)

    async def _drain_ms(self, trader: Trader) -> int:
        tail_ms = self.parts.trader_parts.effect_tail_ms
        try:
            now_ms = await self.parts.link.venue.venue_now_ms()
        except VenueError:
            # Without the venue's time the whole window is waited out.
            is_busy = bool(trader.journal.unknown_intents())
            return self.parts.trader_parts.timing.window_ms + tail_ms if is_busy else 0
        return trader.journal.drain_ms(now_venue_ms=now_ms, effect_tail_ms=tail_ms)

    async def _wait_released(self) -> None:
        until_s = self.parts.monotonic_s() + RELEASE_WAIT_S
        while self._release_event is None and self.parts.monotonic_s() < until_s:
            for event in self.parts.mailbox.take_all():
                await self._on_event(event)
            if self.health.role is not Role.DRAINING:
                return
            await self.parts.mailbox.wait(POLL_S)

    async def _halt(self, error: Exception) -> None:
        """A broken invariant: stop trading, let the other node try, wait for a person."""
        text = f"{type(error).__name__}: {error}"
        log_event("role.halted", error=error)
        trader = self._trader
        epoch = 0 if trader is None else trader.epoch
        self.health.fatal = f"halted: {text}"
        self.parts.heartbeat.close_gate(text)
        self.parts.heartbeat.release(drain_ms=0, reserved_for="", reason="halted")
        self._trader, self._active = None, None
        self._change(Trigger.BROKEN, text)
        await self.parts.teller.tell(
            Kind.ERROR,
            f"halted:{self.parts.identity.nonce}",
            {
                "what": "an invariant is broken, this node halted",
                "error": text,
                "fix": "send the log to the makers, then restart the node",
            },
            epoch=epoch,
            verdict=Verdict.ACT,
        )
        await self.overseer.tell_gave_up(epoch, text, trader)

    # --- around ----------------------------------------------------------------------------

    def _judge(self) -> None:
        """Tell the heartbeat whether this node may contend."""
        parts, watch = self.parts, self.parts.watch
        if self.health.is_ready:
            self.health.clock_error_ms = parts.clock_error_ms()
        if not watch.has_looked and self.health.role is Role.STANDBY:
            reasons: tuple[str, ...] = ("the cluster's latches have not been seen yet",)
        else:
            facts = self.health.facts(
                watch.latches,
                watch.peers(),
                peer_configs=self.overseer.peer_configs(),
                fresh_s=parts.fresh_s,
                config_id=parts.identity.config_id,
                clock_error_ms_max=parts.config.health.max_clock_error_ms,
            )
            if self._stop_reason:
                facts = replace(facts, fatal=f"stopping: {self._stop_reason}")
            reasons = judge_eligibility(facts)
        if reasons != self.health.reasons:
            log_event("eligibility.changed", reasons=list(reasons))
        self.health.reasons = reasons
        parts.heartbeat.set_eligibility(reasons)

    def _change(self, trigger: Trigger, reason: str) -> None:
        before = self.health.role
        self.health.role = roles.step(before, trigger)
        self.health.role_since_wall_ms = self.parts.wall_ms()
        log_event(
            "role.changed",
            **{"from": before.value, "to": self.health.role.value, "reason": reason},
        )
        self.parts.log.set_context(role=self.health.role.value)
        self.parts.notifier.status(f"{self.health.role.in_words}: {reason}")

    async def _watch_cluster(self) -> None:
        while True:
            started_s = self.parts.monotonic_s()
            await self.parts.watch.refresh()
            took_s = self.parts.monotonic_s() - started_s
            await asyncio.sleep(max(0.05, self.parts.watch_interval_s - took_s))

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_task_end)
        self._tasks.append(task)

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log_event("node.task_failed", task=task.get_name(), error=error)
            self.ask_to_stop(f"the {task.get_name()} failed")

    async def _close(self) -> None:
        parts = self.parts
        parts.notifier.stopping("closing")
        await self.phone.close()
        parts.heartbeat.stop(HEARTBEAT_STOP_S)  # the fence is this thread's to take away
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await parts.reporter.flush()
        await parts.sender.wait_idle(2.0)
        await parts.sender.stop()
        for worker in {id(s.worker): s.worker for s in parts.seats}.values():
            await worker.close()
        with contextlib.suppress(VenueError):
            await parts.link.close()
        parts.watch.close()
        parts.ledger.close()
        parts.disk.close()
        log_event("node.stopped", reason=self._stop_reason)
