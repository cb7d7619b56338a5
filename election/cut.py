"""A cut for drills: some stores count as unreachable from this process for a bounded time.

Off unless somebody turns it on, and never on for longer than it was asked for, by this process's
own monotonic clock. What it does is what a pulled cable does to the rules: a call to the store
fails, nothing is sent, nothing is answered. It cannot make a call succeed.
"""

import threading
import time
from collections.abc import Callable, Collection
from typing import Final

# Whatever is asked: a drill must not become an outage.
SECONDS_MAX: Final = 120.0
# Stands for the other node, beside the names of stores (which have no such character).
PEER: Final = "(peer)"


class StoreCut:
    """Which stores are cut off now; safe to use from several threads."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Cut nothing."""
        self._monotonic_s = monotonic_s
        self._guard = threading.Lock()
        self._until_s: dict[str, float] = {}

    def cut(self, stores: Collection[str], lasting_s: float) -> None:
        """Cut these stores off for so long; a cut that is on already ends with the later one."""
        until_s = self._monotonic_s() + max(0.0, min(lasting_s, SECONDS_MAX))
        with self._guard:
            for name in stores:
                self._until_s[name] = max(until_s, self._until_s.get(name, until_s))

    def mend(self) -> None:
        """End every cut now."""
        with self._guard:
            self._until_s.clear()

    def is_cut(self, store: str) -> bool:
        """Tell whether calls to this store fail now."""
        if not self._until_s:  # the usual case costs no lock
            return False
        with self._guard:
            return self._monotonic_s() < self._until_s.get(store, float("-inf"))
