"""Eligibility: proven, never assumed (R7)."""

import dataclasses

import pytest

from node.eligibility import EligibilityFacts, judge_eligibility, without_figures

FIT = EligibilityFacts(
    is_ready=True,
    is_paused=False,
    pause_reason="",
    venue_error="",
    account="7",
    expected_account="7",
    clock_error_ms=20.0,
    clock_error_ms_max=500.0,
    list_ids=frozenset({"c"}),
    peer_list_ids=(("raspberrypi", frozenset({"c"})),),
    resource_reasons=(),
    journal_error="",
    fence_error="",
    fatal="",
)


def test_eligibility_fit_node_has_no_reasons() -> None:
    assert judge_eligibility(FIT) == ()


def test_eligibility_first_holder_ever_needs_no_published_account() -> None:
    assert judge_eligibility(dataclasses.replace(FIT, expected_account=None)) == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"is_ready": False}, "starting"),
        ({"is_paused": True, "pause_reason": "holiday"}, "holiday"),
        ({"venue_error": "timed out"}, "timed out"),
        ({"account": None}, "no signed call"),
        ({"account": "8"}, "wrong account"),
        ({"clock_error_ms": None}, "clock"),
        ({"clock_error_ms": 500.1}, "clock"),
        ({"peer_list_ids": (("raspberrypi", frozenset({"other"})),)}, "raspberrypi"),
        ({"resource_reasons": ("disk: full",)}, "disk: full"),
        ({"journal_error": "read-only"}, "read-only"),
        ({"fence_error": "no timer"}, "no timer"),
        ({"fatal": "copied card"}, "copied card"),
    ],
    ids=lambda v: str(next(iter(v))) if isinstance(v, dict) else "",
)
def test_eligibility_each_fact_alone_refuses(change: dict[str, object], word: str) -> None:
    reasons = judge_eligibility(dataclasses.replace(FIT, **change))  # type: ignore[arg-type]
    assert len(reasons) == 1
    assert word in reasons[0]


def test_eligibility_countdown_is_no_change() -> None:
    """A reason that counts down would be logged several times a second."""
    before, after = ("venue: no weight free for 15.8 s",), ("venue: no weight free for 9 s",)
    assert without_figures(before) == without_figures(after)
    assert without_figures(before) != without_figures(("venue: timed out",))
