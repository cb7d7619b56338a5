"""Life of one order intent: its states, and which event leads from which to which.

All transitions are in this file. An illegal event raises and changes nothing.

- JOURNALLED and SENT are the same to every other node: it may have been sent.
- UNKNOWN is a state, not an error: only the venue can end it (reconcile.py).
- A final state means that nothing can happen any more *and* that its fills are counted; the
  record is then trimmed in the same write that updates the position.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from exchange.errors import IllegalTransition
from exchange.model import ZERO, ClientOrderId, OrderIntent, VenueOrderId

TARGET_TAG: Final = "target"  # orders that move a position to its target
ORPHAN_TAG: Final = "orphan"  # ours by id, found at the venue, its tag is not known


class IntentState(StrEnum):
    """Where an intent stands."""

    JOURNALLED = "journalled"  # on disk and in a majority of the stores, before the send
    SENT = "sent"  # the gateway was called (held in memory only: no second write before a send)
    OPEN = "open"  # the venue has it
    UNKNOWN = "unknown"  # it may be there; ask
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    ABSENT = "absent"  # by the absence rule
    CLOSED = "closed"  # filled, cancelled or expired at the venue, and its fills are counted

    @property
    def is_final(self) -> bool:
        """True when nothing about it can change any more."""
        return self in FINAL


class IntentEvent(StrEnum):
    """What can happen to an intent."""

    SEND = "send"
    CONFIRM = "confirm"  # the write was confirmed
    REJECT = "reject"  # the write was rejected with proof
    LOSE = "lose"  # the outcome is unknown, or the venue no longer shows the order
    WITHHOLD = "withhold"  # proven not sent
    FIND = "find"  # reconcile sees it open
    FINISH = "finish"  # reconcile sees it final and its fills are counted
    MISS = "miss"  # reconcile proves it absent


FINAL: Final = frozenset(
    {IntentState.REJECTED, IntentState.NOT_SENT, IntentState.ABSENT, IntentState.CLOSED}
)

_S, _E = IntentState, IntentEvent
TRANSITIONS: Final[Mapping[tuple[IntentState, IntentEvent], IntentState]] = {
    (_S.JOURNALLED, _E.SEND): _S.SENT,
    (_S.JOURNALLED, _E.WITHHOLD): _S.NOT_SENT,
    # Another node reads a record that its writer left behind: it may have been sent.
    (_S.JOURNALLED, _E.LOSE): _S.UNKNOWN,
    (_S.JOURNALLED, _E.FIND): _S.OPEN,
    (_S.JOURNALLED, _E.FINISH): _S.CLOSED,
    (_S.JOURNALLED, _E.MISS): _S.ABSENT,
    (_S.SENT, _E.CONFIRM): _S.OPEN,
    (_S.SENT, _E.REJECT): _S.REJECTED,
    (_S.SENT, _E.LOSE): _S.UNKNOWN,
    (_S.SENT, _E.WITHHOLD): _S.NOT_SENT,
    # The work loop was interrupted between the send and its outcome.
    (_S.SENT, _E.FIND): _S.OPEN,
    (_S.SENT, _E.FINISH): _S.CLOSED,
    (_S.SENT, _E.MISS): _S.ABSENT,
    (_S.OPEN, _E.FIND): _S.OPEN,
    (_S.OPEN, _E.FINISH): _S.CLOSED,
    # Really happens: an order that was seen open is "not found" on the next read.
    (_S.OPEN, _E.LOSE): _S.UNKNOWN,
    (_S.UNKNOWN, _E.LOSE): _S.UNKNOWN,
    (_S.UNKNOWN, _E.FIND): _S.OPEN,
    (_S.UNKNOWN, _E.FINISH): _S.CLOSED,
    (_S.UNKNOWN, _E.MISS): _S.ABSENT,
}


def step_intent(state: IntentState, event: IntentEvent) -> IntentState:
    """Return the next state.

    Raises:
        IllegalTransition: the event cannot happen in this state; our own bug.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"intent in state {state} cannot {event}") from None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Stamp:
    """When a document was written: the highest wins. `seq` grows within an epoch."""

    epoch: int = 0
    seq: int = 0


NO_STAMP: Final = Stamp()  # older than anything ever written


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecord:
    """One intent as the journal has it.

    `deadline_venue_ms` bounds from above when the venue can still accept it: before the send it
    is the writer's promise, after the outcome the request's own deadline. `filled` is how much
    of it has been counted into the position, which may lag behind what the venue reports.
    `adopted_epoch` is the later grant that decided to keep it, 0 if none did.
    """

    intent: OrderIntent
    state: IntentState
    deadline_venue_ms: int
    venue_order_id: VenueOrderId | None = None
    filled: Decimal = ZERO
    reason: str = ""
    adopted_epoch: int = 0
    stamp: Stamp = NO_STAMP

    @property
    def client_order_id(self) -> ClientOrderId:
        """The id of the intent."""
        return self.intent.client_order_id

    @property
    def is_in_flight(self) -> bool:
        """True while it may have been sent and its outcome is not known."""
        return self.state in {IntentState.JOURNALLED, IntentState.SENT, IntentState.UNKNOWN}
