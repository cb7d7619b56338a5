"""Request weights on a manual clock: within the share, quiet when asked, no waiting for writes."""

import pytest

from exchange.limiter import SHARE, WINDOW_S, WeightLimiter


class ManualTime:
    """Monotonic time that passes only by waiting or by the test."""

    def __init__(self) -> None:
        self.now_s = 5_000.0
        self.waits: list[float] = []

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds


@pytest.fixture
def time_() -> ManualTime:
    return ManualTime()


@pytest.fixture
def limiter(time_: ManualTime) -> WeightLimiter:
    """A limiter whose own share is 100."""
    return WeightLimiter(
        weight_per_minute=int(100 / SHARE) + 1, monotonic_s=time_.monotonic_s, sleep=time_.sleep
    )


async def test_within_the_share_nothing_waits(limiter: WeightLimiter, time_: ManualTime) -> None:
    """Up to this node's share calls go at once."""
    for _ in range(5):
        assert await limiter.acquire(20, wait_s_max=0) == 0

    assert time_.waits == []
    assert limiter.delay_s(20) == WINDOW_S


async def test_beyond_the_share_the_oldest_must_age(
    limiter: WeightLimiter, time_: ManualTime
) -> None:
    """A call waits until as much weight as it needs has left the window."""
    await limiter.acquire(60, wait_s_max=0)
    time_.now_s += 10
    await limiter.acquire(40, wait_s_max=0)

    assert limiter.delay_s(60) == 50
    assert limiter.delay_s(61) == 60
    assert await limiter.acquire(60, wait_s_max=60) == 0
    assert time_.waits == [50]


async def test_acquire_says_how_long_instead_of_waiting_too_long(
    limiter: WeightLimiter, time_: ManualTime
) -> None:
    """What does not fit into the wait is not charged."""
    await limiter.acquire(100, wait_s_max=0)

    assert await limiter.acquire(1, wait_s_max=59.9) == 60
    time_.now_s += 60
    assert limiter.delay_s(100) == 0


async def test_weight_larger_than_the_share_goes_alone(
    limiter: WeightLimiter, time_: ManualTime
) -> None:
    """A single heavy call is not held back for ever."""
    assert await limiter.acquire(500, wait_s_max=0) == 0
    assert limiter.delay_s(1) == WINDOW_S


def test_hold_quiets_everything_and_is_never_shortened(
    limiter: WeightLimiter, time_: ManualTime
) -> None:
    """Retry-After holds every call; a shorter one later does not lift a longer one."""
    limiter.hold(30)
    limiter.hold(5)

    assert limiter.quiet_s() == limiter.delay_s(1) == 30
    time_.now_s += 30
    assert limiter.quiet_s() == 0


def test_own_weight_does_not_quiet_writes(limiter: WeightLimiter) -> None:
    """A full window delays reads; a write asks only whether the venue wants quiet."""
    limiter.charge(100)

    assert limiter.delay_s(1) > 0
    assert limiter.quiet_s() == 0


@pytest.mark.parametrize(("used", "is_quiet"), [(199, False), (201, True), (5_000, True)])
def test_the_venues_own_count_is_obeyed(limiter: WeightLimiter, used: int, is_quiet: bool) -> None:
    """Near the venue's limit, whoever used it up, this node goes quiet for a moment."""
    limiter.observe_used(used)

    assert (limiter.quiet_s() > 0) is is_quiet


async def test_no_minute_ever_carries_more_than_the_share(
    limiter: WeightLimiter, time_: ManualTime
) -> None:
    """Over any sliding minute the charged weight stays within the share."""
    charged: list[tuple[float, int]] = []
    for n in range(300):
        weight = (n * 7) % 19 + 1
        assert await limiter.acquire(weight, wait_s_max=1_000) == 0
        charged.append((time_.now_s, weight))
        time_.now_s += 0.3

    for at_s, _ in charged:
        minute = sum(w for t, w in charged if at_s <= t < at_s + WINDOW_S)
        assert minute <= 101
