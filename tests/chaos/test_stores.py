"""Stores fail in every way under a trading pair (scenarios 12-19, 26; R11, R13).

The store under attack is another one each time, so that the leader's own, the spare's own and the
witness all have their turn; `make chaos-soak` does every attack to every store.
"""

import itertools
from collections.abc import Callable

import pytest

from node.demo.stores import StoreServer
from tests.chaos import lab_stores
from tests.chaos.conftest import LabMaker
from tests.chaos.lab import Lab
from tests.support.pair import ETH, JETSON, PI, TTL_S, plan_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STILL_S = 1.5 * TTL_S

Attack = Callable[[Lab, StoreServer], None]


def kill(lab: Lab, store: StoreServer) -> None:
    """13, 26: killed, back with nothing."""
    lost = len(lab.pair.events(JETSON, "store.lost"))
    store.kill()
    lab.pair.wait_event(JETSON, "store.lost", store=store.name, since=0)
    assert len(lab.pair.events(JETSON, "store.lost")) > lost
    lab.hold_still(STILL_S)
    store.restart()


def restart_with_data(_lab: Lab, store: StoreServer) -> None:
    """12: restarted with what it knew a moment ago."""
    store.save()
    store.restart(keep=True)


def freeze(lab: Lab, store: StoreServer) -> None:
    """18: stopped for longer than a ttl; its connections stay open."""
    with lab_stores.frozen(store):
        lab.hold_still(STILL_S)


def flush(_lab: Lab, store: StoreServer) -> None:
    """16: emptied while it runs."""
    lab_stores.flush(store)


def flush_twice_within_a_ttl(lab: Lab, store: StoreServer) -> None:
    """16: emptied, seen by a node (a tombstone or a record stands there), emptied again."""
    lab_stores.flush(store)
    lab.pair.wait(lambda: _has_record(lab, store), "a record after the first time")
    lab_stores.flush(store)


def restart_empty(_lab: Lab, store: StoreServer) -> None:
    """13: killed and back at once, with nothing."""
    store.restart()


def run_out_of_memory(lab: Lab, store: StoreServer) -> None:
    """19: OOM on every write."""
    with lab_stores.full(store):
        lab.hold_still(STILL_S)


def lock_out(lab: Lab, store: StoreServer) -> None:
    """19: another password."""
    with lab_stores.other_password(store, "not-ours"):
        lab.hold_still(STILL_S)


def become_a_replica(lab: Lab, store: StoreServer) -> None:
    """19: READONLY; a replica's answers are not trusted."""
    with lab_stores.read_only(store):
        lab.hold_still(STILL_S)


ATTACKS: tuple[Attack, ...] = (
    kill,
    restart_with_data,
    freeze,
    flush,
    flush_twice_within_a_ttl,
    restart_empty,
    run_out_of_memory,
    lock_out,
    become_a_replica,
)


@pytest.mark.parametrize(
    "shift", [0, pytest.param(1, marks=pytest.mark.soak), pytest.param(2, marks=pytest.mark.soak)]
)
def test_one_store_at_a_time(lab: Lab, shift: int) -> None:
    """L1: whatever one store does, the leader leads on, the store is mended, nobody takes over."""
    lab.pair.open()
    before = lab.role_changes()
    victims = itertools.islice(itertools.cycle(lab.stage.stores), shift, None)
    for attack, store in zip(ATTACKS, victims, strict=False):
        lab.pair.story.say(f"{attack.__name__}: {store.name}")
        attack(lab, store)
        lab.pair.wait(lambda: is_repaired(lab), f"{store.name} to be repaired")
        lab.pair.wait_order(JETSON)
        lab.pair.story.wait_spare(PI)
        assert lab.role_changes() == before
    assert lab.pair.epochs(JETSON) == [1]
    assert lab.pair.epochs(PI) == []
    lab.judge()


@pytest.mark.parametrize("count", [1, 3])
def test_only_store_or_all_at_once(make_lab: LabMaker, count: int) -> None:
    """R11: a leader whose validity is good re-asserts over whatever a store came back with.

    14, 15: also over an older "released" record, which a spare would take at once if it
    trusted what another life of the store has written.
    """
    lab = make_lab(plan_of(stores=count))
    lab.pair.start(JETSON)
    lab.pair.wait_active(JETSON)
    assert lab.stage.nodes[JETSON].stop(60.0) == 0
    released = [lab_stores.dump_of(store) for store in lab.stage.stores]
    epoch = lab.open_anew()

    before = lab.role_changes()
    for attack in (restart_with_data, restart_empty, flush, flush_twice_within_a_ttl):
        lab.pair.story.say(attack.__name__)
        for store in lab.stage.stores:
            attack(lab, store)
        _still_leads(lab, epoch)
    lab.pair.story.say("rolled back past the acquisition")
    for store, dump in zip(lab.stage.stores, released, strict=True):
        lab_stores.roll_back(store, dump)
    _still_leads(lab, epoch)
    assert lab.role_changes() == before
    lab.judge()


def _still_leads(lab: Lab, epoch: int) -> None:
    lab.pair.wait(lambda: is_repaired(lab), "every store to be repaired")
    assert set(lab.pair.holders()) == {(JETSON, epoch)}
    lab.pair.wait_order(JETSON)
    lab.pair.story.wait_spare(PI)


def test_each_store_away_in_turn(lab: Lab) -> None:
    """26, store alternating: never two away at once, each at some time; the leader leads on."""
    lab.pair.open()
    before = lab.role_changes()
    for store in lab.stage.stores:
        kill(lab, store)
        lab.pair.wait(lambda: is_repaired(lab), f"{store.name} to be repaired")
        lab.pair.wait_order(JETSON)
    assert lab.role_changes() == before
    lab.judge()


def test_two_stores_away(lab: Lab) -> None:
    """26, S1: without a majority the leader stops by itself; trading resumes with one back."""
    lab.pair.open()
    first, second, _ = lab.stage.stores
    first.kill()
    second.kill()
    lab.pair.wait_event(JETSON, "lease.lapsed")
    lab.hold_idle(STILL_S)
    lab.pair.wait_told("nobody_trades")
    first.restart()
    leader = lab.pair.wait(lab.leader, "somebody to trade again")
    lab.pair.wait_order(leader)
    second.restart()
    lab.wait_pair()
    lab.judge()


def test_all_stores_frozen(lab: Lab) -> None:
    """18: all stores stand still longer than a ttl: the leader stops, and one leads afterwards."""
    lab.pair.open()
    with (
        lab_stores.frozen(lab.stage.stores[0]),
        lab_stores.frozen(lab.stage.stores[1]),
        lab_stores.frozen(lab.stage.stores[2]),
    ):
        lab.pair.wait_event(JETSON, "lease.lapsed")
        lab.hold_idle(STILL_S)
    leader = lab.pair.wait(lab.leader, "somebody to trade again")
    lab.pair.wait_order(leader)
    lab.wait_pair()
    lab.judge()


def _has_record(lab: Lab, store: StoreServer) -> bool:
    return any(s.record is not None for s in lab.stage.peek().stores if s.name == store.name)


def is_repaired(lab: Lab) -> bool:
    """Tell whether every store answers with the journal and one and the same holder."""
    holders = lab.pair.holders()
    return (
        len(holders) == len(lab.stage.stores)
        and len(set(holders)) == 1
        and all(f"state:{ETH}" in documents for documents in lab.pair.documents())
    )
