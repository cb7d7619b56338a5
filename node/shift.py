"""One grant after another: take over, trade, give up. What a node does with the lease.

Rules of this file: a shift begins with a grant and ends with a release or a loss; nothing of it
outlives its epoch. It changes the role through the role desk and sends nothing by itself: the
trader of its epoch does, behind the permit.
"""

import asyncio
import math
from collections.abc import Callable

from alerts.model import Kind, Verdict
from election.model import Granted, LeaseEvent, Released
from election.post_mortem import AFTER_CRASH
from exchange import errors as exchange_errors
from exchange.errors import VenueError
from node import role as roles
from node.active import Active
from node.latches import CLUSTER
from node.logs import log_event
from node.outage import Outage, judge_outage
from node.overseer import Overseer
from node.parts import NodeParts
from node.reconciling import Reconciling, Settled
from node.role import Role, Trigger
from node.role_desk import RoleDesk
from node.standby import Standby
from node.takeover import GrantEnded, TakeoverReport, Unfit, build_report, why_granted
from node.trader import Trader
from node.untold import marked_told

# Longest wait for the last request of a drain: the total timeout of a write (R9), and some.
DRAIN_IN_FLIGHT_S = 2.0
# Longest wait for the stores to acknowledge a release; then the lease runs out by itself.
RELEASE_WAIT_S = 3.0
POLL_S = 0.01

BROKEN_INVARIANTS = (AssertionError, roles.IllegalTransition, exchange_errors.IllegalTransition)


