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
from typing import assert_never

from election import contest, holding
from election.calls import Calls
from election.instants import CLOCK_FAULTS, ClockFault, Instant, check_tick
from election.looking import Looking
from election.model import (
    Anomaly,
    HolderChanged,
    Identity,
    Incarnation,
    LeaseEvent,
    LeaseTiming,
    LeaseView,
    Reincarnated,
    StoreBack,
    StoreLost,
    StoreName,
)
from election.observation import Change, Observation
from election.observed import NOBODY, Observed
from election.promises import PeerFacts, Promises
from election.quorum import Quorum
from election.signals import (
    Answered,
    Command,
    EligibilitySet,
    EpochNotStored,
    EpochStored,
    Failed,
    FloorRaised,
    GateOpened,
    GateRefused,
    HandoverExpected,
    PromiseDropped,
    PromiseTaken,
    Publish,
    ReleaseAsked,
    StandDown,
    StandUp,
    Stimulus,
    SuspendGate,
    Tick,
    Verb,
)
from election.standing import Phase, Standing
from election.tenure import Tenure
from election.world import World


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
        stood_down: str = "",
        needed: StoreName | None = None,
    ) -> None:
        """Begin as a contender that has seen nothing and may not contend yet.

        Args:
            identity: who contends.
            timing: validated.
            stores: one or three.
            disk_epoch: highest epoch this node ever asked for.
            floor: highest epoch known from elsewhere (client order ids at the venue).
            stood_down: why a promise on disk keeps this node from contending, empty for none.
            needed: the store that every decision needs while the pair grows from it (quorum.py).
        """
        quorum = Quorum(tuple(stores), needed)
        self.observed = observed = Observed(quorum, identity=identity, timing=timing)
        self._world = World(identity, timing, observed, Calls(quorum, ttl_s=timing.ttl_ms / 1000))
        self._standing = Standing(self._world)
        self._looking = Looking(timing=timing, tick_s=self._world.tick_s)
        self.promises = Promises(self._world, self._standing, stood_down=stood_down)
        self._highest = max(disk_epoch, floor)
        self._node_reasons: tuple[str, ...] = ("the node has not reported its health yet",)
        self._fence_error = ""  # stands against contending until the process restarts
        self._epoch_error = ""  # shown, and tried again after a wait
        self._last_tick: Instant | None = None
        self._progress_at: Instant | None = None
        self._progress_label = ""
        self._is_hung = False
        self._named = NOBODY

    # --- the one entry -------------------------------------------------------------------------

    def step(  # noqa: C901, PLR0912  (one case for each stimulus)
        self, stimulus: Stimulus, *, now: Instant, chance: float
    ) -> tuple[Command, ...]:
        """Take in what happened; return what to do, in this order.

        Args:
            stimulus: what happened, not later than `now`.
            now: this instant.
            chance: a fresh random number in [0, 1), for the wait after a failed attempt.
        """
        match stimulus:
            case Tick():
                self._tick(stimulus, now, chance)
            case Answered():
                self._take_answer(stimulus, now, chance)
            case Failed():
                self._take_failure(stimulus)
            case EpochStored():
                self._begin_attempt(stimulus.epoch, now)
            case EpochNotStored():
                self._take_unstored(stimulus, now, chance)
            case GateOpened():
                self._looking.calm_down()
                self._standing.begin_holding(stimulus.epoch)
            case GateRefused():
                self._take_gate_refusal(stimulus, now, chance)
            case EligibilitySet():
                self._node_reasons = stimulus.reasons
                if stimulus.reasons and self._standing.phase is Phase.ACQUIRING:
                    reason = f"no longer eligible: {stimulus.reasons[0]}"
                    self._standing.give_up(reason, now, chance)
            case HandoverExpected():
                self._looking.expect(now)
            case FloorRaised():
                self._raise_floor(stimulus.epoch, now, chance)
            case ReleaseAsked():
                self._standing.release(stimulus, now, chance)
            case StandDown() | StandUp() | PromiseTaken() | PromiseDropped():
                self.promises.step(stimulus, now, chance)
            case _:
                assert_never(stimulus)
        return self._world.calls.take_out()

    def wake_in_s(self, now: Instant) -> float:
        """Return seconds until the next tick is wanted: a tick, a look, or the takeable moment."""
        tick_s = self._world.tick_s
        if self._standing.phase is not Phase.CONTENDING:
            return tick_s
        tick_s = self._looking.wake_in_s(tick_s, now)
        takeable_s = self._world.observed.takeable_in_s(now)
        if takeable_s is None or takeable_s <= 0:  # what stands open then waits for a tick
            return tick_s
        return min(tick_s, takeable_s + 0.001)  # after the moment, not a rounding error before

    # --- time ----------------------------------------------------------------------------------

    def _tick(self, tick: Tick, now: Instant, chance: float) -> None:
        faults = check_tick(
            self._last_tick, now, tick_s=self._world.tick_s, ttl_s=self._world.ttl_s
        )
        self._last_tick = now
        self._progress_at, self._progress_label = tick.progress_at, tick.progress_label
        self._standing.note_settled(is_settled=tick.is_settled)
        self._note_hang(now)
        for fault in faults:
            self._take_clock_fault(fault, now, chance)
        self._world.calls.send_farewells(now)
        match self._standing.phase:
            case Phase.HOLDING:
                hang = self._describe_hang(now)
                self._standing.hold(now, chance, hang=hang, is_forced=bool(faults))
            case Phase.ACQUIRING:
                self._standing.press(now, chance)
            case Phase.PERSISTING:
                pass
            case Phase.CONTENDING:
                self._try_contend(now)
        self._observe_due(now)

    def _take_clock_fault(self, fault: ClockFault, now: Instant, chance: float) -> None:
        detail, has_tenure = CLOCK_FAULTS[fault], self._standing.tenure is not None
        is_fatal = fault is ClockFault.BACKWARD
        if is_fatal:
            self._world.observed.restart(now)
            self._standing.end(detail, now, chance)
        elif has_tenure:
            self._world.calls.put_out(SuspendGate(since=now, reason=detail))
        if has_tenure or fault is not ClockFault.LATE:  # a spare that was slow is no news
            self._publish(Anomaly(code=fault.value, detail=detail, is_fatal=is_fatal))

    def _note_hang(self, now: Instant) -> None:
        was_hung, self._is_hung = self._is_hung, bool(self._describe_hang(now))
        if self._is_hung and not was_hung and self._standing.phase is Phase.HOLDING:
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
        """Look at stores that were not asked anything for a while (R5)."""
        if self._standing.phase is Phase.HOLDING and not self._is_hung:
            return  # renewals show the record
        if self._standing.is_about_to_ask(now):
            return
        for name in [o.name for o in self._world.observed]:
            if self._world.calls.is_free(name) and self._looking.take_due(name, now):
                self._world.calls.send(name, Verb.OBSERVE)

    # --- contending ----------------------------------------------------------------------------

    def _obstacles(self, now: Instant) -> tuple[str, ...]:
        own = (self._fence_error, self._describe_hang(now))
        promised = self.promises.obstacles(now)
        return (*self._node_reasons, *(reason for reason in own if reason), *promised)

    def _try_contend(self, now: Instant) -> None:
        if self._standing.is_waiting(now) or self._obstacles(now):
            return
        if self._world.observed.quorum.is_met(contest.free_and_takeable(self._world, now)):
            self._highest = max(self._highest, self._world.observed.max_epoch)
            self._standing.persist(self._highest + 1, now)

    def _begin_attempt(self, epoch: int, now: Instant) -> None:
        if not self._standing.is_persisting(epoch):
            self._highest = max(self._highest, epoch)
            return
        self._epoch_error = ""
        stores = contest.free_and_takeable(self._world, now)
        is_highest = epoch > max(self._highest, self._world.observed.max_epoch)
        is_possible = self._world.observed.quorum.is_met(stores) and is_highest
        self._highest = max(self._highest, epoch)
        if is_possible and not self._obstacles(now):
            self._standing.begin(epoch, stores, now)
        else:  # the world changed while the disk wrote; the next tick looks again
            self._standing.drop_epoch()

    def _take_unstored(self, stimulus: EpochNotStored, now: Instant, chance: float) -> None:
        if self._standing.is_persisting(stimulus.epoch):
            self._standing.drop_epoch()
        if not self._epoch_error:
            self._publish(Anomaly(code="epoch_file", detail=stimulus.error))
        self._epoch_error = f"the epoch is not durable: {stimulus.error}"
        self._standing.back_off(now, chance)  # and try again: a full disk may be emptied

    # --- answers -------------------------------------------------------------------------------

    def _take_answer(self, answered: Answered, now: Instant, chance: float) -> None:
        call, reply, calls = answered.call, answered.reply, self._world.calls
        if not calls.finish(call):
            return
        observation = (observed := self._world.observed)[call.store]
        change = observation.note_reply(reply, sent=answered.sent, received=answered.received)
        observed.max_epoch = max(observed.max_epoch, observation.max_epoch)
        if observation.record is not None:
            observed.longest_ttl_ms = max(observed.longest_ttl_ms, observation.record.ttl_ms)
        self._publish_change(observation, change, reply.detail)
        if call.verb is Verb.RELEASE:
            calls.end_farewell(call, now, was_ok=reply.is_ok)
        tenure = self._standing.tenure
        if tenure is not None and call.epoch == tenure.epoch:
            self._take_tenure_answer(answered, tenure, now, chance)
        if self._standing.phase is Phase.HOLDING:
            self._standing.check_deposed(now, chance)
        self._publish_holder()
        calls.send_farewells(now)
        self._try_contend(now)

    def _take_tenure_answer(
        self, answered: Answered, tenure: Tenure, now: Instant, chance: float
    ) -> None:
        call, reply, observed = answered.call, answered.reply, self._world.observed
        is_write = call.verb in (Verb.ACQUIRE, Verb.RENEW, Verb.REASSERT)
        if is_write and reply.is_ok:
            is_back = tenure.is_back(call.store, reply.inc, call.verb)
            if tenure.note_ack(call.store, reply.inc, call.round_id, observed.quorum):
                self._standing.count(now, chance)
            if is_back and self._standing.grant is tenure:
                self._publish(Reincarnated(name=call.store))
            return
        if not (is_mine := observed[call.store].shows(self._world.identity, tenure.epoch)):
            tenure.incs.pop(call.store, None)
        if self._standing.grant is tenure:
            if not self._is_hung:  # a refusal showed what is there: repair within this round
                holding.repair(self._world, tenure, call.store, now)
            return
        if is_mine:
            contest.renew_first(self._world, tenure, now)
        else:
            tenure.refused_by.add(call.store)
            if not tenure.can_succeed(observed.quorum):
                self._standing.give_up(f"{call.store} answered {reply.refusal.value}", now, chance)

    def _take_failure(self, failed: Failed) -> None:
        if not self._world.calls.finish(failed.call):
            return
        if self._world.observed[failed.call.store].note_failure(failed.error):
            self._publish(StoreLost(name=failed.call.store, error=failed.error))

    def _publish_change(self, observation: Observation, change: Change, detail: str) -> None:
        if change.became_unusable is not None:
            code = change.became_unusable.value
            self._publish(StoreLost(name=observation.name, error=observation.error))
            self._publish(Anomaly(code=code, detail=f"{observation.name}: {detail or code}"))
        if change.is_back:
            self._publish(StoreBack(name=observation.name))
        if change.has_new_life and self._standing.phase is not Phase.HOLDING:
            self._publish(Reincarnated(name=observation.name))

    def _publish_holder(self) -> None:
        named = self._world.observed.named()
        if (named.holder, named.epoch) != (self._named.holder, self._named.epoch):
            self._publish(HolderChanged(holder=named.holder, epoch=named.epoch))
        self._named = named

    # --- what else may end it ------------------------------------------------------------------

    def _take_gate_refusal(self, refused: GateRefused, now: Instant, chance: float) -> None:
        if refused.is_fence_unavailable:
            self._fence_error = f"the kernel fence is not available: {refused.error}"
            self._publish(Anomaly(code="fence_unavailable", detail=refused.error, is_fatal=True))
        tenure = self._standing.tenure
        if tenure is not None and tenure.epoch == refused.epoch:
            self._standing.end(refused.error, now, chance)

    def _raise_floor(self, epoch: int, now: Instant, chance: float) -> None:
        self._highest = max(self._highest, epoch)
        tenure = self._standing.tenure
        if tenure is not None and epoch > tenure.epoch:
            reason = f"the venue shows orders of the later epoch {epoch}"
            self._standing.end(reason, now, chance)

    # --- what the node and the ledger read -----------------------------------------------------

    @property
    def phase(self) -> Phase:
        """What the machine is doing."""
        return self._standing.phase

    @property
    def max_epoch(self) -> int:
        """The highest epoch this node knows of."""
        return max(self._highest, self._world.observed.max_epoch)

    def incarnations(self) -> Mapping[StoreName, Incarnation]:
        """Return the incarnation of each store in which the current grant is held."""
        return self._standing.incarnations()

    def view(self, now: Instant) -> LeaseView:
        """Return the lease as this node sees it now; begins a new measure of the longest gap."""
        grant, named = self._standing.grant, self._world.observed.named()
        epoch_error = (self._epoch_error,) if self._epoch_error else ()
        return LeaseView(
            stores=tuple(o.view() for o in self._world.observed),
            is_mine=grant is not None,
            epoch=named.epoch if grant is None else grant.epoch,
            holder=named.holder,
            holder_label=named.label,
            valid_for_s=self._standing.valid_for_s(now),
            takeover_in_s=None if grant else self._world.observed.takeable_in_s(now),
            longest_gap_s=self._standing.take_gap_s(now),
            ineligible=(*self._obstacles(now), *epoch_error),
        )

    def peer_facts(self, now: Instant) -> PeerFacts:
        """Return what the other node may know of this one."""
        return PeerFacts(
            at=now,
            lives=self.promises.lives(now),
            holder=self.promises.facts(now),
            stood_down=self.promises.reason,
            max_epoch=self.max_epoch,
            joins_in_s=self._world.observed.joins_in_s(now),
        )

    def _publish(self, event: LeaseEvent) -> None:
        self._world.calls.put_out(Publish(event=event))
