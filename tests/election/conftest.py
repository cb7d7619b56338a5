"""Fixtures of this package's tests."""

from collections.abc import Iterator

import pytest
from redis import Redis

from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    address_of,
    admin_of,
    any_program,
    cluster_id,
    server_pool,
    server_program,
    shared_server,
    start_any,
    start_server,
    three,
)

__all__ = [
    "any_program",
    "cluster_id",
    "server_pool",
    "server_program",
    "shared_server",
    "start_any",
    "start_server",
    "three",
]


@pytest.fixture
def admin(shared_server: StoreServer) -> Iterator[Redis]:
    """A client of the shared server that may do everything."""
    with admin_of(shared_server) as client:
        yield client


@pytest.fixture
def store(shared_server: StoreServer, cluster_id: str) -> Iterator[RedisStore]:
    """The shared server as a lease store of a cluster of its own."""
    made = RedisStore(
        address_of(shared_server), cluster_id=cluster_id, request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    yield made
    made.close()
