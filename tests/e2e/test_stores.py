"""Stores are killed, emptied and restarted under a trading pair (R11, R13, S3, S6)."""

import pytest
import redis

from node.demo.stores import StoreServer
from tests.support.pair import ETH, JETSON, PI, Pair

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

STATE_KEY = f"state:{ETH}"


def flush(store: StoreServer) -> None:
    """Empty a store as FLUSHALL by a careless hand does; it lives on."""
    with redis.Redis(
        host=store.host, port=store.port, password=store.password, protocol=2
    ) as client:
        client.flushall()


def is_repaired(pair: Pair) -> bool:
    """Tell whether every store has the journal, the latches and one and the same holder."""
    holders = pair.holders()
    return (
        all(STATE_KEY in documents for documents in pair.documents())
        and all("cluster" in kinds for kinds in pair.latches())
        and len(holders) == len(pair.stage.stores)
        and len(set(holders)) == 1
    )


def test_one_store_killed_and_back_empty(pair: Pair) -> None:
    """R13, L1: two of three stores decide; the third is repaired when it is back."""
    pair.open()
    changes = pair.stage.role_changes(JETSON), pair.stage.role_changes(PI)
    lost = pair.stage.stores[0]
    lost.kill()
    pair.wait_event(JETSON, "store.lost", store=lost.name)
    pair.wait_told("store_lost", JETSON)
    pair.wait_order(JETSON)

    lost.restart()
    pair.wait_event(JETSON, "store.back", store=lost.name)
    pair.wait(lambda: is_repaired(pair), "the store to be repaired")
    pair.wait_told("store_back", JETSON)
    # The repaired store counts: without it there would be no majority now.
    pair.stage.stores[1].kill()
    pair.wait_event(JETSON, "store.lost", store=pair.stage.stores[1].name)
    pair.wait_order(JETSON)

    assert (pair.stage.role_changes(JETSON), pair.stage.role_changes(PI)) == changes
    assert not pair.told("store_lost", PI)
    pair.judge()


def test_all_stores_flushed_while_trading(pair: Pair) -> None:
    """R11: tombstones everywhere are answered by re-asserting; the journal is pushed again."""
    pair.open()
    pair.fill_some()
    for store in pair.stage.stores:
        flush(store)

    pair.wait(lambda: is_repaired(pair), "every store to be repaired")
    holder, epoch = pair.holders()[0]
    assert epoch == max(pair.epochs(JETSON) + pair.epochs(PI))
    pair.wait(lambda: pair.is_active(holder), "the holder to be active")
    assert not all(pair.is_active(node) for node in (JETSON, PI))
    pair.wait_order(holder)
    pair.judge()


def test_all_stores_killed_and_restarted_empty(pair: Pair) -> None:
    """S6, S3: what the stores forget comes back from the disks, a pause and positions included."""
    pair.open()
    pair.fill_some()
    paused = pair.stage.nodectl("pause", "--reason", "the owner looks")
    assert paused.returncode == 0, paused.stderr
    since = pair.stage.role_changes(JETSON)
    for store in pair.stage.stores:
        store.kill()
    pair.stage.wait_role(JETSON, "standby", since=since, timeout_s=90)
    for store in pair.stage.stores:
        store.restart()

    pair.wait(lambda: all("pause" in kinds for kinds in pair.latches()), "the pause in each store")
    pair.wait(
        lambda: all(_is_paused(pair, node) for node in (JETSON, PI)), "both nodes to be paused"
    )
    assert pair.epochs(PI) == []
    resumed = pair.stage.nodectl("resume")
    assert resumed.returncode == 0, resumed.stderr + pair.stage.last_words()

    holder = pair.wait(
        lambda: next((n for n in (JETSON, PI) if pair.is_active(n)), None), "somebody to trade"
    )
    pair.wait_order(holder)
    assert pair.epochs(holder)[-1] > 1
    pair.wait(lambda: is_repaired(pair), "every store to be repaired")
    pair.judge()


def _is_paused(pair: Pair, node_id: str) -> bool:
    reasons = pair.member(node_id).get("reasons", ())
    return any("the owner looks" in str(reason) for reason in reasons)
