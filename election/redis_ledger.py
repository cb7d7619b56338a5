"""Journal documents in the lease stores, fenced by the lease record beside them.

Satisfies `exchange.ports.Ledger` by shape. Each store checks incarnation, nonce, epoch and
state=held of its own lease record in the script that writes (lua/ledger_write.lua); a majority
decides. Nothing is retried: whoever writes knows whether its permit still allows that.
"""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.model import Identity, Incarnation, StoreName
from election.redis_fleet import StoreFleet, tell
from election.redis_reply import RESERVED, documents_of, fields_of, keys_of, list_of, text_of
from election.redis_scripts import ScriptName, load_script, run_script
from election.resp import Argument

# All documents of a store together, with 64 bytes for each entry. Below 1 MiB, because a full
# server (noeviction) would refuse the lease's own writes; an open intent takes about 0.5 kB.
LEDGER_BYTES_MAX: Final = 1_000_000
# How long the other stores are awaited once a majority has decided a write or a read. A write
# stands before every order: a frozen store may cost it this much and no more. A takeover reads
# once, and likes to have all stores.
WRITE_GRACE_S: Final = 0.02
READ_GRACE_S: Final = 0.1

_WROTE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAnswer:
    """How a fenced write ended.

    `reason` names each store that did not accept, and is empty when a majority did; `problems`
    names them also then.
    """

    is_accepted: bool
    reason: str
    accepted_by: tuple[StoreName, ...]
    problems: Mapping[StoreName, str]


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
        self._identity = identity
        self._incarnations = incarnations
        self._keys = keys_of(cluster_id)
        self._numbers = itertools.count(1)
        self._script = load_script(ScriptName.LEDGER_WRITE)
        self._fleet = StoreFleet(addresses, request_timeout_ms=request_timeout_ms, purpose="ledger")

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
        known = dict(self._incarnations())
        tail: list[Argument] = [LEDGER_BYTES_MAX, next(self._numbers), len(puts)]
        for key, text in puts.items():
            tail += (key, text)
        tail += sorted(set(deletes))

        def write_one(connection: StoreConnection, deadline_s: float) -> None:
            inc = known.get(connection.address.name)
            if inc is None:
                raise StoreUnreachable(f"{connection.address.text}: it has not been observed yet")
            self._write_one(connection, deadline_s, (inc, self._identity.nonce, epoch, *tail))

        found = self._fleet.ask(write_one, enough=self._fleet.majority, grace_s=WRITE_GRACE_S)
        accepted_by = tuple(found.answers)
        is_accepted = len(accepted_by) >= self._fleet.majority
        return LedgerAnswer(
            is_accepted=is_accepted,
            reason="" if is_accepted else tell(found.problems),
            accepted_by=accepted_by,
            problems=found.problems,
        )

    def read(self) -> tuple[Mapping[str, str], ...]:
        """Return the documents of each store that answered, one mapping a store."""
        return tuple(self.read_named().values())

    def read_named(self) -> Mapping[StoreName, Mapping[str, str]]:
        """Return the documents by the name of the store; stores that did not answer are absent.

        Once a majority has answered the others are awaited only shortly: every accepted write is
        in some store of any majority.
        """
        majority = self._fleet.majority
        return self._fleet.ask(self._read_one, enough=majority, grace_s=READ_GRACE_S).answers

    def close(self) -> None:
        """Close the connections."""
        self._fleet.close()

    def _write_one(
        self, connection: StoreConnection, deadline_s: float, arguments: Sequence[Argument]
    ) -> None:
        reply = run_script(
            connection,
            self._script,
            keys=(self._keys.lease, self._keys.ledger),
            arguments=(self._identity.cluster_id, self._identity.config_id, *arguments),
            deadline_s=deadline_s,
        )
        refusal, _inc, detail, _used = list_of(reply, size=4)
        if text_of(refusal) != _WROTE:
            raise StoreUnreachable(
                f"{connection.address.text} refused ({text_of(refusal)}): {text_of(detail)}"
            )

    def _read_one(self, connection: StoreConnection, deadline_s: float) -> Mapping[str, str]:
        reply = connection.call("HGETALL", self._keys.ledger, deadline_s=deadline_s)
        return documents_of(fields_of(reply))


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
