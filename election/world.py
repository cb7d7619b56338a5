"""What the parts of the lease machine share: who I am, what I see, what I have asked."""

from dataclasses import dataclass

from election.calls import Calls
from election.model import Identity, LeaseTiming
from election.observed import Observed


@dataclass(frozen=True, slots=True)
class World:
    """One node's identity, timing, observations and calls."""

    identity: Identity
    timing: LeaseTiming
    observed: Observed
    calls: Calls

    @property
    def ttl_s(self) -> float:
        """Own ttl in seconds."""
        return self.timing.ttl_ms / 1000

    @property
    def tick_s(self) -> float:
        """Longest time between two ticks: half of the shortest period that ticks must serve."""
        return min(self.timing.observe_ms, self.timing.renew_ms) / 2000
