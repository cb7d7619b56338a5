"""The fenced ledger on a real server: who may write, and what a refusal leaves behind."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from election.model import Incarnation, StoreName, WriteId
from election.redis_ledger import LEDGER_BYTES_MAX
from election.redis_reply import BYTES_FIELD, LAST_FIELD, keys_of
from node.demo.stores import StoreServer
from tests.support.ledger_bench import CLUSTER, JETSON, PI, Bench, assert_matches, bench_of
from tests.support.redis_servers import admin_of, identity_of
from tests.support.tcp_proxy import TcpProxy
from tests.support.until import until


@pytest.fixture
def one(three: list[StoreServer]) -> Iterator[Bench]:
    bench = bench_of(three[:1])
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


async def let_go(proxy: TcpProxy, bench: Bench) -> None:
    """Let the late bytes arrive, and wait until the server has run what they ask for."""
    with admin_of(bench.servers[0]) as admin:

        def scripts_run() -> int:
            stats = admin.info("commandstats")
            return sum(
                stats.get(f"cmdstat_{n}", {"calls": 0})["calls"] for n in ("eval", "evalsha")
            )

        before = scripts_run()
        assert proxy.let_go() == 1
        await until(lambda: scripts_run() > before)


async def test_a_write_that_timed_out_never_comes_after_the_next_one(one: Bench) -> None:
    """Its bytes may wait on an abandoned connection, in a network that forgets nothing."""
    one.grant(1)
    with TcpProxy(one.servers[0].port) as proxy:
        ledger = one.ledger(through=proxy.port)
        assert ledger.write(epoch=1, puts={"a": "1"}, deletes=()).is_accepted
        proxy.hold()
        assert not ledger.write(epoch=1, puts={"a": "2"}, deletes=()).is_accepted
        proxy.go_on()
        assert ledger.write(epoch=1, puts={"a": "3"}, deletes=()).is_accepted
        await let_go(proxy, one)
        assert ledger.read() == ({"a": "3"},)
        ledger.close()


async def test_a_late_write_of_the_holder_before_changes_nothing(one: Bench) -> None:
    """Also under a promise, where a write goes on behind the caller's back (R14)."""
    one.grant(1)
    with TcpProxy(one.servers[0].port) as proxy:
        before, after = one.ledger(through=proxy.port), one.ledger(PI)
        assert before.write(epoch=1, puts={"a": "1"}, deletes=()).is_accepted
        proxy.hold()
        assert not before.write(epoch=1, puts={"a": "old"}, deletes=()).is_accepted
        one.grant(2, PI)
        assert after.write(epoch=2, puts={"a": "new"}, deletes=()).is_accepted
        await let_go(proxy, one)
        assert after.read() == ({"a": "new"},)
        before.close()
        after.close()


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
        fields.pop(LAST_FIELD)
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
    [
        ({"": "{}"}, ()),
        ({"a": ""}, ()),
        ({BYTES_FIELD: "{}"}, ()),
        ({}, (LAST_FIELD,)),
        ({"a": "{}"}, ("a",)),
    ],
    ids=["no key", "no document", "a reserved field", "another one", "put and deleted at once"],
)
def test_a_write_that_means_nothing_is_our_own_error(
    one: Bench, puts: Mapping[str, str], deletes: tuple[str, ...]
) -> None:
    ledger = one.ledger()
    with pytest.raises(ValueError, match=r"document|both"):
        ledger.write(epoch=1, puts=puts, deletes=deletes)
    ledger.close()
