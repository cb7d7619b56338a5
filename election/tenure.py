"""One epoch of this node, from asking for it to the end of the grant (R7, R8).

Rules of this file: a round counts once a majority acknowledged *that* round, and proves validity
from the instant before its first message left. Round 0 asks for the lease; the later ones renew
it. An epoch that was given up is never taken up again: its calls are unknown here from then on.
"""

from collections import Counter
from dataclasses import dataclass, field

from election.instants import Instant, is_later
from election.model import Incarnation, NodeId, StoreName
from election.promise import Promise
from election.quorum import Quorum
from election.signals import Verb

_ROUNDS_MAX = 8  # answers of older rounds prove less than what is already counted


@dataclass(slots=True)
class Round:
    """One renewal round."""

    round_id: int
    sent: Instant  # before the first message left
    acked: set[StoreName] = field(default_factory=set)
    asked: Counter[StoreName] = field(default_factory=Counter)  # how often, within this round


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the records said that this epoch replaced; told with the grant."""

    previous: NodeId | None
    previous_epoch: int
    was_released: bool
    silent_s: float | None
    drain_ms: int
    reason: str


@dataclass(slots=True)
class Tenure:
    """An attempt, and if it succeeds the grant that comes of it."""

    epoch: int
    taken: Taken
    rounds: list[Round] = field(default_factory=list)
    counted: Instant | None = None  # send of the newest round that a majority acknowledged
    incs: dict[StoreName, Incarnation] = field(default_factory=dict)  # where it is held, and when
    held_at: set[StoreName] = field(default_factory=set)  # ever acknowledged by
    refused_by: set[StoreName] = field(default_factory=set)  # of the attempt
    asked: set[StoreName] = field(default_factory=set)  # of the attempt
    is_opening: bool = False  # the permit was asked to open
    proven: Instant | None = None  # like `counted`, by stores alone
    promise: Promise | None = None  # the only other node does not contend (R14)

    @property
    def newest(self) -> Round:
        """The round sent last."""
        return self.rounds[-1]

    def begin_round(self, now: Instant) -> Round:
        """Begin a round; `now` is before its first message."""
        next_id = self.rounds[-1].round_id + 1 if self.rounds else 1
        self.rounds.append(Round(next_id, now))
        del self.rounds[:-_ROUNDS_MAX]
        return self.rounds[-1]

    def note_ack(self, store: StoreName, inc: Incarnation, round_id: int, quorum: Quorum) -> bool:
        """Count an acknowledgement; tell whether it proves a longer validity than before."""
        self.incs[store] = inc
        self.held_at.add(store)
        for round_ in self.rounds:
            if round_.round_id != round_id:
                continue
            round_.acked.add(store)
            if quorum.is_met(round_.acked):
                if self.proven is None or is_later(self.proven, round_.sent):
                    self.proven = round_.sent
                return self._count(round_)
        return False

    def is_back(self, store: StoreName, inc: Incarnation, verb: Verb) -> bool:
        """Tell whether a store that acknowledges now had forgotten this epoch, or began anew.

        Also a renewal may say so: the answer to the re-assertion before it was lost.
        """
        return self.incs.get(store) != inc and (verb is Verb.REASSERT or store in self.held_at)

    def note_promised(self) -> bool:
        """Count the newest round by the promise alone; tell whether that proves more than before.

        The round was begun because the work loop makes progress (R8): a promise never renews by
        itself.
        """
        return self.promise is not None and self._count(self.newest)

    def _count(self, round_: Round) -> bool:
        is_newer = self.counted is None or is_later(self.counted, round_.sent)
        if is_newer:
            self.counted = round_.sent
        return is_newer

    def can_succeed(self, quorum: Quorum) -> bool:
        """Tell whether the attempt may still reach a quorum of the stores it asked."""
        return quorum.is_met(self.asked - self.refused_by)
