"""What the cluster says about itself: latches and members, refreshed by a task of its own.

Rules of this file: it looks and remembers, it decides nothing about roles. Latches are merged
from the stores and this node's own disk copy, which is written whenever something newer is seen,
so that a pause survives the loss of every store (S6). What this node knows only grows: a reading
never lowers a version, and a version that too few stores have is pushed until a majority has it.
Records out of a backup wait until the stores themselves prove whether the cluster may trade; until
then they are neither pushed nor kept as this disk's own (ADR 0051).
A disk that stalls holds up nothing. Nothing here feeds the lease's progress.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from election.control_record import (
    ControlRecord,
    merge_controls,
    parse_control,
    render_control,
)
from election.member_record import MemberReading
from election.model import NodeId, StoreName
from election.ports import ControlRecords, MemberRecords
from exchange.errors import JournalError
from exchange.ports import JournalDisk
from node.latches import CLUSTER, merge_latches
from node.logs import log_event
from node.role import Role
from node.state_files import RESTORED_CONTROL_FILE
from node.status_nodes import texts_of
from node.watch import Member

MARKER = "new-cluster"
# A latch is written in the work loop: below half of the lease's hang limit, like the journal.
DISK_TIMEOUT_S = 1.0
# Bound of the memory of records that cannot be read; there are five kinds and a few stores.
UNREADABLE_MAX = 100


class RestoredRecords(Protocol):
    """Control records that a restore put beside this disk's own."""

    @property
    def documents(self) -> Mapping[str, str]:
        """The records as texts, by kind."""
        ...

    def forget(self) -> None:
        """Remove them: this disk has them as its own now. Blocks; raises OSError."""
        ...


class BodySource(Protocol):
    """Who builds the body that this node publishes about itself."""

    def __call__(self) -> Mapping[str, object]:
        """Return facts as JSON values."""
        ...


