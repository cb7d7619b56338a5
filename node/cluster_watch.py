"""What the cluster says about itself: latches and members, refreshed by a task of its own.

Rules of this file: it looks and remembers, it decides nothing about roles. Latches are merged
from the stores and this node's own disk copy, which is written whenever something newer is seen,
so that a pause survives the loss of every store (S6). Nothing here feeds the lease's progress.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from election.control_record import ControlRecord, parse_control, render_control
from election.member_record import MemberReading
from election.model import NodeId
from election.redis_control import ControlBoard
from election.redis_members import MemberBoard
from exchange.errors import JournalError
from exchange.journal_file import JournalFile
from node.latches import CLUSTER, merge_latches
from node.logs import log_event
from node.watch import Member

MARKER = "new-cluster"


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
        control: ControlBoard,
        board: MemberBoard,
        disk: JournalFile,
        marker: Path,
        node_id: NodeId,
        nonce: str,
        body: BodySource,
        wall_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
    ) -> None:
        """Read what this disk remembers; ask nobody yet.

        Args:
            control: control records in the stores.
            board: member records in the stores.
            disk: this node's copy of the control records.
            marker: file that `nodectl init` writes; allows the very first start.
            node_id: who publishes.
            nonce: of this process.
            body: what to publish.
            wall_ms: Unix time, for people.
            monotonic_s: to age what was seen while no store answers.
        """
        self._control = control
        self._board = board
        self._disk = disk
        self._marker = marker
        self._node_id = node_id
        self._nonce = nonce
        self._body = body
        self._wall_ms = wall_ms
        self._monotonic_s = monotonic_s
        self._members_at_s = monotonic_s()
        self._beat = 0
        self._own = _readable(disk.documents)
        self._was_empty = not self._own
        self._told: set[str] = set()
        self.latches, _ = merge_latches(self._own, is_first_start_allowed=False)
        self.members: Mapping[NodeId, MemberReading] = {}
        self.stores_answered = 0
        self.has_looked = False

    def first_start_allowed(self) -> bool:
        """True when `init` marked a new cluster and this node never saw a control record."""
        return self._was_empty and self._marker.exists()

    async def refresh(self) -> None:
        """Publish this node's beat, read members and latches; never raises for a store."""
        self._beat += 1
        body = dict(self._body())
        reading, members, _ = await asyncio.gather(
            asyncio.to_thread(self._control.read),
            asyncio.to_thread(self._board.read),
            asyncio.to_thread(self._board.publish, self._node_id, self._nonce, self._beat, body),
        )
        if members:
            self.members, self._members_at_s = members, self._monotonic_s()
        self.stores_answered = len(reading.answered)
        # A store that does not answer is the lease's to tell; a record that is garbage is not.
        for problem in reading.problems:
            if "control record" in problem and problem not in self._told:
                self._told.add(problem)
                log_event("latch.unreadable", reason=problem)
        has_majority = 2 * len(reading.answered) > reading.total
        self.latches, is_first = merge_latches(
            reading.records,
            self._own,
            # With too few stores an absent record proves nothing.
            is_first_start_allowed=has_majority and self.first_start_allowed(),
        )
        if is_first:
            await self.put(CLUSTER, {"born_ms": self._wall_ms()}, reason="first start after init")
        await self._keep()
        self.has_looked = self.has_looked or has_majority

    async def put(self, kind: str, value: Mapping[str, Any], *, reason: str) -> bool:
        """Write a latch to the stores and the own disk; False when no majority took it."""
        known = self.latches.records.get(kind)
        put = await asyncio.to_thread(
            self._control.put,
            kind,
            value,
            self._node_id,
            self._wall_ms(),
            reason,
            above=0 if known is None else known.version,
        )
        record = ControlRecord(
            kind=kind,
            version=put.version,
            value=value,
            by=self._node_id,
            at_ms=self._wall_ms(),
            reason=reason,
        )
        self.latches, _ = merge_latches(
            self.latches.records, {kind: record}, is_first_start_allowed=False
        )
        await self._keep()
        return put.is_majority

    async def push(self) -> None:
        """Put every known latch back into the stores (after one began another life)."""
        records = tuple(self.latches.records.values())
        if records:
            await asyncio.to_thread(self._control.push, records)

    def peers(self) -> dict[str, Member]:
        """Return the other nodes in the form that watch.py judges, older by the last look."""
        unseen_s = self._monotonic_s() - self._members_at_s
        return {
            node_id: Member(
                node_id=node_id,
                age_s=m.age_s + unseen_s,
                role=str(m.body.get("role", "")),
                reasons=_texts(m.body.get("reasons")),
            )
            for node_id, m in self.members.items()
            if node_id != self._node_id
        }

    def close(self) -> None:
        """Close connections and file."""
        self._control.close()
        self._board.close()
        self._disk.close()

    async def _keep(self) -> None:
        """Write newer records to the own disk; a disk that refuses is told, not fatal."""
        records = self.latches.records
        if records == self._own or not records:
            return
        texts = {kind: render_control(record) for kind, record in records.items()}
        try:
            await asyncio.to_thread(self._disk.replace_all, texts)
        except JournalError as error:
            log_event("journal.failed", reason=str(error))
            return
        self._own = dict(records)


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


def _readable(texts: Mapping[str, str]) -> dict[str, ControlRecord]:
    records: dict[str, ControlRecord] = {}
    for kind, text in texts.items():
        try:
            records[kind] = parse_control(kind, text)
        except ValueError as error:
            log_event("latch.unreadable", reason=f"own disk: {error}")
    return records


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list) else ()
