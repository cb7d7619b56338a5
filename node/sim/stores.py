"""One simulated store: the lease record, the ledger, the control records and the member board.

Rules of this file: each call is atomic and answers as the Lua scripts do (the contract tests of
the real ones run against these parts too). What it keeps is lost, kept, or older after a restart;
while it is frozen requests wait at its door, while it is down they are refused.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from election.control_record import ControlRecord
from election.errors import StoreUnreachable
from election.majority import OLDER, STORED, Said, Shown
from election.member_record import MemberReading
from election.memory_store import MemoryStore, Snapshot
from election.model import Identity, Incarnation, LeaseState, NodeId, StoreName

T = TypeVar("T")
OnLedger = Callable[[str, str, int, Mapping[str, str]], None]
US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreData:
    """Everything that a store holds at one moment, as a backup or an old disk would have it."""

    lease: Snapshot
    ledger: Mapping[str, str]
    control: Mapping[str, ControlRecord]
    members: Mapping[NodeId, tuple[MemberReading, float]]


class SimStore:
    """One server, with every fault that such a server has."""

    def __init__(self, name: str, *, now_s: Callable[[], float]) -> None:
        """Begin empty, in its first life."""
        lives = itertools.count(1)
        self.name = StoreName(name)
        self._now_s = now_s
        self.lease = MemoryStore(
            name,
            now_us=lambda: int(now_s() * US_PER_S),
            new_inc=lambda: f"{name}-life-{next(lives)}",
        )
        self.ledger: dict[str, str] = {}
        self.control: dict[str, ControlRecord] = {}
        self.members: dict[NodeId, tuple[MemberReading, float]] = {}
        self.is_down = False
        self.frozen_until_s = 0.0
        # Told of each journal write that is taken: store, nonce, epoch, documents.
        self.on_ledger: OnLedger = lambda _store, _nonce, _epoch, _puts: None

    # --- faults --------------------------------------------------------------------------------

    def restart(self, *, keep: bool) -> None:
        """Begin another life, with or without the data."""
        self.lease.restart(keep=keep)
        if not keep:
            self._forget()

    def flush(self) -> None:
        """Lose the data within the same life (FLUSHALL)."""
        self.lease.flush()
        self._forget()

    def data(self) -> StoreData:
        """Return what it holds now."""
        return StoreData(
            lease=self.lease.snapshot(),
            ledger=dict(self.ledger),
            control=dict(self.control),
            members=dict(self.members),
        )

    def roll_back(self, data: StoreData) -> None:
        """Begin another life with older data."""
        self.lease.rollback(data.lease)
        self.ledger, self.control = dict(data.ledger), dict(data.control)
        self.members = dict(data.members)

    def set_down(self, *, is_down: bool) -> None:
        """Stop or begin answering."""
        self.is_down = is_down
        self.lease.set_down(is_down)

    def _forget(self) -> None:
        self.ledger, self.control, self.members = {}, {}, {}

    # --- the scripts ---------------------------------------------------------------------------

    def write_ledger(
        self,
        *,
        identity: Identity,
        epoch: int,
        expected_inc: Incarnation | None,
        puts: Mapping[str, str],
        deletes: Sequence[str],
    ) -> None:
        """Put and delete documents, fenced by the record beside them (lua/ledger_write.lua).

        Raises:
            StoreUnreachable: refused, with the reason; nothing was written.
        """
        self._open()
        self._check_fence(identity, epoch, expected_inc)
        self.ledger.update(puts)
        for key in deletes:
            self.ledger.pop(key, None)
        self.on_ledger(self.name, identity.nonce, epoch, puts)

    def _check_fence(
        self, identity: Identity, epoch: int, expected_inc: Incarnation | None
    ) -> None:
        inc, record = self.lease.inc, self.lease.snapshot().record
        if record is None:
            raise self._refused("there is no lease record here")
        if record.cluster_id != identity.cluster_id:
            raise self._refused(f"the lease belongs to cluster {record.cluster_id}")
        if record.config_id != identity.config_id:
            raise self._refused(f"the lease was written under config id {record.config_id}")
        if inc != expected_inc:
            raise self._refused("the server began another life")
        if record.inc != inc:
            raise self._refused("the lease was not put back since the server began another life")
        is_mine = (
            record.state is LeaseState.HELD
            and record.nonce == identity.nonce
            and record.epoch == epoch
        )
        if not is_mine:
            raise self._refused(
                f"the lease names {record.node_id} ({record.state.value}, epoch {record.epoch}), "
                f"not this process in epoch {epoch}"
            )

    def read_ledger(self) -> dict[str, str]:
        """Return all documents."""
        self._open()
        return dict(self.ledger)

    def put_control(self, record: ControlRecord) -> Said:
        """Store a record if its version is higher (lua/control_put.lua)."""
        self._open()
        held = self.control.get(record.kind)
        if held is not None and held != record and held.version >= record.version:
            return Said(OLDER, held.version, f"version {held.version} is stored already")
        self.control[record.kind] = record
        return Said(STORED, record.version)

    def read_control(self) -> Shown:
        """Return all records."""
        self._open()
        return Shown(dict(self.control))

    def publish(self, node_id: NodeId, nonce: str, beat: int, body: Mapping[str, object]) -> None:
        """Take a beat (lua/member_publish.lua); its age counts from now on this store's clock."""
        self._open()
        reading = MemberReading(
            node_id=node_id, nonce=nonce, beat=beat, body=body, age_s=0.0, stores=(self.name,)
        )
        self.members[node_id] = (reading, self._now_s())

    def read_members(self) -> dict[NodeId, MemberReading]:
        """Return every member's last beat."""
        self._open()
        now_s = self._now_s()
        return {
            node_id: MemberReading(
                node_id=node_id,
                nonce=reading.nonce,
                beat=reading.beat,
                body=reading.body,
                age_s=now_s - seen_s,
                stores=reading.stores,
            )
            for node_id, (reading, seen_s) in self.members.items()
        }

    def _open(self) -> None:
        if self.is_down:
            raise StoreUnreachable(f"{self.name}: connection refused")

    def _refused(self, detail: str) -> StoreUnreachable:
        return StoreUnreachable(f"{self.name} refused: {detail}")
