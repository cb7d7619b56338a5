"""Attempts: answers lost or late, stores that refuse, and what gives an attempt up (R7, R13)."""

from dataclasses import replace

import pytest

from election.model import (
    Granted,
    LeaseState,
    StoreName,
)
from election.signals import (
    EligibilitySet,
    FloorRaised,
    ReleaseAsked,
    Verb,
)
from election.standing import Phase
from tests.support.lease_bench import Bench, anomalies, asking, someone


def begin(bench: Bench) -> None:
    """Run until the compare-and-sets are waiting to be sent."""
    while not bench.is_in(Phase.ACQUIRING):
        bench.clock.advance(0.25)
        bench.tick()
        for call in [c for c in bench.waiting if c.verb is Verb.OBSERVE]:
            bench.deliver_one(call)


def test_lost_acquire_reply_is_read_back_and_renewed_first() -> None:
    """R7: lead only after a renewal that was sent after the read-back was acknowledged."""
    bench = Bench()
    begin(bench)
    bench.deliver(is_reply_lost=True)
    assert not bench.is_open()
    bench.log.clear()
    bench.clock.advance(0.25)
    bench.tick()
    bench.deliver()
    assert bench.verbs()[:2] == [Verb.OBSERVE, Verb.RENEW]
    assert bench.is_open()
    assert bench.permit.remaining_s() == pytest.approx(4.4, abs=0.01)


def test_lost_acquire_request_is_given_up() -> None:
    """R7: read back, not ours: the attempt ends; the next one waits and has a higher epoch."""
    bench = Bench()
    begin(bench)
    bench.lose()
    bench.clock.advance(0.25)
    bench.tick()
    bench.deliver()
    assert bench.is_in(Phase.CONTENDING)
    assert not bench.is_open()
    first = bench.asked_epochs[-1]
    bench.run(3)  # chance 0.5: 0.6 ttl of back-off
    assert bench.asked_epochs[-1] == first
    bench.run(1.5)
    assert bench.is_open()
    assert bench.permit.epoch > first


def test_partial_attempt_is_released_everywhere() -> None:
    """R7, H15: without a majority the epoch is given up in every store that may have it."""
    bench = Bench(3)
    begin(bench)
    bench.rival_takes("y", 9)
    bench.rival_takes("z", 9)
    bench.deliver()
    assert bench.is_in(Phase.CONTENDING)
    assert bench.record("x").state is LeaseState.RELEASED
    assert bench.record("y").nonce == bench.rival.nonce
    assert not bench.of(Granted)


def test_acknowledgement_of_an_abandoned_attempt_is_never_counted() -> None:
    """R7: abandoning is irrevocable, however good the late news."""
    bench = Bench()
    begin(bench)
    (late,) = bench.waiting
    bench.clock.advance(5.0)
    bench.tick()  # too late for a gate: given up
    assert bench.is_in(Phase.CONTENDING)
    bench.deliver_one(late)
    assert not bench.is_open()
    assert bench.is_in(Phase.CONTENDING)
    bench.deliver()
    assert bench.record().state is LeaseState.RELEASED
    assert not bench.of(Granted)


def test_acknowledgement_that_comes_past_the_gate_does_not_open() -> None:
    """R7: if validity is over on arrival, abandon."""
    bench = Bench()
    begin(bench)
    (late,) = bench.waiting
    bench.clock.advance(4.5)
    bench.deliver_one(late)
    assert not bench.is_open()
    assert not bench.of(Granted)
    bench.deliver()
    assert bench.record().state is LeaseState.RELEASED


def test_eligibility_lost_during_an_attempt_gives_it_up() -> None:
    """R7: eligible at the asking and at the having."""
    bench = Bench()
    begin(bench)
    bench.feed(EligibilitySet(reasons=("paused",)))
    bench.deliver()
    assert not bench.of(Granted)
    assert bench.record().state is LeaseState.RELEASED


def test_floor_raised_during_an_attempt_gives_it_up() -> None:
    """R7: too low: release, acquire again higher."""
    bench = Bench()
    begin(bench)
    bench.feed(FloorRaised(epoch=50))
    bench.deliver()
    assert not bench.of(Granted)
    bench.run(12)
    assert bench.permit.epoch == 51


X = StoreName("x")


def test_attempt_that_one_store_of_three_refuses_goes_on() -> None:
    """A rival was faster there: the two others decide."""
    bench = asking(Bench(3))
    bench.rival_takes("z", 9)
    bench.deliver("z")
    assert bench.is_in(Phase.ACQUIRING)
    bench.deliver()
    assert bench.is_in(Phase.HOLDING)


