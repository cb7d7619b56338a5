"""Building events, so that ids and collapse keys follow one rule wherever they are made.

Rules: `event_id` is the kind and what makes it unique, the same on every node that knows of it
(a role change: its epoch; an order: its client order id); the collapse key follows kinds.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from alerts.kinds import KIND_RULES
from alerts.model import AlertEvent, Kind, Verdict
from alerts.words import FIRST_START, VARIANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who tells: the node, in its cluster, under an epoch."""

    cluster: str
    node_id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverFacts:
    """What a takeover message says; every field is asked for, so that none is forgotten.

    `gap_s` is None when nobody knows when the last order could have been sent. Positions are
    words such as `1.20 ETH`. `protection` says what stands at the venue by itself, or "nothing".
    `is_first_start`: nobody ever traded in this cluster, so there is no gap to speak of.
    """

    gap_s: float | None
    reason: str
    previous: str
    position_before: str
    position_after: str
    fills_in_gap: str
    orders_kept: int
    orders_cancelled: int
    orders_unclear: int
    protection: str
    spare: str
    has_spare: bool
    is_first_start: bool = False


def build_event(
    kind: Kind,
    *,
    teller: Teller,
    unique: str,
    wall_ms: int,
    facts: Mapping[str, str],
    verdict: Verdict | None = None,
) -> AlertEvent:
    """Return an event of this kind.

    Args:
        kind: what happened; its facts are listed in words.py.
        teller: who tells.
        unique: what makes it one event: an epoch, a client order id, a fill id, an instant.
        wall_ms: Unix time of what happened.
        facts: values for the words; empty values count as missing.
        verdict: instead of the usual one of this kind.
    """
    rule = KIND_RULES[kind]
    head, *names = rule.collapse_by or ("",)
    return AlertEvent(
        event_id=f"{kind.value}:{unique}",
        kind=kind,
        verdict=rule.verdict if verdict is None else verdict,
        created_wall_ms=wall_ms,
        cluster=teller.cluster,
        node_id=teller.node_id,
        epoch=teller.epoch,
        facts=facts,
        collapse_key=":".join([head, *(facts.get(name, "") for name in names)]),
    )


def build_took_over(*, teller: Teller, wall_ms: int, facts: TakeoverFacts) -> AlertEvent:
    """Return the message of a takeover: told once for its epoch, by whoever tells it.

    The verdict is "look" when an order is unclear or no spare is left, else "nothing to do".
    """
    before = {
        "gap_s": "" if facts.gap_s is None else f"{facts.gap_s:.1f}",
        "reason": facts.reason,
        "previous": facts.previous,
        "position_before": facts.position_before,
    }
    if facts.is_first_start:
        before = {VARIANT: FIRST_START}
    is_fine = facts.orders_unclear == 0 and facts.has_spare
    return build_event(
        Kind.TOOK_OVER,
        teller=teller,
        unique=str(teller.epoch),
        wall_ms=wall_ms,
        verdict=Verdict.NOTHING_TO_DO if is_fine else Verdict.LOOK,
        facts={
            **before,
            "position_after": facts.position_after,
            "fills_in_gap": facts.fills_in_gap,
            "orders_kept": str(facts.orders_kept),
            "orders_cancelled": str(facts.orders_cancelled),
            "orders_unclear": str(facts.orders_unclear),
            "protection": facts.protection,
            "spare": facts.spare,
        },
    )
