"""All stores as this node sees them: what a majority says (R6, R13).

Rules of this file: every question is answered from the last reply of each store; a quorum of
the *configured* stores decides, never of the reachable ones. One store is the case n = 1.
"""

from collections.abc import Iterator
from typing import NamedTuple

from election.instants import Instant
from election.model import Identity, Incarnation, LeaseState, LeaseTiming, NodeId, StoreName
from election.observation import Observation
from election.quorum import Quorum


class Named(NamedTuple):
    """Whom a majority of the records names."""

    holder: NodeId | None
    epoch: int
    label: str


NOBODY = Named(None, 0, "")


class Observed:
    """The observations of all configured stores."""

    def __init__(self, quorum: Quorum, *, identity: Identity, timing: LeaseTiming) -> None:
        """Nothing seen yet. Raises ValueError unless it is one store or three."""
        names = quorum.stores
        if len(names) not in (1, 3) or len(set(names)) != len(names):
            raise ValueError(f"the lease needs 1 or 3 distinct stores; they were {list(names)}")
        self._by_name = {name: Observation(name=name) for name in names}
        self.quorum = quorum
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
        return self.quorum.is_met([o.name for o in self if not o.is_lost])

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
        return tuple([name for name, wait_s in self._waits_s(now).items() if wait_s <= 0])

    def takeable_in_s(self, now: Instant) -> float | None:
        """Return seconds until a majority may be taken, None when that cannot be told."""
        return self.quorum.is_met_in_s(self._waits_s(now))

    def joins_in_s(self, now: Instant) -> float | None:
        """Return seconds until the stores beside the needed one may be used, None if unknown.

        A new store names nobody, which counts once it was watched like any record (R5, R6): until
        then a node of a pair that grows could not take the lease over, however it is asked. What
        the present holder has there, or has given back, does not stand in the way of a handover.
        """
        if self.quorum.needed is None:
            return 0.0
        waits_s, named = self._waits_s(now), self.named()
        for name in waits_s:
            record = self[name].record
            assert record is not None, "takeable without a record"
            is_held = record.state is LeaseState.HELD
            is_present = (record.node_id, record.epoch) == (named.holder, named.epoch)
            if record.state is LeaseState.RELEASED or (is_held and is_present):
                waits_s[name] = 0.0
        return self.quorum.others_in_s(waits_s)

    def _waits_s(self, now: Instant) -> dict[StoreName, float]:
        identity, timing, ttl_ms = self._identity, self._timing, self.longest_ttl_ms
        waits = [(o.name, o.takeable_in_s(identity, timing, ttl_ms, now)) for o in self]
        return {name: wait_s for name, wait_s in waits if wait_s is not None}

    def rivals(self, epoch: int) -> tuple[Observation, ...]:
        """Return the stores that were granted to somebody else under `epoch` or later."""
        return tuple(o for o in self if o.names_rival(self._identity, epoch))

    def named(self) -> Named:
        """Return whom a majority of the records, reachable or remembered, names as holder.

        While the pair grows two may be named: one by the needed store, one by the others. The
        later epoch is the holder; what names the other one was not written since.
        """
        held = [
            (o.name, (record.node_id, record.nonce, record.epoch), record.label)
            for o in self._by_name.values()
            if (record := o.record) is not None and record.state is LeaseState.HELD
        ]
        found, most, judged = NOBODY, 0, None
        for _, vote, label in held:
            if vote == judged:  # as a rule all stores say the same
                continue
            judged = vote
            names = [name for name, other, _ in held if other == vote]
            is_later = (vote[2], len(names)) > (found.epoch, most)
            if is_later and self.quorum.may_name(names):
                found, most = Named(vote[0], vote[2], label), len(names)
        return found

    def restart(self, now: Instant) -> None:
        """Start every timer from zero."""
        for observation in self:
            observation.restart(now)
