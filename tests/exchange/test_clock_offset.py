"""The venue's time as an interval: the truth is always inside, and we are never ahead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.clock_offset import (
    AGE_MAX_S,
    RATE_ERROR_PPM,
    SAMPLES_MAX,
    LocalInstant,
    OffsetSample,
    VenueClock,
    estimate_time,
)

VENUE_MS = 1_700_000_000_000


class LocalClocks:
    """The two local clocks; a test sets them together or apart."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self.boot_s = now_s
        self.raw_s = now_s

    def __call__(self) -> LocalInstant:
        return LocalInstant(boot_s=self.boot_s, raw_s=self.raw_s)

    def advance(self, seconds: float) -> None:
        self.boot_s += seconds
        self.raw_s += seconds


def at(now_s: float) -> LocalInstant:
    return LocalInstant(boot_s=now_s, raw_s=now_s)


def sample(sent_s: float, received_s: float, venue_ms: int) -> OffsetSample:
    return OffsetSample(sent=at(sent_s), received=at(received_s), venue_ms=venue_ms)


def test_no_sample_means_unknown() -> None:
    """Without a measurement there is no time, not zero."""
    clock = VenueClock(LocalClocks())
    assert clock.estimate() is None
    assert clock.now_ms() is None


def test_one_sample_gives_the_round_trip_as_error() -> None:
    """At receipt the venue was at least at its stamp; the error is the round trip."""
    clock = VenueClock(LocalClocks(1_000.4))
    clock.add(sample(1_000.0, 1_000.4, VENUE_MS))
    known = clock.estimate()

    assert clock.now_ms() == VENUE_MS
    assert known is not None
    assert known.error_ms == pytest.approx(401.4)


def test_a_quicker_sample_narrows_the_estimate() -> None:
    """The shortest round trip counts, also when it is not the newest."""
    clock = VenueClock(LocalClocks(1_002.0))
    clock.add(sample(1_000.0, 1_000.010, VENUE_MS))
    clock.add(sample(1_001.0, 1_002.0, VENUE_MS + 1_500))
    known = clock.estimate()

    assert known is not None
    assert known.error_ms < 20
    assert known.age_s == 0


def test_estimate_decays_and_ends() -> None:
    """An old sample is worth less each second and nothing in the end."""
    local = LocalClocks()
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    fresh = clock.estimate()
    local.advance(100)
    older = clock.estimate()
    local.advance(AGE_MAX_S - 100)
    last = clock.estimate()
    local.advance(0.001)

    assert fresh is not None
    assert older is not None
    assert older.error_ms - fresh.error_ms == pytest.approx(2 * 100 * RATE_ERROR_PPM / 1000)
    assert last is not None
    assert clock.estimate() is None


def test_step_of_a_clock_drops_what_came_before() -> None:
    """Samples that contradict each other mean a step; only the newest one is believed."""
    clock = VenueClock(LocalClocks(1_001.0))
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    clock.add(sample(1_001.0, 1_001.0, VENUE_MS - 3_600_000))

    assert clock.now_ms() == VENUE_MS - 3_600_000


def test_local_clock_that_went_back_knows_nothing() -> None:
    """A sample from the future cannot be aged; it is not used."""
    local = LocalClocks()
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    local.raw_s = 999.0

    assert clock.estimate() is None


def test_invalidate_forgets_everything() -> None:
    """After a refused time nothing measured before counts."""
    clock = VenueClock(LocalClocks())
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    clock.invalidate()

    assert clock.estimate() is None


def test_slewed_clock_does_not_run_ahead() -> None:
    """NTP that bends boot time by 8 % cannot push the stamp ahead of the venue (R0)."""
    local = LocalClocks()
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    local.boot_s += 108.0
    local.raw_s += 100.0
    known = clock.estimate()

    assert known is not None
    assert known.earliest_ms <= VENUE_MS + 100_000 <= known.earliest_ms + known.error_ms


def test_suspend_makes_the_time_uncertain_not_wrong() -> None:
    """Raw time stands still in suspend: the truth stays inside a wide interval."""
    local = LocalClocks()
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    local.boot_s += 300.0
    known = clock.estimate()

    assert known is not None
    assert known.earliest_ms <= VENUE_MS + 300_000 <= known.earliest_ms + known.error_ms
    assert known.error_ms >= 300_000


trips = st.lists(
    st.tuples(
        st.floats(0, 60),  # pause before the question
        st.floats(0, 2),  # way there
        st.floats(0, 2),  # way back
    ),
    min_size=1,
    max_size=SAMPLES_MAX + 4,
)
bare_rates = st.floats(-0.9 * RATE_ERROR_PPM, 0.9 * RATE_ERROR_PPM)


@given(
    trips=trips,
    offset_ms=st.integers(-10_000_000, 10_000_000),
    raw_ppm=bare_rates,
    wrong=st.one_of(
        st.tuples(st.floats(-83_333, 83_333), st.just(0.0)),
        st.tuples(bare_rates, st.floats(0, 30)),
    ),
    later_s=st.floats(0, AGE_MAX_S * 0.9),
)
def test_truth_is_inside_the_interval(
    trips: list[tuple[float, float, float]],
    offset_ms: int,
    raw_ppm: float,
    wrong: tuple[float, float],
    later_s: float,
) -> None:
    """Whatever the network does, NTP bends or suspend hides: never ahead, never outside.

    One of the two local clocks may be wrong at a time, by its rate or by standing still.
    """
    slew_ppm, suspended_s = wrong
    local = LocalClocks()
    clock = VenueClock(local)
    true_s = 0.0

    def advance(seconds: float) -> None:
        nonlocal true_s
        true_s += seconds
        local.raw_s += seconds * (1 + raw_ppm / 1_000_000)
        local.boot_s += seconds * (1 + slew_ppm / 1_000_000)

    def truth_ms() -> float:
        return VENUE_MS + offset_ms + true_s * 1000

    for pause_s, there_s, back_s in trips:
        advance(pause_s)
        sent = local()
        advance(there_s)
        stamp_ms = int(truth_ms())
        advance(back_s)
        clock.add(OffsetSample(sent=sent, received=local(), venue_ms=stamp_ms))
    advance(later_s)
    true_s += suspended_s
    local.boot_s += suspended_s
    known = clock.estimate()

    if known is None:  # too old by the clock that counts more: nothing is claimed
        assert later_s * 1.1 + suspended_s > AGE_MAX_S * 0.9
        return
    tolerance_ms = 0.01  # floats of seconds since boot
    assert known.earliest_ms <= truth_ms() + tolerance_ms
    assert truth_ms() <= known.earliest_ms + known.error_ms + tolerance_ms


def test_too_old_samples_do_not_make_a_contradiction() -> None:
    """Samples beyond their age are left out before intersecting."""
    old = sample(0.0, 0.0, VENUE_MS - 999_999)
    new = sample(AGE_MAX_S + 1, AGE_MAX_S + 1, VENUE_MS)

    assert estimate_time((old, new), at(AGE_MAX_S + 1)) is not None
