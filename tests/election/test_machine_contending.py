"""How a contender asks for the lease, and when it does not (R7)."""

import pytest

from election.model import (
    Anomaly,
    Identity,
    NodeId,
    StoreName,
    WriteId,
)
from election.signals import (
    EligibilitySet,
    EpochNotStored,
    EpochStored,
    Tick,
    Verb,
)
from election.standing import Phase
from tests.support.lease_bench import Bench

# --- asking (R7, R13) ---------------------------------------------------------------------------


def test_nothing_is_written_before_a_majority_is_takeable() -> None:
    """H16: one stale store of three is no reason to write."""
    bench = Bench(3)
    for store in "xyz":
        bench.rival_takes(store, 4)
    for _ in range(40):
        bench.run(0.5)
        bench.rival_renews("x", 4)
        bench.rival_renews("y", 4)
    assert set(bench.verbs()) == {Verb.OBSERVE}


def test_contender_cut_from_two_stores_spoils_not_the_third() -> None:
    """H16: a remembered record is not a reason to write; the store must answer now."""
    bench = Bench(3)
    for store in "xyz":
        bench.rival_takes(store, 4)
    bench.run(1)
    bench.stores[StoreName("x")].set_down(True)
    bench.stores[StoreName("y")].set_down(True)
    bench.run(30)
    assert bench.record("z").nonce == bench.rival.nonce
    assert Verb.ACQUIRE not in bench.verbs()


def test_only_takeable_stores_are_asked() -> None:
    """R13: compare-and-set on the takeable ones only."""
    bench = Bench(3)
    bench.run(5)
    bench.rival_takes("z", 4)
    bench.run(2)
    assert bench.is_open()
    assert bench.verbs("z").count(Verb.ACQUIRE) == 0
    assert bench.record("z").nonce == bench.rival.nonce


@pytest.mark.parametrize(
    ("disk", "floor", "seen", "expected"),
    [
        pytest.param(0, 0, 0, 1, id="first of all"),
        pytest.param(9, 0, 4, 10, id="the disk knows more"),
        pytest.param(2, 0, 4, 5, id="the record knows more"),
        pytest.param(2, 40, 4, 41, id="the venue knows more (H9)"),
    ],
)
def test_epoch_is_above_everything_known(disk: int, floor: int, seen: int, expected: int) -> None:
    """R7: epoch = max(disk, every record's max_epoch seen, floor) + 1."""
    bench = Bench(disk=disk, floor=floor)
    if seen:
        bench.rival_takes("x", seen)
    bench.run(8)
    assert bench.permit.epoch == expected


def test_epoch_seen_in_a_lost_life_still_counts() -> None:
    """R7: an epoch seen once is remembered although the store lost it."""
    bench = Bench()
    bench.rival_takes("x", 30)
    bench.run(1)
    bench.stores[StoreName("x")].restart(keep=False)
    bench.run(9)
    assert bench.permit.epoch == 31


def test_no_store_is_asked_before_the_epoch_is_durable() -> None:
    """R7: fsync before the compare-and-set."""
    bench = Bench()
    bench.disk_works = False
    bench.run(10)
    assert bench.is_in(Phase.PERSISTING)
    assert Verb.ACQUIRE not in bench.verbs()
    bench.feed(EpochStored(epoch=bench.asked_epochs[-1]))
    bench.deliver()
    assert bench.is_open()


def test_takeable_is_checked_again_after_the_disk() -> None:
    """A slow disk: what was takeable may have been taken meanwhile."""
    bench = Bench()
    bench.disk_works = False
    bench.run(7)
    bench.rival_takes("x", 4)
    bench.run(1)
    bench.feed(EpochStored(epoch=bench.asked_epochs[-1]))
    assert bench.is_in(Phase.CONTENDING)
    assert Verb.ACQUIRE not in bench.verbs()