class Shift:
    """The lease in this process's hands, from grant to end."""

    def __init__(
        self,
        parts: NodeParts,
        *,
        desk: RoleDesk,
        standby: Standby,
        overseer: Overseer,
        before_drain: Callable[[], None],
    ) -> None:
        """Bind the parts.

        Args:
            parts: of the node.
            desk: changes the role.
            standby: gathers the copies of the journal.
            overseer: tells, and says who should trade.
            before_drain: called when a drain begins, returns at once (the phone hangs up).
        """
        self.parts = parts
        self.trader: Trader | None = None
        self.active: Active | None = None
        self.granted: Granted | None = None
        self._granted_at_s = 0.0
        self._ended_epoch = 0
        self._released: Released | None = None
        self._reconciling: Reconciling | None = None
        self._desk = desk
        self._standby = standby
        self._overseer = overseer
        self._before_drain = before_drain

    # --- lease events ----------------------------------------------------------------------

    def begin(self, event: Granted, *, is_stopping: bool) -> None:
        """A grant arrived: take over, or give it back when this process cannot."""
        # The last write of an older grant may have ended without a turn since.
        self.settle()
        if self._desk.role is not Role.STANDBY or is_stopping:
            # Granted too late: somebody asked this process to end, or it is halted.
            self.parts.heartbeat.release(drain_ms=0, reserved_for="", reason="not standing by")
            return
        self.granted, self._granted_at_s = event, self.parts.monotonic_s()
        self.parts.times.begin(event)
        self.parts.log.set_context(epoch=event.epoch)
        self._desk.change(Trigger.GRANTED, why_granted(event))

    def note_over(self, epoch: int) -> None:
        """Remember, from any thread, that a grant ended: a takeover in progress must give up."""
        self._ended_epoch = max(self._ended_epoch, epoch)

    def note_released(self, event: Released) -> None:
        """The stores were told."""
        self._released = event

    async def lose(self, epoch: int, reason: str) -> None:
        """The lease lapsed or another node has it: fence, settle, tell."""
        is_older = self.granted is not None and epoch < self.granted.epoch
        if not self._desk.has_lease or is_older:
            return
        self._desk.change(Trigger.LEASE_LOST, reason)
        trader = self._forget()
        self.settle()
        await self._overseer.tell_gave_up(epoch, reason, trader)

    def _forget(self) -> Trader | None:
        """Drop what belongs to the grant; return who traded."""
        trader = self.trader
        self.trader = self.active = self._reconciling = None
        self.parts.health.unaccepted = ()
        return trader

    def settle(self) -> None:
        """Stand by again once nothing of ours can be in flight."""
        if self._desk.role is Role.FENCED and self.parts.heartbeat.settle():
            self.parts.log.set_context(epoch=0)
            self.granted = None
            self._desk.change(Trigger.QUIET, "nothing is in flight any more")

    async def push_again(self) -> None:
        """A store lost its data: write journal and latches to it again, if they are ours."""
        await self.parts.watch.push()
        if self.trader is not None:
            self.trader.writer.owe_everything()
            await self.trader.flush()
            log_event("ledger.pushed", documents=len(self.trader.journal.documents()))

    # --- taking over -----------------------------------------------------------------------

    async def take_over(self, *, stop_reason: str) -> None:
        """Do one turn of the takeover, or give the grant up."""
        granted = self.granted
        assert granted is not None, "a takeover without a grant"
        if self._is_over(granted):
            await self.parts.mailbox.wait(POLL_S)  # the event that says so is on its way
            return
        reason = stop_reason or self._overseer.successor.reason_to_hand_over()
        if reason:
            log_event("takeover.failed", reason=reason)
            await self.drain(reason, reserved_for="")
            return
        if self._reconciling is None:
            log_event("takeover.started", previous=granted.previous, reason=granted.reason)
            self._reconciling = Reconciling(
                self.parts,
                standby=self._standby,
                granted=granted,
                granted_at_s=self._granted_at_s,
            )
        walk = self._reconciling
        try:
            settled = await walk.attempt()
            self.trader = walk.trader
            if settled is not None:
                await self._become_active(granted, settled)
        except GrantEnded as error:
            self.trader = walk.trader
            log_event("takeover.failed", reason=str(error))
            await self.parts.mailbox.wait(POLL_S)
        except Unfit as error:
            log_event("takeover.failed", reason=str(error))
            await self.drain(str(error), reserved_for="")
        except BROKEN_INVARIANTS as error:
            self.trader = walk.trader
            await self.halt(error)

    def _is_over(self, granted: Granted) -> bool:
        is_ended = self._ended_epoch >= granted.epoch
        return is_ended or self.parts.heartbeat.permit.epoch != granted.epoch

    async def _become_active(self, granted: Granted, settled: Settled) -> None:
        """Journal the takeover, trade from now on, tell."""
        parts, trader = self.parts, settled.trader
        report = build_report(
            granted=granted,
            outage=await self._judge_outage(granted),
            before=settled.before,
            findings=settled.findings,
            plan=settled.plan,
            execution=settled.execution,
            symbols=trader.symbols,
        )
        parts.times.note_active()
        body = report.to_body(node_id=parts.node_id, at_wall_ms=parts.wall_ms())
        body |= parts.times.body()
        edited = trader.journal.edit(epoch=trader.epoch, takeovers={trader.epoch: body})
        trader.writer.adopt(*edited)
        await trader.flush()
        if self._is_over(granted):
            raise GrantEnded("the lease ended while the takeover was journalled")
        self.active, self._reconciling = settled.active, None
        for seat in parts.seats:
            # Fills of the gap are news for a strategy that asks for them.
            seat.note_fills(counted.fill.symbol for counted in settled.findings.fills)
        self._desk.change(Trigger.RECONCILED, "everything is accounted for")
        log_event("takeover.finished", **body, adopted=report.adopted)
        await self._after_takeover(trader, settled.active, report)
        parts.mailbox.wake()  # the first order does not wait for the next cycle

    async def _judge_outage(self, granted: Granted) -> Outage:
        parts = self.parts
        return judge_outage(
            now_ms=parts.wall_ms(),
            started_ms=parts.started_wall_ms,
            last_trading_ms=await self._overseer.box.last_trading_ms(),
            was_released=granted.was_released,
            silent_s=granted.silent_s,
            since_grant_s=parts.monotonic_s() - self._granted_at_s,
            unheard_s=self._unheard_s(granted),
        )

    def _unheard_s(self, granted: Granted) -> float | None:
        """Return since when a holder that crashed has not been heard; a released lease is mute."""
        dead = self.parts.watch.peers().get(granted.previous or "")
        has_crashed = granted.was_released and granted.reason.startswith(AFTER_CRASH)
        # A process that was started again beats already, and has another role.
        is_its_last = dead is not None and dead.role == Role.ACTIVE.value
        return dead.age_s if dead is not None and has_crashed and is_its_last else None

    async def _after_takeover(self, trader: Trader, active: Active, report: TakeoverReport) -> None:
        """Tell, and let the cluster know which account it trades."""
        await self._overseer.tell_took_over(trader.epoch, report)
        self.parts.times.note_told()
        active.accept_strategies()
        unaccepted = [seat.symbol for seat in self.parts.seats if seat.is_unaccepted]
        if unaccepted:
            await self._overseer.tell_strategy_differs(trader.epoch, unaccepted)
        latches, account = self.parts.watch.latches, self.parts.health.account
        if latches.account is None and account is not None:
            record = latches.records.get(CLUSTER)
            known = {} if record is None else dict(record.value)
            await self.parts.watch.put(
                CLUSTER, known | {"account": account}, reason="first holder's account"
            )

    # --- trading and giving up --------------------------------------------------------------

    async def trade(self, *, stop_reason: str) -> None:
        """Do one turn of trading, or give the lease up when somebody should trade instead."""
        active, parts = self.active, self.parts
        assert active is not None, "active without a grant"
        successor = self._overseer.successor.requested()
        reason = stop_reason or self._overseer.successor.reason_to_hand_over()
        if successor is not None and not stop_reason:
            await self.drain("switchover was asked for", reserved_for=successor)
            return
        if reason:
            await self.drain(reason, reserved_for="")
            return
        try:
            await active.cycle()
        except BROKEN_INVARIANTS as error:
            await self.halt(error)
            return
        await self._keep_times(active.trader)
        parts.health.journal_error = active.trader.writer.disk_trouble
        if active.deposed_by is not None:
            parts.heartbeat.close_gate(f"epoch {active.deposed_by} was seen at the venue")
            # Another node under this very epoch counts as one above: this grant must end.
            parts.heartbeat.raise_floor(max(active.deposed_by, active.trader.epoch + 1))
            active.deposed_by = None

    async def _keep_times(self, trader: Trader) -> None:
        """Add to this grant's takeover document what happened since: first order, alert."""
        times, entry = self.parts.times, trader.journal.takeovers.get(trader.epoch)
        if times.told_late:
            bodies = marked_told(trader.journal.takeovers, times.told_late)
            trader.writer.adopt(*trader.journal.edit(epoch=trader.epoch, takeovers=bodies))
            times.told_late = ()
            await trader.flush()
        if entry is None or not times.is_owing or times.epoch != trader.epoch:
            return
        body = {**entry.body, **times.body()}
        trader.writer.adopt(
            *trader.journal.edit(epoch=trader.epoch, takeovers={trader.epoch: body})
        )
        await trader.flush()

    async def drain(self, reason: str, *, reserved_for: str) -> None:
        """Close the gate, wait for what is in flight, journal it, release (R10)."""
        parts, trader = self.parts, self.trader
        self._desk.change(Trigger.DRAIN, reason)
        self._before_drain()
        if trader is not None:
            # A slow disk is waited for while the lease is still renewed: once the gate is
            # closed the fence moves no more.
            await trader.flush()
        epoch = parts.heartbeat.permit.epoch
        parts.heartbeat.close_gate(reason)
        parts.times.note_closed()
        until_s = parts.monotonic_s() + DRAIN_IN_FLIGHT_S
        # The permit belongs to several threads and has no event to wait for.
        while parts.heartbeat.permit.in_flight and parts.monotonic_s() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        # With nothing in flight the fence is taken away: what follows may wait for a disk.
        parts.heartbeat.settle()
        if trader is not None:
            await trader.flush()
        drain_ms = await self._drain_ms(trader)
        parts.heartbeat.progress("drained")
        self._released = None
        parts.heartbeat.release(drain_ms=drain_ms, reserved_for=reserved_for, reason=reason)
        await self.wait_released(epoch)
        if self._desk.role is not Role.DRAINING:
            return
        parts.heartbeat.settle()
        self._forget()
        self.granted = None
        parts.log.set_context(epoch=0)
        self._desk.change(Trigger.DRAINED, reason)
        await self._overseer.tell_gave_up(epoch, reason, trader, successor=reserved_for)

    async def give_back(self, reason: str) -> None:
        """End the grant of a process that is about to end by an exception (R10); bounded.

        The gate is closed. Nothing of the trading is touched any more: what could not be ended
        is told to the successor as time to wait.
        """
        parts, trader = self.parts, self.trader
        epoch = parts.heartbeat.permit.epoch
        until_s = parts.monotonic_s() + DRAIN_IN_FLIGHT_S / 2
        while parts.heartbeat.permit.in_flight and parts.monotonic_s() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        parts.heartbeat.settle()
        drain_ms = await self._drain_ms(trader)
        self._released = None
        parts.heartbeat.release(drain_ms=drain_ms, reserved_for="", reason=reason)
        await self.wait_released(epoch)

    async def _drain_ms(self, trader: Trader | None) -> int:
        """Return how long what was sent may still take effect (R10).

        The journal knows the orders; the permit knows also what is not journalled, a cancel whose
        answer never came.
        """
        parts, permit = self.parts, self.parts.heartbeat.permit
        whole_ms = parts.trader_parts.timing.window_ms + parts.trader_parts.effect_tail_ms
        if permit.in_flight:
            return whole_ms
        lingering_ms = math.ceil(permit.lingering_s() * 1000)
        if trader is None or not trader.journal.unknown_intents():
            return lingering_ms
        try:
            now_ms = await parts.link.venue.venue_now_ms()
        except VenueError:
            return max(whole_ms, lingering_ms)  # without the venue's time, the whole window
        tail_ms = parts.trader_parts.effect_tail_ms
        journal_ms = trader.journal.drain_ms(now_venue_ms=now_ms, effect_tail_ms=tail_ms)
        return max(journal_ms, lingering_ms)

    async def wait_released(self, epoch: int) -> None:
        """Wait for the stores' word; other lease events wait their turn in the mailbox."""
        until_s = self.parts.monotonic_s() + RELEASE_WAIT_S
        kept: list[LeaseEvent] = []
        while self._released is None and self.parts.monotonic_s() < until_s:
            for event in self.parts.mailbox.take_all():
                if isinstance(event, Released) and event.epoch == epoch:
                    self.note_released(event)
                    log_event(
                        "lease.released",
                        lease_epoch=event.epoch,
                        was_acknowledged=event.was_acknowledged,
                    )
                else:
                    kept.append(event)
            if self._released is None:
                await self.parts.mailbox.wait(POLL_S)
        self.parts.mailbox.put_back(kept)

    async def halt(self, error: Exception) -> None:
        """A broken invariant: stop trading, let the other node try, wait for a person."""
        text = f"{type(error).__name__}: {error}"
        log_event("role.halted", error=error)
        trader, epoch = self.trader, self.parts.heartbeat.permit.epoch
        self.parts.health.fatal = f"halted: {text}"
        self.parts.heartbeat.close_gate(text)
        if trader is not None:
            await trader.flush()
        drain_ms = await self._drain_ms(trader)
        self.parts.heartbeat.release(drain_ms=drain_ms, reserved_for="", reason="halted")
        self._forget()
        self.granted = None
        self._desk.change(Trigger.BROKEN, text)
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
        await self._overseer.tell_gave_up(epoch, text, trader)
