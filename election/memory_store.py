"""A lease store in memory: the same contract as the Redis scripts, for tests and simulation.

Rules of this file: every call is atomic and answers as `lua/*.lua` does; the contract tests run
against both. Faults are switched by its owner: `restart`, `flush`, `set_down`, `rollback`.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from election.errors import StoreUnreachable
from election.model import (
    Identity,
    Incarnation,
    LeaseRecord,
    LeaseState,
    NodeId,
    Refusal,
    StoreName,
    StoreReply,
    WriteId,
)

EPOCH_END = 2**53  # Lua's numbers are exact below it


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The data of a store at one moment, as a backup or an old disk would have it."""

    record: LeaseRecord | None


class MemoryStore:
    """Satisfies `LeaseStore`; thread-safe."""

    def __init__(
        self,
        name: str,
        *,
        now_us: Callable[[], int],
        new_inc: Callable[[], str] = lambda: f"{secrets.token_hex(20)}:{secrets.token_hex(20)}",
    ) -> None:
        """Begin empty, in its first life.

        Args:
            name: the store's name in the configuration.
            now_us: the store's own wall clock in microseconds, for display only.
            new_inc: names a new life; random unless a simulation needs it repeatable.
        """
        self._name = StoreName(name)
        self._now_us = now_us
        self._new_inc = new_inc
        self._guard = threading.Lock()
        self._inc = Incarnation(new_inc())
        self._record: LeaseRecord | None = None
        self._is_down = False

    # --- controls ------------------------------------------------------------------------------

    def restart(self, *, keep: bool = False) -> None:
        """Begin another life, with or without the data."""
        with self._guard:
            self._inc = Incarnation(self._new_inc())
            if not keep:
                self._record = None

    def flush(self) -> None:
        """Lose the data within the same life (FLUSHALL, eviction)."""
        with self._guard:
            self._record = None

    def set_down(self, is_down: bool) -> None:
        """Stop or begin answering."""
        self._is_down = is_down

    def snapshot(self) -> Snapshot:
        """Return the data as it is now."""
        with self._guard:
            return Snapshot(record=self._record)

    def rollback(self, snapshot: Snapshot) -> None:
        """Begin another life with older data."""
        with self._guard:
            self._inc = Incarnation(self._new_inc())
            self._record = snapshot.record

    @property
    def inc(self) -> Incarnation:
        """The present life."""
        return self._inc

    # --- LeaseStore ----------------------------------------------------------------------------

    @property
    def name(self) -> StoreName:
        """The store's name in the configuration."""
        return self._name

    def observe(self, *, identity: Identity, new_wid: WriteId) -> StoreReply:
        """Read the record; create a void tombstone with `new_wid` when there is none (R5)."""
        with self._guard:
            return self._read(identity, new_wid) or self._reply(Refusal.NONE)

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
        with self._guard:
            refused = self._read(identity, new_wid) or self._compare(expected_inc, expected_wid)
            if refused is not None:
                return refused
            if epoch <= self._now.max_epoch:
                return self._reply(Refusal.EPOCH)
            return self._hold(identity, epoch, ttl_ms, new_wid, reason)

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
        with self._guard:
            refused = self._read(identity, new_wid) or self._compare(expected_inc, None)
            if refused is not None:
                return refused
            if not self._is_mine(identity, epoch):
                return self._reply(Refusal.NOT_MINE)
            return self._hold(identity, epoch, ttl_ms, new_wid, self._now.reason)

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
        with self._guard:
            refused = self._read(identity, new_wid) or self._compare(expected_inc, expected_wid)
            if refused is not None:
                return refused
            is_held = self._now.state is LeaseState.HELD
            if is_held and self._now.epoch > epoch:
                return self._reply(Refusal.EPOCH)
            is_own = self._now.nonce == identity.nonce
            if self._now.epoch == epoch and is_held != is_own:
                return self._reply(Refusal.NOT_MINE)  # the own release (R10), or held by another
            return self._hold(identity, epoch, ttl_ms, new_wid, "reassert")

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
        with self._guard:
            refused = self._read(identity, new_wid) or self._compare(expected_inc, None)
            if refused is not None:
                return refused
            if not self._is_mine(identity, epoch):
                return self._reply(Refusal.NOT_MINE)
            self._record = replace(
                self._now,
                state=LeaseState.RELEASED,
                wid=new_wid,
                inc=self._inc,
                drain_ms=drain_ms,
                reserved_for=reserved_for,
                reason=reason,
                written_us=self._now_us(),
            )
            return self._reply(Refusal.NONE)

    # --- StoreMover (redis_move.py) ------------------------------------------------------------

    def move(
        self,
        *,
        identity: Identity,
        new_config_id: str,
        max_epoch: int,
        expected_inc: Incarnation,
        expected_wid: WriteId,
        new_wid: WriteId,
        is_silent: bool,
    ) -> StoreReply:
        """Give the record another store list, compare-and-set; `identity` has the present one.

        A lease that is held is moved only when `is_silent`: the caller saw it unchanged for as
        long as a contender must (R6).
        """
        with self._guard:
            refused = self._read(identity, new_wid) or self._compare(expected_inc, expected_wid)
            if refused is not None:
                return refused
            if self._now.state is LeaseState.HELD and not is_silent:
                return self._reply(Refusal.NOT_MINE)
            if not 0 <= max_epoch < EPOCH_END:
                return self._reply(Refusal.EPOCH)
            self._record = replace(
                self._now,
                config_id=new_config_id,
                node_id=NodeId(""),
                nonce="",
                epoch=0,
                max_epoch=max(self._now.max_epoch, max_epoch),
                state=LeaseState.VOID,
                wid=new_wid,
                inc=self._inc,
                drain_ms=0,
                reserved_for="",
                reason="store list changed",
                label="",
                written_us=self._now_us(),
            )
            return self._reply(Refusal.NONE)

    def close(self) -> None:
        """Nothing to close."""

    # --- private: the guard is held ------------------------------------------------------------

    @property
    def _now(self) -> LeaseRecord:
        assert self._record is not None, "read before the tombstone was made"
        return self._record

    def _reply(self, refusal: Refusal) -> StoreReply:
        record = None if refusal is Refusal.FOREIGN_CLUSTER else self._record
        return StoreReply(refusal=refusal, record=record, inc=self._inc)

    def _read(self, identity: Identity, new_wid: WriteId) -> StoreReply | None:
        if self._is_down:
            raise StoreUnreachable(f"{self._name}: connection refused")
        if self._record is None:
            self._record = LeaseRecord(
                cluster_id=identity.cluster_id,
                config_id=identity.config_id,
                node_id=NodeId(""),
                nonce="",
                epoch=0,
                max_epoch=0,
                state=LeaseState.VOID,
                ttl_ms=0,
                # Another life of the data than the wid asked for by a write that is refused now.
                wid=new_wid,
                inc=self._inc,
                written_us=self._now_us(),
            )
        if self._record.cluster_id != identity.cluster_id:
            return self._reply(Refusal.FOREIGN_CLUSTER)
        if self._record.config_id != identity.config_id:
            return self._reply(Refusal.OTHER_CONFIG)
        return None

    def _compare(self, inc: Incarnation, wid: WriteId | None) -> StoreReply | None:
        if inc != self._inc:
            return self._reply(Refusal.INCARNATION)
        if wid is not None and wid != self._now.wid:
            return self._reply(Refusal.CHANGED)
        return None

    def _is_mine(self, identity: Identity, epoch: int) -> bool:
        record = self._now
        return (
            record.state is LeaseState.HELD
            and record.nonce == identity.nonce
            and record.epoch == epoch
        )

    def _hold(
        self, identity: Identity, epoch: int, ttl_ms: int, new_wid: WriteId, reason: str
    ) -> StoreReply:
        self._record = LeaseRecord(
            cluster_id=identity.cluster_id,
            config_id=identity.config_id,
            node_id=identity.node_id,
            nonce=identity.nonce,
            epoch=epoch,
            max_epoch=max(epoch, self._now.max_epoch),
            state=LeaseState.HELD,
            ttl_ms=ttl_ms,
            wid=new_wid,
            inc=self._inc,
            reason=reason,
            label=identity.label,
            written_us=self._now_us(),
        )
        return self._reply(Refusal.NONE)
