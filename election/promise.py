"""The promise not to contend: what lets a holder trade on without a store (R14 as amended).

Rules of this file: pure. A holder's validity normally rests on what stores acknowledged. With two
nodes and one store there is another proof: the only other node has promised, durably, not to
contend. So a promise

- is on the promiser's disk before anybody hears of it, and binds every later process of that node;
- is given to one process and one epoch of the holder, who relies on it only while it holds;
- ends when the holder has said that it relies on it no longer, or when a person who knows the
  holder to be dead says so; after that the promiser waits one ttl, as if it saw the record new;
- counts as outstanding where the disk remembers nothing: lost memory must not free a contender.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from election.model import NodeId

_FORMAT: Final = 1
ENDED_MAX: Final = 256  # ids of ended promises that a process remembers


class PromiseState(StrEnum):
    """What this node's disk says about its own promise."""

    NONE = "none"  # it is known that nothing was promised
    STANDING = "standing"
    UNKNOWN = "unknown"  # a disk without memory: another process may have promised


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Node `by` does not contend; process `to_nonce` of node `to` may rely on it in `epoch`.

    `by_nonce` is the process that gave it: a later one knows by it that it was restarted since.
    """

    promise_id: str
    by: NodeId
    by_nonce: str
    to: NodeId
    to_nonce: str
    epoch: int

    def to_body(self) -> dict[str, Any]:
        """Render as JSON values."""
        return {
            "promise_id": self.promise_id,
            "by": self.by,
            "by_nonce": self.by_nonce,
            "to": self.to,
            "to_nonce": self.to_nonce,
            "epoch": self.epoch,
        }


def parse_promise(body: object) -> Promise:
    """Return the promise of a JSON value.

    Raises:
        ValueError: it is none.
    """
    match body:
        case {
            "promise_id": str(promise_id),
            "by": str(by),
            "by_nonce": str(by_nonce),
            "to": str(to),
            "to_nonce": str(to_nonce),
            "epoch": int(epoch),
        } if promise_id:
            return Promise(
                promise_id=promise_id,
                by=NodeId(by),
                by_nonce=by_nonce,
                to=NodeId(to),
                to_nonce=to_nonce,
                epoch=epoch,
            )
        case _:
            raise ValueError("the promise lacks a field, or one is of another type")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseMemory:
    """What the disk remembers; `promise` only while one stands."""

    state: PromiseState
    promise: Promise | None = None

    @property
    def promise_id(self) -> str:
        """Id of the standing promise, empty for none."""
        return "" if self.promise is None else self.promise.promise_id

    def is_of_earlier_process(self, nonce: str) -> bool:
        """Tell whether the node was restarted since it promised: what it stood down for is over."""
        return self.promise is not None and self.promise.by_nonce != nonce


NOTHING_PROMISED: Final = PromiseMemory(state=PromiseState.NONE)
NOT_KNOWN: Final = PromiseMemory(state=PromiseState.UNKNOWN)


def render_memory(memory: PromiseMemory) -> str:
    """Render as one line of JSON."""
    body: dict[str, Any] = {"v": _FORMAT, "state": memory.state.value}
    if memory.promise is not None:
        body["promise"] = memory.promise.to_body()
    return json.dumps(body, sort_keys=True) + "\n"


def parse_memory(text: str) -> PromiseMemory:
    """Parse what a disk remembers.

    Raises:
        ValueError: it cannot be read; the promise must then count as standing.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    match body:
        case {"v": int(v), "state": "none"} if v == _FORMAT:
            return NOTHING_PROMISED
        case {"v": int(v), "state": "standing", "promise": dict(promise)} if v == _FORMAT:
            return PromiseMemory(state=PromiseState.STANDING, promise=parse_promise(promise))
        case _:
            raise ValueError("it is not the memory of a promise that this program knows")


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderFacts:
    """What a node knows about its own grant, for judging a promise.

    `proven_s` is the age of the last renewal that a majority of the stores acknowledged, None
    when there was none; `relies_on` is what the grant relies on now.
    """

    node_id: NodeId
    nonce: str
    epoch: int  # of the grant, 0 when this node does not hold
    ttl_ms: int
    stores: int
    proven_s: float | None
    relies_on: Promise | None


@dataclass(slots=True)
class PromiseDesk:
    """The holder's side: which promises may be relied on. Not thread-safe."""

    _ended: dict[str, None] = field(default_factory=dict)

    def refuse_given(  # noqa: PLR0911  (one line for each reason)
        self, promise: Promise, facts: HolderFacts
    ) -> str:
        """Return why a promise cannot be relied on, empty when it can."""
        if promise.to != facts.node_id or promise.by == facts.node_id:
            return f"it was given to {promise.to}, this is {facts.node_id}"
        if promise.to_nonce != facts.nonce or promise.epoch != facts.epoch or not facts.epoch:
            return f"it was given to the holder of epoch {promise.epoch}; this process " + (
                f"holds epoch {facts.epoch}" if facts.epoch else "does not hold the lease"
            )
        if facts.stores != 1:
            return "with three stores it is not needed: two of them go on"
        if promise.promise_id in self._ended:
            return "it was ended already"
        if len(self._ended) >= ENDED_MAX:
            return "too many promises were ended by this process; restart it"
        known = facts.relies_on
        if known is not None and known.promise_id != promise.promise_id:
            return f"it relies on promise {known.promise_id[:8]} already"
        return ""

    def refuse_end(self, facts: HolderFacts) -> str:
        """Return why the holder wants to go on relying on its promise, empty when it agrees.

        Ending it while no store acknowledges would stop trading one ttl later.
        """
        if facts.relies_on is None or not facts.epoch:
            return ""
        if facts.proven_s is not None and facts.proven_s <= facts.ttl_ms / 1000 / 2:
            return ""
        return (
            f"{facts.node_id} trades on by this promise and no store has acknowledged it lately; "
            "ending it now would stop trading"
        )

    def note_ended(self, promise_id: str) -> None:
        """Never rely on this one again, also if it arrives late."""
        if promise_id and len(self._ended) < ENDED_MAX:
            self._ended[promise_id] = None


def describe(memory: PromiseMemory, facts: Mapping[str, str]) -> str:
    """Return why this node does not contend, in words; empty when nothing was promised.

    Args:
        memory: what the disk remembers.
        facts: labels of the nodes by id.
    """
    match memory.state:
        case PromiseState.NONE:
            return ""
        case PromiseState.STANDING if memory.promise is not None:
            to = facts.get(memory.promise.to, memory.promise.to)
            how = "end it with `nodectl stand-down --end`"
            return f"stood down: it promised {to} not to contend ({how})"
        case _:
            return (
                "stood down: this disk remembers nothing, so a promise given before may stand; it "
                "ends once the other node has said that it relies on none, directly or, where the "
                "peer endpoint is off, on the member board (or with `nodectl stand-down --force` "
                "when that one is known to be dead)"
            )
