"""All stores as this node sees them: what a majority says (R6, R13).

Rules of this file: every question is answered from the last reply of each store; `majority` of
the *configured* stores decides, never of the reachable ones. One store is the case n = 1.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from election.instants import Instant
from election.model import Identity, Incarnation, LeaseState, LeaseTiming, NodeId, StoreName
from election.observation import Observation


class Named(NamedTuple):
    """Whom a majority of the records names."""

    holder: NodeId | None
    epoch: int
    label: str


NOBODY = Named(None, 0, "")


class Observed:
    """The observations of all configured stores."""

    def __init__(
        self, names: Sequence[StoreName], *, identity: Identity, timing: LeaseTiming
    ) -> None:
        """Nothing seen yet."""
        self._by_name = {name: Observation(name=name) for name in names}
        self.majority = len(self._by_name) // 2 + 1  # how many stores decide
        self._identity = identity
        self._timing = timing
        self.longest_ttl_ms = timing.ttl_ms
        self.max_epoch = 0  # the highest ever seen in any store

    def __getitem__(self, name: StoreName) -> Observation:
        """Return one store's observation."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[Observation]:
        """Iterate in configured order."""
        return iter(self._by_name.values())

    def __len__(self) -> int:
        """Count the configured stores."""
        return len(self._by_name)

    @property
    def has_majority(self) -> bool:
        """True while a majority of the stores answers usably."""
        return sum(not observation.is_lost for observation in self) >= self.majority

    def incarnations(self) -> dict[StoreName, Incarnation]:
        """Return the life of each store as it was seen last, whoever is named there."""
        return {o.name: o.inc for o in self if o.inc is not None}

    def is_takeable(self, name: StoreName, now: Instant) -> bool:
        """Tell whether this store's record may be taken now (R6)."""
        wait_s = self._by_name[name].takeable_in_s(
            self._identity, self._timing, self.longest_ttl_ms, now
        )
        return wait_s is not None and wait_s <= 0

    def takeable(self, now: Instant) -> tuple[StoreName, ...]:
        """Return the stores whose record may be taken now."""
        identity, timing, ttl_ms = self._identity, self._timing, self.longest_ttl_ms
        waits = [(o.name, o.takeable_in_s(identity, timing, ttl_ms, now)) for o in self]
        return tuple([name for name, wait_s in waits if wait_s is not None and wait_s <= 0])

    def takeable_in_s(self, now: Instant) -> float | None:
        """Return seconds until a majority may be taken, None when that cannot be told."""
        identity, timing, ttl_ms = self._identity, self._timing, self.longest_ttl_ms
        waits = [o.takeable_in_s(identity, timing, ttl_ms, now) for o in self]
        known_s = sorted([wait_s for wait_s in waits if wait_s is not None])
        return None if len(known_s) < self.majority else known_s[self.majority - 1]

    def rivals(self, epoch: int) -> tuple[Observation, ...]:
        """Return the stores that were granted to somebody else under `epoch` or later."""
        return tuple(o for o in self if o.names_rival(self._identity, epoch))

    def named(self) -> Named:
        """Return whom a majority of the records, reachable or remembered, names as holder."""
        records = [o.record for o in self._by_name.values() if o.record is not None]
        held = [
            (record.node_id, record.nonce, record.epoch)
            for record in records
            if record.state is LeaseState.HELD
        ]
        for vote in held:
            if held.count(vote) >= self.majority:
                node_id, nonce, epoch = vote
                labels = (record.label for record in records if record.nonce == nonce)
                return Named(node_id, epoch, next(labels, ""))
        return NOBODY

    def restart(self, now: Instant) -> None:
        """Start every timer from zero."""
        for observation in self:
            observation.restart(now)
