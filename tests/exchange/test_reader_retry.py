"""The one place where something is repeated: reads, within a budget, on the monotonic clock."""

import pytest

from exchange.errors import AnswerUntrusted, VenueRateLimited, VenueRefused, VenueUnavailable
from exchange.retry import ATTEMPT_S_MIN, RetryPolicy, RetryTools, read_with_retries

POLICY = RetryPolicy(budget_s=4.0, attempt_s=1.5)


class Script:
    """Attempts that take time and end as the script says; time passes by hand."""

    def __init__(self, *ends: Exception | str, takes_s: float = 0.0) -> None:
        self.ends = list(ends)
        self.takes_s = takes_s
        self.now_s = 100.0
        self.timeouts: list[float] = []
        self.waits: list[float] = []
        self.steps: list[str] = []

    async def attempt(self, timeout_s: float) -> str:
        self.timeouts.append(timeout_s)
        self.now_s += min(self.takes_s, timeout_s)
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds

    async def run(self, policy: RetryPolicy = POLICY) -> str:
        tools = RetryTools(
            monotonic_s=lambda: self.now_s,
            on_step=self.steps.append,
            sleep=self.sleep,
            jitter=lambda value: value,
        )
        return await read_with_retries(self.attempt, label="x", policy=policy, tools=tools)


async def test_success_at_once() -> None:
    """One attempt, one step, no wait."""
    script = Script("yes")
    assert await script.run() == "yes"
    assert (script.timeouts, script.waits, script.steps) == ([1.5], [], ["x"])


async def test_failures_wait_longer_each_time() -> None:
    """Waits double up to a second; every attempt is a step of progress."""
    failures = [VenueUnavailable("no")] * 6
    script = Script(*failures, "yes")
    assert await script.run() == "yes"
    assert script.waits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert len(script.steps) == 7


async def test_budget_bounds_attempts_and_waits_together() -> None:
    """The whole ends within the budget, and the last failure is told."""
    script = Script(AnswerUntrusted("html"), takes_s=1.5)
    with pytest.raises(AnswerUntrusted):
        await script.run()
    assert script.now_s - 100 <= POLICY.budget_s + ATTEMPT_S_MIN
    assert script.timeouts[:2] == [1.5, 1.5]
    assert script.timeouts[-1] < 1.5


@pytest.mark.parametrize(
    "end",
    [
        VenueRefused("no", code="-2015"),
        VenueRateLimited("quiet", retry_after_s=60, is_ban=False),
    ],
    ids=["refused", "rate limited for longer than the budget"],
)
async def test_what_waiting_cannot_mend_is_told_at_once(end: Exception) -> None:
    """No second attempt where it would only do harm; the attempt still counts as progress."""
    script = Script(end)
    with pytest.raises(type(end)):
        await script.run()
    assert (len(script.timeouts), script.waits, script.steps) == (1, [], ["x"])


async def test_short_rate_limit_is_waited_out() -> None:
    """A wait that fits into the budget is waited, in full."""
    script = Script(VenueRateLimited("quiet", retry_after_s=2.5, is_ban=False), "yes")
    assert await script.run() == "yes"
    assert script.waits == [2.5]


async def test_our_own_bugs_are_not_repeated() -> None:
    """Only a venue's failures are tried again."""
    script = Script(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        await script.run()
    assert len(script.timeouts) == 1


async def test_jitter_is_full() -> None:
    """The default jitter spreads over the whole wait, so that two boxes fall out of step."""
    tools = RetryTools(monotonic_s=lambda: 0.0, on_step=lambda _: None)
    spread = [tools.jitter(1.0) for _ in range(200)]
    assert min(spread) < 0.3
    assert max(spread) > 0.7
    assert all(0 <= value <= 1 for value in spread)
