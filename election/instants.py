"""Instants of this machine's lease clock, and what may be concluded from two of them (R0).

Rules of this file: pure. Every instant carries two clocks that NTP cannot step. Whoever proves a
right from elapsed time uses the clock that hurts him: the holder the faster one (`max`), the
contender the slower one (`min`). The wall clock serves to notice steps, nothing else.
"""

from collections.abc import Mapping
from enum import StrEnum
from math import inf
from typing import NamedTuple

# A wall clock moving against the boot clock by more than this between two ticks was stepped (R0).
# NTP slews at most 83 ms in a second (chrony's default), so halving it would still be quiet;
# doubling it would let a venue timestamp be wrong by half a second.
WALL_STEP_S = 0.25


class Instant(NamedTuple):
    """One reading of CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW and the wall clock, in seconds."""

    boot_s: float
    raw_s: float
    wall_s: float


class ClockFault(StrEnum):
    """What a tick may reveal about time."""

    STEPPED = "clock_stepped"  # the wall clock was set; venue offset is void
    LATE = "tick_late"  # this process did not run for longer than ttl/3 (pause, starvation)
    BACKWARD = "clock_backward"  # a clock did not grow: nothing can be proven with it


# What each means, for people.
CLOCK_FAULTS: Mapping[ClockFault, str] = {
    ClockFault.STEPPED: "the wall clock was set; measure the venue's clock offset again",
    ClockFault.LATE: "this process did not run for more than a third of the lease's ttl",
    ClockFault.BACKWARD: "a lease clock did not grow; nothing can be proven with it",
}


def instant_of(reading: tuple[float, float, float]) -> Instant:
    """Return the instant of a `LeaseClock.read()`."""
    return Instant(*reading)


def holder_elapsed_s(since: Instant, now: Instant) -> float:
    """Return seconds that a holder must assume to have passed: the faster clock (R0).

    A clock that ran backwards proves nothing any more: infinity, so that the holder stops.
    """
    boot_s = now.boot_s - since.boot_s
    raw_s = now.raw_s - since.raw_s
    if boot_s < 0 or raw_s < 0:
        return inf
    return max(boot_s, raw_s)


def contender_elapsed_s(since: Instant, now: Instant) -> float:
    """Return seconds that a contender may claim to have waited: the slower clock (R0)."""
    return max(0.0, min(now.boot_s - since.boot_s, now.raw_s - since.raw_s))


def is_later(first: Instant, second: Instant) -> bool:
    """Tell whether `second` is later than `first` on both clocks."""
    return second.boot_s > first.boot_s and second.raw_s > first.raw_s


def is_earlier(first: Instant, second: Instant) -> bool:
    """Tell whether `first` is earlier than `second` on either clock."""
    return first.boot_s < second.boot_s or first.raw_s < second.raw_s


def check_tick(
    previous: Instant | None, now: Instant, *, tick_s: float, ttl_s: float
) -> tuple[ClockFault, ...]:
    """Return what two consecutive ticks reveal (R0).

    Args:
        previous: the tick before, None at the first.
        now: this tick.
        tick_s: seconds that were to lie between the two, at most.
        ttl_s: the lease's ttl in seconds; a tick late by more than a third of it is a fault.
    """
    if previous is None:
        return ()
    if now.boot_s <= previous.boot_s or now.raw_s <= previous.raw_s:
        return (ClockFault.BACKWARD,)
    faults: list[ClockFault] = []
    moved_s = (now.wall_s - now.boot_s) - (previous.wall_s - previous.boot_s)
    if abs(moved_s) > WALL_STEP_S:
        faults.append(ClockFault.STEPPED)
    if holder_elapsed_s(previous, now) > tick_s + ttl_s / 3:
        faults.append(ClockFault.LATE)
    return tuple(faults)
