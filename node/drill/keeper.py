"""Tells results of drills, starts the scheduled ones, and judges those that nobody watched.

Rules of this file: that a slot is used is written down, by a majority, before the lease is handed
over, so a crash in between costs a drill and never causes a second one. The new leader judges a
scheduled switchover, from the same facts that `nodectl drill` reads.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alerts.model import Kind, Verdict
from exchange.errors import VenueError
from node.drill.history import results_of, with_result
from node.drill.keeper_facts import closed_at_ms, seen_of_switchover
from node.drill.model import (
    DRILL,
    DRILL_LOG,
    DrillKind,
    DrillRequest,
    DrillResult,
    Outcome,
    parse_request,
)
from node.drill.schedule import DRILL_SCHEDULE, due_slot
from node.drill.verdict import Seen, judge
from node.latches import SWITCHOVER
from node.logs import log_event
from node.parts import NodeParts
from node.role import Role, has_lease
from node.trader import Trader

# The calendar is looked at this often; the venue's time costs no request.
LOOK_S = 30.0
# A process starts one scheduled drill in this time, whatever the calendar says.
PAUSE_S = 20 * 3600.0
# A leader that has just begun, or a spare that has just come, is left alone.
SETTLED_S = 60.0
# A hand-over that has not begun by then is not going to: the spare is no longer fit.
HAND_OVER_S = 60.0
# How long the alert of a takeover is awaited before the verdict.
VERDICT_S = 20.0


@dataclass(slots=True)
class DrillKeeper:
    """One node's part in the cluster's drills."""

    parts: NodeParts
    spares: Callable[[], tuple[str, ...]]
    _told: set[str] | None = None
    _look_due_s: float = 0.0
    _started_at_s: float = float("-inf")
    _active_since_s: float | None = None
    _judged: set[str] = field(default_factory=set)
    _give_up_at_s: float | None = None

    async def step(self, now_s: float, trader: Trader | None) -> None:
        """Take one look."""
        if not self.parts.watch.has_looked:
            return
        await self._tell_results()
        if self.parts.health.role is not Role.ACTIVE or trader is None:
            self._active_since_s = None
            return
        if self._active_since_s is None:
            self._active_since_s = now_s
        await self._judge_scheduled(now_s)
        if now_s >= self._look_due_s:
            self._look_due_s = now_s + LOOK_S
            await self._start_when_due(now_s, trader)

    # --- results -----------------------------------------------------------------------------

    async def _tell_results(self) -> None:
        results = results_of(self.parts.watch.latches.records)
        known = {result.drill_id for result in results}
        if self._told is None:
            self._told = known  # what is on record before this process has been told
            return
        for result in results:
            if result.drill_id in self._told:
                continue
            self._told.add(result.drill_id)
            if has_lease(self.parts.health.role):
                await self._tell(result)

    async def _tell(self, result: DrillResult) -> None:
        log_event(
            "drill.result",
            drill=result.drill_id,
            kind=result.kind.value,
            outcome=result.outcome.value,
            reason=result.summary,
        )
        has_passed = result.outcome is Outcome.PASSED
        phases = "; ".join(
            f"{p.name} {p.after_s:.1f} s" for p in result.phases if p.after_s is not None
        )
        await self.parts.teller.tell(
            Kind.DRILL_PASSED if has_passed else Kind.DRILL_FAILED,
            result.drill_id,
            {
                "drill": result.kind.value,
                "summary": result.summary,
                "phases": phases,
                "problems": "; ".join(result.problems),
                "by": result.by,
            },
            verdict=Verdict.ACT if result.outcome is Outcome.FAILED else None,
        )

    # --- scheduled ---------------------------------------------------------------------------

    async def _start_when_due(self, now_s: float, trader: Trader) -> None:
        parts = self.parts
        spares = self.spares()
        since_s = now_s if self._active_since_s is None else self._active_since_s
        is_settled = now_s - since_s >= SETTLED_S and now_s - self._started_at_s >= PAUSE_S
        if not is_settled or not spares or parts.watch.latches.is_paused:
            return
        if trader.journal.unknown_intents() or self._running():
            return  # not a safe point; the next look comes soon
        try:
            venue_ms = await parts.link.venue.venue_now_ms()
        except VenueError:
            return
        records = parts.watch.latches.records
        done = records.get(DRILL_SCHEDULE)
        slot = due_slot(
            parts.config.drills,
            now_ms=venue_ms,
            done_slot="" if done is None else str(done.value.get("slot", "")),
            ran_at_ms=[r.at_ms for r in results_of(records) if r.outcome is Outcome.PASSED],
        )
        if not slot:
            return
        self._started_at_s = now_s
        request = DrillRequest(
            drill_id=f"scheduled-{slot}",
            kind=DrillKind.SWITCHOVER,
            target=spares[0],
            holder=parts.node_id,
            epoch=trader.epoch,
            slot=slot,
        )
        log_event("drill.due", slot=slot, to=spares[0])
        # First that the slot is used, then the drill: never two in one slot.
        is_kept = await parts.watch.put(DRILL_SCHEDULE, {"slot": slot}, reason="scheduled drill")
        if is_kept and await parts.watch.put(DRILL, request.to_value(), reason="scheduled drill"):
            self._give_up_at_s = now_s + HAND_OVER_S
            # An ordinary request: the spare sees it too, and looks out for the lease meanwhile.
            wish = {"to": spares[0], "from": parts.node_id}
            await parts.watch.put(SWITCHOVER, wish, reason="scheduled drill")

    def _running(self) -> bool:
        bodies = [m.body for m in self.parts.watch.members.values()]
        shown = [body.get("drill") for body in bodies]
        return any(isinstance(each, Mapping) and each.get("running") for each in shown)

    async def _judge_scheduled(self, now_s: float) -> None:
        """The leader after a scheduled switchover writes down how it went."""
        parts, records = self.parts, self.parts.watch.latches.records
        record = records.get(DRILL)
        request = parse_request(record)
        if record is None or request is None or not request.slot:
            return
        epoch = parts.heartbeat.permit.epoch
        if request.drill_id in self._judged:
            return
        if epoch <= request.epoch and not self._has_given_up(now_s):
            return
        if any(result.drill_id == request.drill_id for result in results_of(records)):
            self._judged.add(request.drill_id)
            return
        times = parts.times.body()
        waited_s = now_s - (self._active_since_s or now_s)
        has_alerts = parts.telegram is not None
        is_new = epoch > request.epoch
        if is_new and has_alerts and "alert_after_s" not in times and waited_s < VERDICT_S:
            return
        self._judged.add(request.drill_id)
        seen = seen_of_switchover(
            times,
            closed_venue_ms=self._closed_venue_ms(request),
            by=record.by,
            at_ms=record.at_ms,
            holder=parts.node_id,
            epoch=epoch,
            has_alerts=has_alerts,
        )
        if not is_new:
            seen = Seen(by=record.by, at_ms=record.at_ms)  # nobody took over
        result = judge(request, seen, parts.config)
        await parts.watch.put(DRILL_LOG, with_result(records, result), reason=result.summary[:200])

    def _has_given_up(self, now_s: float) -> bool:
        return self._give_up_at_s is not None and now_s >= self._give_up_at_s

    def _closed_venue_ms(self, request: DrillRequest) -> int | None:
        """Return when the old leader closed its gate, as its member record says."""
        for node_id, member in self.parts.watch.members.items():
            if node_id == request.holder:
                return closed_at_ms(member.body, request.epoch)
        return None
