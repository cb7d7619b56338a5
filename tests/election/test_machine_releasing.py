"""A holder that gives the lease away (R10)."""

from election.model import (
    LeaseState,
    Released,
    StoreName,
)
from election.signals import ReleaseAsked
from tests.support.lease_bench import Bench

X = StoreName("x")


def release(bench: Bench, *, drain_ms: int = 0, reserved_for: str = "") -> None:
    """Give the lease away as the node does: gate closed and drained before."""
    bench.permit.close(reason="switchover")
    bench.feed(ReleaseAsked(drain_ms=drain_ms, reserved_for=reserved_for, reason="switchover"))


def test_release_is_written_and_told() -> None:
    """R10: state, drain and reservation are in every store; `Released` says acknowledged."""
    bench = Bench(3).hold()
    epoch = bench.permit.epoch
    release(bench, drain_ms=700, reserved_for="pi")
    bench.deliver()
    assert bench.of(Released) == [Released(epoch=epoch, was_acknowledged=True)]
    for store in "xyz":
        record = bench.record(store)
        assert (record.state, record.drain_ms, record.reserved_for) == (
            LeaseState.RELEASED,
            700,
            "pi",
        )


def test_release_to_dead_stores_is_told_as_unacknowledged() -> None:
    """The node must hear how it ended, within a ttl."""
    bench = Bench().hold()
    bench.stores[X].set_down(True)
    release(bench)
    bench.run(7)
    assert [e.was_acknowledged for e in bench.of(Released) if isinstance(e, Released)] == [False]


def test_lost_release_is_repeated() -> None:
    """Scenario 20: the release reply, or the release itself, is lost."""
    bench = Bench().hold()
    release(bench)
    bench.lose()
    bench.run(0.5)
    assert [e.was_acknowledged for e in bench.of(Released) if isinstance(e, Released)] == [True]
    assert bench.record().state is LeaseState.RELEASED


def test_late_release_of_an_older_life_is_refused() -> None:
    """Scenario 17, H5: the release is bound to the life in which the lease was held."""
    bench = Bench().hold()
    snapshot = bench.stores[X].snapshot()
    release(bench)
    bench.stores[X].rollback(snapshot)
    bench.deliver()
    assert bench.record().state is LeaseState.HELD


def test_released_node_leaves_others_the_first_turn() -> None:
    """R10, R15: to continue it acquires a new epoch, after the grace."""
    bench = Bench().hold()
    first = bench.permit.epoch
    release(bench)
    bench.run(1.75)
    assert not bench.is_open()
    bench.run(1.0)
    assert bench.is_open()
    assert bench.permit.epoch > first


def test_release_behind_a_renewal_under_way_is_still_the_last_word() -> None:
    """R10: irrevocable; the renewal's acknowledgement counts for nothing."""
    bench = Bench().hold()
    bench.clock.advance(1.0)
    bench.tick()  # a renewal is under way
    release(bench)
    bench.deliver()
    assert not bench.is_open()
    assert bench.record().state is LeaseState.RELEASED


def test_release_without_a_grant_gives_nothing_away() -> None:
    """A release that comes too late finds nothing of ours."""
    bench = Bench()
    bench.rival_takes("x", 4)
    bench.run(1)
    release(bench)
    bench.deliver()
    assert bench.record().nonce == bench.rival.nonce
    assert bench.record().state is LeaseState.HELD


def test_release_is_repeated_for_one_ttl_and_no_longer() -> None:
    """After one ttl the record has run out by itself: the node hears that nobody said yes (R10)."""
    bench = Bench().hold()
    bench.stores[StoreName("x")].set_down(True)
    bench.permit.close(reason="switchover")
    bench.feed(ReleaseAsked(drain_ms=0, reserved_for="", reason="switchover"))
    bench.run(5.5)
    assert bench.of(Released) == []
    bench.run(1.0)
    assert [e.was_acknowledged for e in bench.of(Released) if isinstance(e, Released)] == [False]
