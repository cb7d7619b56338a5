"""Moving a cluster to another list of stores, one store at a time (edge of `nodectl stores`).

Each method runs one script (lua/move.lua, lua/ledger_carry.lua) once, within the request timeout.
It decides nothing and retries nothing: node/replacing.py says what is to be done.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.model import Identity, Incarnation, NodeId, Refusal, StoreReply, WriteId
from election.redis_ledger import LEDGER_BYTES_MAX
from election.redis_reply import keys_of, list_of, parse_store_reply, text_of
from election.redis_scripts import ScriptName, load_script, run_script
from election.resp import Argument

# Who moves is no node: it never holds anything.
_MOVER = NodeId("nodectl")


class StoreMover:
    """One store of a cluster that is being moved. Use from one thread; close it."""

    def __init__(self, address: StoreAddress, *, cluster_id: str, request_timeout_ms: int) -> None:
        self._connection = StoreConnection(address)
        self._keys = keys_of(cluster_id)
        self._timeout_s = request_timeout_ms / 1000
        self._identity = Identity(
            cluster_id=cluster_id, config_id="", node_id=_MOVER, nonce=secrets.token_hex(16)
        )

    def observe(self, config_id: str) -> StoreReply:
        """Read the record; where there is none, create a tombstone of this store list.

        Raises:
            StoreUnreachable: no usable answer.
        """
        return self._lease(ScriptName.OBSERVE, config_id)

    def move(
        self,
        seen: StoreReply,
        *,
        old: str,
        new: str,
        max_epoch: int,
        is_silent: bool,
    ) -> StoreReply:
        """Write the record's store list, compare-and-set on what was seen (R3, R4).

        Args:
            seen: the record as it was observed.
            old: config id that the record must have.
            new: config id to write.
            max_epoch: the record's highest epoch does not fall below it.
            is_silent: a held record was seen unchanged for as long as a contender must (R6).

        Raises:
            StoreUnreachable: no usable answer; it may have been done.
        """
        assert seen.record is not None, "moved without a look"
        return self._lease(
            ScriptName.MOVE,
            old,
            seen.inc,
            seen.record.wid,
            new,
            max_epoch,
            int(is_silent),
        )

    def carry(self, documents: Mapping[str, str], *, config_id: str) -> int:
        """Put the documents that the store lacks or has older; return how many those were.

        Raises:
            StoreUnreachable: no usable answer, or the store refused; the message says why.
        """
        flat = [part for key in sorted(documents) for part in (key, documents[key])]
        reply = run_script(
            self._connection,
            load_script(ScriptName.LEDGER_CARRY),
            keys=(self._keys.lease, self._keys.ledger),
            arguments=(
                self._identity.cluster_id,
                config_id,
                LEDGER_BYTES_MAX,
                secrets.token_hex(16),
                *flat,
            ),
            deadline_s=time.monotonic() + self._timeout_s,
        )
        refusal, _inc, detail, count = list_of(reply, size=4)
        if text_of(refusal) != Refusal.NONE:
            raise StoreUnreachable(f"{self._connection.address.text} refused: {text_of(detail)}")
        return count if isinstance(count, int) else 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _lease(self, name: ScriptName, config_id: str, *arguments: Argument) -> StoreReply:
        identity = replace(self._identity, config_id=config_id)
        reply = run_script(
            self._connection,
            load_script(name),
            keys=(self._keys.lease,),
            arguments=(
                identity.cluster_id,
                identity.config_id,
                WriteId(secrets.token_hex(16)),
                *arguments,
            ),
            deadline_s=time.monotonic() + self._timeout_s,
        )
        try:
            return parse_store_reply(reply)
        except StoreUnreachable as error:
            raise StoreUnreachable(f"{self._connection.address.text}: {error}") from None


def key_of(reply: StoreReply) -> tuple[Incarnation, WriteId | None]:
    """Return what changes when anybody writes or the store begins another life."""
    return (reply.inc, None if reply.record is None else reply.record.wid)
