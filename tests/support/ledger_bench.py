"""Lease stores on servers with a holder, for tests of the ledger."""

import re
from dataclasses import dataclass, field, replace

from election.model import Identity, Incarnation, LeaseRecord, StoreName, WriteId
from election.redis_ledger import RedisLedger
from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import REQUEST_TIMEOUT_MS, address_of, identity_of

CLUSTER = "test-ledger"
JETSON = identity_of(CLUSTER, "jetson")
PI = identity_of(CLUSTER, "raspberrypi")


@dataclass(slots=True)
class Bench:
    """Servers, a store client for each, and what the Jetson believes of their lives."""

    servers: list[StoreServer]
    stores: list[RedisStore]
    believed: dict[StoreName, Incarnation] = field(default_factory=dict)

    def ledger(self, identity: Identity = JETSON, *, through: int | None = None) -> RedisLedger:
        """Return a ledger, of the only server by another port where one is given."""
        addresses = [address_of(server) for server in self.servers]
        if through is not None:
            addresses = [replace(address, port=through) for address in addresses]
        return RedisLedger(
            addresses,
            cluster_id=CLUSTER,
            identity=identity,
            incarnations=lambda: self.believed,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )

    def observe(self, index: int) -> tuple[LeaseRecord, Incarnation]:
        reply = self.stores[index].observe(identity=JETSON, new_wid=WriteId("tombstone"))
        assert reply.record is not None
        return reply.record, reply.inc

    def grant(self, epoch: int, identity: Identity = JETSON, *, only: int | None = None) -> None:
        """Let the identity hold the lease, everywhere or in one store."""
        for index, store in enumerate(self.stores):
            if only in (None, index):
                record, inc = self.observe(index)
                reply = store.acquire(
                    identity=identity,
                    epoch=epoch,
                    ttl_ms=6000,
                    expected_inc=inc,
                    expected_wid=record.wid,
                    new_wid=WriteId(f"{identity.nonce} {epoch}"),
                    reason="test",
                )
                assert reply.is_ok
                if identity is JETSON:
                    self.believed[store.name] = inc

    def close(self) -> None:
        for store in self.stores:
            store.close()


def bench_of(servers: list[StoreServer]) -> Bench:
    stores = [
        RedisStore(address_of(server), cluster_id=CLUSTER, request_timeout_ms=REQUEST_TIMEOUT_MS)
        for server in servers
    ]
    return Bench(servers=servers, stores=stores)


def assert_matches(words: str, text: str) -> None:
    assert re.search(words, text), text
