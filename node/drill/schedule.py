"""When a scheduled drill is due: once in each calendar slot, never twice. Pure.

The calendar is the venue's clock, because these boards' own clocks start wrong. Slots are texts
that grow with time ("2026-11", "2026-w48"); a drill is due only in a slot above every slot that is
on record, so a clock that jumps back, or back and forth, starts nothing again.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from node.config_model import DrillPeriod, DrillsConfig

DRILL_SCHEDULE = "drill_schedule"


def slot_of(period: DrillPeriod, at_ms: int) -> str:
    """Return the slot that an instant lies in, empty when nothing is scheduled."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    match period:
        case DrillPeriod.MONTHLY:
            return at.strftime("%Y-%m")
        case DrillPeriod.WEEKLY:
            year, week, _ = at.isocalendar()
            return f"{year}-w{week:02d}"
        case DrillPeriod.NEVER:
            return ""


def due_slot(
    drills: DrillsConfig, *, now_ms: int, done_slot: str, ran_at_ms: Collection[int]
) -> str:
    """Return the slot in which a drill should begin now, empty when none should.

    Args:
        drills: the configuration.
        now_ms: the venue's time.
        done_slot: the highest slot on record, empty when none is.
        ran_at_ms: when drills on record were run, whoever asked for them.
    """
    slot = slot_of(drills.switchover, now_ms)
    if not slot or not drills.is_allowed:
        return ""
    # A slot of the other period says nothing about this one: 2026-11 and 2026-w48.
    is_same_period = ("w" in done_slot) == ("w" in slot)
    if done_slot and is_same_period and slot <= done_slot:
        return ""
    if any(slot_of(drills.switchover, at_ms) >= slot for at_ms in ran_at_ms):
        return ""
    hour = datetime.fromtimestamp(now_ms / 1000, UTC).hour
    return slot if hour in drills.hours_utc else ""
