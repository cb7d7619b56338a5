"""The machine's part in promises: standing down, standing up, relying on the other node (R14).

Rules of this file: a holder cannot stand down; whoever contends drops what it asked for first. A
node that stands up begins every timer anew and asks for nothing for one ttl, the longest it knows
of: the holder's last round may have left a moment before it stopped relying. A holder's reliance
belongs to one grant and ends with it.
"""

from collections.abc import Mapping
from typing import NamedTuple, assert_never

from election.instants import Instant, contender_elapsed_s, holder_elapsed_s
from election.model import StoreName
from election.peer import SeenLife
from election.promise import HolderFacts, Promise
from election.signals import PromiseDropped, PromiseStimulus, PromiseTaken, StandDown, StandUp
from election.standing import Phase, Standing
from election.world import World

HOLDS_OFF = "it stood down until a moment ago and waits one ttl"


class PeerFacts(NamedTuple):
    """What the other node may know of this one, at one instant.

    `stood_down` says why this node does not contend, empty when it made no promise; `joins_in_s`
    when the new stores of a pair that grows may be used (observed.py).
    """

    at: Instant
    lives: Mapping[StoreName, SeenLife]
    holder: HolderFacts
    stood_down: str
    max_epoch: int
    joins_in_s: float | None = 0.0


class Promises:
    """What stands against contending because of a promise, and what a grant relies on."""

    def __init__(self, world: World, standing: Standing, *, stood_down: str) -> None:
        """Begin stood down when the disk says so (`stood_down` says why, empty for not)."""
        self._world = world
        self._standing = standing
        self._reason = stood_down
        self._holds_off: tuple[Instant, float] | None = None

    @property
    def reason(self) -> str:
        """Why this node does not contend, empty when it made no promise."""
        return self._reason

    @property
    def relies_on(self) -> Promise | None:
        """What the grant relies on now, None for nothing."""
        grant = self._standing.grant
        return None if grant is None else grant.promise

    def step(self, stimulus: PromiseStimulus, now: Instant, chance: float) -> None:
        """Take in what was promised or ended."""
        match stimulus:
            case StandDown():
                if self._standing.phase is not Phase.HOLDING:
                    self._standing.end("this node stands down", now, chance)
                    self._reason = stimulus.reason
            case StandUp():
                self._reason = ""
                ttl_ms = max(stimulus.ttl_ms, self._world.observed.longest_ttl_ms)
                self._holds_off = (now, ttl_ms / 1000 * (1 + self._world.timing.drift))
                self._world.observed.restart(now)
            case PromiseTaken():
                grant = self._standing.grant
                if grant is not None and grant.epoch == stimulus.promise.epoch:
                    grant.promise = stimulus.promise
            case PromiseDropped():
                grant = self._standing.grant
                if grant is not None:
                    grant.promise = None
            case _:
                assert_never(stimulus)

    def obstacles(self, now: Instant) -> tuple[str, ...]:
        """Return why nothing may be asked for now."""
        if self._reason:
            return (self._reason,)
        if self._holds_off is not None:
            since, wait_s = self._holds_off
            if contender_elapsed_s(since, now) < wait_s:
                return (HOLDS_OFF,)
            self._holds_off = None
        return ()

    def facts(self, now: Instant) -> HolderFacts:
        """Return what this node knows about its grant."""
        grant, identity = self._standing.grant, self._world.identity
        proven = None if grant is None else grant.proven
        return HolderFacts(
            node_id=identity.node_id,
            nonce=identity.nonce,
            epoch=0 if grant is None else grant.epoch,
            ttl_ms=self._world.timing.ttl_ms,
            stores=len(self._world.observed),
            proven_s=None if proven is None else holder_elapsed_s(proven, now),
            relies_on=None if grant is None else grant.promise,
        )

    def lives(self, now: Instant) -> Mapping[StoreName, SeenLife]:
        """Return the life of each store that answers usably, and how long ago it was seen (R13)."""
        return {
            o.name: SeenLife(inc=o.life[0], age_s=holder_elapsed_s(o.life[1], now))
            for o in self._world.observed
            if o.inc is not None and o.life is not None
        }
