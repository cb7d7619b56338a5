"""Branches of the lease scripts that a stand-in cannot have: what is in the server already."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from election.model import Identity, Incarnation, Refusal, StoreReply, WriteId
from election.redis_reply import keys_of
from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    StartServer,
    address_of,
    admin_of,
    identity_of,
)

Verb = Callable[[RedisStore, Identity, Incarnation, WriteId], StoreReply]

SOME_WID = WriteId("some wid")


def observe(store: RedisStore, me: Identity, _inc: Incarnation, _wid: WriteId) -> StoreReply:
    return store.observe(identity=me, new_wid=WriteId("new"))


def acquire(store: RedisStore, me: Identity, inc: Incarnation, wid: WriteId) -> StoreReply:
    return store.acquire(
        identity=me,
        epoch=9,
        ttl_ms=6000,
        expected_inc=inc,
        expected_wid=wid,
        new_wid=WriteId("new"),
        reason="cold",
    )


def renew(store: RedisStore, me: Identity, inc: Incarnation, _wid: WriteId) -> StoreReply:
    return store.renew(identity=me, epoch=9, ttl_ms=6000, expected_inc=inc, new_wid=WriteId("new"))


def reassert(store: RedisStore, me: Identity, inc: Incarnation, wid: WriteId) -> StoreReply:
    return store.reassert(
        identity=me,
        epoch=9,
        ttl_ms=6000,
        expected_inc=inc,
        expected_wid=wid,
        new_wid=WriteId("new"),
    )


def release(store: RedisStore, me: Identity, inc: Incarnation, _wid: WriteId) -> StoreReply:
    return store.release(
        identity=me,
        epoch=9,
        expected_inc=inc,
        new_wid=WriteId("new"),
        drain_ms=0,
        reserved_for="",
        reason="bye",
    )


VERBS: Mapping[str, Verb] = {
    "observe": observe,
    "acquire": acquire,
    "renew": renew,
    "reassert": reassert,
    "release": release,
}


def held_by(store: RedisStore, me: Identity, *, epoch: int) -> StoreReply:
    seen = store.observe(identity=me, new_wid=WriteId("tombstone"))
    assert seen.record is not None
    return store.acquire(
        identity=me,
        epoch=epoch,
        ttl_ms=6000,
        expected_inc=seen.inc,
        expected_wid=seen.record.wid,
        new_wid=SOME_WID,
        reason="cold",
    )


SPOILERS: Mapping[str, Callable[[Redis, str], object]] = {
    "a string": lambda admin, key: (admin.delete(key), admin.set(key, "x")),
    "a list": lambda admin, key: (admin.delete(key), admin.rpush(key, "x")),
    "a hash of somebody else": lambda admin, key: (
        admin.delete(key),
        admin.hset(key, mapping={"user": "x"}),
    ),
    "a record among hundreds of fields": lambda admin, key: admin.hset(
        key, mapping={f"user:{i}": "x" for i in range(200)}
    ),
    "a record of a later version": lambda admin, key: admin.hset(key, "version", "2"),
    "no version": lambda admin, key: admin.hdel(key, "version"),
    "no nonce": lambda admin, key: admin.hdel(key, "nonce"),
    "an epoch in words": lambda admin, key: admin.hset(key, "epoch", "nine"),
    "a negative max_epoch": lambda admin, key: admin.hset(key, "max_epoch", "-1"),
    "a max_epoch with a fraction": lambda admin, key: admin.hset(key, "max_epoch", "8.5"),
    "an epoch beyond exact numbers": lambda admin, key: admin.hset(key, "epoch", "9" * 16),
    "an endless ttl": lambda admin, key: admin.hset(key, "ttl_ms", "inf"),
    "an unknown state": lambda admin, key: admin.hset(key, "state", "free"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("spoiler", SPOILERS)
def test_what_is_not_a_record_is_refused_and_left_alone(
    store: RedisStore, admin: Redis, cluster_id: str, verb: str, spoiler: str
) -> None:
    """UNREADABLE with words, nothing written (R3)."""
    me = identity_of(cluster_id)
    reply = held_by(store, me, epoch=9)
    key = keys_of(cluster_id).lease
    SPOILERS[spoiler](admin, key)
    before = admin.dump(key)

    answer = VERBS[verb](store, me, reply.inc, SOME_WID)

    assert answer.refusal is Refusal.UNREADABLE
    assert answer.record is None
    assert answer.detail
    assert admin.dump(key) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_record_of_another_cluster_is_refused_and_left_alone(
    store: RedisStore, admin: Redis, cluster_id: str, verb: str
) -> None:
    """A foreign cluster id: never write (R11)."""
    me = identity_of(cluster_id)
    reply = held_by(store, me, epoch=9)
    key = keys_of(cluster_id).lease
    admin.hset(key, "cluster_id", "prod-somebody")
    before = admin.dump(key)

    answer = VERBS[verb](store, me, reply.inc, SOME_WID)

    assert (answer.refusal, answer.record) == (Refusal.FOREIGN_CLUSTER, None)
    assert "prod-somebody" in answer.detail
    assert admin.dump(key) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_server_that_became_a_replica_is_refused(start_server: StartServer, verb: str) -> None:
    """The incarnation exists only on a server that accepts writes (R2)."""
    server = start_server()
    me = identity_of("test-replica")
    store = RedisStore(
        address_of(server), cluster_id="test-replica", request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    reply = held_by(store, me, epoch=9)
    with admin_of(server) as admin:
        admin.slaveof("127.0.0.1", 1)  # nobody there: it stays a replica without a source

    answer = VERBS[verb](store, me, reply.inc, SOME_WID)

    assert (answer.refusal, answer.record) == (Refusal.NOT_MASTER, None)
    assert answer.inc == ""
    store.close()


def test_of_many_contenders_at_once_exactly_one_is_granted(
    shared_server: StoreServer, cluster_id: str
) -> None:
    """The compare-and-set is one script, so two can never both see what they expected (R4)."""
    contenders = [identity_of(cluster_id, f"node{i}") for i in range(8)]
    stores = [
        RedisStore(
            address_of(shared_server), cluster_id=cluster_id, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        for _ in contenders
    ]
    start = threading.Barrier(len(contenders))

    def contend(index: int) -> StoreReply:
        me, store = contenders[index], stores[index]
        seen = store.observe(identity=me, new_wid=WriteId(f"tombstone {index}"))
        assert seen.record is not None
        start.wait(30)
        return store.acquire(
            identity=me,
            epoch=index + 1,
            ttl_ms=6000,
            expected_inc=seen.inc,
            expected_wid=seen.record.wid,
            new_wid=WriteId(f"held {index}"),
            reason="",
        )

    with ThreadPoolExecutor(len(contenders)) as pool:
        replies = list(pool.map(contend, range(len(contenders))))
    granted = [reply for reply in replies if reply.is_ok]
    assert len(granted) == 1
    refused = [reply for reply in replies if not reply.is_ok]
    assert {reply.refusal for reply in refused} == {Refusal.CHANGED}
    assert {reply.record for reply in refused} == {granted[0].record}
    for store in stores:
        store.close()


def test_an_epoch_beyond_exact_numbers_is_refused(store: RedisStore, cluster_id: str) -> None:
    """A record with such an epoch is no record any more: nobody could ever write there (R3)."""
    me, inexact = identity_of(cluster_id), 2**53
    assert held_by(store, me, epoch=inexact).refusal is Refusal.EPOCH
    held = held_by(store, me, epoch=9)
    answer = store.reassert(
        identity=me,
        epoch=inexact,
        ttl_ms=6000,
        expected_inc=held.inc,
        expected_wid=SOME_WID,
        new_wid=WriteId("new"),
    )
    assert (answer.refusal, answer.record) == (Refusal.EPOCH, held.record)


@pytest.mark.parametrize("verb", ["acquire", "renew", "reassert", "release"])
def test_every_write_is_dated_by_the_server(
    store: RedisStore, admin: Redis, cluster_id: str, verb: str
) -> None:
    """For display: how long the holder has been silent, by one clock alone (R3)."""
    me = identity_of(cluster_id)
    reply = held_by(store, me, epoch=8 if verb == "acquire" else 9)
    admin.hset(keys_of(cluster_id).lease, "written_us", 1)
    earliest_s, _ = admin.time()
    record = VERBS[verb](store, me, reply.inc, SOME_WID).record
    latest_s, _ = admin.time()
    assert record is not None
    assert earliest_s <= record.written_us / 1e6 < latest_s + 1


def test_the_record_never_expires(store: RedisStore, admin: Redis, cluster_id: str) -> None:
    """No server expiry: it follows the wall clock (R3, pitfall 1)."""
    me = identity_of(cluster_id)
    reply = held_by(store, me, epoch=9)
    assert renew(store, me, reply.inc, SOME_WID).is_ok
    assert admin.pttl(keys_of(cluster_id).lease) == -1


def test_a_flush_leaves_the_incarnation_and_a_restart_changes_it(start_server: StartServer) -> None:
    """What the tombstone rule rests on: FLUSHALL does not change run_id and replid (R2)."""
    server = start_server()
    me = identity_of("test-inc")
    store = RedisStore(
        address_of(server), cluster_id="test-inc", request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    first = store.observe(identity=me, new_wid=WriteId("a"))
    with admin_of(server) as admin:
        admin.flushall()
    second = store.observe(identity=me, new_wid=WriteId("b"))
    server.restart()
    third = store.observe(identity=me, new_wid=WriteId("c"))
    assert first.inc == second.inc
    assert first.record != second.record
    assert third.inc != second.inc
    store.close()
