"""The judge of permits: it must find what it is there for."""

from datetime import UTC, datetime
from typing import Any

from tests.chaos.lab_judge import EXACT_S, boot_s_of, find_overlaps

NOBODY_OFF: dict[str, float] = {}


def grant(epoch: int, *, was_released: bool = False) -> dict[str, Any]:
    """A grant of now, as the log has it."""
    ts = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"ts": ts, "lease_epoch": epoch, "was_released": was_released}


def test_judge_finds_a_grant_before_the_older_fence() -> None:
    """S1: by a hundredth of a second, and not at all when the fence came first."""
    event = grant(2)
    granted_s = boot_s_of(event)
    grants = {"pi": [event], "jetson": []}
    late, early = granted_s + 2 * EXACT_S, granted_s - EXACT_S
    assert len(find_overlaps(grants, {("jetson", 1): late}, NOBODY_OFF)) == 1
    assert find_overlaps(grants, {("jetson", 1): early}, NOBODY_OFF) == []


def test_judge_knows_what_is_no_overlap() -> None:
    """Its own older fence, a newer epoch's, and a lease that was handed over are none."""
    event = grant(2)
    late_s = boot_s_of(event) + 1.0
    assert find_overlaps({"pi": [event]}, {("pi", 1): late_s}, NOBODY_OFF) == []
    assert find_overlaps({"pi": [event]}, {("jetson", 3): late_s}, NOBODY_OFF) == []
    released = grant(2, was_released=True)
    assert find_overlaps({"pi": [released]}, {("jetson", 1): late_s}, NOBODY_OFF) == []


def test_judge_reads_a_clock_that_stood_off() -> None:
    """A node in another year is compared on the clock that all share."""
    event = grant(2)
    end_s = boot_s_of(event) - 3600 + 1.0
    assert find_overlaps({"pi": [event]}, {("jetson", 1): end_s}, NOBODY_OFF) == []
    assert len(find_overlaps({"pi": [event]}, {("jetson", 1): end_s}, {"pi": 3600.0})) == 1
