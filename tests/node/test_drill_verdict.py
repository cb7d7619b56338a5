"""From what was seen to PASSED, what was late, or FAILED: each rule by itself."""

from dataclasses import replace

import pytest

from node.drill.model import DrillKind, DrillRequest, Outcome
from node.drill.report import describe, render_history, render_result
from node.drill.rules import failover_budget_s, stop_renewing_budget_s, switchover_budget_s
from node.drill.verdict import Seen, VenueCheck, judge
from tests.node.test_doctor_losses import THREE, TWO

GOOD = Seen(
    by="ada",
    at_ms=1,
    new_holder="raspberrypi",
    new_epoch=8,
    noticed_s=2.9,
    stopped_s=5.2,
    granted_s=6.2,
    ready_s=6.5,
    first_order_s=6.7,
    last_order_s=1.5,
    alert_s=7.0,
    back_s=20.0,
    back_budget_s=120.0,
    was_cut=True,
    gap_s=1.1,
)


def request(kind: DrillKind = DrillKind.CRASH, target: str = "jetson") -> DrillRequest:
    return DrillRequest(
        drill_id="d", kind=kind, target=target, holder="jetson", epoch=7, lasting_s=20.0
    )


def test_budgets_are_those_of_the_configuration() -> None:
    """ttl·(1+d)+1 s; a hang before that hang_limit; a hand-over 0.3 s and round trips."""
    assert failover_budget_s(THREE) == pytest.approx(6.12 + 1.0)
    assert switchover_budget_s(THREE) == pytest.approx(1.3)
    assert stop_renewing_budget_s(THREE, DrillKind.HANG) == pytest.approx(5 + 1 + 0.8 + 1)
    assert stop_renewing_budget_s(THREE, DrillKind.CRASH) is None


@pytest.mark.parametrize(
    "kind", [DrillKind.CRASH, DrillKind.HANG, DrillKind.PARTITION, DrillKind.PLUG]
)
def test_a_failover_in_time_has_passed(kind: DrillKind) -> None:
    result = judge(request(kind), GOOD, THREE)
    assert result.outcome is Outcome.PASSED
    assert "raspberrypi was ready after 6.5 s" in result.summary
    assert "PASSED" in render_result(result)


@pytest.mark.parametrize(
    ("change", "late"),
    [
        ({"granted_s": 7.5, "ready_s": 7.6}, "granted 7.5 s, at most 7.1 s"),
        ({"ready_s": 9.0, "first_order_s": None}, "reconciled, trading 9.0 s"),
        ({"ready_s": 7.0, "first_order_s": 7.4}, "first order 7.4 s"),
        ({"alert_s": 40.0}, "alert delivered 40.0 s"),
        ({"alert_s": None}, "alert delivered not seen"),
        ({"back_s": None}, "jetson a fit spare again not seen"),
    ],
)
def test_what_was_late_is_named_with_its_budget(change: dict[str, float | None], late: str) -> None:
    result = judge(request(), replace(GOOD, **change), THREE)  # type: ignore[arg-type]
    assert result.outcome is Outcome.LATE
    assert late in result.summary


def test_an_order_that_nobody_wanted_is_not_late() -> None:
    """A quiet strategy sends none; one that comes with a later candle is only shown."""
    for order_s in (None, 45.0):
        result = judge(request(), replace(GOOD, first_order_s=order_s), THREE)
        assert result.outcome is Outcome.PASSED
    assert "wanted by a later candle" in render_result(result)


def test_renewals_of_a_hung_leader_must_stop() -> None:
    """R8: after the hang limit and one renewal."""
    late = judge(request(DrillKind.HANG), replace(GOOD, stopped_s=9.0), THREE)
    assert "renewals stopped (after asking) 9.0 s" in late.summary
    assert judge(request(DrillKind.CRASH), replace(GOOD, stopped_s=9.0), THREE).outcome is (
        Outcome.PASSED
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"new_epoch": None, "new_holder": "jetson"}, "nobody took over"),
        ({"new_epoch": 7}, "the epoch did not grow"),
        ({"new_holder": "jetson"}, "jetson leads again"),
        ({"ready_s": None}, "did not come to trade"),
        ({"was_interrupted": True}, "interrupted"),
        (
            {"venue": VenueCheck(source="log", orders=2, problems=("x arrived 2 times",))},
            "at the venue: x arrived 2 times",
        ),
    ],
)
def test_what_must_not_happen_fails_the_drill(change: dict[str, object], problem: str) -> None:
    result = judge(request(), replace(GOOD, **change), THREE)  # type: ignore[arg-type]
    assert result.outcome is Outcome.FAILED
    assert problem in result.summary
    assert result.problems


def test_a_store_drill_must_change_nothing() -> None:
    """L1: same epoch, somebody leads, no pause longer than the permit, the store renewed again."""
    seen = replace(GOOD, new_epoch=7, new_holder="jetson", back_s=0.5, back_budget_s=15.0)
    store = request(DrillKind.STORE, "witness")
    assert judge(store, seen, THREE).outcome is Outcome.PASSED
    assert judge(store, replace(seen, gap_s=4.9), THREE).outcome is Outcome.LATE
    moved = judge(store, replace(seen, new_epoch=8), THREE)
    assert "changed the leader" in moved.summary
    assert judge(store, replace(seen, was_cut=False), THREE).outcome is Outcome.FAILED
    assert judge(store, replace(seen, new_holder=None), THREE).outcome is Outcome.FAILED


def test_a_stop_that_was_accepted_is_no_failure() -> None:
    """Two boxes: the only store is away, the leader stops, somebody trades again."""
    seen = replace(GOOD, gap_s=20.0, does_accept_stop=True, back_s=7.0, back_budget_s=120.0)
    assert judge(request(DrillKind.STORE, "raspberrypi"), seen, TWO).outcome is Outcome.PASSED


def test_the_plug_of_the_box_with_the_only_store_is_judged_by_the_return() -> None:
    """Nobody can take over; that trading goes on when the box is back is what must be shown."""
    seen = replace(
        GOOD, does_accept_stop=True, new_holder="jetson", new_epoch=9, ready_s=None, granted_s=None
    )
    plug = request(DrillKind.PLUG)
    passed = judge(plug, seen, TWO)
    assert passed.outcome is Outcome.PASSED
    assert "trading stopped safely" in passed.summary
    assert judge(plug, replace(seen, back_s=None), TWO).outcome is Outcome.LATE
    assert judge(plug, replace(seen, new_holder=None), TWO).outcome is Outcome.FAILED


def test_what_was_not_checked_is_said() -> None:
    """No chat, no venue record: notes, not silence."""
    seen = replace(GOOD, has_alerts=False, alert_s=None, why_no_venue="VenueRefused: key")
    result = judge(request(), seen, THREE)
    text = render_result(result)
    assert result.outcome is Outcome.PASSED
    assert "no Telegram chat is configured" in text
    assert "was not checked: VenueRefused: key" in text


def test_history_is_newest_first_and_says_who_asked() -> None:
    first, second = judge(request(), GOOD, THREE), judge(request(DrillKind.PLUG), GOOD, THREE)
    lines = render_history([first, second]).splitlines()
    assert "plug of jetson" in lines[0]
    assert "(ada)" in lines[1]
    assert render_history([]) == "no drill is on record"


@pytest.mark.parametrize("kind", list(DrillKind))
def test_every_drill_says_what_it_is_going_to_do(kind: DrillKind) -> None:
    assert "jetson" in describe(request(kind))
