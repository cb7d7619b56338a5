"""What happens to a store: emptied, frozen, rolled back, full, locked, read-only."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import redis

from node.demo.stores import StoreServer

TIMEOUT_S = 10.0


@contextlib.contextmanager
def client(store: StoreServer, *, password: str | None = None) -> Iterator["redis.Redis"]:
    """Open a connection of the test's own to a store."""
    with redis.Redis(
        host=store.host,
        port=store.port,
        password=password or store.password,
        protocol=2,
        socket_timeout=TIMEOUT_S,
    ) as connection:
        yield connection


def flush(store: StoreServer) -> None:
    """Empty a store as FLUSHALL by a careless hand does; it lives on."""
    with client(store) as connection:
        connection.flushall()


def dump_of(store: StoreServer) -> bytes:
    """Return a store's data of now."""
    store.save()
    return _dump_path(store).read_bytes()


def roll_back(store: StoreServer, dump: bytes) -> None:
    """Kill a store and start it with older data: another life of it, an old memory."""
    store.kill()
    _dump_path(store).write_bytes(dump)
    store.restart(keep=True)


def _dump_path(store: StoreServer) -> Path:
    assert store._folder is not None, "started before"
    return store._folder / "dump.rdb"


def set_option(store: StoreServer, name: str, value: str) -> None:
    """Change one line of a running store's configuration."""
    with client(store) as connection:
        connection.config_set(name, value)


def wall_s(store: StoreServer) -> int:
    """Return what a store's wall clock says."""
    with client(store) as connection:
        return int(connection.time()[0])


@contextlib.contextmanager
def frozen(store: StoreServer) -> Iterator[None]:
    """Stop a store where it is (SIGSTOP) for the length of a block: connections stay."""
    store.pause()
    try:
        yield
    finally:
        store.resume()


@contextlib.contextmanager
def full(store: StoreServer) -> Iterator[None]:
    """Let a store refuse every write for want of memory (OOM) for the length of a block."""
    set_option(store, "maxmemory", "1")
    try:
        yield
    finally:
        set_option(store, "maxmemory", "0")


@contextlib.contextmanager
def other_password(store: StoreServer, password: str) -> Iterator[None]:
    """Change a store's password and throw everybody out, for the length of a block."""
    assert store.password is not None
    with client(store) as connection:
        connection.config_set("requirepass", password)
        connection.client_kill_filter(_type="normal", skipme=True)
    try:
        yield
    finally:
        with client(store, password=password) as connection:
            connection.config_set("requirepass", store.password)


@contextlib.contextmanager
def read_only(store: StoreServer) -> Iterator[None]:
    """Make a store the replica of a server that is not there, for the length of a block."""
    with client(store) as connection:
        connection.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        with client(store) as connection:
            connection.replicaof("NO", "ONE")
