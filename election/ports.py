"""Boundaries of election/: stores, clock, fence, epoch file.

All calls block. Nobody retries inside them: the heartbeat decides when to ask again (R8).
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from election.control_record import ControlPut, ControlReading, ControlRecord
from election.member_record import MemberPublish, MemberReading
from election.model import Identity, Incarnation, NodeId, StoreName, StoreReply, WriteId


class LeaseStore(Protocol):
    """One Redis-protocol server that keeps the lease record (scripts R3-R5).

    Each method is one atomic script, answers within the request timeout and raises
    `StoreUnreachable` for every failure to get a usable answer (refused, timeout, -READONLY, -OOM,
    -NOAUTH, unreadable reply); the write may then have been done. It never retries.
    """

    @property
    def name(self) -> StoreName:
        """The store's name in the configuration."""
        ...

    def observe(self, *, identity: Identity, new_wid: WriteId) -> StoreReply:
        """Read the record; create a void tombstone with `new_wid` when there is none (R5)."""
        ...

    def acquire(
        self,
        *,
        identity: Identity,
        epoch: int,
        ttl_ms: int,
        expected_inc: Incarnation,
        expected_wid: WriteId,
        new_wid: WriteId,
        reason: str,
    ) -> StoreReply:
        """Compare-and-set to held by `identity` with `epoch` > max_epoch (R4, R7)."""
        ...

    def renew(
        self,
        *,
        identity: Identity,
        epoch: int,
        ttl_ms: int,
        expected_inc: Incarnation,
        new_wid: WriteId,
    ) -> StoreReply:
        """Write a new wid when nonce, epoch, state=held and incarnation match (R8)."""
        ...

    def reassert(
        self,
        *,
        identity: Identity,
        epoch: int,
        ttl_ms: int,
        expected_inc: Incarnation,
        expected_wid: WriteId,
        new_wid: WriteId,
    ) -> StoreReply:
        """Holder only: put the same epoch back after a restart or flush, CAS on wid+inc (R8)."""
        ...

    def release(
        self,
        *,
        identity: Identity,
        epoch: int,
        expected_inc: Incarnation,
        new_wid: WriteId,
        drain_ms: int,
        reserved_for: str,
        reason: str,
    ) -> StoreReply:
        """Write state=released when nonce, epoch, state=held and incarnation match (R10)."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class LeaseClock(Protocol):
    """Two clocks that NTP cannot step: CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW (R0)."""

    def read(self) -> tuple[float, float, float]:
        """Return (boottime_s, monotonic_raw_s, wall_s) read back to back; wall for checks only."""
        ...


class Fence(Protocol):
    """The kernel's dead-man timer: kills this process at an absolute CLOCK_BOOTTIME instant."""

    def arm(self, boottime_s: float) -> None:
        """Set or move the instant. Raises FenceUnavailable. A past instant fires at once."""
        ...

    def disarm(self) -> None:
        """Take the timer away."""
        ...


class FenceNotes(Protocol):
    """What whoever comes after this process must know of its end (fence_note.py).

    Calls return at once and raise nothing.
    """

    def armed(self, epoch: int, boottime_s: float) -> None:
        """Note that the fence fires at `boottime_s` unless it is moved."""
        ...

    def progress(self, label: str, boottime_s: float) -> None:
        """Note the last completed step of the work loop."""
        ...

    def in_flight(self, count: int, lingers_boottime_s: float = 0.0) -> None:
        """Note how many writes are under way, and until when one that timed out may act."""
        ...

    def majority(self, *, is_reachable: bool) -> None:
        """Note whether a majority of the stores answers."""
        ...

    def remove(self) -> None:
        """Take the note away: the process ends, or holds nothing, in good order."""
        ...


class GrantNotes(Protocol):
    """What a stop hook must know to release for a dead process (grant_note.py; R16).

    Both calls return at once and raise nothing: a note that is missing costs a ttl after a crash.
    """

    def held(self, epoch: int, incs: Mapping[StoreName, Incarnation]) -> None:
        """Note what is held, or about to be asked for, in which life of which store."""
        ...

    def ended(self) -> None:
        """The grant ended in order: there is nothing to release."""
        ...


class EpochFile(Protocol):
    """The highest epoch this node ever asked for, durable before the asking (R7)."""

    @property
    def warning(self) -> str:
        """What was wrong with what `load` found; empty when nothing was."""
        ...

    def load(self) -> int:
        """Return the stored epoch, 0 when there is none. Raises EpochFileUnusable."""
        ...

    def store(self, epoch: int) -> None:
        """Write, fsync, rename, fsync the directory. Raises EpochFileUnusable."""
        ...


class ControlRecords(Protocol):
    """Control records in all stores (redis_control.ControlBoard); no call raises for a store."""

    def read(self) -> ControlReading:
        """Read the stores; of each kind the highest version wins."""
        ...

    def put(
        self,
        kind: str,
        value: Mapping[str, object],
        by: str,
        at_ms: int,
        reason: str,
        *,
        above: int = 0,
    ) -> ControlPut:
        """Write a decision under a version above all that the stores (and `above`) know."""
        ...

    def push(self, records: Iterable[ControlRecord]) -> ControlPut:
        """Put known records back; doing it twice is harmless."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class MemberRecords(Protocol):
    """The member board in all stores (redis_members.MemberBoard); no call raises for a store."""

    def publish(
        self, node_id: NodeId, nonce: str, beat: int, body: Mapping[str, object]
    ) -> MemberPublish:
        """Publish this node's beat. Raises ValueError: the body cannot be JSON."""
        ...

    def read(self) -> Mapping[NodeId, MemberReading]:
        """Return the freshest reading of each node."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
