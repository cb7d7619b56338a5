"""Scheduled drills: once in a slot, in the allowed hours, never twice, whatever the clock does."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config_model import DrillPeriod, DrillsConfig
from node.drill.schedule import due_slot, slot_of

MONTHLY = DrillsConfig(switchover=DrillPeriod.MONTHLY, hours_utc=(3, 4))
WEEKLY = DrillsConfig(switchover=DrillPeriod.WEEKLY, hours_utc=(3,))
HOUR_MS = 3_600_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "month", "week"),
    [
        ("2026-11-25T03:00", "2026-11", "2026-w48"),
        ("2027-01-01T03:00", "2027-01", "2026-w53"),
        ("2027-01-04T03:00", "2027-01", "2027-w01"),
    ],
)
def test_slots_grow_with_time(text: str, month: str, week: str) -> None:
    assert slot_of(DrillPeriod.MONTHLY, at(text)) == month
    assert slot_of(DrillPeriod.WEEKLY, at(text)) == week
    assert slot_of(DrillPeriod.NEVER, at(text)) == ""


@pytest.mark.parametrize(
    ("text", "slot"),
    [("2026-11-25T02:59", ""), ("2026-11-25T03:00", "2026-11"), ("2026-11-25T05:00", "")],
)
def test_only_in_the_allowed_hours(text: str, slot: str) -> None:
    assert due_slot(MONTHLY, now_ms=at(text), done_slot="", ran_at_ms=()) == slot


def test_once_in_a_slot() -> None:
    now_ms = at("2026-11-25T03:10")
    assert due_slot(MONTHLY, now_ms=now_ms, done_slot="2026-11", ran_at_ms=()) == ""
    assert due_slot(MONTHLY, now_ms=now_ms, done_slot="2026-10", ran_at_ms=()) == "2026-11"


def test_a_drill_that_somebody_ran_meanwhile_counts() -> None:
    """Whoever drilled by hand this month has done it."""
    now_ms = at("2026-11-25T03:10")
    ran = (at("2026-11-02T20:00"),)
    assert due_slot(MONTHLY, now_ms=now_ms, done_slot="2026-10", ran_at_ms=ran) == ""
    old = (at("2026-10-31T23:59"),)
    assert due_slot(MONTHLY, now_ms=now_ms, done_slot="2026-10", ran_at_ms=old) == "2026-11"


def test_never_and_forbidden_are_never_due() -> None:
    now_ms = at("2026-11-25T03:10")
    assert due_slot(DrillsConfig(), now_ms=now_ms, done_slot="", ran_at_ms=()) == ""
    forbidden = MONTHLY.model_copy(update={"is_allowed": False})
    assert due_slot(forbidden, now_ms=now_ms, done_slot="", ran_at_ms=()) == ""


def test_another_period_begins_by_itself() -> None:
    """Whoever changes from monthly to weekly need not delete anything."""
    now_ms = at("2026-11-25T03:10")
    assert due_slot(WEEKLY, now_ms=now_ms, done_slot="2026-11", ran_at_ms=()) == "2026-w48"


@given(st.lists(st.integers(0, 24 * 400), max_size=60))
def test_a_clock_that_jumps_causes_at_most_one_drill_a_slot(hours: list[int]) -> None:
    """Back and forth in any order: the slots that were drilled only grow, each at most once."""
    begin_ms = at("2026-01-01T00:30")
    done, drilled = "", []
    for hour in hours:
        slot = due_slot(MONTHLY, now_ms=begin_ms + hour * HOUR_MS, done_slot=done, ran_at_ms=())
        if slot:
            drilled.append(slot)
            done = slot
    assert drilled == sorted(set(drilled))
