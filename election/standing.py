"""Where this node stands: contending, persisting, acquiring or holding (R7, R8, R10).

Rules of this file: every change of phase is in `TRANSITIONS` and goes through `_move`. A grant
ends in exactly one of four ways, each with its event: lapse, deposed, released, or given up before
it was one. Whatever ended is never taken up again: the next attempt has a higher epoch.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from election import contest, holding
from election.calls import Farewell
from election.instants import Instant, contender_elapsed_s, holder_elapsed_s
from election.model import (
    Anomaly,
    Deposed,
    Granted,
    Incarnation,
    Lapsed,
    StoreName,
)
from election.observation import GRACE_S
from election.signals import (
    CloseGate,
    ExtendGate,
    OpenGate,
    Publish,
    ReleaseAsked,
    StoreEpoch,
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


class Turn(StrEnum):
    """Why the phase changes."""

    TAKEABLE = "a majority is takeable"
    EPOCH_DURABLE = "the epoch is durable"
    EPOCH_REFUSED = "the epoch is not durable, or the world changed meanwhile"
    GATE_OPENED = "a majority granted it and the gate opened"
    GIVEN_UP = "no majority in time"
    ENDED = "lapsed, deposed or released"


TRANSITIONS: Mapping[tuple[Phase, Turn], Phase] = {
    (Phase.CONTENDING, Turn.TAKEABLE): Phase.PERSISTING,
    (Phase.PERSISTING, Turn.EPOCH_DURABLE): Phase.ACQUIRING,
    (Phase.PERSISTING, Turn.EPOCH_REFUSED): Phase.CONTENDING,
    (Phase.ACQUIRING, Turn.GATE_OPENED): Phase.HOLDING,
    (Phase.ACQUIRING, Turn.GIVEN_UP): Phase.CONTENDING,
    (Phase.HOLDING, Turn.ENDED): Phase.CONTENDING,
}


class Standing:
    """The phase, the attempt or grant that goes with it, and the wait before the next one."""

    def __init__(self, world: World) -> None:
        """Begin as a contender."""
        self._world = world
        self._out = world.calls.put_out
        self._phase = Phase.CONTENDING
        self._tenure: Tenure | None = None
        self._asked_epoch = 0
        self._asked_at: Instant | None = None
        self._wait: tuple[Instant, float] | None = None  # no attempt until this has passed
        self._is_settled = True  # no older grant is armed or has writes in flight
        self._heard: Instant | None = None  # send of the last counted round
        self._gap_s = 0.0

    @property
    def phase(self) -> Phase:
        """What the machine is doing."""
        return self._phase

    @property
    def tenure(self) -> Tenure | None:
        """The attempt or the grant; None while contending or persisting."""
        return self._tenure

    @property
    def grant(self) -> Tenure | None:
        """The grant; None unless holding."""
        return self._tenure if self._phase is Phase.HOLDING else None

    # --- asking --------------------------------------------------------------------------------

    def note_settled(self, *, is_settled: bool) -> None:
        """Take in the permit's word."""
        self._is_settled = is_settled

    def is_waiting(self, now: Instant) -> bool:
        """Tell whether an attempt must wait: for back-off, or for an older grant to settle."""
        if self._phase is not Phase.CONTENDING or not self._is_settled:
            return True
        return self._wait is not None and contender_elapsed_s(*self._pair(now)) < self._wait[1]

    def persist(self, epoch: int, now: Instant) -> None:
        """Make the epoch durable before asking for it."""
        self._move(Turn.TAKEABLE)
        self._asked_epoch, self._asked_at = epoch, now
        self._out(StoreEpoch(epoch=epoch))

    def is_persisting(self, epoch: int) -> bool:
        """Tell whether this epoch is the one being made durable."""
        return self._phase is Phase.PERSISTING and epoch == self._asked_epoch

    def is_about_to_ask(self, now: Instant) -> bool:
        """Tell whether the stores are to be kept free for the attempt (a healthy disk is quick)."""
        if self._phase is not Phase.PERSISTING or self._asked_at is None:
            return False
        limit_s = self._world.timing.request_timeout_ms / 1000
        return holder_elapsed_s(self._asked_at, now) < limit_s

    def drop_epoch(self) -> None:
        """Do not ask for the epoch after all."""
        self._move(Turn.EPOCH_REFUSED)

    def begin(self, epoch: int, stores: tuple[StoreName, ...], now: Instant) -> None:
        """Ask the takeable stores for the epoch."""
        self._move(Turn.EPOCH_DURABLE)
        self._tenure = contest.begin_attempt(self._world, epoch, stores, now)

    def press(self, now: Instant, chance: float) -> None:
        """Give the attempt up when it is too late, else look after lost answers."""
        tenure = self._present()
        if contest.is_too_late(self._world, tenure, now):
            self.give_up("no majority answered in time", now, chance)
        else:
            contest.read_back(self._world, tenure)

    def give_up(self, reason: str, now: Instant, chance: float) -> None:
        """Give the attempt up everywhere, for good (R7)."""
        tenure = self._present()
        self._move(Turn.GIVEN_UP)
        self._tenure = None
        contest.give_up(self._world, tenure, reason, now)
        self.back_off(now, chance)
        detail = f"attempt at epoch {tenure.epoch} given up: {reason}"
        self._out(Publish(event=Anomaly(code="attempt_abandoned", detail=detail)))

    def back_off(self, now: Instant, chance: float) -> None:
        """Let no attempt begin for a random part of a ttl."""
        part = BACKOFF_MIN + (BACKOFF_MAX - BACKOFF_MIN) * chance
        self._wait = (now, part * self._world.ttl_s)

    # --- having --------------------------------------------------------------------------------

    def count(self, now: Instant, chance: float) -> None:
        """A majority acknowledged a round that proves more than was proven before."""
        tenure = self._present()
        counted = tenure.counted
        assert counted is not None, "counted nothing"
        if self._phase is Phase.HOLDING:
            self._note_gap(counted)
            self._out(ExtendGate(epoch=tenure.epoch, sent=counted))
        elif contest.is_too_late(self._world, tenure, now):
            self.give_up("a majority answered too late", now, chance)
        elif not tenure.is_opening:
            tenure.is_opening = True
            self._out(OpenGate(epoch=tenure.epoch, sent=counted))

    def begin_holding(self, epoch: int) -> None:
        """The gate is open: this node holds the lease."""
        tenure = self._present()
        assert tenure.epoch == epoch, "a gate opened for another epoch"
        self._move(Turn.GATE_OPENED)
        self._heard = tenure.counted
        taken = tenure.taken
        self._out(
            Publish(
                event=Granted(
                    epoch=epoch,
                    previous=taken.previous,
                    previous_epoch=taken.previous_epoch,
                    was_released=taken.was_released,
                    silent_s=taken.silent_s,
                    drain_ms=taken.drain_ms,
                    reason=taken.reason,
                )
            )
        )

    def hold(self, now: Instant, chance: float, *, hang: str, is_forced: bool) -> None:
        """Renew when it is time and the work loop makes progress; lapse when the time is over."""
        tenure = self._present()
        if holding.is_expired(self._world, tenure, now):
            self.lapse(holding.describe_lapse(self._world, hang))
        elif not hang and (is_forced or holding.is_renewal_due(self._world, tenure, now)):
            holding.begin_renewal(self._world, tenure, now)
            if tenure.note_promised():
                self.count(now, chance)

    def check_deposed(self, now: Instant, chance: float) -> None:
        """Stop at once when a majority names a rival (R8)."""
        tenure = self._present()
        rival = holding.deposing(self._world, tenure)
        if rival is None:
            return
        self._close(f"deposed by {rival.node_id} under epoch {rival.epoch}")
        event = Deposed(epoch=tenure.epoch, by_epoch=rival.epoch, by_node=rival.node_id)
        self._out(Publish(event=event))
        self.back_off(now, chance)

    def lapse(self, reason: str) -> None:
        """End the grant: it can no longer be proven."""
        tenure = self._present()
        self._close(reason)
        self._out(Publish(event=Lapsed(epoch=tenure.epoch, reason=reason)))

    def end(self, reason: str, now: Instant, chance: float) -> None:
        """End whatever this node has or asks for."""
        match self._phase:
            case Phase.HOLDING:
                self.lapse(reason)
            case Phase.ACQUIRING:
                self.give_up(reason, now, chance)
            case Phase.PERSISTING:
                self.drop_epoch()
            case Phase.CONTENDING:
                pass
            case _:
                assert_never(self._phase)

    def release(self, asked: ReleaseAsked, now: Instant, chance: float) -> None:
        """Give the lease away, irrevocably; `Released` follows (R10)."""
        tenure = self.grant
        if tenure is None:
            self.end("released before it was granted", now, chance)
            return
        self._close(asked.reason or "released")
        calls, told = self._world.calls, []
        for observation in self._world.observed:
            inc = tenure.incs.get(observation.name) or observation.inc
            if inc is None:
                continue
            told.append(observation.name)
            farewell = Farewell(
                epoch=tenure.epoch,
                expected_inc=inc,
                drain_ms=asked.drain_ms,
                reserved_for=asked.reserved_for,
                reason=asked.reason,
                queued=now,
            )
            calls.queue_farewell(observation.name, farewell)
        calls.begin_handover(tenure.epoch, tuple(told), now)
        calls.send_farewells(now)
        self._wait = (now, GRACE_S)  # others first

    # --- read ----------------------------------------------------------------------------------

    def incarnations(self) -> Mapping[StoreName, Incarnation]:
        """Return the incarnation of each store in which the current grant is held."""
        grant = self.grant
        return {} if grant is None else dict(grant.incs)

    def valid_for_s(self, now: Instant) -> float:
        """Return seconds until nobody can be kept from taking the lease; 0 when not holding."""
        grant = self.grant
        if grant is None or grant.counted is None:
            return 0.0
        whole_s = self._world.ttl_s * (1 - self._world.timing.drift)
        return max(0.0, whole_s - holder_elapsed_s(grant.counted, now))

    def take_gap_s(self, now: Instant) -> float:
        """Return the longest time between two counted renewals, and begin a new measure."""
        running_s = 0.0 if self._heard is None else holder_elapsed_s(self._heard, now)
        gap_s, self._gap_s = max(self._gap_s, running_s), 0.0
        return gap_s

    # --- private -------------------------------------------------------------------------------

    def _move(self, turn: Turn) -> None:
        target = TRANSITIONS.get((self._phase, turn))
        assert target is not None, f"no turn '{turn}' from {self._phase}"
        self._phase = target

    def _present(self) -> Tenure:
        assert self._tenure is not None, f"{self._phase} without an attempt or grant"
        return self._tenure

    def _pair(self, now: Instant) -> tuple[Instant, Instant]:
        assert self._wait is not None, "no wait"
        return (self._wait[0], now)

    def _close(self, reason: str) -> None:
        tenure = self._present()
        self._move(Turn.ENDED)
        self._tenure, self._heard = None, None
        self._is_settled = False  # until a tick brings the permit's word
        self._out(CloseGate(epoch=tenure.epoch, reason=reason))

    def _note_gap(self, at: Instant) -> None:
        if self._heard is not None:
            self._gap_s = max(self._gap_s, holder_elapsed_s(self._heard, at))
        self._heard = at
