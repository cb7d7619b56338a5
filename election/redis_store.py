"""The lease record in one Redis-protocol server (edge of ports.LeaseStore).

Each method runs one script (lua/*.lua) on this object's own connection, once, within the request
timeout. It decides nothing and retries nothing.
"""

import threading
import time
from typing import Final

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.model import Identity, Incarnation, StoreName, StoreReply, WriteId
from election.redis_info import ServerFacts
from election.redis_reply import keys_of, parse_store_reply
from election.redis_scripts import ScriptName, load_script, run_script
from election.resp import Argument, Reply

_SCRIPTS: Final = (
    ScriptName.OBSERVE,
    ScriptName.ACQUIRE,
    ScriptName.RENEW,
    ScriptName.REASSERT,
    ScriptName.RELEASE,
)
# Characters of a reason or label in the record: enough for a sentence; halving cuts sentences,
# more only lengthens every answer.
TEXT_MAX: Final = 300


class RedisStore:
    """Keeps the lease record in one server; satisfies `election.ports.LeaseStore`.

    Calls from several threads are made one after the other; one that cannot begin within the
    request timeout raises `StoreUnreachable` and has not been sent.
    """

    def __init__(self, address: StoreAddress, *, cluster_id: str, request_timeout_ms: int) -> None:
        self._cluster_id = cluster_id
        self._key = keys_of(cluster_id).lease
        self._timeout_s = request_timeout_ms / 1000
        self._connection = StoreConnection(address)
        self._scripts = {name: load_script(name) for name in _SCRIPTS}
        self._lock = threading.Lock()

    @property
    def name(self) -> StoreName:
        """The store's name in the configuration."""
        return self._connection.address.name

    @property
    def facts(self) -> ServerFacts | None:
        """What the server said about itself, with warnings; None before the first answer."""
        return self._connection.facts

    def observe(self, *, identity: Identity, new_wid: WriteId) -> StoreReply:
        """Read the record; create a void tombstone with `new_wid` when there is none (R5)."""
        return self._run(ScriptName.OBSERVE, identity, new_wid)

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
        return self._run(
            ScriptName.ACQUIRE,
            identity,
            new_wid,
            expected_inc,
            expected_wid,
            identity.node_id,
            identity.nonce,
            epoch,
            ttl_ms,
            reason[:TEXT_MAX],
            identity.label[:TEXT_MAX],
        )

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
        return self._run(
            ScriptName.RENEW, identity, new_wid, expected_inc, identity.nonce, epoch, ttl_ms
        )

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
        return self._run(
            ScriptName.REASSERT,
            identity,
            new_wid,
            expected_inc,
            expected_wid,
            identity.node_id,
            identity.nonce,
            epoch,
            ttl_ms,
            identity.label[:TEXT_MAX],
        )

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
        return self._run(
            ScriptName.RELEASE,
            identity,
            new_wid,
            expected_inc,
            identity.nonce,
            epoch,
            drain_ms,
            reserved_for,
            reason[:TEXT_MAX],
        )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _run(
        self, name: ScriptName, identity: Identity, new_wid: WriteId, *arguments: Argument
    ) -> StoreReply:
        assert identity.cluster_id == self._cluster_id, "the store was built for another cluster"
        deadline_s = time.monotonic() + self._timeout_s
        if not self._lock.acquire(timeout=self._timeout_s):
            raise StoreUnreachable(
                f"{self._connection.address.text}: an earlier call has not ended; nothing was sent"
            )
        config_id = self._connection.address.old_list or identity.config_id
        try:
            reply = run_script(
                self._connection,
                self._scripts[name],
                keys=(self._key,),
                arguments=(identity.cluster_id, config_id, new_wid, *arguments),
                deadline_s=deadline_s,
            )
            return self._parsed(reply)
        finally:
            self._lock.release()

    def _parsed(self, reply: Reply) -> StoreReply:
        try:
            return parse_store_reply(reply)
        except StoreUnreachable as error:
            self._connection.close()
            raise StoreUnreachable(f"{self._connection.address.text}: {error}") from None
