"""Wait for a condition, with a deadline that no healthy machine meets."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], *, deadline_s: float = 60) -> None:
    """Return as soon as the condition holds.

    Raises:
        AssertionError: it did not hold in time.
    """
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, "the condition did not come true in time"
        await asyncio.sleep(0.002)
