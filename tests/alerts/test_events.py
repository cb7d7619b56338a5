"""Events are built with ids and collapse keys by one rule."""

from dataclasses import replace

import pytest

from alerts.changes import Row
from alerts.events import TakeoverFacts, Teller, build_event, build_took_over
from alerts.kinds import KIND_RULES, is_collapsing
from alerts.model import Kind, Verdict
from alerts.render import NOT_KNOWN, render_row
from alerts.words import WORDINGS, facts_of
from tests.alerts.builders import WALL_MS

TELLER = Teller(cluster="test-home", node_id="pi", epoch=7)
FACTS = TakeoverFacts(
    gap_s=6.44,
    reason="r",
    previous="jetson",
    position_before="0",
    position_after="0",
    fills_in_gap="none",
    orders_kept=1,
    orders_cancelled=2,
    orders_unclear=0,
    protection="nothing",
    spare="yes",
    has_spare=True,
)


def test_takeover_of_an_epoch_has_one_id_whoever_tells_it() -> None:
    """Failovers are unique by epoch."""
    first = build_took_over(teller=TELLER, wall_ms=WALL_MS, facts=FACTS)
    other = build_took_over(
        teller=replace(TELLER, node_id="jetson"), wall_ms=WALL_MS + 5, facts=FACTS
    )
    later = build_took_over(teller=replace(TELLER, epoch=8), wall_ms=WALL_MS, facts=FACTS)
    assert first.event_id == other.event_id != later.event_id
    assert set(first.facts) == set(facts_of(WORDINGS[Kind.TOOK_OVER]))
    assert first.facts["gap_s"] == "6.4"


def test_first_takeover_of_a_cluster_speaks_of_no_gap() -> None:
    """The owner's first message must not begin with something nobody knows."""
    event = build_took_over(
        teller=TELLER,
        wall_ms=WALL_MS,
        facts=replace(FACTS, gap_s=None, previous="nobody", is_first_start=True),
    )
    text = render_row(Row(number=1, events=(event,)), wall_ms=WALL_MS).plain
    assert "pi trades now, first start" in text.splitlines()[0]
    for word in (NOT_KNOWN, "gap", "variant", "nobody held", "Before:"):
        assert word.lower() not in text.lower()


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (FACTS, Verdict.NOTHING_TO_DO),
        (replace(FACTS, orders_unclear=1), Verdict.LOOK),
        (replace(FACTS, has_spare=False), Verdict.LOOK),
    ],
    ids=["all accounted for and a spare", "an order is unclear", "no spare is left"],
)
def test_takeover_verdict(facts: TakeoverFacts, verdict: Verdict) -> None:
    """A person must look when something is unclear or the next failure would stop trading."""
    assert build_took_over(teller=TELLER, wall_ms=WALL_MS, facts=facts).verdict is verdict


def test_loss_and_return_of_one_store_collapse_and_two_stores_do_not() -> None:
    """Flapping is one message a store; two stores are two messages."""

    def key(kind: Kind, store: str) -> str:
        return build_event(
            kind, teller=TELLER, unique="1", wall_ms=WALL_MS, facts={"store": store}
        ).collapse_key

    assert key(Kind.STORE_LOST, "a") == key(Kind.STORE_BACK, "a") != key(Kind.STORE_LOST, "b")


@pytest.mark.parametrize("kind", list(Kind))
def test_kind_collapses_only_where_its_rule_says(kind: Kind) -> None:
    """Protected kinds have no collapse key, and keys use facts that the kind has."""
    rule = KIND_RULES[kind]
    event = build_event(kind, teller=TELLER, unique="1", wall_ms=WALL_MS, facts={})
    assert is_collapsing(event) == bool(rule.collapse_by)
    assert not (rule.is_protected and rule.collapse_by)
    assert set(rule.collapse_by[1:]) <= set(facts_of(WORDINGS[kind]))
