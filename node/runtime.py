"""The work loop: lease events in, duties out, one turn after another.

Rules of this file: one task owns the role and is the only one that changes it; every turn reports
progress, on which the lease's renewals depend (R8); what happens in other threads arrives as an
event and is acted on here. Duties do the work (standby.py, shift.py, active.py); this file only
decides which one has the turn.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import assert_never

from alerts.model import Kind, Verdict
from election.instants import CLOCK_FAULTS
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
from node.anomalies import FIXES, MEANINGS
from node.cluster_watch import is_node_id_taken
from node.crash_watch import CrashWatch
from node.drill.driller import Driller
from node.drill.keeper import DrillKeeper
from node.duplicate import DuplicateWatch, duplicate_in_words
from node.eligibility import judge_eligibility, without_figures
from node.expecting import Expecting
from node.growing import is_expected
from node.logs import log_event
from node.overseer import Overseer
from node.parts import NodeParts
from node.peer_watch import PeerWatch
from node.phone import Phone
from node.role import Role, Trigger
from node.role_desk import RoleDesk
from node.shift import Shift
from node.standby import build_standby
from strategy.errors import WorkerUnusable

# A new attempt to load markets after the venue did not answer; each has its own budget.
START_RETRY_S = 2.0
HEARTBEAT_STOP_S = 2.0
# Messages that are ready to leave get this long at the end; the rest is told after the next start.
LAST_WORDS_S = 3.0
WATCH_PAUSE_S_MIN = 0.05
# The usual end of an attempt when two nodes meet, or a store is slow: for the log only.
NOT_FOR_PHONES = frozenset({"attempt_abandoned"})


class Runtime:
    """One node process from start to end."""

    def __init__(self, parts: NodeParts) -> None:
        """Bind the parts; nothing runs yet."""
        self.parts = parts
        self.health = parts.health
        self.desk = RoleDesk(parts)
        self.standby = build_standby(parts)
        self.overseer = Overseer(parts)
        self.peer_watch = PeerWatch(parts)
        self.phone = Phone(parts)
        self.crash_watch = CrashWatch(parts)
        self.shift = Shift(
            parts,
            desk=self.desk,
            standby=self.standby,
            overseer=self.overseer,
            before_drain=self.phone.hang_up,
        )
        self._expecting = Expecting(parts)
        self._duplicates = DuplicateWatch(parts.node_id, parts.identity.nonce)
        spares = self.overseer.spares
        self.driller = Driller(parts, spares=spares)
        self.drill_keeper = DrillKeeper(parts, spares=spares)
        parts.reporter.watchers += [parts.times.note_order, self.driller.note_order]
        self._stop_reason = ""
        self._exit_code = 0
        self._tasks: list[asyncio.Task[None]] = []

    # --- life ------------------------------------------------------------------------------

    def ask_to_stop(self, reason: str) -> None:
        """Ask the work loop to end; callable from a signal handler of the loop."""
        self._stop_reason = self._stop_reason or reason
        self.parts.mailbox.wake()

    async def run(self) -> int:
        """Run until asked to stop; return the exit code."""
        parts = self.parts
        parts.sender.start()
        self._spawn(parts.reporter.run(), "reporter")
        try:
            # Before this node's own first beat takes the place of the other's.
            if await self._is_duplicate():
                return 1
            await parts.watch.refresh()
            self._spawn(self._watch_cluster(), "cluster watch")
            await self._tell_damage()
            await self.crash_watch.tell_previous()
            await self._start_workers()
            parts.heartbeat.start()
            if parts.peer is not None:
                await asyncio.to_thread(parts.peer.start)
            await self._work()
        except Exception as error:  # whatever it is, its kind and place are kept, and it goes on
            await self.crash_watch.end(error, self.shift)
            raise
        finally:
            await self._close()
        return self._exit_code

    async def _work(self) -> None:
        parts = self.parts
        while not self._stop_reason or self.desk.has_lease:
            for event in parts.mailbox.take_all():
                await self._on_event(event)
            await self._turn()
            await self.crash_watch.step()
            self._judge()
            await self.overseer.step(self.shift.trader, self.shift.active)
            await self.peer_watch.step()
            await self.phone.step(self.shift.granted)
            await self.drill_keeper.step(parts.monotonic_s(), self.shift.trader)
            self.driller.step(parts.monotonic_s())
            parts.heartbeat.progress(f"{self.desk.role.value} cycle")
            parts.notifier.watchdog()
            if not self._stop_reason:
                await parts.mailbox.wait(parts.config.venue.cycle_ms / 1000)

    async def _turn(self) -> None:
        match self.desk.role:
            case Role.STARTING:
                await self._try_ready()
            case Role.STANDBY:
                if self.parts.watch.is_venue_doubted():
                    self.standby.hurry()
                await self.standby.cycle()
            case Role.TAKEOVER:
                await self.shift.take_over(stop_reason=self._stop_reason)
            case Role.ACTIVE:
                await self.shift.trade(stop_reason=self._stop_reason)
            case Role.FENCED:
                self.shift.settle()
            case Role.DRAINING | Role.HALTED:
                pass
            case _:
                assert_never(self.desk.role)

    # --- starting --------------------------------------------------------------------------

    async def _is_duplicate(self) -> bool:
        """Watch three beats of a record that bears this node's id, if there is one (R1)."""
        parts = self.parts
        before = await asyncio.to_thread(parts.members.read)
        mine = before.get(NodeId(parts.node_id))
        if mine is None or mine.nonce == parts.identity.nonce or mine.age_s > parts.fresh_s:
            return False
        for _ in range(3):
            await asyncio.sleep(parts.watch_interval_s)
            now = await asyncio.to_thread(parts.members.read)
            if is_node_id_taken(
                before, now, node_id=NodeId(parts.node_id), nonce=parts.identity.nonce
            ):
                await self._tell_duplicate(mine.nonce, duplicate_in_words(parts.node_id))
                return True
        return False

    async def _tell_duplicate(self, nonce: str, text: str) -> None:
        log_event("member.duplicate", reason=text)
        await self.parts.teller.tell(
            Kind.ERROR,
            f"duplicate:{nonce}",  # once, however often this one is restarted
            {"what": "this node id is used twice", "error": text},
            verdict=Verdict.ACT,
        )

    async def _tell_damage(self) -> None:
        """Tell what of this disk's files had to be set aside; the log has it already."""
        for warning in (*self.parts.disk.warnings, *self.parts.watch.disk_warnings):
            await self.parts.teller.tell(
                Kind.DEGRADED,
                f"damaged:{self.parts.identity.nonce}:{warning}",
                {
                    "what": "a file in the state directory was damaged",
                    "reason": warning,
                    "meaning": "what it lost is taken from the stores, the other node, the venue",
                    "fix": "check the disk (dmesg), replace the SD card if it happens again",
                },
            )

    async def _start_workers(self) -> None:
        workers = {id(seat.worker): seat.worker for seat in self.parts.seats}
        for worker in workers.values():
            try:
                await worker.start()
            except WorkerUnusable as error:
                # The node goes on: it can protect and reconcile; each candle is a skipped one.
                file = worker.strategy.file
                log_event("strategy.stopped", strategy=file, reason=str(error))
                await self.parts.teller.tell(
                    Kind.ERROR,
                    f"worker:{self.parts.identity.nonce}:{file}",
                    {"what": f"strategy {file} does not start", "error": str(error)},
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
        self.desk.change(Trigger.READY, "markets loaded, clock measured")
        parts.notifier.ready("standing by")
        log_event("node.ready", account=self.health.account)
        await self.overseer.tell_started()

    # --- lease events ----------------------------------------------------------------------

    async def _on_event(self, event: LeaseEvent) -> None:
        match event:
            case Granted():
                log_event(
                    "lease.granted",
                    lease_epoch=event.epoch,
                    previous=event.previous,
                    was_released=event.was_released,
                    silent_s=event.silent_s,
                    reason=event.reason,
                )
                self.overseer.successor.note_granted(event.reason)
                self.shift.begin(event, is_stopping=bool(self._stop_reason))
            case Lapsed():
                log_event("lease.lapsed", lease_epoch=event.epoch, reason=event.reason)
                await self.shift.lose(event.epoch, event.reason)
            case Deposed():
                reason = f"{event.by_node} holds epoch {event.by_epoch}"
                log_event("lease.deposed", lease_epoch=event.epoch, reason=reason)
                await self.shift.lose(event.epoch, reason)
            case Released():
                self.shift.note_released(event)
            case HolderChanged():
                log_event("lease.holder_changed", holder=event.holder, lease_epoch=event.epoch)
            case StoreLost() | StoreBack():
                await self.overseer.stores.note(event)
            case Reincarnated():
                log_event("store.reincarnated", store=event.name)
                await self.shift.push_again()
            case Anomaly():
                await self._on_anomaly(event)
            case _:
                assert_never(event)

    async def _on_anomaly(self, event: Anomaly) -> None:
        log_event("lease.anomaly", code=event.code, reason=event.detail)
        if event.code in CLOCK_FAULTS:  # R0: the venue's time was measured before it
            self.parts.link.clock.invalidate()
            self.standby.ask_venue_soon()
        latches = self.parts.watch.latches
        if event.code in NOT_FOR_PHONES or is_expected(latches, self.parts.config, event.detail):
            return
        await self.parts.teller.tell(
            Kind.ERROR if event.is_fatal else Kind.DEGRADED,
            f"{self.parts.identity.nonce}:{event.code}:{event.detail[:80]}",
            {
                "what": event.code.replace("_", " "),
                "error": event.detail,
                "reason": event.detail,
                "meaning": MEANINGS.get(event.code, ""),
                "fix": FIXES.get(event.code, ""),
            },
            verdict=Verdict.ACT if event.is_fatal else None,
        )
        if event.is_fatal:
            self.health.fatal = event.detail
            self._exit_code = 1
            self._stop_reason = event.detail

    # --- around ----------------------------------------------------------------------------

    def _judge(self) -> None:
        """Tell the heartbeat whether this node may contend."""
        parts, watch = self.parts, self.parts.watch
        if self.health.is_ready:
            self.health.clock_error_ms = parts.clock_error_ms()
        if not watch.has_looked and self.desk.role is Role.STANDBY:
            reasons: tuple[str, ...] = ("the cluster's latches have not been seen yet",)
        else:
            promised = parts.heartbeat.stood_down
            facts = self.health.facts(
                watch.latches,
                watch.peers(),
                peer_configs=self.overseer.peer_configs(),
                peer_reasons=(*parts.peer_reasons(), *filter(None, [promised])),
                fresh_s=parts.fresh_s,
                list_ids=parts.config.list_ids,
                clock_error_ms_max=parts.config.health.max_clock_error_ms,
            )
            if self._stop_reason:
                facts = replace(facts, fatal=f"stopping: {self._stop_reason}")
            reasons = judge_eligibility(facts)
        before = self.health.reasons
        if reasons != before and without_figures(reasons) != without_figures(before):
            log_event("eligibility.changed", reasons=list(reasons))
        self.health.reasons = reasons
        parts.heartbeat.set_eligibility(reasons)

    async def _watch_cluster(self) -> None:
        while True:
            started_s = self.parts.monotonic_s()
            await self.parts.watch.refresh()
            self._expecting.step()
            await self._watch_duplicate()
            took_s = self.parts.monotonic_s() - started_s
            await asyncio.sleep(max(WATCH_PAUSE_S_MIN, self.parts.watch_interval_s - took_s))

    async def _watch_duplicate(self) -> None:
        """Go on looking for a copy that the look at the start could not see (R1)."""
        seen = self.parts.watch.members.get(NodeId(self.parts.node_id))
        text = self._duplicates.step(seen, role=self.desk.role)
        if text and seen is not None and not self.health.fatal:
            self.health.fatal = text
            await self._tell_duplicate(seen.nonce, text)
            self._exit_code = 1
            self.ask_to_stop(text)

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_task_end)
        self._tasks.append(task)

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log_event("node.task_failed", task=task.get_name(), error=error)
            self._exit_code = 1
            self.ask_to_stop(f"the {task.get_name()} failed")

    async def _return_grant(self) -> None:
        """Give back a grant that came while this process was already ending."""
        heartbeat = self.parts.heartbeat
        heartbeat.set_eligibility(("stopping",))
        epoch = heartbeat.permit.epoch
        if epoch and self.desk.role is Role.STANDBY:
            heartbeat.release(drain_ms=0, reserved_for="", reason="stopping")
            await self.shift.wait_released(epoch)

    async def _close(self) -> None:
        parts = self.parts
        parts.notifier.stopping("closing")
        await self._return_grant()
        await self.phone.stop()
        if parts.peer is not None:
            await asyncio.to_thread(parts.peer.stop)
        parts.heartbeat.stop(HEARTBEAT_STOP_S)  # the fence is this thread's to take away
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await parts.reporter.flush()
        await parts.sender.wait_told(LAST_WORDS_S)
        await parts.sender.stop()
        for worker in {id(s.worker): s.worker for s in parts.seats}.values():
            await worker.close()
        with contextlib.suppress(VenueError):
            await parts.link.close()
        parts.watch.close()
        parts.ledger.close()
        parts.disk.close()
        log_event("node.stopped", reason=self._stop_reason)
