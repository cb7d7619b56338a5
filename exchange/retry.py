"""Repeat a read until it works or its budget is spent. Writes never come here.

Bounded in seconds on the monotonic clock (the `backoff` package's own loop counts on the wall
clock, which these boards step, so only its intervals and its jitter are used). Every attempt has
its own timeout; after each one `on_step` is told, so that the work loop's progress counts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import backoff

from exchange.errors import VenueError, VenueRateLimited, VenueUnavailable

T = TypeVar("T")

# First wait 0.1 s, doubling to 1 s, each with full jitter: two boxes must not ask in step.
FIRST_WAIT_S: Final = 0.1
WAIT_S_MAX: Final = 1.0
# An attempt shorter than this cannot succeed over a real network; it is not started.
ATTEMPT_S_MIN: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Bounds of one read: all attempts together, and each one, in seconds."""

    budget_s: float
    attempt_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTools:
    """What the loop needs from outside; tests pass a manual clock."""

    monotonic_s: Callable[[], float]
    on_step: Callable[[str], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[float], float] = backoff.full_jitter


async def read_with_retries(
    attempt: Callable[[float], Awaitable[T]],
    *,
    label: str,
    policy: RetryPolicy,
    tools: RetryTools,
) -> T:
    """Call `attempt(timeout_s)` until it returns or the budget is spent.

    Raises:
        VenueRateLimited: at once when the wait does not fit into the budget.
        VenueUnavailable: the last failure, when the budget is spent.
        VenueRefused: at once; asking again would not help.
    """
    started_s = tools.monotonic_s()
    waits = backoff.expo(base=2, factor=FIRST_WAIT_S, max_value=WAIT_S_MAX)
    next(waits)
    while True:
        left_s = policy.budget_s - (tools.monotonic_s() - started_s)
        try:
            answer = await attempt(min(policy.attempt_s, max(left_s, ATTEMPT_S_MIN)))
        except VenueUnavailable as failure:
            tools.on_step(label)  # a call that failed in time is progress as well
            wait_s = tools.jitter(next(waits))
            if isinstance(failure, VenueRateLimited):
                wait_s = max(wait_s, failure.retry_after_s)
            left_s = policy.budget_s - (tools.monotonic_s() - started_s)
            if left_s - wait_s < ATTEMPT_S_MIN:
                raise
            await tools.sleep(wait_s)
        except VenueError:
            tools.on_step(label)
            raise
        else:
            tools.on_step(label)
            return answer
