"""The fenced ledger on real servers: who may write, and what a refusal leaves behind."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from election.model import Identity, Incarnation, LeaseRecord, StoreName, WriteId
from election.redis_ledger import LEDGER_BYTES_MAX, RedisLedger
from election.redis_reply import BYTES_FIELD, keys_of
from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    address_of,
    admin_of,
    identity_of,
)

CLUSTER = "test-ledger"
JETSON = identity_of(CLUSTER, "jetson")
PI = identity_of(CLUSTER, "raspberrypi")
TIMEOUT_S = 10.0


@dataclass(slots=True)
class Bench:
    """Servers, a store client for each, and what the Jetson believes of their lives."""

    servers: list[StoreServer]
    stores: list[RedisStore]
    believed: dict[StoreName, Incarnation] = field(default_factory=dict)

    def ledger(self, identity: Identity = JETSON) -> RedisLedger:
        return RedisLedger(
            [address_of(server) for server in self.servers],
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


@pytest.fixture
def one(three: list[StoreServer]) -> Iterator[Bench]:
    bench = bench_of(three[:1])
    yield bench
    bench.close()


@pytest.fixture
def trio(three: list[StoreServer]) -> Iterator[Bench]:
    bench = bench_of(three)
    yield bench
    bench.close()


def test_the_holder_puts_deletes_and_reads(one: Bench) -> None:
    """Puts and deletes go together; reading needs no lease."""
    one.grant(1)
    ledger = one.ledger()
    assert ledger.write(epoch=1, puts={"a": '{"é":1}', "b": "{}"}, deletes=()).is_accepted
    answer = ledger.write(epoch=1, puts={"b": '{"x":2}'}, deletes={"a", "never there"})
    assert answer.is_accepted
    assert (answer.reason, answer.accepted_by, answer.problems) == ("", ("x",), {})
    assert ledger.read() == ({"b": '{"x":2}'},)
    assert one.ledger(PI).read_named() == {"x": {"b": '{"x":2}'}}
    ledger.close()


def _older_epoch(bench: Bench) -> None:
    bench.grant(2)


def _other_process(bench: Bench) -> None:
    bench.grant(1, identity_of(CLUSTER, "jetson", nonce="the process before"), only=0)


def _other_node_after_me(bench: Bench) -> None:
    bench.grant(1)
    bench.grant(2, PI)


def _released(bench: Bench) -> None:
    bench.grant(1)
    bench.stores[0].release(
        identity=JETSON,
        epoch=1,
        expected_inc=bench.believed[StoreName("x")],
        new_wid=WriteId("released"),
        drain_ms=0,
        reserved_for="",
        reason="",
    )


def _nobody(bench: Bench) -> None:
    bench.observe(0)


def _nothing_there(bench: Bench) -> None:
    bench.believed[StoreName("x")] = Incarnation("a:b")


def _restarted_with_data(bench: Bench) -> None:
    bench.grant(1)
    bench.servers[0].save()
    bench.servers[0].restart(keep=True)


def _restarted_with_data_and_only_looked_at(bench: Bench) -> None:
    _restarted_with_data(bench)
    _, inc = bench.observe(0)
    bench.believed[StoreName("x")] = inc  # known, but not re-asserted: may be a rolled back record


def _put_back_but_not_told(bench: Bench) -> None:
    bench.grant(1)
    bench.servers[0].restart()
    record, inc = bench.observe(0)
    reply = bench.stores[0].reassert(
        identity=JETSON,
        epoch=1,
        ttl_ms=6000,
        expected_inc=inc,
        expected_wid=record.wid,
        new_wid=WriteId("again"),
    )
    assert reply.is_ok  # a write sent before the restart may arrive only now


def _restarted_empty(bench: Bench) -> None:
    bench.grant(1)
    bench.servers[0].restart()


def _flushed(bench: Bench) -> None:
    bench.grant(1)
    with admin_of(bench.servers[0]) as admin:
        admin.flushall()


def _flushed_and_observed(bench: Bench) -> None:
    _flushed(bench)
    bench.observe(0)


def _of_another_cluster(bench: Bench) -> None:
    bench.grant(1)
    with admin_of(bench.servers[0]) as admin:
        admin.hset(keys_of(CLUSTER).lease, "cluster_id", "prod-x")


def _of_another_config(bench: Bench) -> None:
    bench.grant(1)
    with admin_of(bench.servers[0]) as admin:
        admin.hset(keys_of(CLUSTER).lease, "config_id", "c2")


def _unreadable(bench: Bench) -> None:
    bench.grant(1)
    with admin_of(bench.servers[0]) as admin:
        admin.hset(keys_of(CLUSTER).lease, "epoch", "one")


def _replica(bench: Bench) -> None:
    bench.grant(1)
    with admin_of(bench.servers[0]) as admin:
        admin.slaveof("127.0.0.1", 1)


SITUATIONS: Mapping[str, tuple[Callable[[Bench], None], str]] = {
    "a newer epoch of mine": (_older_epoch, "not_mine"),
    "another process of my node": (_other_process, "not_mine|not been observed"),
    "another node took over": (_other_node_after_me, "not_mine.*raspberrypi"),
    "I released": (_released, "not_mine"),
    "nobody holds it": (_nobody, "not been observed"),
    "no record at all": (_nothing_there, "not_mine"),
    "restarted with data": (_restarted_with_data, "incarnation"),
    "restarted with data, not re-asserted": (
        _restarted_with_data_and_only_looked_at,
        "incarnation.*not put back",
    ),
    "a write of the life before": (_put_back_but_not_told, "incarnation.*another life"),
    "restarted empty": (_restarted_empty, "not_mine|incarnation"),
    "flushed": (_flushed, "not_mine"),
    "flushed, and somebody observed": (_flushed_and_observed, "not_mine"),
    "a record of another cluster": (_of_another_cluster, "foreign_cluster"),
    "another store list": (_of_another_config, "other_config"),
    "a garbled record": (_unreadable, "unreadable"),
    "the server became a replica": (_replica, "replica"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_whoever_does_not_hold_the_lease_there_writes_nothing(one: Bench, situation: str) -> None:
    """Each store checks incarnation, nonce, epoch and state=held in the script that writes."""
    prepare, words = SITUATIONS[situation]
    prepare(one)
    ledger = one.ledger()
    answer = ledger.write(epoch=1, puts={"a": "{}"}, deletes=())
    assert not answer.is_accepted
    assert answer.accepted_by == ()
    assert_matches(words, answer.reason)
    with admin_of(one.servers[0]) as admin:
        assert not admin.exists(keys_of(CLUSTER).ledger)
    ledger.close()


def test_a_server_that_became_a_replica_under_an_open_connection_is_refused(one: Bench) -> None:
    """The script looks itself; what was true at the login may be over (R2)."""
    one.grant(1)
    ledger = one.ledger()
    assert ledger.write(epoch=1, puts={"a": "1"}, deletes=()).is_accepted
    with admin_of(one.servers[0]) as admin:
        admin.slaveof("127.0.0.1", 1)
    answer = ledger.write(epoch=1, puts={"a": "2"}, deletes=())
    assert not answer.is_accepted
    assert "not_master" in answer.reason
    ledger.close()


def assert_matches(words: str, text: str) -> None:
    assert re.search(words, text), text


def test_a_restart_and_reassert_lets_the_holder_write_again(one: Bench) -> None:
    """After every change of incarnation the holder pushes its documents again (amendment)."""
    one.grant(3)
    one.servers[0].restart()
    record, inc = one.observe(0)
    reply = one.stores[0].reassert(
        identity=JETSON,
        epoch=3,
        ttl_ms=6000,
        expected_inc=inc,
        expected_wid=record.wid,
        new_wid=WriteId("again"),
    )
    assert reply.is_ok
    one.believed[StoreName("x")] = inc
    ledger = one.ledger()
    assert ledger.write(epoch=3, puts={"a": "{}"}, deletes=()).is_accepted
    ledger.close()


def test_documents_beyond_the_limit_are_refused_and_the_old_ones_kept(one: Bench) -> None:
    """The whole stays under 1 MiB: a full server would refuse the lease itself (amendment)."""
    one.grant(1)
    ledger = one.ledger()
    assert ledger.write(epoch=1, puts={"a": "x" * 600_000}, deletes=()).is_accepted
    answer = ledger.write(epoch=1, puts={"b": "y" * 600_000}, deletes=())
    assert not answer.is_accepted
    assert "too_large" in answer.reason
    assert set(ledger.read()[0]) == {"a"}
    replaced = ledger.write(epoch=1, puts={"b": "y" * 600_000}, deletes={"a"})
    assert replaced.is_accepted
    assert set(ledger.read()[0]) == {"b"}
    ledger.close()


def test_the_kept_size_is_that_of_the_documents_over_any_history(one: Bench) -> None:
    """Overwriting, deleting and deleting nothing do not make the count drift."""
    one.grant(1)
    ledger = one.ledger()
    for round_ in range(5):
        puts = {f"k{i}": "v" * (i * 7 + round_) + "." for i in range(6)}
        assert ledger.write(epoch=1, puts=puts, deletes={f"d{round_}", "x"}).is_accepted
        assert ledger.write(epoch=1, puts={}, deletes={"k1", "k4", "none"}).is_accepted
    with admin_of(one.servers[0]) as admin:
        fields = admin.hgetall(keys_of(CLUSTER).ledger)
        kept = int(fields.pop(BYTES_FIELD))
        assert kept == sum(len(key) + len(text) + 64 for key, text in fields.items())
        # A count that somebody removed or garbled is made anew.
        for spoiled in (None, "many"):
            admin.hdel(keys_of(CLUSTER).ledger, BYTES_FIELD)
            if spoiled:
                admin.hset(keys_of(CLUSTER).ledger, BYTES_FIELD, spoiled)
            assert ledger.write(epoch=1, puts={}, deletes=()).is_accepted
            assert int(admin.hget(keys_of(CLUSTER).ledger, BYTES_FIELD) or 0) == kept
    ledger.close()


def test_a_ledger_that_shrinks_is_accepted_even_above_the_limit(one: Bench) -> None:
    """What somebody else filled can be emptied."""
    one.grant(1)
    with admin_of(one.servers[0]) as admin:
        admin.hset(
            keys_of(CLUSTER).ledger, mapping={"a": "x" * LEDGER_BYTES_MAX, "b": "y" * 600_000}
        )
    ledger = one.ledger()
    assert ledger.write(epoch=1, puts={}, deletes={"b"}).is_accepted
    assert not ledger.write(epoch=1, puts={"c": "{}"}, deletes=()).is_accepted
    ledger.close()


def test_a_ledger_key_of_another_type_is_refused_and_left_alone(one: Bench) -> None:
    one.grant(1)
    with admin_of(one.servers[0]) as admin:
        admin.set(keys_of(CLUSTER).ledger, "x")
        ledger = one.ledger()
        answer = ledger.write(epoch=1, puts={"a": "{}"}, deletes=())
        assert "unreadable" in answer.reason
        assert ledger.read() == ()
        assert admin.get(keys_of(CLUSTER).ledger) == "x"
    ledger.close()


@pytest.mark.parametrize(
    ("puts", "deletes"),
    [({"": "{}"}, ()), ({"a": ""}, ()), ({BYTES_FIELD: "{}"}, ()), ({"a": "{}"}, ("a",))],
    ids=["no key", "no document", "the reserved field", "put and deleted at once"],
)
def test_a_write_that_means_nothing_is_our_own_error(
    one: Bench, puts: Mapping[str, str], deletes: tuple[str, ...]
) -> None:
    ledger = one.ledger()
    with pytest.raises(ValueError, match=r"document|both"):
        ledger.write(epoch=1, puts=puts, deletes=deletes)
    ledger.close()


@pytest.mark.parametrize("down", [0, 1, 2], ids=["x down", "y down", "z down"])
def test_with_one_of_three_down_a_majority_accepts(trio: Bench, down: int) -> None:
    """Two of three decide; the third is named in the problems (R13)."""
    trio.grant(1)
    trio.servers[down].kill()
    ledger = trio.ledger()
    answer = ledger.write(epoch=1, puts={"a": "{}"}, deletes=())
    assert (answer.is_accepted, answer.reason) == (True, "")
    assert len(answer.accepted_by) == 2
    assert set(answer.problems) == {trio.servers[down].name}
    assert ledger.read() == ({"a": "{}"}, {"a": "{}"})
    ledger.close()


def test_with_two_of_three_lost_the_write_is_refused_with_a_reason_for_each(trio: Bench) -> None:
    """One store down, one naming the other node: no majority, and both are named."""
    trio.grant(1)
    trio.grant(2, PI, only=1)
    trio.servers[2].kill()
    ledger = trio.ledger()
    answer = ledger.write(epoch=1, puts={"a": "{}"}, deletes=())
    assert not answer.is_accepted
    assert answer.accepted_by == ("x",)
    assert_matches("store y .*raspberrypi.*store z .*nothing listens", answer.reason)
    ledger.close()


def test_a_frozen_store_does_not_hold_up_the_others(trio: Bench) -> None:
    """Stores are asked in parallel, each in its own thread, within one time limit."""
    trio.grant(1)
    ledger = RedisLedger(
        [address_of(server) for server in trio.servers],
        cluster_id=CLUSTER,
        identity=JETSON,
        incarnations=lambda: trio.believed,
        request_timeout_ms=int(TIMEOUT_S * 1000),
    )
    assert ledger.write(epoch=1, puts={"a": "{}"}, deletes=()).is_accepted
    trio.servers[0].pause()
    begun_s = time.monotonic()
    for text in ("1", "2", "3"):
        answer = ledger.write(epoch=1, puts={"a": text}, deletes=())
        assert answer.is_accepted
        assert answer.accepted_by == ("y", "z")
        assert "in time" in answer.problems[StoreName("x")]
    assert ledger.read_named() == {"y": {"a": "3"}, "z": {"a": "3"}}
    assert time.monotonic() - begun_s < TIMEOUT_S, "a majority had decided long before"
    trio.servers[0].resume()
    ledger.close()


def test_a_store_that_thaws_takes_the_writes_in_their_order(trio: Bench) -> None:
    """What was sent to a slow store goes on behind the caller's back, but never out of order."""
    trio.grant(1)
    ledger = trio.ledger()
    assert ledger.write(epoch=1, puts={"a": "0"}, deletes=()).is_accepted
    trio.servers[0].pause()
    for text in ("1", "2", "3"):
        assert ledger.write(epoch=1, puts={"a": text}, deletes=()).is_accepted
    trio.servers[0].resume()
    deadline_s = time.monotonic() + 30
    with admin_of(trio.servers[0]) as admin:
        while admin.hget(keys_of(CLUSTER).ledger, "a") != "3":
            assert time.monotonic() < deadline_s, "the last write never arrived"
    ledger.close()


def test_two_refusals_of_three_are_enough_to_know(trio: Bench) -> None:
    """Whoever was overtaken hears it at once, also when the third store is frozen."""
    trio.grant(1)
    ledger = RedisLedger(
        [address_of(server) for server in trio.servers],
        cluster_id=CLUSTER,
        identity=JETSON,
        incarnations=lambda: trio.believed,
        request_timeout_ms=int(TIMEOUT_S * 1000),
    )
    assert ledger.write(epoch=1, puts={"a": "{}"}, deletes=()).is_accepted
    trio.grant(2, PI)
    trio.servers[0].pause()
    begun_s = time.monotonic()
    answer = ledger.write(epoch=1, puts={"a": "1"}, deletes=())
    assert not answer.is_accepted
    assert time.monotonic() - begun_s < TIMEOUT_S
    trio.servers[0].resume()
    ledger.close()
