"""The lease machine: who may act, decided from what stores, clock and work loop report.

Pure: stimuli in, commands out, `now` and `chance` are parameters. The rules (R0-R11, R13):

- CONTENDING watches every store. It begins an attempt when nothing stands against it and a
  majority of the stores is takeable (R6); nothing is written before that.
- PERSISTING makes epoch = max(disk, every epoch seen, floor) + 1 durable before it is asked for.
- ACQUIRING sends compare-and-set to the takeable stores. A majority in time is the grant. A lost
  answer is read back and renewed first. Otherwise the epoch is given up everywhere, for good, and
  the next attempt waits a random part of a ttl.
- HOLDING renews while the work loop makes progress. Validity runs from the send of a round that a
  majority acknowledged. It ends, for good, when the gate's time is over (lapse), when a majority
  names a rival under this or a later epoch (deposed), when the node asks for it (release), when a
  clock runs backwards, or when the venue shows a later epoch.
- A store that lost or changed its record is re-asserted at once if this grant was held there, and
  otherwise only when takeable. A store of a foreign cluster or another configuration is never
  written.

`election/holding.py` has what only a holder does; `observation.py` what takeable means.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import assert_never

from election import contest, holding
from election.calls import Calls, Farewell
from election.instants import (
    ClockFault,
    Instant,
    check_tick,
    contender_elapsed_s,
    holder_elapsed_s,
)
from election.model import (
    Anomaly,
    Deposed,
    Granted,
    HolderChanged,
    Identity,
    Incarnation,
    Lapsed,
    LeaseEvent,
    LeaseTiming,
    LeaseView,
    Reincarnated,
    StoreBack,
    StoreLost,
    StoreName,
)
from election.observation import GRACE_S, Change, Observation
from election.observed import NOBODY, Observed
from election.signals import (
    Answered,
    CloseGate,
    Command,
    EligibilitySet,
    EpochNotStored,
    EpochStored,
    ExtendGate,
    Failed,
    FloorRaised,
    GateOpened,
    GateRefused,
    OpenGate,
    Publish,
    ReleaseAsked,
    Stimulus,
    StoreEpoch,
    SuspendGate,
    Tick,
    Verb,
)
from election.tenure import Tenure
from election.world import World

# After a failed attempt a contender waits this part of a ttl, drawn at random between the two, so
# that two contenders do not meet again (R13).
BACKOFF_MIN = 0.2
BACKOFF_MAX = 1.0


class Phase(StrEnum):
    """What the machine is doing."""

    CONTENDING = "contending"
    PERSISTING = "persisting"
    ACQUIRING = "acquiring"
    HOLDING = "holding"


class LeaseMachine:
    """One node's lease machine; deterministic, not thread-safe."""

    def __init__(
        self,
        *,
        identity: Identity,
        timing: LeaseTiming,
        stores: Sequence[StoreName],
        disk_epoch: int,
        floor: int = 0,
    ) -> None:
        """Begin as a contender that has seen nothing and may not contend yet.

        Args:
            identity: who contends.
            timing: validated timing.
            stores: one or three names, in configured order.
            disk_epoch: highest epoch this node ever asked for.
            floor: highest epoch known from elsewhere (client order ids at the venue).
        """
        if len(stores) not in (1, 3) or len(set(stores)) != len(stores):
            raise ValueError(f"the lease needs 1 or 3 distinct stores; they were {list(stores)}")
        observed = Observed(stores, identity=identity, timing=timing)
        calls = Calls(majority=observed.majority, ttl_s=timing.ttl_ms / 1000)
        self._world = World(identity=identity, timing=timing, observed=observed, calls=calls)
        self._phase = Phase.CONTENDING
        self._tenure: Tenure | None = None
        self._highest = max(disk_epoch, floor)
        self._asked_epoch = 0
        self._node_reasons: tuple[str, ...] = ("the node has not reported its health yet",)
        self._fence_error = ""  # stands against contending until the process restarts
        self._epoch_error = ""  # shown, and tried again after a wait
        self._wait: tuple[Instant, float] | None = None  # no attempt until this has passed
        self._last_tick: Instant | None = None
        self._progress_at: Instant | None = None
        self._progress_label = ""
        self._is_settled = True
        self._is_hung = False
        self._last_call: dict[StoreName, Instant] = {}
        self._named = NOBODY
        self._gap_s = 0.0
        self._heard: Instant | None = None  # send of the last counted round

    # --- the one entry -------------------------------------------------------------------------

    def step(self, stimulus: Stimulus, *, now: Instant, chance: float) -> tuple[Command, ...]:
        """Take in what happened; return what to do, in this order.

        Args:
            stimulus: what happened.
            now: this instant, not earlier than any instant in the stimulus.
            chance: a fresh random number in [0, 1), for the wait after a failed attempt.
        """
        match stimulus:
            case Tick():
                self._tick(stimulus, now, chance)
            case Answered():
                self._take_answer(stimulus, now, chance)
            case Failed():
                self._take_failure(stimulus, now)
            case EpochStored():
                self._begin_attempt(stimulus.epoch, now)
            case EpochNotStored():
                self._take_unstored(stimulus, now, chance)
            case GateOpened():
                self._begin_holding(stimulus.epoch)
            case GateRefused():
                self._take_gate_refusal(stimulus, now, chance)
            case EligibilitySet():
                self._node_reasons = stimulus.reasons
                if stimulus.reasons and self._phase is Phase.ACQUIRING:
                    self._give_up("no longer eligible: " + stimulus.reasons[0], now, chance)
            case FloorRaised():
                self._raise_floor(stimulus.epoch, now, chance)
            case ReleaseAsked():
                self._release(stimulus, now, chance)
            case _:
                assert_never(stimulus)
        return self._world.calls.take_out()

    def wake_in_s(self, now: Instant) -> float:
        """Return seconds until the next tick is wanted: a tick, or the record's takeable moment."""
        tick_s = self._world.tick_s
        if self._phase is not Phase.CONTENDING:
            return tick_s
        takeable_s = self._world.observed.takeable_in_s(now)
        # 5 ms: a wake-up that is due now because nothing else stands open must not spin.
        return tick_s if takeable_s is None else min(tick_s, max(0.005, takeable_s))

    # --- time ----------------------------------------------------------------------------------

    def _tick(self, tick: Tick, now: Instant, chance: float) -> None:
        faults = check_tick(
            self._last_tick, now, tick_s=self._world.tick_s, ttl_s=self._world.ttl_s
        )
        self._last_tick = now
        self._progress_at, self._progress_label = tick.progress_at, tick.progress_label
        self._is_settled = tick.is_settled
        self._note_hang(now)
        for fault in faults:
            self._take_clock_fault(fault, now, chance)
        self._world.calls.send_farewells(now)
        match self._phase:
            case Phase.HOLDING:
                self._hold(now, is_forced=bool(faults))
            case Phase.ACQUIRING:
                self._press_attempt(now, chance)
            case Phase.PERSISTING:
                pass
            case Phase.CONTENDING:
                self._try_contend(now)
        self._observe_due(now)

    def _take_clock_fault(self, fault: ClockFault, now: Instant, chance: float) -> None:
        match fault:
            case ClockFault.BACKWARD:
                detail = "a lease clock did not grow; nothing can be proven with it"
                self._world.observed.restart(now)
                self._end(detail, now, chance)
                self._publish(Anomaly(code=fault.value, detail=detail, is_fatal=True))
                return
            case ClockFault.STEPPED:
                detail = "the wall clock was set; measure the venue's clock offset again"
            case ClockFault.LATE:
                detail = "this process did not run for more than a third of the lease's ttl"
            case _:
                assert_never(fault)
        if self._tenure is not None:
            self._world.calls.out.append(SuspendGate(since=now, reason=detail))
        if self._tenure is not None or fault is ClockFault.STEPPED:
            self._publish(Anomaly(code=fault.value, detail=detail))

    def _note_hang(self, now: Instant) -> None:
        was_hung, self._is_hung = self._is_hung, bool(self._describe_hang(now))
        if self._is_hung and not was_hung and self._phase is Phase.HOLDING:
            self._publish(Anomaly(code="work_loop_hung", detail=self._describe_hang(now)))

    def _describe_hang(self, now: Instant) -> str:
        at = self._progress_at
        if at is None:
            return "the work loop has not completed a step yet"
        age_s = max(now.boot_s - at.boot_s, now.raw_s - at.raw_s)
        if age_s <= self._world.timing.hang_limit_ms / 1000:
            return ""
        return (
            f"the work loop completed no step for {age_s:.1f} s; "
            f"the last was '{self._progress_label}'"
        )

    def _observe_due(self, now: Instant) -> None:
        """Look at stores that were not asked anything for `observe_ms` (R5)."""
        observe_s = self._world.timing.observe_ms / 1000 - self._world.tick_s / 2
        if self._phase is Phase.HOLDING and not self._is_hung:
            return  # renewals show the record
        for name in [o.name for o in self._world.observed]:
            last = self._last_call.get(name)
            is_due = last is None or holder_elapsed_s(last, now) >= observe_s
            if is_due and self._world.calls.is_free(name):
                self._last_call[name] = now
                self._world.calls.send(name, Verb.OBSERVE)

    # --- contending ----------------------------------------------------------------------------

    def _obstacles(self, now: Instant) -> tuple[str, ...]:
        own = (self._fence_error, self._describe_hang(now))
        return (*self._node_reasons, *(reason for reason in own if reason))

    def _try_contend(self, now: Instant) -> None:
        if self._phase is not Phase.CONTENDING or not self._is_settled or self._obstacles(now):
            return
        if self._wait is not None and contender_elapsed_s(self._wait[0], now) < self._wait[1]:
            return
        if len(contest.free_and_takeable(self._world, now)) < self._world.observed.majority:
            return
        self._asked_epoch = max(self._highest, self._world.observed.max_epoch) + 1
        self._phase = Phase.PERSISTING
        self._world.calls.out.append(StoreEpoch(epoch=self._asked_epoch))

    def _begin_attempt(self, epoch: int, now: Instant) -> None:
        self._highest = max(self._highest, epoch)
        if self._phase is not Phase.PERSISTING or epoch != self._asked_epoch:
            return
        self._phase = Phase.CONTENDING
        self._epoch_error = ""
        stores = contest.free_and_takeable(self._world, now)
        is_highest = epoch >= self._highest and epoch > self._world.observed.max_epoch
        if self._obstacles(now) or len(stores) < self._world.observed.majority or not is_highest:
            return  # the world changed while the disk wrote; the next tick looks again
        self._phase = Phase.ACQUIRING
        self._tenure = contest.begin_attempt(self._world, epoch, stores, now)

    def _take_unstored(self, stimulus: EpochNotStored, now: Instant, chance: float) -> None:
        if self._phase is Phase.PERSISTING:
            self._phase = Phase.CONTENDING
        if not self._epoch_error:
            self._publish(Anomaly(code="epoch_file", detail=stimulus.error))
        self._epoch_error = f"the epoch is not durable: {stimulus.error}"
        self._back_off(now, chance)  # and then tries again: a full disk may have been emptied

    def _press_attempt(self, now: Instant, chance: float) -> None:
        tenure = self._tenure
        assert tenure is not None, "acquiring without an attempt"
        if contest.is_too_late(self._world, tenure, now):
            self._give_up("no majority answered in time", now, chance)
            return
        contest.read_back(self._world, tenure)

    def _give_up(self, reason: str, now: Instant, chance: float) -> None:
        tenure = self._tenure
        assert tenure is not None, "nothing to give up"
        self._tenure, self._phase = None, Phase.CONTENDING
        contest.give_up(self._world, tenure, reason, now)
        self._back_off(now, chance)
        detail = f"attempt at epoch {tenure.epoch} given up: {reason}"
        self._publish(Anomaly(code="attempt_abandoned", detail=detail))

    def _back_off(self, now: Instant, chance: float) -> None:
        part = BACKOFF_MIN + (BACKOFF_MAX - BACKOFF_MIN) * chance
        self._wait = (now, part * self._world.ttl_s)

    # --- answers -------------------------------------------------------------------------------

    def _take_answer(self, answered: Answered, now: Instant, chance: float) -> None:
        call, reply, calls = answered.call, answered.reply, self._world.calls
        if not calls.finish(call):
            return
        observation = self._world.observed[call.store]
        change = observation.note_reply(reply, sent=answered.sent, received=answered.received)
        if observation.record is not None:
            ttl_ms = max(self._world.observed.longest_ttl_ms, observation.record.ttl_ms)
            self._world.observed.longest_ttl_ms = ttl_ms
        self._publish_change(observation, change, reply.detail)
        if call.verb is Verb.RELEASE:
            calls.end_farewell(call, now, was_ok=reply.is_ok, is_definite=True)
        tenure = self._tenure
        if tenure is not None and call.epoch == tenure.epoch:
            self._take_tenure_answer(answered, tenure, now, chance)
        if self._phase is Phase.HOLDING:
            self._check_deposed(now, chance)
        self._publish_holder()
        calls.send_farewells(now)
        self._try_contend(now)

    def _take_tenure_answer(
        self, answered: Answered, tenure: Tenure, now: Instant, chance: float
    ) -> None:
        call, reply, observed = answered.call, answered.reply, self._world.observed
        is_write = call.verb in (Verb.ACQUIRE, Verb.RENEW, Verb.REASSERT)
        if is_write and reply.is_ok:
            is_news = tenure.is_granted and tenure.incs.get(call.store) != reply.inc
            if tenure.note_ack(call.store, reply.inc, call.round_id, observed.majority):
                self._count(tenure, now, chance)
            if is_news and call.verb is Verb.REASSERT:
                self._publish(Reincarnated(name=call.store))
            return
        is_mine = observed[call.store].shows(self._world.identity, tenure.epoch)
        if not is_mine:
            tenure.incs.pop(call.store, None)
        if tenure.is_granted:
            if not self._is_hung:  # a refusal showed what is there: repair within this round
                holding.repair(self._world, tenure, call.store, now)
            return
        if is_mine:
            contest.renew_first(self._world, tenure, now)
        else:
            tenure.refused_by.add(call.store)
            if not tenure.can_succeed(observed.majority):
                self._give_up(f"{call.store} answered {reply.refusal.value}", now, chance)

    def _take_failure(self, failed: Failed, now: Instant) -> None:
        if not self._world.calls.finish(failed.call):
            return
        if self._world.observed[failed.call.store].note_failure(failed.error):
            self._publish(StoreLost(name=failed.call.store, error=failed.error))
        if failed.call.verb is Verb.RELEASE:
            self._world.calls.end_farewell(failed.call, now, was_ok=False, is_definite=False)

    def _publish_change(self, observation: Observation, change: Change, detail: str) -> None:
        if change.became_unusable is not None:
            code = change.became_unusable.value
            self._publish(StoreLost(name=observation.name, error=observation.error))
            self._publish(Anomaly(code=code, detail=f"{observation.name}: {detail or code}"))
        if change.is_back:
            self._publish(StoreBack(name=observation.name))
        if change.has_new_life and self._phase is not Phase.HOLDING:
            self._publish(Reincarnated(name=observation.name))

    def _publish_holder(self) -> None:
        named = self._world.observed.named()
        if (named.holder, named.epoch) != (self._named.holder, self._named.epoch):
            self._publish(HolderChanged(holder=named.holder, epoch=named.epoch))
        self._named = named

    # --- holding -------------------------------------------------------------------------------

    def _count(self, tenure: Tenure, now: Instant, chance: float) -> None:
        """A majority acknowledged a round that proves more than was proven before."""
        counted = tenure.counted
        assert counted is not None, "counted nothing"
        if tenure.is_granted:
            self._note_gap(counted)
            self._world.calls.out.append(ExtendGate(epoch=tenure.epoch, sent=counted))
        elif contest.is_too_late(self._world, tenure, now):
            self._give_up("a majority answered too late", now, chance)
        elif not tenure.is_opening:
            tenure.is_opening = True
            self._world.calls.out.append(OpenGate(epoch=tenure.epoch, sent=counted))

    def _begin_holding(self, epoch: int) -> None:
        tenure = self._tenure
        assert tenure is not None, "a gate opened without an attempt"
        assert tenure.epoch == epoch, "a gate opened for another epoch"
        tenure.is_granted = True
        self._phase, self._wait, self._heard = Phase.HOLDING, None, tenure.counted
        taken = tenure.taken
        self._publish(
            Granted(
                epoch=epoch,
                previous=taken.previous,
                previous_epoch=taken.previous_epoch,
                was_released=taken.was_released,
                silent_s=taken.silent_s,
                drain_ms=taken.drain_ms,
                reason=taken.reason,
            )
        )

    def _take_gate_refusal(self, refused: GateRefused, now: Instant, chance: float) -> None:
        if refused.is_fence_unavailable:
            self._fence_error = f"the kernel fence is not available: {refused.error}"
            self._publish(Anomaly(code="fence_unavailable", detail=refused.error, is_fatal=True))
        if self._tenure is not None and self._tenure.epoch == refused.epoch:
            self._end(refused.error, now, chance)

    def _hold(self, now: Instant, *, is_forced: bool) -> None:
        tenure = self._tenure
        assert tenure is not None, "holding nothing"
        if holding.is_expired(self._world, tenure, now):
            self._lapse(holding.describe_lapse(self._world, self._describe_hang(now)))
        elif not self._is_hung and (is_forced or holding.is_renewal_due(self._world, tenure, now)):
            holding.begin_renewal(self._world, tenure, now)

    def _check_deposed(self, now: Instant, chance: float) -> None:
        tenure = self._tenure
        assert tenure is not None, "holding nothing"
        rival = holding.deposing(self._world, tenure)
        if rival is None or rival.record is None:
            return
        record = rival.record
        self._close(f"deposed by {record.node_id} under epoch {record.epoch}")
        self._publish(Deposed(epoch=tenure.epoch, by_epoch=record.epoch, by_node=record.node_id))
        self._back_off(now, chance)

    def _end(self, reason: str, now: Instant, chance: float) -> None:
        """End whatever this node has or asks for."""
        match self._phase:
            case Phase.HOLDING:
                self._lapse(reason)
            case Phase.ACQUIRING:
                self._give_up(reason, now, chance)
            case Phase.PERSISTING:
                self._phase = Phase.CONTENDING
            case Phase.CONTENDING:
                pass
            case _:
                assert_never(self._phase)

    def _lapse(self, reason: str) -> None:
        tenure = self._tenure
        assert tenure is not None, "nothing to lapse"
        self._close(reason)
        self._publish(Lapsed(epoch=tenure.epoch, reason=reason))

    def _close(self, reason: str) -> None:
        tenure = self._tenure
        assert tenure is not None, "nothing to close"
        self._tenure, self._phase = None, Phase.CONTENDING
        self._is_settled = False  # until a tick brings the permit's word
        self._heard = None
        self._world.calls.out.append(CloseGate(epoch=tenure.epoch, reason=reason))

    def _raise_floor(self, epoch: int, now: Instant, chance: float) -> None:
        self._highest = max(self._highest, epoch)
        if self._tenure is not None and epoch > self._tenure.epoch:
            self._end(f"the venue shows orders of the later epoch {epoch}", now, chance)

    def _release(self, asked: ReleaseAsked, now: Instant, chance: float) -> None:
        tenure = self._tenure
        if tenure is None or not tenure.is_granted:
            self._end("released before it was granted", now, chance)
            return
        self._close(asked.reason or "released")
        told: list[StoreName] = []
        for observation in self._world.observed:
            inc = tenure.incs.get(observation.name) or observation.inc
            if inc is None:
                continue
            told.append(observation.name)
            self._world.calls.queue_farewell(
                observation.name,
                Farewell(
                    epoch=tenure.epoch,
                    expected_inc=inc,
                    drain_ms=asked.drain_ms,
                    reserved_for=asked.reserved_for,
                    reason=asked.reason,
                    queued=now,
                ),
            )
        self._world.calls.begin_handover(tenure.epoch, tuple(told), now)
        self._world.calls.send_farewells(now)
        self._wait = (now, GRACE_S)  # others first

    # --- what the node and the ledger read -----------------------------------------------------

    @property
    def phase(self) -> Phase:
        """What the machine is doing."""
        return self._phase

    def incarnations(self) -> Mapping[StoreName, Incarnation]:
        """Return the incarnation of each store in which the current grant is held."""
        tenure = self._tenure
        return dict(tenure.incs) if tenure is not None and tenure.is_granted else {}

    def view(self, now: Instant) -> LeaseView:
        """Return the lease as this node sees it now; begins a new measure of the longest gap."""
        tenure, named = self._tenure, self._world.observed.named()
        is_mine = tenure is not None and tenure.is_granted
        valid_for_s = 0.0
        if tenure is not None and tenure.is_granted and tenure.counted is not None:
            elapsed_s = holder_elapsed_s(tenure.counted, now)
            valid_for_s = max(0.0, self._world.ttl_s * (1 - self._world.timing.drift) - elapsed_s)
        running_s = 0.0 if self._heard is None else holder_elapsed_s(self._heard, now)
        gap_s, self._gap_s = max(self._gap_s, running_s), 0.0
        epoch_error = (self._epoch_error,) if self._epoch_error else ()
        return LeaseView(
            stores=tuple(o.view() for o in self._world.observed),
            is_mine=is_mine,
            epoch=tenure.epoch if tenure is not None and is_mine else named.epoch,
            holder=named.holder,
            holder_label=named.label,
            valid_for_s=valid_for_s,
            takeover_in_s=None if is_mine else self._world.observed.takeable_in_s(now),
            longest_gap_s=gap_s,
            ineligible=(*self._obstacles(now), *epoch_error),
        )

    def _note_gap(self, at: Instant) -> None:
        """Measure the longest time between two heartbeats that counted."""
        if self._heard is not None:
            self._gap_s = max(self._gap_s, holder_elapsed_s(self._heard, at))
            self._heard = at

    def _publish(self, event: LeaseEvent) -> None:
        self._world.calls.out.append(Publish(event=event))