class ClusterWatch:
    """Latches and members as this node knows them; `refresh` looks again."""

    def __init__(
        self,
        *,
        control: ControlRecords,
        board: MemberRecords,
        disk: JournalDisk,
        is_marked_new: Callable[[], bool],
        node_id: NodeId,
        nonce: str,
        body: BodySource,
        wall_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        disk_timeout_s: float = DISK_TIMEOUT_S,
        restored: RestoredRecords | None = None,
    ) -> None:
        """Read what this disk remembers; ask nobody yet.

        Args:
            control: control records in the stores.
            board: member records in the stores.
            disk: this node's copy of the control records.
            is_marked_new: whether `nodectl init` marked a new cluster; allows the very first
                start.
            node_id: who publishes.
            nonce: of this process.
            body: what to publish.
            wall_ms: Unix time, for people.
            monotonic_s: to age what was seen while no store answers.
            disk_timeout_s: how long a caller waits for the own disk; the write itself goes on.
            restored: records out of a backup, None where nothing was restored.
        """
        self._control = control
        self._board = board
        self._disk = disk
        self._is_marked_new = is_marked_new
        self._node_id = node_id
        self._nonce = nonce
        self._body = body
        self._wall_ms = wall_ms
        self._monotonic_s = monotonic_s
        self._members_at_s = monotonic_s()
        self._beat = 0
        self._own, unreadable = _readable(disk.documents)
        # Said by others; here only collected.
        self.unreadable: tuple[str, ...] = unreadable
        self._restored_from = restored
        self._restored: Mapping[str, ControlRecord] = {}
        if restored is not None:
            self._restored, damaged = _readable(restored.documents)
            self.unreadable += damaged
        # What stores and disk have; what is out of a backup joins it once the stores say whether
        # the cluster may trade.
        self._found: Mapping[str, ControlRecord] = self._own
        self._was_empty = not self._own and restored is None
        self._disk_timeout_s = disk_timeout_s
        self._keeping: asyncio.Task[None] | None = None
        self._disk_trouble = ""
        # Whether a majority of the stores has everything known here: not proven after a start.
        self._is_owing = bool(self._own)
        self._told: set[str] = set()
        self.latches, _ = merge_latches(
            self._own, is_first_start_allowed=False, restored=self._restored
        )
        self.members: Mapping[NodeId, MemberReading] = {}
        self.stores_answered: tuple[StoreName, ...] = ()
        self.has_looked = False

    @property
    def disk_warnings(self) -> tuple[str, ...]:
        """What was wrong with this disk's copy when it was opened."""
        return self._disk.warnings

    def kept_version(self, kind: str) -> int:
        """Return the version of a record that this node's disk has, 0 for none."""
        record = self._own.get(kind)
        return 0 if record is None else record.version

    def first_start_allowed(self) -> bool:
        """True when `init` marked a new cluster and this node never saw a control record."""
        return self._was_empty and self._is_marked_new()

    async def refresh(self) -> None:
        """Publish this node's beat, read members and latches; never raises for a store."""
        self._beat += 1
        reading, members = await asyncio.gather(
            asyncio.to_thread(self._control.read), self._look_and_publish()
        )
        if members:
            self.members, self._members_at_s = members, self._monotonic_s()
        self.stores_answered = reading.answered
        # A store that does not answer is the lease's to tell; a record that is garbage is not.
        for problem in reading.problems:
            if "control record" in problem:
                self._note_unreadable(problem)
        has_majority = reading.is_majority
        is_first = self._merge(
            reading.records,
            # With too few stores an absent record proves nothing.
            is_first_start_allowed=has_majority and self.first_start_allowed(),
        )
        if is_first:
            await self.put(CLUSTER, {"born_ms": self._wall_ms()}, reason="first start after init")
        self.has_looked = self.has_looked or has_majority
        await self._keep()
        if self._is_owing or self._is_ahead_of(reading.records):
            await self.push()

    async def put(self, kind: str, value: Mapping[str, Any], *, reason: str) -> bool:
        """Write a latch to the stores and the own disk; False when no majority took it.

        It holds here at once and for good, also when no store took it.
        """
        known, at_ms = self.latches.records.get(kind), self._wall_ms()
        put = await asyncio.to_thread(
            self._control.put,
            kind,
            value,
            self._node_id,
            at_ms,
            reason,
            above=0 if known is None else known.version,
        )
        record = ControlRecord(
            kind=kind,
            version=put.version,
            value=value,
            by=self._node_id,
            at_ms=at_ms,
            reason=reason,
        )
        self._merge({kind: record})
        self._is_owing = self._is_owing or not put.is_majority
        await self._keep()
        return put.is_majority

    async def push(self) -> None:
        """Put every known latch back into the stores (after one began another life)."""
        records = tuple(self._found.values())
        if records:
            put = await asyncio.to_thread(self._control.push, records)
            self._is_owing = not put.is_majority

    def peers(self) -> dict[str, Member]:
        """Return the other nodes in the form that watch.py judges, older by the last look."""
        unseen_s = self._monotonic_s() - self._members_at_s
        return {
            node_id: Member(
                node_id=node_id,
                age_s=m.age_s + unseen_s,
                role=str(m.body.get("role", "")),
                reasons=texts_of(m.body.get("reasons")),
            )
            for node_id, m in self.members.items()
            if node_id != self._node_id
        }

    def beats(self) -> dict[str, tuple[str, int]]:
        """Return process and latest beat of each member: a new one proves life since."""
        return {str(node_id): (m.nonce, m.beat) for node_id, m in self.members.items()}

    def is_venue_doubted(self) -> bool:
        """Tell whether another node that trades says that it cannot reach the venue."""
        return any(
            m.body.get("role") == Role.ACTIVE.value and m.body.get("venue_ok") is False
            for node_id, m in self.members.items()
            if node_id != self._node_id
        )

    def venue_proof_ages(self) -> dict[str, float]:
        """Return seconds since each other node's last signed call that worked, as it says."""
        unseen_s = self._monotonic_s() - self._members_at_s
        found: dict[str, float] = {}
        for node_id, member in self.members.items():
            said = member.body.get("venue_proof_age_s")
            if node_id != self._node_id and isinstance(said, int | float):
                found[node_id] = said + member.age_s + unseen_s
        return found

    def close(self) -> None:
        """Close connections and file."""
        self._control.close()
        self._board.close()
        self._disk.close()

    async def _look_and_publish(self) -> Mapping[NodeId, MemberReading]:
        """Read before the own beat hides what another process wrote under this node's id (R1)."""
        members = await asyncio.to_thread(self._board.read)
        await self._publish(dict(self._body()))
        return members

    async def _publish(self, body: Mapping[str, object]) -> None:
        try:
            await asyncio.to_thread(
                self._board.publish, self._node_id, self._nonce, self._beat, body
            )
        except ValueError as error:
            # A fact that cannot be written down is a bug, but none that should stop trading.
            self._tell_once("member.unpublished", str(error))

    def _is_ahead_of(self, records: Mapping[str, ControlRecord]) -> bool:
        return any(
            kind not in records or records[kind].version < record.version
            for kind, record in self._found.items()
        )

    def _merge(
        self, records: Mapping[str, ControlRecord], *, is_first_start_allowed: bool = False
    ) -> bool:
        """Take records in; tell whether this is the first start of a new cluster."""
        self.latches, is_first = merge_latches(
            records,
            self._found,
            is_first_start_allowed=is_first_start_allowed,
            restored=self._restored,
        )
        if self.latches.is_complete:
            self._found, self._restored = self.latches.records, {}
        else:
            self._found = merge_controls([records, self._found])
        return is_first

    async def _keep(self) -> None:
        """Write newer records to the own disk; whoever waits does so for a bounded time."""
        if self._keeping is None or self._keeping.done():
            if self.latches.records == self._own:
                return
            self._keeping = asyncio.create_task(self._write_newer(), name="latches to disk")
        await asyncio.wait({self._keeping}, timeout=self._disk_timeout_s)

    async def _write_newer(self) -> None:
        # One write at a time: an older copy must not come after a newer one.
        while (records := dict(self._found)) and records != self._own:
            texts = {kind: render_control(record) for kind, record in records.items()}
            try:
                await asyncio.to_thread(self._disk.replace_all, texts)
            except JournalError as error:
                if str(error) != self._disk_trouble:
                    log_event("journal.failed", reason=str(error))
                self._disk_trouble = str(error)
                return
            self._own, self._disk_trouble = records, ""
        await self._forget_restored()

    async def _forget_restored(self) -> None:
        """Remove the file of a restore once this disk has its records as its own."""
        if self._restored_from is None or not self.latches.is_complete:
            return
        try:
            await asyncio.to_thread(self._restored_from.forget)
        except OSError as error:
            # It stays, and joins the next start again: harmless, for versions decide.
            self._tell_once("journal.failed", f"{RESTORED_CONTROL_FILE}: {error.strerror or error}")
            return
        self._restored_from = None

    def _note_unreadable(self, problem: str) -> None:
        if problem not in self.unreadable and len(self.unreadable) < UNREADABLE_MAX:
            self.unreadable += (problem,)
        self._tell_once("latch.unreadable", problem)

    def _tell_once(self, name: str, problem: str) -> None:
        if problem not in self._told:
            self._told.add(problem)
            log_event(name, reason=problem)


def is_node_id_taken(
    before: Mapping[NodeId, MemberReading],
    now: Mapping[NodeId, MemberReading],
    *,
    node_id: NodeId,
    nonce: str,
) -> bool:
    """Tell whether another living process uses this node id: its beat advances (R1)."""
    first, last = before.get(node_id), now.get(node_id)
    if first is None or last is None or last.nonce == nonce:
        return False
    return first.nonce == last.nonce and last.beat > first.beat


def _readable(texts: Mapping[str, str]) -> tuple[dict[str, ControlRecord], tuple[str, ...]]:
    records: dict[str, ControlRecord] = {}
    problems: list[str] = []
    for kind, text in texts.items():
        try:
            records[kind] = parse_control(kind, text)
        except ValueError as error:
            problems.append(f"own disk: {error}")
            log_event("latch.unreadable", reason=problems[-1])
    return records, tuple(problems)
