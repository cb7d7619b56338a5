"""What each kind of event means and how it is treated: one table, checked against docs/alerts.md.

Decides per kind: the usual verdict, whether it may ever be dropped, and whether repeats of it
become one message with a count. Does not cover the words of a message (render.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from alerts.model import AlertEvent, Kind, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """How one kind is treated.

    `when` is one sentence for people. `is_protected`: never dropped, never collapsed (role
    changes and the cluster's latches: each one is news). `verdict` is the usual one; the caller
    may choose another, for example when a takeover left an order unclear. `collapse_by`: the
    first word of the collapse key, then facts whose values belong to it; empty: never collapses.
    A loss and its return share a first word, so that flapping becomes one message.
    """

    when: str
    verdict: Verdict
    is_protected: bool = False
    collapse_by: tuple[str, ...] = ()


KIND_RULES: Mapping[Kind, KindRule] = {
    Kind.STARTUP: KindRule(
        when="a node process has started and says what it found",
        verdict=Verdict.NOTHING_TO_DO,
        collapse_by=("startup",),
    ),
    Kind.TOOK_OVER: KindRule(
        when="a node took the lease, reconciled, and trades now (failover or switchover)",
        verdict=Verdict.NOTHING_TO_DO,
        is_protected=True,
    ),
    Kind.GAVE_UP: KindRule(
        when="the active node stopped trading: lease lapsed, handed over, fenced or halted",
        verdict=Verdict.LOOK,
        is_protected=True,
    ),
    Kind.NOBODY_TRADES: KindRule(
        when="no node can trade now, and why", verdict=Verdict.ACT, is_protected=True
    ),
    Kind.BOTH_WERE_OFF: KindRule(
        when="a node came back after a time in which no node ran (told once, on return)",
        verdict=Verdict.LOOK,
        is_protected=True,
    ),
    Kind.SPARE_LOST: KindRule(
        when="the standby is gone or not fit: the next failure would stop trading",
        verdict=Verdict.LOOK,
        collapse_by=("spare",),
    ),
    Kind.SPARE_BACK: KindRule(
        when="a fit standby is there again", verdict=Verdict.GOOD_AGAIN, collapse_by=("spare",)
    ),
    Kind.PREFERRED_FIT: KindRule(
        when="the preferred node is fit again while the other one trades (no automatic failback)",
        verdict=Verdict.NOTHING_TO_DO,
        collapse_by=("preferred_fit",),
    ),
    Kind.ORDER_PLACED: KindRule(
        when="the venue accepted an order of ours",
        verdict=Verdict.NOTHING_TO_DO,
        collapse_by=("order_placed",),
    ),
    Kind.ORDER_FILLED: KindRule(
        when="an order of ours was filled, whole or in part",
        verdict=Verdict.NOTHING_TO_DO,
        collapse_by=("order_filled",),
    ),
    Kind.ORDER_REJECTED: KindRule(
        when="the venue refused an order with a proof, or our own risk limits did",
        verdict=Verdict.LOOK,
        collapse_by=("order_rejected", "symbol"),
    ),
    Kind.ORDER_UNKNOWN: KindRule(
        when="an order was sent and its outcome is unknown; its symbol takes no new risk",
        verdict=Verdict.LOOK,
        collapse_by=("order_unknown",),
    ),
    Kind.ORDER_RESOLVED: KindRule(
        when="the outcome of an unknown order was found out",
        verdict=Verdict.GOOD_AGAIN,
        collapse_by=("order_resolved",),
    ),
    Kind.STRATEGY_SKIPPED: KindRule(
        when="a strategy failed or was too slow and a candle was skipped",
        verdict=Verdict.LOOK,
        collapse_by=("strategy_skipped",),
    ),
    Kind.PAUSED: KindRule(
        when="the cluster was paused; it stays paused until a person resumes it",
        verdict=Verdict.LOOK,
        is_protected=True,
    ),
    Kind.RESUMED: KindRule(
        when="a person resumed the cluster", verdict=Verdict.GOOD_AGAIN, is_protected=True
    ),
    Kind.LOSS_LIMIT: KindRule(
        when="the daily loss limit was reached; new risk is stopped until a person lifts it",
        verdict=Verdict.ACT,
        is_protected=True,
    ),
    Kind.STORE_LOST: KindRule(
        when="a lease store does not answer", verdict=Verdict.LOOK, collapse_by=("store", "store")
    ),
    Kind.STORE_BACK: KindRule(
        when="a lease store answers again",
        verdict=Verdict.GOOD_AGAIN,
        collapse_by=("store", "store"),
    ),
    Kind.DEGRADED: KindRule(
        when="something works worse than it should: clock, heat, memory, disk, venue link",
        verdict=Verdict.LOOK,
        collapse_by=("degraded", "what"),
    ),
    Kind.RECOVERED: KindRule(
        when="something that was warned of is well again",
        verdict=Verdict.GOOD_AGAIN,
        collapse_by=("recovered", "what"),
    ),
    Kind.ERROR: KindRule(
        when="something failed that should not fail", verdict=Verdict.LOOK, collapse_by=("error",)
    ),
    Kind.DRILL_PASSED: KindRule(
        when="a drill ended, and everything happened in time",
        verdict=Verdict.NOTHING_TO_DO,
        collapse_by=("drill",),
    ),
    Kind.DRILL_FAILED: KindRule(
        when="a drill ended late or not as it must: the failure it plays would cost more",
        verdict=Verdict.LOOK,
        collapse_by=("drill",),
    ),
    Kind.TEST: KindRule(when="a person asked for a test message", verdict=Verdict.NOTHING_TO_DO),
}


def is_protected(event: AlertEvent) -> bool:
    """Return True for role changes and latches: never dropped, never collapsed."""
    return KIND_RULES[event.kind].is_protected


def is_collapsing(event: AlertEvent) -> bool:
    """Return True when repeats of this event become one message with a count."""
    return event.collapse_key != "" and not is_protected(event)


def is_info(event: AlertEvent) -> bool:
    """Return True for what nobody misses a day later: nothing to look at, nothing to do."""
    return not is_protected(event) and event.verdict in {
        Verdict.NOTHING_TO_DO,
        Verdict.GOOD_AGAIN,
    }


def is_silent(event: AlertEvent) -> bool:
    """Return True when the message should not sound: nobody needs to get up for it."""
    return event.verdict in {Verdict.NOTHING_TO_DO, Verdict.GOOD_AGAIN}
