"""The box's limits: passed at once, kept again only well below and after a while."""

from dataclasses import replace
from typing import Any

import pytest

from node.box_limits import RECOVERY_S, BoxLimits
from node.config_box import HealthConfig
from node.resources import FsyncProbe, Resources

HEALTH = HealthConfig(max_temperature_c=85, min_disk_free_mb=200, max_memory_mb=400)
WELL = Resources(
    cpu_percent=1.0,
    memory_mb=80.0,
    disk_free_mb=9000.0,
    temperature_c=50.0,
    temperature_zone="cpu",
    uptime_s=1.0,
)
GOOD_DISK, BAD_DISK = FsyncProbe(took_ms=2.0), FsyncProbe(took_ms=None, error="Read-only")


def judge(
    limits: BoxLimits, now_s: float, *, fsync: FsyncProbe = GOOD_DISK, **changes: Any
) -> tuple[str, ...]:
    return limits.judge(now_s, replace(WELL, **changes), HEALTH, fsync=fsync)


def test_a_well_box_is_well_from_the_first_reading() -> None:
    """No recovery is owed by a box that was never short."""
    assert judge(BoxLimits(), 0) == ()


@pytest.mark.parametrize(
    ("short", "within", "well"),
    [
        ({"temperature_c": 86.0}, {"temperature_c": 81.0}, {"temperature_c": 79.9}),
        ({"disk_free_mb": 199.0}, {"disk_free_mb": 249.0}, {"disk_free_mb": 250.0}),
        ({"memory_mb": 401.0}, {"memory_mb": 361.0}, {"memory_mb": 359.0}),
        ({"disk_free_mb": None}, {"disk_free_mb": 249.0}, {"disk_free_mb": 250.0}),
    ],
    ids=["temperature", "disk", "memory", "unreadable disk"],
)
def test_a_limit_is_kept_again_only_well_below_and_after_a_while(
    short: dict[str, Any], within: dict[str, Any], well: dict[str, Any]
) -> None:
    """Just within the limit for a week is not well; well below for a minute is."""
    limits = BoxLimits()
    assert judge(limits, 0, **short) != ()
    assert judge(limits, 7 * 86_400, **within) != ()
    assert judge(limits, 700_000, **well) != ()
    assert judge(limits, 700_000 + RECOVERY_S - 1, **well) != ()
    assert judge(limits, 700_000 + RECOVERY_S, **well) == ()


def test_a_box_that_swings_around_its_limit_changes_once() -> None:
    """Five readings hot, five just below, for an hour: one loss, no return in between."""
    limits, seen = BoxLimits(), []
    for reading in range(360):
        degrees = 86.0 if reading // 5 % 2 == 0 else 82.0
        seen.append(bool(judge(limits, reading * 10, temperature_c=degrees)))
    assert seen == [True] * 360


def test_a_relapse_starts_the_recovery_anew() -> None:
    """A minute of calm in one piece, not in two."""
    limits = BoxLimits()
    judge(limits, 0, temperature_c=90.0)
    judge(limits, 10, temperature_c=60.0)
    judge(limits, 60, temperature_c=84.0)
    assert judge(limits, 75, temperature_c=60.0) != ()
    assert judge(limits, 75 + RECOVERY_S, temperature_c=60.0) == ()


def test_a_disk_that_refused_a_write_must_take_them_for_a_while() -> None:
    """A card that fails now and then is failing."""
    limits = BoxLimits()
    assert judge(limits, 0, fsync=BAD_DISK) == ("disk: cannot be written: Read-only",)
    (reason,) = judge(limits, 10)
    assert reason.startswith("disk: recovering")
    assert judge(limits, 10 + RECOVERY_S) == ()


def test_what_cannot_be_measured_is_no_reason() -> None:
    """Many boards have no sensor; one that broke while hot does not lock the node out."""
    limits = BoxLimits()
    assert judge(limits, 0, temperature_c=None) == ()
    judge(limits, 10, temperature_c=90.0)
    judge(limits, 20, temperature_c=None)
    assert judge(limits, 20 + RECOVERY_S, temperature_c=None) == ()


def test_each_reason_begins_with_the_word_its_cure_is_found_by() -> None:
    """box_watch.py looks the cure up by it, also while it recovers."""
    limits = BoxLimits()
    judge(limits, 0, temperature_c=90.0, memory_mb=500.0, disk_free_mb=1.0)
    reasons = judge(limits, 10)
    assert [r.partition(":")[0] for r in reasons] == ["disk", "temperature", "memory"]