def test_epoch_that_is_not_durable_is_told_once_and_tried_again() -> None:
    """Scenario 41: not eligible while the disk is broken, and again when it is not."""
    bench = Bench()
    bench.disk_works = False
    for _ in range(3):
        bench.run(8)
        bench.feed(EpochNotStored(epoch=bench.asked_epochs[-1], error="disk full"))
    assert [e.code for e in bench.of(Anomaly) if isinstance(e, Anomaly)] == ["epoch_file"]
    assert any("disk full" in r for r in bench.machine.view(bench.clock.now()).ineligible)
    bench.disk_works = True
    bench.run(8)
    assert bench.is_open()
    assert bench.machine.view(bench.clock.now()).ineligible == ()


def test_contender_without_progress_does_not_ask() -> None:
    """R8: a hung work loop must not be given the lease."""
    bench = Bench()
    bench.works = False
    bench.run(20)
    assert not bench.asked_epochs


def test_ineligible_node_watches_only() -> None:
    """R7: only an eligible node asks."""
    bench = Bench()
    bench.feed(EligibilitySet(reasons=("paused",)))
    bench.run(20)
    assert set(bench.verbs()) == {Verb.OBSERVE}


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        pytest.param(
            Identity(cluster_id="other", config_id="x", node_id=NodeId("n"), nonce="n"),
            "foreign_cluster",
            id="another cluster's record",
        ),
        pytest.param(
            Identity(cluster_id="c", config_id="other", node_id=NodeId("n"), nonce="n"),
            "other_config",
            id="another store list",
        ),
    ],
)
def test_foreign_record_is_never_written(identity: Identity, code: str) -> None:
    """R11, R3: a foreign cluster or another configuration: never write, tell once."""
    bench = Bench()
    bench.stores[StoreName("x")].observe(identity=identity, new_wid=WriteId("w"))
    bench.run(30)
    assert set(bench.verbs()) == {Verb.OBSERVE}
    assert [e.code for e in bench.of(Anomaly) if isinstance(e, Anomaly)] == [code]
    assert bench.machine.view(bench.clock.now()).takeover_in_s is None


def test_nothing_is_asked_for_while_a_write_of_the_last_grant_is_under_way() -> None:
    """A node contends again only when its former grant is settled (R7, kernel fence)."""
    bench = Bench().hold()
    assert bench.permit.begin_write(epoch=bench.permit.epoch, needed_s=0.1)
    bench.stores[StoreName("x")].set_down(True)
    bench.run(6)
    assert bench.is_in(Phase.CONTENDING)
    bench.stores[StoreName("x")].set_down(False)
    bench.asked_epochs.clear()

    bench.run(20)
    assert bench.asked_epochs == []

    bench.permit.end_write()
    bench.run(10)
    assert bench.is_open()


# --- small steps that only a mutant would take --------------------------------------------------


def test_node_whose_work_loop_never_began_does_not_contend() -> None:
    """No progress yet is no progress (R8); the reason is told."""
    bench = Bench()
    told = bench.machine.view(bench.clock.now()).ineligible
    assert "the work loop has not completed a step yet" in told
    for _ in range(40):
        bench.clock.advance(0.25)
        bench.feed(Tick(progress_at=None, progress_label="", is_settled=True))
        bench.deliver()
    assert bench.asked_epochs == []


def test_epoch_that_another_was_granted_meanwhile_is_not_asked_for() -> None:
    """While the disk wrote, somebody else was granted the very epoch, and released it (R7)."""
    bench = Bench()
    bench.disk_works = False
    bench.run(8)
    asked = bench.asked_epochs[-1]
    bench.rival_takes("x", asked)
    bench.rival_releases("x", asked)
    bench.clock.advance(1.0)
    bench.tick()
    bench.deliver()
    bench.log.clear()

    bench.feed(EpochStored(epoch=asked))

    assert Verb.ACQUIRE not in bench.verbs()
    assert bench.is_in(Phase.CONTENDING)
