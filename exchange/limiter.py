"""Request weights on the monotonic clock: how long to wait before the next call.

Venues count weights per address in a window of a minute and ban who goes on after "too many".
The arithmetic is pure (`now_s` is a parameter); `WeightLimiter.acquire` is the only part that
waits. ccxt's own throttle is switched off: it follows the wall clock, and it delays a request
between its signature and its departure. A write never waits here: it asks `quiet_s` and is not
sent at all while the venue wants quiet.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

# The venue's window. Binance counts calendar minutes; a sliding minute is never laxer than that.
WINDOW_S: Final = 60.0
# Share of the venue's limit that this node uses by itself: two boxes may share one address.
SHARE: Final = 0.45


class WeightLimiter:
    """Counts the weight of one address; shared by all connections of this node to one venue."""

    def __init__(
        self,
        *,
        weight_per_minute: int,
        monotonic_s: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._venue_limit = weight_per_minute
        self._capacity = weight_per_minute * SHARE
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._charges: deque[tuple[float, int]] = deque()
        self._charged = 0
        self._quiet_until_s = float("-inf")

    def delay_s(self, weight: int) -> float:
        """Return how long to wait before a call of this weight may start; 0 = now."""
        now_s = self._monotonic_s()
        self._expire(now_s)
        quiet_s = max(0.0, self._quiet_until_s - now_s)
        free = self._capacity - self._charged
        if weight <= free or not self._charges:
            return quiet_s
        for at_s, charged in self._charges:
            free += charged
            if weight <= free:
                return max(quiet_s, at_s + WINDOW_S - now_s)
        return max(quiet_s, self._charges[-1][0] + WINDOW_S - now_s)

    def quiet_s(self) -> float:
        """Return how long the venue still wants no call of any kind; 0 = not at all."""
        return max(0.0, self._quiet_until_s - self._monotonic_s())

    def charge(self, weight: int) -> None:
        """Count a call that is about to leave."""
        now_s = self._monotonic_s()
        self._expire(now_s)
        self._charges.append((now_s, weight))
        self._charged += weight

    def hold(self, seconds: float) -> None:
        """Send nothing for this long: the venue said so (429, 418, Retry-After)."""
        self._quiet_until_s = max(self._quiet_until_s, self._monotonic_s() + seconds)

    def observe_used(self, used: int) -> None:
        """Take the venue's own count; others at this address are in it.

        Near the venue's limit everything is held for a few seconds, so that the other box, or a
        cancel, still finds room.
        """
        if used >= self._venue_limit * 0.9:
            self.hold(5.0)

    async def acquire(self, weight: int, *, wait_s_max: float) -> float:
        """Wait until a call of this weight may start and charge it.

        Returns:
            0.0 when charged; otherwise the seconds that would have to be waited, which is more
            than `wait_s_max`, and nothing was charged.
        """
        waited_s = 0.0
        while (delay_s := self.delay_s(weight)) > 0:
            if waited_s + delay_s > wait_s_max:
                return delay_s
            await self._sleep(delay_s)
            waited_s += delay_s
        self.charge(weight)
        return 0.0

    def _expire(self, now_s: float) -> None:
        while self._charges and now_s - self._charges[0][0] >= WINDOW_S:
            self._charged -= self._charges.popleft()[1]
