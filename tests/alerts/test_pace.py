"""How fast messages may leave: both sides of every bound (a clock by hand)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.changes import Row, RowState
from alerts.model import Kind
from alerts.pace import KIND_GAP_S, PER_MINUTE_MAX, Backoff, Pace
from tests.alerts.builders import build_event


def row(number: int, kind: Kind = Kind.ERROR, *, key: str = "", attempt: int = 0) -> Row:
    event = build_event(f"e{number}", kind, collapse_key=key)
    state = RowState.MAYBE_SENT if attempt else RowState.WAITING
    return Row(number=number, events=(event,), attempt=attempt, state=state)


def test_collapsing_kind_leaves_once_a_minute_and_others_overtake_it() -> None:
    """Storm control holds back the kind that repeats, never anything else."""
    pace = Pace()
    pace.note_started(row(1, key="k"), 100.0)
    storm, other = row(2, key="k"), row(3)
    assert pace.plan_next([storm, other], 101.0).row == other
    assert pace.plan_next([storm], 101.0).wait_s == pytest.approx(KIND_GAP_S - 1)
    assert pace.plan_next([storm], 100.0 + KIND_GAP_S - 0.001).row is None
    assert pace.plan_next([storm], 100.0 + KIND_GAP_S).row == storm


def test_other_key_of_the_same_kind_waits_too() -> None:
    """At most one message of a collapsing kind a minute, whatever its key."""
    pace = Pace()
    pace.note_started(row(1, key="a"), 0.0)
    assert pace.plan_next([row(2, key="b")], 1.0).row is None
    assert pace.plan_next([row(3, Kind.STORE_LOST, key="b")], 1.0).row is not None


def test_row_that_may_have_been_sent_is_not_held_back() -> None:
    """A repeat of a lost answer is not a new message of its kind."""
    pace = Pace()
    pace.note_started(row(1, key="k"), 0.0)
    assert pace.plan_next([row(1, key="k", attempt=1)], 1.0).row is not None


def test_at_most_twenty_messages_in_any_minute() -> None:
    """The overall bound, also for role changes: above it the channel refuses them anyway."""
    pace = Pace()
    for second in range(PER_MINUTE_MAX):
        assert pace.plan_next([row(1, Kind.TOOK_OVER)], float(second)).row is not None
        pace.note_started(row(1, Kind.TOOK_OVER), float(second))
    assert pace.plan_next([row(2, Kind.TOOK_OVER)], 59.9).wait_s == pytest.approx(0.1)
    assert pace.plan_next([row(2, Kind.TOOK_OVER)], 60.0).row is not None


def test_resting_channel_sends_nothing() -> None:
    """After a failure everything waits, so that order is kept."""
    pace = Pace()
    pace.rest_until(10.0)
    assert pace.plan_next([row(1)], 9.0).wait_s == pytest.approx(1.0)
    assert pace.plan_next([row(1)], 10.0).row == row(1)
    assert pace.plan_next([], 10.0).wait_s is None


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_backoff_grows_to_its_bound(failures: int, chance: float) -> None:
    """2, 4, 8 ... 300 s, jittered downwards by at most a fifth."""
    wait_s = Backoff().wait_s(failures, chance)
    full_s = min(300.0, 2.0 ** min(failures, 20))
    assert 0.8 * full_s <= wait_s <= full_s
