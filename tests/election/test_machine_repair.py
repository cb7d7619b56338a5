"""A holder whose stores change under it: records put back, later epochs, foreign ones (R8, R11)."""

import pytest

from election.model import (
    Deposed,
    Identity,
    Lapsed,
    LeaseState,
    NodeId,
    Reincarnated,
    StoreName,
    WriteId,
)
from election.signals import FloorRaised, Verb
from election.standing import Phase
from tests.support.lease_bench import STEP_S, Bench

X = StoreName("x")


@pytest.mark.parametrize("stores", [1, 3])
@pytest.mark.parametrize(
    "loss", ["restart kept", "restart wiped", "flush", "flush twice", "rolled back to a rival"]
)
def test_holder_puts_its_record_back(stores: int, loss: str) -> None:
    """R8, R11: re-assert while validity is good, under the same epoch."""
    bench = Bench(stores)
    bench.rival_takes("x", 3)
    older = bench.stores[X].snapshot()
    bench.hold()
    epoch = bench.permit.epoch
    store = bench.stores[X]
    match loss:
        case "restart kept":
            store.restart(keep=True)
        case "restart wiped":
            store.restart(keep=False)
        case "flush":
            store.flush()
        case "flush twice":
            store.flush()
            bench.run(0.5)
            store.flush()
        case _:
            store.rollback(older)
    bench.run(2.5)
    assert bench.is_open()
    assert bench.permit.epoch == epoch
    record = bench.record()
    assert (record.state, record.epoch, record.nonce) == (LeaseState.HELD, epoch, bench.me.nonce)
    assert record.inc == bench.look().inc
    assert bench.machine.incarnations()[X] == bench.look().inc
    assert not bench.of(Lapsed)


def test_new_life_is_told_after_the_record_is_back() -> None:
    """The ledger is pushed again, and each store checks the lease record first."""
    bench = Bench(3).hold()
    bench.stores[X].restart(keep=False)
    bench.run(2)
    assert bench.of(Reincarnated) == [Reincarnated(name=X)]


def test_minority_store_is_repaired_only_when_takeable() -> None:
    """R13: a store that this grant never held is left alone until its record may be taken."""
    bench = Bench(3)
    bench.run(5)
    bench.rival_takes("z", 2)
    bench.run(3)
    assert bench.is_open()
    assert bench.record("z").nonce == bench.rival.nonce
    bench.rival_releases("z", 2)  # the rival gave its attempt up
    bench.run(2)
    assert bench.record("z").nonce == bench.me.nonce


@pytest.mark.parametrize("epoch", [1, 7], ids=["same epoch", "higher epoch"])
def test_lost_race_in_a_minority_store_is_repaired(epoch: int) -> None:
    """Both asked at once; the loser released what it had won: the holder repairs it."""
    bench = Bench(3)
    while not bench.is_in(Phase.ACQUIRING):
        bench.clock.advance(STEP_S)
        bench.tick()
        for call in [c for c in bench.waiting if c.verb is Verb.OBSERVE]:
            bench.deliver_one(call)
    bench.rival_takes("z", epoch)
    bench.deliver()
    assert bench.is_open()
    bench.rival_releases("z", epoch)
    bench.run(3)
    record = bench.record("z")
    assert (record.nonce, record.epoch) == (bench.me.nonce, bench.permit.epoch)
    assert record.max_epoch >= epoch
    assert not bench.of(Deposed)


def test_higher_epoch_in_one_store_deposes_a_holder_of_one() -> None:
    """R8: a holder with a higher epoch in the reply: stop now."""
    bench = Bench().hold()
    bench.rival_takes("x", 50)
    bench.run(1.25)
    assert not bench.is_open()
    (deposed,) = bench.of(Deposed)
    assert isinstance(deposed, Deposed)
    assert (deposed.by_epoch, deposed.by_node) == (50, "rival")
    assert bench.fence.is_armed() is False


def test_higher_epoch_in_one_of_three_does_not_depose() -> None:
    """R8: majority: in two stores."""
    bench = Bench(3).hold()
    bench.rival_takes("x", 50)
    bench.run(5)
    assert bench.is_open()
    assert bench.record("x").nonce == bench.rival.nonce
    bench.rival_takes("y", 50)
    bench.run(1.25)
    assert not bench.is_open()
    assert len(bench.of(Deposed)) == 1


def test_foreign_cluster_in_a_store_is_never_overwritten() -> None:
    """R11: never write, alert; the others carry the lease."""
    bench = Bench(3).hold()
    bench.stores[X].flush()
    other = Identity(cluster_id="other", config_id="x", node_id=NodeId("n"), nonce="n")
    bench.stores[X].observe(identity=other, new_wid=WriteId("w"))
    bench.run(20)
    assert bench.is_open()
    seen = bench.stores[X].observe(identity=other, new_wid=WriteId("w2"))
    assert seen.record is not None
    assert seen.record.cluster_id == "other"
    assert X not in bench.machine.incarnations()


def test_venue_floor_above_the_epoch_ends_the_grant() -> None:
    """Seeing a higher epoch at the venue means deposed, whatever the stores say."""
    bench = Bench().hold()
    bench.feed(FloorRaised(epoch=bench.permit.epoch))
    assert bench.is_open()  # our own orders
    bench.feed(FloorRaised(epoch=90))
    assert not bench.is_open()
    assert len(bench.of(Lapsed)) == 1