def test_attempt_that_two_stores_of_three_refuse_ends_at_once_and_is_told() -> None:
    """There is nothing to wait for; a person who asks why nobody leads reads the reason."""
    bench = asking(Bench(3))
    for store in "yz":
        bench.rival_takes(store, 9)
        bench.deliver(store)
    assert bench.is_in(Phase.CONTENDING)
    assert anomalies(bench) == ["attempt_abandoned"]


def test_attempt_is_not_released_where_another_cluster_is_now() -> None:
    """R11: such a store is never written, also not to give back what it had granted."""
    bench = asking(Bench(3))
    bench.deliver("x", is_reply_lost=True)
    for _ in range(4):  # x names this node; a look that is not of the attempt finds another cluster
        bench.lose("y")
        bench.lose("z")
        if any(call.verb is Verb.OBSERVE and not call.epoch for call in bench.waiting):
            break
        bench.deliver("x")
        bench.clock.advance(0.25)
        bench.tick()
    store = bench.stores[X]
    assert store._record is not None
    store._record = replace(store._record, cluster_id="somebody")
    bench.deliver("x")
    bench.feed(EligibilitySet(reasons=("the venue is away",)))
    bench.deliver()
    assert "attempt_abandoned" in anomalies(bench)
    assert Verb.RELEASE in bench.verbs("y")
    assert Verb.RELEASE not in bench.verbs("x")


def test_lost_answers_of_three_stores_are_renewed_by_the_first_two_that_are_read_back() -> None:
    """R7, R13: a round of one store could not be counted; the third one comes with the next."""
    bench = asking(Bench(3))
    bench.deliver(is_reply_lost=True)
    bench.clock.advance(0.25)
    bench.tick()
    for store in "xyz":
        (look,) = [call for call in bench.waiting if call.store == store]
        bench.deliver_one(look)
    renewed = [(call.store, call.round_id) for call in bench.log if call.verb is Verb.RENEW]
    assert renewed == [("x", 2), ("y", 2)]
    bench.deliver()
    assert bench.is_in(Phase.HOLDING)


def test_release_during_an_attempt_gives_it_up() -> None:
    """R10: whoever stops while it asks takes its question back."""
    bench = asking(Bench())
    bench.feed(ReleaseAsked(reason="stopping", reserved_for="", drain_ms=0))
    assert bench.is_in(Phase.CONTENDING)
    assert anomalies(bench) == ["attempt_abandoned"]


def test_late_answer_to_an_earlier_look_is_not_the_answer_to_this_one() -> None:
    """R4: two looks at one store differ in nothing but their number."""
    bench = Bench()
    bench.tick()
    (first,) = bench.waiting
    bench.lose()
    bench.run(0.25)
    bench.clock.advance(0.5)
    bench.tick()
    (second,) = bench.waiting
    bench.deliver_one(first)
    assert not bench.machine._world.calls.is_free(X)
    bench.deliver_one(second)
    assert bench.machine._world.calls.is_free(X)


def test_contenders_in_step_are_parted_by_chance() -> None:
    """R13: each is always first at another store; a wait of equal length would split for ever.

    Two boxes on one power strip, one of three stores down, each box nearest to its own store.
    """
    one = Bench(3)
    two = Bench(me=someone("other"), shared=one)
    one.chance, two.chance = 0.1, 0.9
    one.stores[StoreName("z")].set_down(True)
    for _ in range(120):
        one.clock.advance(0.25)
        for bench in (one, two):
            bench.tick()
        one.deliver("x")
        two.deliver("y")
        for bench in (one, two):
            bench.deliver()
    assert one.is_open() != two.is_open()
    assert anomalies(one).count("attempt_abandoned") == 1


def test_store_that_changes_all_the_time_is_asked_three_times_in_a_round() -> None:
    """A store that restarts in a loop must not keep the holder busy; the next round tries again."""
    bench = Bench(3).hold()
    bench.clock.advance(1.0)
    bench.tick()
    bench.deliver("x")
    bench.deliver("y")
    for _ in range(10):
        bench.stores[StoreName("z")].restart(keep=True)
        for call in [c for c in bench.waiting if c.store == "z"]:
            bench.deliver_one(call)
    assert bench.verbs("z") == [Verb.RENEW, Verb.REASSERT, Verb.REASSERT]
