"""Values of a drill: what was asked, how it ended, and how both are written down. Pure.

A request is a control record, like a switchover: every node reads it, the one that is meant acts.
It carries a *ticket* of each node that shall act. A node shows its ticket on the member board,
derives a new one each minute from its own monotonic clock, and obeys no other: so a request that
comes late (a store that was away brings it back, a stale copy is pushed) hurts nobody, and no wall
clock decides.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from election.control_record import ControlRecord

DRILL = "drill"
DRILL_LOG = "drill_log"
# A ticket is good for one to two of these, by the node's own clock.
TICKET_S = 60.0
_TICKET_WIDTH = 12
# No cut lasts longer, whatever a request says: a drill must not become an outage.
LASTING_MAX_S = 120.0


class DrillKind(StrEnum):
    """What is played."""

    CRASH = "crash"
    HANG = "hang"
    PARTITION = "partition"
    STORE = "store"
    SWITCHOVER = "switchover"
    PLUG = "plug"


class Outcome(StrEnum):
    """How a drill ended: all right in time, all right but late, or not as it must be."""

    PASSED = "passed"
    LATE = "late"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRequest:
    """What a node is asked to do to itself.

    `target`: the node that is hurt, or the store that counts as lost. `holder` and `epoch`: who
    led when it was asked; under another epoch the request is void. `lasting_s`: of a cut.
    `tickets`: by node, of those that shall act. `slot`: the calendar slot of a scheduled drill.
    """

    drill_id: str
    kind: DrillKind
    target: str
    holder: str
    epoch: int
    lasting_s: float = 0.0
    tickets: Mapping[str, str] = field(default_factory=dict)
    slot: str = ""

    def to_value(self) -> dict[str, Any]:
        """Return the value of the control record."""
        return {
            "id": self.drill_id,
            "kind": self.kind.value,
            "target": self.target,
            "holder": self.holder,
            "epoch": self.epoch,
            "lasting_s": self.lasting_s,
            "tickets": dict(self.tickets),
            "slot": self.slot,
        }


def parse_request(record: ControlRecord | None) -> DrillRequest | None:
    """Return the request in a control record; None when there is none or it makes no sense."""
    match None if record is None else dict(record.value):
        case {
            "id": str(drill_id),
            "kind": str(kind),
            "target": str(target),
            "holder": str(holder),
            "epoch": int(epoch),
            "lasting_s": int(lasting_s) | float(lasting_s),
            "tickets": dict(tickets),
            "slot": str(slot),
        } if kind in set(DrillKind) and drill_id and 0 <= lasting_s <= LASTING_MAX_S:
            return DrillRequest(
                drill_id=drill_id,
                kind=DrillKind(kind),
                target=target,
                holder=holder,
                epoch=epoch,
                lasting_s=float(lasting_s),
                tickets={str(node): str(ticket) for node, ticket in tickets.items()},
                slot=slot,
            )
        case _:
            return None


def ticket_at(nonce: str, monotonic_s: float) -> str:
    """Return the ticket that a process shows at a moment of its own monotonic clock."""
    minute = int(monotonic_s // TICKET_S)
    return hashlib.sha256(f"drill {nonce} {minute}".encode()).hexdigest()[:_TICKET_WIDTH]


def is_fresh_ticket(ticket: str, nonce: str, monotonic_s: float) -> bool:
    """Tell whether a request bears this process's present ticket, or the one just before."""
    return ticket in {
        ticket_at(nonce, monotonic_s),
        ticket_at(nonce, monotonic_s - TICKET_S),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One measured part of a drill. None: not seen. `budget_s` None: shown, not judged."""

    name: str
    after_s: float | None
    budget_s: float | None = None
    note: str = ""

    @property
    def is_late(self) -> bool:
        """True when it took longer than its budget, or was never seen although it has one."""
        if self.budget_s is None:
            return False
        return self.after_s is None or self.after_s > self.budget_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillResult:
    """How one drill ended. `problems`: what must not happen and did, or could not be shown."""

    drill_id: str
    kind: DrillKind
    target: str
    by: str
    at_ms: int
    outcome: Outcome
    summary: str
    phases: tuple[Phase, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_body(self) -> dict[str, Any]:
        """Return the entry of the drill log."""
        return {
            "id": self.drill_id,
            "kind": self.kind.value,
            "target": self.target,
            "by": self.by,
            "at_ms": self.at_ms,
            "outcome": self.outcome.value,
            "summary": self.summary,
            "phases": [
                [p.name, None if p.after_s is None else round(p.after_s, 2), p.budget_s]
                for p in self.phases
            ],
            "problems": list(self.problems),
        }


def parse_result(body: object) -> DrillResult | None:
    """Return the result in an entry of the drill log; None when it makes no sense."""
    match body:
        case {
            "id": str(drill_id),
            "kind": str(kind),
            "target": str(target),
            "by": str(by),
            "at_ms": int(at_ms),
            "outcome": str(outcome),
            "summary": str(summary),
            "phases": list(phases),
            "problems": list(problems),
        } if kind in set(DrillKind) and outcome in set(Outcome):
            return DrillResult(
                drill_id=drill_id,
                kind=DrillKind(kind),
                target=target,
                by=by,
                at_ms=at_ms,
                outcome=Outcome(outcome),
                summary=summary,
                phases=tuple(filter(None, map(_parse_phase, phases))),
                problems=tuple(str(problem) for problem in problems),
            )
        case _:
            return None


def _parse_phase(body: object) -> Phase | None:
    match body:
        case [str(name), (int() | float() | None) as after_s, (int() | float() | None) as budget_s]:
            return Phase(name=name, after_s=after_s, budget_s=budget_s)
        case _:
            return None
