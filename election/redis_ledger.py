"""Journal documents in the lease stores, fenced by the lease record beside them.

Satisfies `exchange.ports.Ledger` by shape. Each store checks incarnation, nonce, epoch and
state=held of its own lease record in the script that writes (lua/ledger_write.lua); a majority
decides. Nothing is retried: whoever writes knows whether its permit still allows that.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.majority import LedgerAnswer, LedgerMajority, LedgerPort
from election.model import Identity, Incarnation, StoreName
from election.redis_fleet import PortFleet, StoreFleet
from election.redis_reply import RESERVED, documents_of, fields_of, keys_of, list_of, text_of
from election.redis_scripts import ScriptName, load_script, run_script
from election.resp import Argument
from election.walks import run_walk

# All documents of a store together, with 64 bytes for each entry. Below 1 MiB, because a full
# server (noeviction) would refuse the lease's own writes; an open intent takes about 0.5 kB.
LEDGER_BYTES_MAX: Final = 1_000_000
_WROTE = "none"


class _Port:
    """The documents in one store, over one connection and within one time limit."""

    def __init__(self, ledger: "RedisLedger", connection: StoreConnection, limit_s: float) -> None:
        self._ledger, self._connection, self._deadline_s = ledger, connection, limit_s

    @property
    def name(self) -> StoreName:
        return self._connection.address.name

    def write_ledger(
        self,
        inc: Incarnation | None,
        stamp: tuple[int, int],
        puts: Mapping[str, str],
        deletes: Collection[str],
    ) -> None:
        place = self._connection.address.text
        if inc is None:
            raise StoreUnreachable(f"{place}: it has not been observed yet")
        ledger, keys = self._ledger, self._ledger.keys
        config_id = self._connection.address.old_list or ledger.identity.config_id
        arguments: list[Argument] = [ledger.identity.cluster_id, config_id, inc]
        epoch, number = stamp
        arguments += [ledger.identity.nonce, epoch, LEDGER_BYTES_MAX, number, len(puts)]
        for key, text in puts.items():
            arguments += (key, text)
        arguments += sorted(set(deletes))
        reply = run_script(
            self._connection,
            ledger.script,
            keys=(keys.lease, keys.ledger),
            arguments=arguments,
            deadline_s=self._deadline_s,
        )
        refusal, _inc, detail, _used = list_of(reply, size=4)
        if text_of(refusal) != _WROTE:
            raise StoreUnreachable(f"{place} refused ({text_of(refusal)}): {text_of(detail)}")

    def read_ledger(self) -> Mapping[str, str]:
        key = self._ledger.keys.ledger
        reply = self._connection.call("HGETALL", key, deadline_s=self._deadline_s)
        return documents_of(fields_of(reply))


class RedisLedger:
    """Small JSON documents in every store, written only by the holder. Blocking, thread-safe."""

    def __init__(
        self,
        addresses: Sequence[StoreAddress],
        *,
        cluster_id: str,
        identity: Identity,
        incarnations: Callable[[], Mapping[StoreName, Incarnation]],
        request_timeout_ms: int,
    ) -> None:
        """`incarnations` returns, for each store, the life of it that this node believes in."""
        assert identity.cluster_id == cluster_id, "identity of another cluster"
        self.identity = identity
        self.keys = keys_of(cluster_id)
        self.script = load_script(ScriptName.LEDGER_WRITE)
        self._fleet = StoreFleet(addresses, request_timeout_ms=request_timeout_ms, purpose="ledger")
        ports: PortFleet[LedgerPort] = PortFleet(
            self._fleet, lambda connection, limit_s: _Port(self, connection, limit_s)
        )
        self._majority = LedgerMajority(ports, incarnations)

    def write(
        self, *, epoch: int, puts: Mapping[str, str], deletes: Collection[str]
    ) -> LedgerAnswer:
        """Put and delete documents in every store in parallel, within the request timeout.

        Returns as soon as a majority has decided; what was sent to the others goes on, and each
        store takes the writes in the order in which they were made.

        Raises:
            ValueError: a key is empty or reserved, a document is empty, or a key is both put and
                deleted.
        """
        _check(puts, deletes)
        return run_walk(self._majority.write(epoch, puts, deletes))

    def read(self) -> tuple[Mapping[str, str], ...]:
        """Return the documents of each store that answered, one mapping a store."""
        return tuple(self.read_named().values())

    def read_named(self) -> Mapping[StoreName, Mapping[str, str]]:
        """Return the documents by the name of the store; stores that did not answer are absent.

        Once a majority has answered the others are awaited only shortly: every accepted write is
        in some store of any majority.
        """
        return run_walk(self._majority.read_named())

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()


def _check(puts: Mapping[str, str], deletes: Collection[str]) -> None:
    for key in (*puts, *deletes):
        if not key or key in RESERVED:
            raise ValueError(f"{key!r} is no key of a document")
    empty = [key for key, text in puts.items() if not text]
    if empty:
        raise ValueError(f"empty documents: {', '.join(empty)}")
    both = sorted(set(puts) & set(deletes))
    if both:
        raise ValueError(f"both put and deleted: {', '.join(both)}")
