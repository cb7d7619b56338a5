"""Instants and clocks (R0): what elapsed time may prove, and to whom."""

from math import inf, isinf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from election.clock import KernelClock
from election.instants import (
    ClockFault,
    Instant,
    check_tick,
    contender_elapsed_s,
    holder_elapsed_s,
    instant_of,
    is_earlier,
    is_later,
)

SECONDS = st.floats(min_value=0, max_value=1e9, allow_nan=False)


def at(boot_s: float, raw_s: float, wall_s: float = 0.0) -> Instant:
    return Instant(boot_s=boot_s, raw_s=raw_s, wall_s=wall_s)


@pytest.mark.parametrize(
    ("boot_s", "raw_s", "holder_s", "contender_s"),
    [
        pytest.param(3.0, 3.0, 3.0, 3.0, id="clocks agree"),
        pytest.param(9.0, 3.0, 9.0, 3.0, id="suspended: boot clock went on"),
        pytest.param(3.0, 3.2, 3.2, 3.0, id="slewed"),
        pytest.param(-1.0, 3.0, inf, 0.0, id="boot clock backward"),
        pytest.param(3.0, -1.0, inf, 0.0, id="raw clock backward"),
    ],
)
def test_elapsed_hurts_whoever_claims_it(
    boot_s: float, raw_s: float, holder_s: float, contender_s: float
) -> None:
    """R0: holder elapsed is the larger delta, contender elapsed the smaller."""
    since, now = at(100, 100), at(100 + boot_s, 100 + raw_s)
    assert holder_elapsed_s(since, now) == pytest.approx(holder_s)
    assert contender_elapsed_s(since, now) == pytest.approx(contender_s)


@given(SECONDS, SECONDS, SECONDS, SECONDS)
def test_contender_never_claims_more_than_the_holder_concedes(
    boot_s: float, raw_s: float, later_boot_s: float, later_raw_s: float
) -> None:
    """Whatever the clocks do, the contender's elapsed time is never above the holder's."""
    since, now = at(boot_s, raw_s), at(later_boot_s, later_raw_s)
    assert 0 <= contender_elapsed_s(since, now) <= holder_elapsed_s(since, now)
    assert not (is_later(since, now) and is_earlier(now, since))
    if is_later(since, now):
        assert not isinf(holder_elapsed_s(since, now))


@pytest.mark.parametrize(
    ("boot_s", "raw_s", "wall_s", "faults"),
    [
        pytest.param(0.25, 0.25, 0.25, (), id="a quiet tick"),
        pytest.param(0.25, 0.25, 0.49, (), id="wall moved by 240 ms: slewing at most"),
        pytest.param(0.25, 0.25, 0.51, (ClockFault.STEPPED,), id="wall moved by 260 ms"),
        pytest.param(0.25, 0.25, -3600, (ClockFault.STEPPED,), id="an hour back"),
        pytest.param(2.2, 2.2, 2.2, (), id="late by just under ttl/3"),
        pytest.param(2.3, 2.3, 2.3, (ClockFault.LATE,), id="late by just over ttl/3"),
        pytest.param(30, 0.25, 30, (ClockFault.LATE,), id="suspended"),
        pytest.param(5, 5, 3605, (ClockFault.STEPPED, ClockFault.LATE), id="woken and set at once"),
        pytest.param(0.0, 0.25, 0.25, (ClockFault.BACKWARD,), id="boot clock stands still"),
        pytest.param(0.25, 0.0, 0.25, (ClockFault.BACKWARD,), id="raw clock stands still"),
        pytest.param(-5, 0.25, 0.25, (ClockFault.BACKWARD,), id="boot clock backward"),
    ],
)
def test_tick_reveals(
    boot_s: float, raw_s: float, wall_s: float, faults: tuple[ClockFault, ...]
) -> None:
    """R0 and scenario 47, both sides of each boundary."""
    before, now = at(50, 50, 50), at(50 + boot_s, 50 + raw_s, 50 + wall_s)
    assert check_tick(before, now, tick_s=0.25, ttl_s=6.0) == faults


def test_first_tick_reveals_nothing() -> None:
    """There is nothing to compare with."""
    assert check_tick(None, at(1, 1), tick_s=0.25, ttl_s=6.0) == ()


def test_kernel_clocks_grow() -> None:
    """The real clocks: both grow from reading to reading."""
    clock = KernelClock()
    first = instant_of(clock.read())
    second = instant_of(clock.read())
    assert is_later(first, second)
    assert 0 <= contender_elapsed_s(first, second) <= holder_elapsed_s(first, second) < 60
