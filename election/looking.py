"""How often this node looks at the stores (R5).

Rules of this file: a store that was not asked anything for `observe_ms` is looked at. While a
handover to this node is expected the looks come every `HASTY_LOOK_S` instead, for `EXPECT_S` after
each word of the node that it is; more looks prove no more and no less than few. It does not
decide whether there may be a look at all: the machine does.
"""

from election.instants import Instant, holder_elapsed_s
from election.model import LeaseTiming, StoreName

# A reservation is found after half of this on average. Halved, a store answers forty reads a
# second to save 25 ms; doubled, a planned handover spends a third of its 300 ms on waiting.
HASTY_LOOK_S = 0.05
# The node says it again with every look at the cluster, once a second: one may be missed. It bounds
# what a node costs the stores whose work loop hangs right after it said so.
EXPECT_S = 2.5


class Looking:
    """When each store was asked last, and when it is to be looked at next."""

    def __init__(self, *, timing: LeaseTiming, tick_s: float) -> None:
        """Nobody was asked yet, nothing is expected."""
        self._calm_s = timing.observe_ms / 1000 - tick_s / 2  # half a tick early, not late
        self._hasty_s = min(HASTY_LOOK_S, tick_s)
        self._asked: dict[StoreName, Instant] = {}
        self._expected: Instant | None = None

    def expect(self, now: Instant) -> None:
        """Look often from now on: the holder is about to hand over to this node."""
        self._expected = now

    def calm_down(self) -> None:
        """Expect no handover any more."""
        self._expected = None

    def is_hasty(self, now: Instant) -> bool:
        """Tell whether a handover is expected."""
        return self._expected is not None and holder_elapsed_s(self._expected, now) < EXPECT_S

    def wake_in_s(self, calm_s: float, now: Instant) -> float:
        """Return seconds until the next tick is wanted, `calm_s` when nothing is expected."""
        return min(calm_s, self._hasty_s) if self.is_hasty(now) else calm_s

    def take_due(self, name: StoreName, now: Instant) -> bool:
        """Tell whether a store is to be looked at now, and count it as asked if it is."""
        last = self._asked.get(name)
        after_s = self._hasty_s / 2 if self.is_hasty(now) else self._calm_s
        if last is not None and holder_elapsed_s(last, now) < after_s:
            return False
        self._asked[name] = now
        return True
