"""Ledger, control records and member board of a simulated process, over simulated stores.

Rules of this file: the same decisions as `election/redis_ledger.py`, `redis_control.py` and
`redis_members.py` make; each call returns a `Deferred`, which the executor of the simulated loop
awaits in place of a thread. What one store does with a call is in stores.py.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from functools import partial
from typing import Any

from election.control_record import ControlPut, ControlReading, ControlRecord, merge_controls
from election.errors import StoreUnreachable
from election.member_record import MemberPublish, MemberReading, merge_members
from election.model import Identity, Incarnation, NodeId, StoreName
from election.redis_control import PUT_TRIES
from election.redis_fleet import LATE_STORE_GRACE_S, tell
from election.redis_ledger import READ_GRACE_S, WRITE_GRACE_S, LedgerAnswer
from node.sim.fleet import SimFleet
from node.sim.loop import Deferred, run_steps
from node.sim.process import SimProcess
from node.sim.stores import SimStore


def _put_control(record: ControlRecord, store: SimStore) -> tuple[bool, int]:
    return store.put_control(record)


Steps = Generator[Deferred[Any], Any, Any]
PAUSE_S_MAX = 0.05


class SimLedger:
    """`node.edges.JournalLedger` by shape."""

    def __init__(
        self,
        fleet: SimFleet,
        identity: Identity,
        incarnations: Callable[[], Mapping[StoreName, Incarnation]],
    ) -> None:
        """Bind who writes and which lives of the stores it believes in."""
        self._fleet, self._identity, self._incarnations = fleet, identity, incarnations

    def write(
        self, *, epoch: int, puts: Mapping[str, str], deletes: Collection[str]
    ) -> Deferred[LedgerAnswer]:
        """Put and delete in every store; a majority decides."""
        return run_steps(self._write(epoch, dict(puts), sorted(set(deletes))))

    def _write(self, epoch: int, puts: Mapping[str, str], deletes: list[str]) -> Steps:
        known = dict(self._incarnations())

        def write_one(store: SimStore) -> None:
            if store.name not in known:
                raise StoreUnreachable(f"{store.name}: it has not been observed yet")
            store.write_ledger(
                identity=self._identity,
                epoch=epoch,
                expected_inc=known[store.name],
                puts=puts,
                deletes=deletes,
            )

        found = yield self._fleet.ask(write_one, enough=self._fleet.majority, grace_s=WRITE_GRACE_S)
        accepted_by = tuple(found.answers)
        is_accepted = len(accepted_by) >= self._fleet.majority
        return LedgerAnswer(
            is_accepted=is_accepted,
            reason="" if is_accepted else tell(found.problems),
            accepted_by=accepted_by,
            problems=found.problems,
        )

    def read_named(self) -> Deferred[Mapping[StoreName, Mapping[str, str]]]:
        """Return the documents by store."""
        return run_steps(self._read())

    def _read(self) -> Steps:
        found = yield self._fleet.ask(
            SimStore.read_ledger, enough=self._fleet.majority, grace_s=READ_GRACE_S
        )
        return found.answers

    def close(self) -> None:
        """Nothing to close."""


class SimControl:
    """`election.ports.ControlRecords` by shape."""

    def __init__(self, process: SimProcess | None, fleet: SimFleet) -> None:
        """Bind the process, whose chance spreads repeated tries."""
        self._process, self._fleet = process, fleet

    def read(self) -> Deferred[ControlReading]:
        """Read all stores; of each kind the highest version wins."""
        return run_steps(self._read())

    def _read(self) -> Steps:
        found = yield self._fleet.ask(
            SimStore.read_control, enough=self._fleet.majority, grace_s=LATE_STORE_GRACE_S
        )
        return ControlReading(
            records=merge_controls(found.answers.values()),
            answered=tuple(found.answers),
            total=len(self._fleet.names),
            problems=(),
            silent=found.problems,
        )

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
        return run_steps(self._put(draft))

    def _put(self, draft: ControlRecord) -> Steps:
        reading = yield self.read()
        known = reading.records.get(draft.kind)
        version = max(draft.version, known.version if known else 0) + 1
        for _ in range(PUT_TRIES):
            record = ControlRecord(
                kind=draft.kind,
                version=version,
                value=draft.value,
                by=draft.by,
                at_ms=draft.at_ms,
                reason=draft.reason,
            )
            found = yield self._fleet.ask(partial(_put_control, record))
            accepted = tuple(n for n, (is_stored, _) in found.answers.items() if is_stored)
            newest = max((v for is_stored, v in found.answers.values() if not is_stored), default=0)
            put = ControlPut(
                accepted_by=accepted,
                is_majority=len(accepted) >= self._fleet.majority,
                version=version,
                problems=found.problems,
            )
            if put.is_majority or newest < version:
                return put
            version = newest + 1
            yield self._wait()
        return put

    def _wait(self) -> Deferred[None]:
        waited: Deferred[None] = Deferred()
        process = self._process
        if process is None:
            waited.resolve(None)
            return waited
        delay_s = process.world.rng.uniform(0, PAUSE_S_MAX)
        process.world.after(delay_s, lambda: process.run(lambda: waited.resolve(None)))
        return waited

    def push(self, records: Iterable[ControlRecord]) -> Deferred[ControlPut]:
        """Put known records back."""
        return run_steps(self._push(tuple(records)))

    def _push(self, records: tuple[ControlRecord, ...]) -> Steps:
        def push_one(store: SimStore) -> None:
            for record in records:
                is_stored, version = store.put_control(record)
                if not is_stored and version <= record.version:
                    raise StoreUnreachable(f"{store.name} refused another text of {version}")

        found = yield self._fleet.ask(push_one)
        return ControlPut(
            accepted_by=tuple(found.answers),
            is_majority=len(found.answers) >= self._fleet.majority,
            version=max((record.version for record in records), default=0),
            problems=found.problems,
        )

    def close(self) -> None:
        """Nothing to close."""


class SimMembers:
    """`election.ports.MemberRecords` by shape."""

    def __init__(self, fleet: SimFleet) -> None:
        """Bind the stores."""
        self._fleet = fleet

    def publish(
        self, node_id: NodeId, nonce: str, beat: int, body: Mapping[str, object]
    ) -> Deferred[MemberPublish]:
        """Publish a beat to all stores."""
        return run_steps(self._publish(node_id, nonce, beat, body))

    def _publish(self, node_id: NodeId, nonce: str, beat: int, body: Mapping[str, object]) -> Steps:
        found = yield self._fleet.ask(
            lambda store: store.publish(node_id, nonce, beat, body),
            enough=self._fleet.majority,
            grace_s=LATE_STORE_GRACE_S,
        )
        return MemberPublish(accepted_by=tuple(found.answers), problems=found.problems)

    def read(self) -> Deferred[Mapping[NodeId, MemberReading]]:
        """Return the freshest reading of each node."""
        return run_steps(self._read())

    def _read(self) -> Steps:
        found = yield self._fleet.ask(
            SimStore.read_members, enough=self._fleet.majority, grace_s=LATE_STORE_GRACE_S
        )
        return merge_members(found.answers)

    def close(self) -> None:
        """Nothing to close."""
