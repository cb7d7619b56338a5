"""The ledger over three stores: a majority decides, and a slow store costs nobody else time."""

import time
from collections.abc import Iterator

import pytest

from election.model import StoreName
from election.redis_ledger import RedisLedger
from election.redis_reply import keys_of
from node.demo.stores import StoreServer
from tests.support.ledger_bench import CLUSTER, JETSON, PI, Bench, assert_matches, bench_of
from tests.support.redis_servers import address_of, admin_of

# Long enough that a call which waited for the silent store is told from one that did not.
TIMEOUT_S = 10.0


@pytest.fixture
def trio(three: list[StoreServer]) -> Iterator[Bench]:
    bench = bench_of(three)
    yield bench
    bench.close()


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
