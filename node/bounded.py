"""Blocking calls that may never return, at arm's length from the work loop.

Rules of this file: one call at a time, because a call that hangs keeps its thread; the caller
waits a bounded time below the lease's hang limit (R8) and hears that there is no answer yet.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class OneAtATime:
    """Runs blocking calls in a thread, one after another. Use from one event loop only."""

    def __init__(self, timeout_s: float) -> None:
        """Wait for each call `timeout_s` seconds at most; the call itself goes on."""
        self._timeout_s = timeout_s
        self._task: asyncio.Task[Any] | None = None

    async def run(self, call: Callable[[], T]) -> tuple[T] | None:
        """Return the call's answer in a tuple, None while it (or an earlier one) hangs.

        Raises:
            Exception: whatever the call raised.
        """
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=self._timeout_s)
            if not self._task.done():
                return None
        if self._task is not None and not self._task.cancelled():
            self._task.exception()  # the answer of a call nobody waits for any more
        task = asyncio.create_task(asyncio.to_thread(call))
        self._task = task
        await asyncio.wait({task}, timeout=self._timeout_s)
        return (task.result(),) if task.done() else None
