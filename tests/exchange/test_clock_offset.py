"""The venue's time as an interval: what is measured is inside, and we are never ahead."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.clock_offset import (
    AGE_MAX_S,
    RATE_ERROR_PPM,
    SAMPLES_MAX,
    OffsetSample,
    VenueClock,
    estimate_offset,
)

VENUE_MS = 1_700_000_000_000


class LocalClock:
    """A local clock that a test sets."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def sample(sent_s: float, received_s: float, venue_ms: int) -> OffsetSample:
    return OffsetSample(sent_s=sent_s, received_s=received_s, venue_ms=venue_ms)


def test_no_sample_means_unknown() -> None:
    """Without a measurement there is no time, not zero."""
    clock = VenueClock(LocalClock())
    assert clock.estimate() is None
    assert clock.now_ms() is None


def test_one_sample_gives_the_round_trip_as_error() -> None:
    """At receipt the venue was at least at its stamp; the error is the round trip."""
    local = LocalClock(1_000.4)
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.4, VENUE_MS))
    known = clock.estimate()

    assert clock.now_ms() == VENUE_MS
    assert known is not None
    assert round(known.error_ms) == 401


def test_a_quicker_sample_narrows_the_estimate() -> None:
    """The shortest round trip counts, also when it is not the newest."""
    local = LocalClock(1_002.0)
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.010, VENUE_MS))
    clock.add(sample(1_001.0, 1_002.0, VENUE_MS + 1_500))
    known = clock.estimate()

    assert known is not None
    assert known.error_ms < 20
    assert known.age_s == 0


def test_estimate_decays_and_ends() -> None:
    """An old sample is worth less each second and nothing in the end."""
    local = LocalClock(1_000.0)
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    fresh = clock.estimate()
    local.now_s += 100
    older = clock.estimate()
    local.now_s = 1_000.0 + AGE_MAX_S
    last = clock.estimate()
    local.now_s += 0.001

    assert fresh is not None
    assert older is not None
    assert older.error_ms - fresh.error_ms == 2 * 100 * RATE_ERROR_PPM / 1000
    assert last is not None
    assert clock.estimate() is None


def test_step_of_a_clock_drops_what_came_before() -> None:
    """Samples that contradict each other mean a step; only the newest one is believed."""
    local = LocalClock(1_001.0)
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    clock.add(sample(1_001.0, 1_001.0, VENUE_MS - 3_600_000))

    assert clock.now_ms() == VENUE_MS - 3_600_000


def test_local_clock_that_went_back_knows_nothing() -> None:
    """A sample from the future cannot be aged; it is not used."""
    local = LocalClock(1_000.0)
    clock = VenueClock(local)
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    local.now_s = 999.0

    assert clock.estimate() is None


def test_invalidate_forgets_everything() -> None:
    """After a refused time nothing measured before counts."""
    clock = VenueClock(LocalClock(1_000.0))
    clock.add(sample(1_000.0, 1_000.0, VENUE_MS))
    clock.invalidate()

    assert clock.estimate() is None


trips = st.lists(
    st.tuples(
        st.floats(0, 60),  # pause before the question
        st.floats(0, 2),  # way there
        st.floats(0, 2),  # way back
    ),
    min_size=1,
    max_size=SAMPLES_MAX + 4,
)


@given(
    trips=trips,
    offset_ms=st.integers(-10_000_000, 10_000_000),
    rate_ppm=st.floats(-0.9 * RATE_ERROR_PPM, 0.9 * RATE_ERROR_PPM),
    later_s=st.floats(0, AGE_MAX_S - 1),
)
def test_estimate_is_never_ahead_of_the_venue(
    trips: list[tuple[float, float, float]], offset_ms: int, rate_ppm: float, later_s: float
) -> None:
    """Whatever the network does and within the rate bound, truth lies inside the interval."""
    local = LocalClock(1_000.0)
    clock = VenueClock(local)
    rate = 1 + rate_ppm / 1_000_000

    def truth_ms(local_s: float) -> float:
        return VENUE_MS + offset_ms + (local_s - 1_000.0) * 1000 * rate

    now_s = 1_000.0
    for pause_s, there_s, back_s in trips:
        sent_s = now_s + pause_s
        stamped_s = sent_s + there_s
        now_s = stamped_s + back_s
        local.now_s = now_s
        clock.add(sample(sent_s, now_s, int(truth_ms(stamped_s))))
    local.now_s = now_s + later_s
    known, estimate_ms = clock.estimate(), clock.now_ms()

    assert known is not None
    assert estimate_ms is not None
    true_ms = truth_ms(local.now_s)
    assert estimate_ms <= true_ms + 0.01
    assert true_ms <= estimate_ms + 1 + known.error_ms + 0.01


def test_too_old_samples_do_not_make_a_contradiction() -> None:
    """Samples beyond their age are left out before intersecting."""
    old = sample(0.0, 0.0, VENUE_MS - 999_999)
    new = sample(AGE_MAX_S + 1, AGE_MAX_S + 1, VENUE_MS)

    assert estimate_offset((old, new), AGE_MAX_S + 1) is not None
