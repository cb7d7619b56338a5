"""What goes into the lease machine and what comes out of it: values only.

A *stimulus* says what happened, with the instants that matter; a *command* says what the shell
must do now, in the order given. Neither decides anything. What comes many times a second is a named
tuple, which is made several times faster than a frozen dataclass.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from election.instants import Instant
from election.model import Incarnation, LeaseEvent, StoreName, StoreReply, WriteId
from election.promise import Promise


class Verb(StrEnum):
    """The five scripts of a lease store."""

    OBSERVE = "observe"
    ACQUIRE = "acquire"
    RENEW = "renew"
    REASSERT = "reassert"
    RELEASE = "release"


NO_INC = Incarnation("")
NO_WID = WriteId("")


# --- commands ----------------------------------------------------------------------------------


class Call(NamedTuple):
    """Call one script of one store; the answer comes back as `Answered` or `Failed`.

    `round_id` names the renewal round that an acknowledgement counts for.
    """

    call_id: int
    store: StoreName
    verb: Verb
    epoch: int = 0
    round_id: int = 0
    expected_inc: Incarnation = NO_INC
    expected_wid: WriteId = NO_WID
    drain_ms: int = 0
    reserved_for: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEpoch:
    """Make the epoch durable before any store is asked for it (R7)."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGate:
    """Arm the fence and open the gate; answer with `GateOpened` or `GateRefused`."""

    epoch: int
    sent: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendGate:
    """Move fence and gate; answer with `GateRefused` if the permit does not follow."""

    epoch: int
    sent: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendGate:
    """Close the gate until a renewal sent after now is acknowledged (R0)."""

    since: Instant
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseGate:
    """The grant is over: close for good."""

    epoch: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Tell the work loop."""

    event: LeaseEvent


Command = Call | StoreEpoch | OpenGate | ExtendGate | SuspendGate | CloseGate | Publish


# --- stimuli -----------------------------------------------------------------------------------


class Tick(NamedTuple):
    """Time passed.

    `progress_at` is when the work loop last completed a step, `progress_label` which one;
    `is_settled` is the permit's word that no older grant is armed or in flight.
    """

    progress_at: Instant | None
    progress_label: str
    is_settled: bool


class Answered(NamedTuple):
    """A store answered a call. `sent` and `received` enclose it on this machine's clocks."""

    call: Call
    reply: StoreReply
    sent: Instant
    received: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A call had no usable answer; a write may have been done, or may still be done."""

    call: Call
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochStored:
    """The epoch is durable."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochNotStored:
    """The epoch could not be made durable."""

    epoch: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOpened:
    """The permit followed an `OpenGate`."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRefused:
    """The permit did not follow: its time ran out, or the fence could not be armed."""

    epoch: int
    error: str
    is_fence_unavailable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibilitySet:
    """The node's reasons not to contend; empty means that it may."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorRaised:
    """The venue shows client order ids of this epoch (R7)."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverExpected:
    """The holder was asked to hand over to this node: look more often for a moment (R5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAsked:
    """The node has closed the gate, drained and persisted; give the lease away (R10)."""

    drain_ms: int
    reserved_for: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StandDown:
    """Do not contend any more; a holder does not take it in. `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StandUp:
    """The promise is over, on disk too; `ttl_ms` is the longest that its holder may have had."""

    ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseTaken:
    """The only other node promised not to contend, to this process in this epoch."""

    promise: Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseDropped:
    """Rely on the promise no longer; the promiser hears of it after this was taken in."""


PromiseStimulus = StandDown | StandUp | PromiseTaken | PromiseDropped

Stimulus = (
    Tick
    | Answered
    | Failed
    | EpochStored
    | EpochNotStored
    | GateOpened
    | GateRefused
    | EligibilitySet
    | FloorRaised
    | HandoverExpected
    | ReleaseAsked
    | PromiseStimulus
)
