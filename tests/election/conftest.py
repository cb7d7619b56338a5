"""Fixtures of this package's tests."""

from tests.support.redis_servers import (
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
