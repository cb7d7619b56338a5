"""A pair whose list of stores is about to change: paused, heard, and nobody holds the lease."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from election.model import StoreReply, WriteId
from election.redis_reply import keys_of
from election.redis_store import RedisStore
from exchange.journal import Journal
from node.demo.stores import StoreServer
from tests.support.nodectl import nodectl
from tests.support.puppet_pair import NODES, TIMEOUT_MS, Puppets, running_puppets, write_config
from tests.support.redis_servers import address_of, admin_of

DOCUMENTS = dict(Journal().edit(epoch=1, states={"BTC/USDT": {"a": 1}})[0].documents())


@contextmanager
def paused_puppets(folder: Path, servers: list[StoreServer]) -> Iterator[Puppets]:
    """Puppets that beat at these stores, emptied before; `DOCUMENTS` are in each."""
    for server in servers:
        server.restart()
    with running_puppets(write_config(folder, servers)) as puppets:
        puppets.holder = None
        for node in NODES:
            puppets.bodies[node] = {"stores_kept": 10**9, "role": "standby"}
        for server in servers:  # the first beats took the lease
            with admin_of(server) as admin:
                admin.hset(keys_of(puppets.config.cluster_id).lease, "state", "released")
                admin.hset(keys_of(puppets.config.cluster_id).ledger, mapping=DOCUMENTS)
        assert nodectl(puppets, "pause")[0] == 0
        yield puppets


def observe(puppets: Puppets, server: StoreServer, config_id: str) -> StoreReply:
    """Look at a store as a node with this store list would."""
    store = RedisStore(
        address_of(server), cluster_id=puppets.config.cluster_id, request_timeout_ms=TIMEOUT_MS
    )
    try:
        me = replace(puppets.identity("jetson"), config_id=config_id)
        return store.observe(identity=me, new_wid=WriteId("w"))
    finally:
        store.close()
