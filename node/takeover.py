"""What a takeover was, in words and numbers; the walk itself is in reconciling.py.

Takeover is the first pass of the ordinary loop, with a stricter mode (S4): nothing new is sent
until a trusted picture of the venue was reconciled with every copy of the journal; what stays
unclear blocks its symbol; cancels of what is not wanted any more are sent, placements wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from election.model import Granted
from election.post_mortem import AFTER_CRASH
from exchange.executor import Execution
from exchange.findings import Findings
from exchange.journal import Merged
from exchange.journal_codec import INTENT
from exchange.model import Side
from exchange.steps import Adopt, Keep, Plan
from node.bench import Seat, money
from node.outage import Outage
from node.trader import Trader


class GrantEnded(Exception):  # noqa: N818  (named by what happened)
    """The lease was lost, or was granted below the floor, while taking over."""


class Unfit(Exception):  # noqa: N818  (named by what the caller does: give the grant up)
    """This node may not trade, although it holds the lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverReport:
    """What a takeover found and did, for the message and the history."""

    gap_s: float | None
    was_whole_cluster_off: bool
    was_handed_over: bool
    is_first_start: bool
    off_since_ms: int | None
    reason: str
    previous: str
    position_before: str
    position_after: str
    fills_in_gap: str
    orders_kept: int
    orders_cancelled: int
    orders_unclear: int
    adopted: int
    resting: str
    findings: Findings

    def to_body(self, *, node_id: str, at_wall_ms: int) -> dict[str, object]:
        """Render the history document."""
        return {
            "node_id": node_id,
            "at_wall_ms": at_wall_ms,
            "gap_s": None if self.gap_s is None else round(self.gap_s, 1),
            "reason": self.reason,
            "previous": self.previous,
            "position_before": self.position_before,
            "position_after": self.position_after,
            "fills_in_gap": self.fills_in_gap,
            "orders_kept": self.orders_kept,
            "orders_cancelled": self.orders_cancelled,
            "orders_unclear": self.orders_unclear,
            "is_first_start": self.is_first_start,
            "was_whole_cluster_off": self.was_whole_cluster_off,
            "is_told": False,  # until the message is in the outbox (untold.py)
        }


def seat_all(seats: tuple[Seat, ...], trader: Trader) -> tuple[str, ...]:
    """Give every seat what the last holder wanted; return what could not be read."""
    problems = (seat.load_body(trader.journal.state(seat.symbol)) for seat in seats)
    return tuple(problem for problem in problems if problem)


def stale_keys(merged: Merged) -> tuple[str, ...]:
    """Return the documents that the merge dropped or could not read: they are to be deleted."""
    dropped = (f"{INTENT}{client_order_id}" for client_order_id in merged.dropped)
    return (*dropped, *(damage.key for damage in merged.damages))


def build_report(
    *,
    granted: Granted,
    outage: Outage,
    before: Merged,
    findings: Findings,
    plan: Plan,
    execution: Execution,
    symbols: tuple[str, ...],
) -> TakeoverReport:
    """Put the takeover into words and numbers; cancels count when the venue confirmed them."""
    steps = plan.steps
    fills = [
        f"{c.fill.side.value} {money(c.fill.amount)} {c.fill.symbol} at {money(c.fill.price)}"
        for c in findings.fills
    ]
    kept = [s for s in steps if isinstance(s, Keep | Adopt)]
    return TakeoverReport(
        gap_s=outage.gap_s,
        was_whole_cluster_off=outage.was_whole_cluster_off,
        was_handed_over=granted.was_released
        and granted.previous is not None
        and not granted.reason.startswith(AFTER_CRASH)
        and not outage.was_whole_cluster_off,
        is_first_start=granted.previous is None and outage.gap_s is None,
        off_since_ms=outage.off_since_ms,
        reason=why_granted(granted) + _said_nothing(granted, before),
        previous=granted.previous or "nobody",
        position_before=_positions(
            {s: before.journal.position(s).position.amount for s in symbols}
        ),
        position_after=_positions(
            {s: findings.journal.position(s).position.amount for s in symbols}
        ),
        fills_in_gap="; ".join(fills) or "none",
        orders_kept=len(kept),
        orders_cancelled=execution.cancelled,
        orders_unclear=len(findings.unclear),
        adopted=execution.adopted,
        resting=describe_resting(findings),
        findings=findings,
    )


def why_granted(granted: Granted) -> str:
    """Say why this node holds the lease now."""
    if granted.previous is None:
        return "nobody held the lease"
    if granted.was_released and granted.reason.startswith(AFTER_CRASH):
        # Its supervisor, its next start or its last words did: nobody handed over.
        return f"{granted.previous} was {granted.reason}"
    if granted.was_released:
        return f"{granted.previous} gave the lease up ({granted.reason or 'no reason given'})"
    silent = "" if granted.silent_s is None else f" for {granted.silent_s:.1f} s"
    return f"{granted.previous} was silent{silent}"


def _said_nothing(granted: Granted, before: Merged) -> str:
    """Say that the node before may have taken over without a word: its disk may be lost (S5)."""
    entry = before.journal.takeovers.get(granted.previous_epoch)
    if entry is None or entry.body.get("is_told") is not False:
        return ""
    return f"; {granted.previous} had taken over just before and may not have said so"


def describe_resting(findings: Findings) -> str:
    """Say which orders work at the venue without anybody's help."""
    buys = sum(1 for w in findings.working if w.order.side is Side.BUY)
    sells = len(findings.working) - buys
    if not findings.working:
        return "nothing, no orders rest there"
    return f"{buys} buy and {sells} sell orders rest there"


def _positions(amounts: Mapping[str, Decimal]) -> str:
    shown = [f"{money(amount)} {symbol}" for symbol, amount in amounts.items()]
    return ", ".join(shown) or "none"
