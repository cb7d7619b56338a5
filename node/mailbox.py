"""Events from other threads to the work loop: published there, acted on here, at its own pace.

Rules: `publish` may be called from any thread and only appends; the work loop alone takes. It is
bounded for a work loop that hangs: then the oldest event that only informs is left out, never
one that begins or ends a grant, without which the role would be wrong for good.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence

from election.model import Deposed, Granted, Lapsed, LeaseEvent, Released

# An hour of one event a second; a healthy loop takes each within a cycle.
EVENTS_MAX = 4096
GRANT_EVENTS = (Granted, Lapsed, Deposed, Released)


class LeaseMailbox:
    """Carries lease events from the heartbeat's thread to the work loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, events_max: int = EVENTS_MAX) -> None:
        """Bind to the loop that will wait."""
        self._loop = loop
        self._events_max = events_max
        self._events: deque[LeaseEvent] = deque()
        self._guard = threading.Lock()
        self._woken = asyncio.Event()

    def publish(self, event: LeaseEvent) -> None:
        """Append an event and wake the loop; callable from any thread."""
        with self._guard:
            if len(self._events) >= self._events_max:
                self._leave_one_out()
            self._events.append(event)
        # A loop that is already closed has nobody left to wake.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def run_soon(self, action: Callable[[], object]) -> None:
        """Have the work loop's thread run something while its turn waits; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    def take_all(self) -> tuple[LeaseEvent, ...]:
        """Take every event, oldest first."""
        with self._guard:
            events = tuple(self._events)
            self._events.clear()
        self._woken.clear()
        return events

    def put_back(self, events: Sequence[LeaseEvent]) -> None:
        """Put taken events back in front, oldest first."""
        with self._guard:
            self._events.extendleft(reversed(events))
        if events:
            self._woken.set()

    def wake(self) -> None:
        """Wake the loop without an event; callable from the loop's own thread."""
        self._woken.set()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next event or wake-up, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):  # no task of its own, at each turn
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()

    def _leave_one_out(self) -> None:
        # The guard is held. Grants begin and end at most once a ttl, so they stay few.
        least = next((e for e in self._events if not isinstance(e, GRANT_EVENTS)), None)
        if least is not None:
            self._events.remove(least)
