"""Ledger, control records and member board of a simulated process, over simulated stores.

Rules of this file: what a majority decides is the production code (election/majority.py); here its
walks are awaited in place of a thread, and each store answers for itself (stores.py).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, cast

from election.control_record import ControlPut, ControlReading, ControlRecord
from election.errors import StoreUnreachable
from election.fleet import Fleet
from election.majority import (
    ControlMajority,
    LedgerAnswer,
    LedgerMajority,
    LedgerPort,
    MemberMajority,
)
from election.member_record import MemberPublish, MemberReading
from election.model import Identity, Incarnation, NodeId, StoreName
from election.quorum import Quorum
from election.walks import Walk
from node.sim.fleet import SimFleet
from node.sim.loop import Deferred
from node.sim.process import SimProcess
from node.sim.stores import SimStore
from node.sim.walking import start_walk

if TYPE_CHECKING:
    from election.fleet import FleetAnswers


class _Port:
    """The documents in one store, for one identity; `election.majority.LedgerPort`."""

    __slots__ = ("_identity", "_store", "name")

    def __init__(self, store: SimStore, identity: Identity) -> None:
        self.name, self._store, self._identity = store.name, store, identity

    def write_ledger(
        self,
        inc: Incarnation | None,
        stamp: tuple[int, int],
        puts: Mapping[str, str],
        deletes: Collection[str],
    ) -> None:
        if inc is None:
            raise StoreUnreachable(f"{self.name}: it has not been observed yet")
        self._store.write_ledger(
            identity=self._identity,
            epoch=stamp[0],  # a connection takes the writes of a process in their order anyway
            expected_inc=inc,
            puts=puts,
            deletes=sorted(set(deletes)),
        )

    def read_ledger(self) -> Mapping[str, str]:
        return self._store.read_ledger()


class _Ports:
    """A fleet that shows the documents of each store to one identity."""

    def __init__(self, fleet: SimFleet, identity: Identity) -> None:
        self._fleet, self._identity = fleet, identity
        self.names, self.quorum = fleet.names, fleet.quorum

    def ask(
        self, call: Callable[[LedgerPort], object], *, enough: Quorum | None, grace_s: float
    ) -> "Deferred[FleetAnswers[object]]":
        return self._fleet.ask(
            lambda store: call(_Port(store, self._identity)), enough=enough, grace_s=grace_s
        )


class SimLedger:
    """`node.edges.JournalLedger` by shape."""

    def __init__(
        self,
        fleet: SimFleet,
        identity: Identity,
        incarnations: Callable[[], Mapping[StoreName, Incarnation]],
    ) -> None:
        """Bind who writes and which lives of the stores it believes in."""
        ports = cast("Fleet[LedgerPort]", _Ports(fleet, identity))
        self._majority = LedgerMajority(ports, incarnations)

    def write(
        self, *, epoch: int, puts: Mapping[str, str], deletes: Collection[str]
    ) -> Deferred[LedgerAnswer]:
        """Put and delete in every store."""
        return start_walk(self._majority.write(epoch, dict(puts), tuple(deletes)))

    def read_named(self) -> Deferred[Mapping[StoreName, Mapping[str, str]]]:
        """Return the documents by store."""
        return start_walk(self._majority.read_named())

    def close(self) -> None:
        """Nothing to close."""


class SimControl:
    """`election.ports.ControlRecords` by shape."""

    def __init__(self, process: SimProcess, fleet: SimFleet) -> None:
        """Bind the process, whose chance spreads repeated tries."""
        world = process.world

        def wait(seconds: float) -> Deferred[None]:
            waited: Deferred[None] = Deferred()
            world.after(seconds, lambda: process.run(lambda: waited.resolve(None)))
            return waited

        self._majority = ControlMajority(
            fleet,  # type: ignore[arg-type]  # its answers are Deferred
            wait=cast("Callable[[float], None]", wait),
            chance=world.rng.random,
        )

    def read(self) -> Deferred[ControlReading]:
        """Read all stores."""
        return start_walk(self._majority.read())

    def put(
        self,
        kind: str,
        value: Mapping[str, object],
        by: str,
        at_ms: int,
        reason: str,
        *,
        above: int = 0,
    ) -> Deferred[ControlPut]:
        """Write a decision under a version above all that the stores (and `above`) know."""
        draft = ControlRecord(
            kind=kind, version=above, value=dict(value), by=by, at_ms=at_ms, reason=reason
        )
        return start_walk(self._put(draft))

    def _put(self, draft: ControlRecord) -> Walk[ControlPut]:
        reading = yield from self._majority.read()
        known = reading.records.get(draft.kind)
        return (yield from self._majority.put(draft, known.version if known else 0))

    def push(self, records: Iterable[ControlRecord]) -> Deferred[ControlPut]:
        """Put known records back."""
        return start_walk(self._majority.push(records))

    def close(self) -> None:
        """Nothing to close."""


class SimMembers:
    """`election.ports.MemberRecords` by shape."""

    def __init__(self, fleet: SimFleet) -> None:
        """Bind the stores."""
        self._majority = MemberMajority(fleet)  # type: ignore[arg-type]  # answers are Deferred

    def publish(
        self, node_id: NodeId, nonce: str, beat: int, body: Mapping[str, object]
    ) -> Deferred[MemberPublish]:
        """Publish a beat to all stores."""
        return start_walk(self._majority.publish(node_id, nonce, beat, body))

    def read(self) -> Deferred[Mapping[NodeId, MemberReading]]:
        """Return the freshest reading of each node."""
        return start_walk(self._majority.read())

    def close(self) -> None:
        """Nothing to close."""
