"""Small duties of the lease machine that random mutants could drop: pace, words, epochs."""

from dataclasses import replace

import pytest

from election.holding import describe_lapse
from election.model import (
    Reincarnated,
    StoreLost,
    StoreName,
)
from election.signals import (
    EpochNotStored,
    EpochStored,
    Failed,
    FloorRaised,
    Verb,
)
from election.standing import Phase
from tests.support.lease_bench import Bench, anomalies, asking, takeover_in_s

X = StoreName("x")


# --- pace -----------------------------------------------------------------------------------------


def test_contender_looks_every_observe_ms() -> None:
    """R5: not rarer, and not busier, than configured."""
    bench = Bench()
    bench.run(1)
    bench.log.clear()
    bench.run(5)
    assert bench.verbs().count(Verb.OBSERVE) == 10


def test_released_record_is_asked_for_in_the_same_step() -> None:
    """A switchover does not wait for a tick."""
    bench = Bench()
    bench.rival_takes("x", 3)
    bench.run(1)
    bench.rival_releases("x", 3)
    bench.clock.advance(0.5)
    bench.tick()
    bench.deliver()
    assert bench.asked_epochs == [4]


def test_disk_that_failed_is_tried_again_after_a_wait() -> None:
    """A full disk may be emptied, but is not hammered."""
    bench = Bench()
    bench.disk_works = False
    bench.run(8)
    (asked,) = bench.asked_epochs
    bench.feed(EpochNotStored(epoch=asked, error="full"))
    bench.run(2.5)
    assert len(bench.asked_epochs) == 1
    bench.run(4)
    assert len(bench.asked_epochs) == 2


def test_contender_whose_disk_refused_looks_on_at_once() -> None:
    """The stores are kept free for an attempt only while one is about to come."""
    bench = Bench()
    bench.disk_works = False
    bench.run(6)
    while not bench.asked_epochs:
        bench.run(0.25)
    bench.feed(EpochNotStored(epoch=bench.asked_epochs[0], error="full"))
    bench.log.clear()
    bench.run(0.5)
    assert Verb.OBSERVE in bench.verbs()


def test_stores_are_kept_free_for_an_attempt_for_one_timeout() -> None:
    """A healthy disk is quick; behind one that stalls the looks go on."""
    bench = Bench()
    bench.disk_works = False
    bench.run(6)
    while not bench.asked_epochs:
        bench.run(0.25)
    bench.log.clear()
    bench.run(0.75)
    assert bench.log == []
    bench.run(0.25)
    assert bench.verbs() == [Verb.OBSERVE]


def test_restarted_store_is_mended_within_the_round_that_noticed() -> None:
    """R11: a refusal showed what is there; the holder need not wait for its next renewal."""
    bench = Bench().hold()
    bench.stores[X].restart(keep=True)
    bench.clock.advance(1.0)
    bench.tick()
    bench.deliver()
    record = bench.record()
    assert (record.inc, record.reason) == (bench.look().inc, "reassert")
    assert len(bench.of(Reincarnated)) == 1


def test_record_put_back_by_a_lost_answer_is_told_all_the_same() -> None:
    """The store forgot the journal with the record: it must be pushed there again (R11)."""
    bench = Bench().hold()
    bench.stores[X].flush()
    bench.clock.advance(1.0)
    bench.tick()
    (renewal,) = bench.waiting
    bench.deliver_one(renewal)
    assert [call.verb for call in bench.waiting] == [Verb.REASSERT]
    bench.deliver(is_reply_lost=True)
    bench.run(2.5)
    assert bench.is_open()
    assert bench.of(Reincarnated) == [Reincarnated(name=X)]


def test_third_store_that_answers_after_the_grant_is_no_new_life() -> None:
    """It did not forget anything; every grant would push the whole journal twice."""
    bench = asking(Bench(3))
    bench.deliver("x")
    bench.deliver("y")
    assert bench.is_in(Phase.HOLDING)
    bench.deliver("z")
    bench.run(3)
    assert bench.of(Reincarnated) == []


# --- epochs (R7) ----------------------------------------------------------------------------------


def test_epoch_is_never_asked_for_twice_although_no_store_saw_it() -> None:
    """An attempt whose messages were all lost has used its epoch up."""
    bench = Bench()
    bench.disk_works = False
    bench.run(8)
    (asked,) = bench.asked_epochs
    bench.feed(EpochStored(epoch=asked))
    assert Verb.ACQUIRE in bench.verbs()
    bench.lose()
    bench.disk_works = True
    bench.stores[X].set_down(True)
    bench.run(8)
    bench.stores[X].set_down(False)
    bench.run(20)
    assert len(bench.asked_epochs) > 1
    assert bench.asked_epochs == sorted(set(bench.asked_epochs))


def test_epoch_on_disk_counts_although_nobody_waited_for_it() -> None:
    """An answer of the disk that came too late still used the epoch up."""
    bench = Bench()
    bench.feed(EpochStored(epoch=7))
    bench.run(8)
    assert bench.asked_epochs == [8]
    assert bench.machine.max_epoch == 8


# --- what is seen and told ------------------------------------------------------------------------


def test_tombstone_is_waited_for_as_long_as_the_longest_ttl_seen() -> None:
    """R6: the record with the longer ttl was wiped; its holder may still trade."""
    bench = Bench()
    bench.rival_takes("x", 3, ttl_ms=12_000)
    bench.run(1)
    bench.stores[X].flush()
    bench.run(0.5)
    assert takeover_in_s(bench) > 11.5


def test_view_says_whose_it_is() -> None:
    """For status pages and the work loop."""
    bench = Bench()
    bench.tick()
    assert bench.machine.view(bench.clock.now()).is_mine is False
    bench.hold()
    view = bench.machine.view(bench.clock.now())
    assert view.is_mine is True
    assert 4.8 < view.valid_for_s < 5.88  # ttl·(1-d) less what passed since the last round
    bench.stores[X].set_down(True)
    bench.run(3)
    left_s = bench.machine.view(bench.clock.now()).valid_for_s
    assert left_s == pytest.approx(view.valid_for_s - 3)
    bench.clock.advance(10)
    assert bench.machine.view(bench.clock.now()).valid_for_s == 0


def test_highest_epoch_is_the_one_seen_or_known_whichever_is_higher() -> None:
    """What the other node and the standby's floor are told (R7)."""
    bench = Bench(disk=4)
    bench.rival_takes("x", 9)
    bench.run(1)
    assert bench.machine.max_epoch == 9
    bench.feed(FloorRaised(epoch=12))
    assert bench.machine.max_epoch == 12


def test_lapse_says_of_each_store_what_was_wrong_there() -> None:
    """Silent, another's, forgotten, or answered too late: each is mended in another way."""
    bench = Bench(3).hold()
    world, now = bench.machine._world, bench.clock.now()
    bench.rival_takes("y", 9)
    world.observed[StoreName("x")].note_failure("timeout")
    world.observed[StoreName("y")].note_reply(bench.look("y"), sent=now, received=now)
    said = describe_lapse(world, "")
    assert said.endswith("; x: timeout; y: names rival; z: answered, but too late to count")
    bench.stores[StoreName("y")].flush()
    world.observed[StoreName("y")].note_reply(bench.look("y"), sent=now, received=now)
    assert "y: names nobody" in describe_lapse(world, "")
    assert describe_lapse(world, "the work loop hung") == "the work loop hung"


def test_gap_is_measured_from_the_grant_on() -> None:
    """R8: also the wait for the very first renewal may be too long."""
    bench = asking(Bench())
    bench.deliver()
    assert bench.is_in(Phase.HOLDING)
    bench.machine.view(bench.clock.now())
    bench.clock.advance(2.0)
    assert bench.machine.view(bench.clock.now()).longest_gap_s == pytest.approx(2.0)


def test_store_of_another_cluster_is_told_as_lost() -> None:
    """R11: never written, and a person hears why."""
    bench = Bench()
    bench.rival_takes("x", 3)
    bench.run(1)
    store = bench.stores[X]
    assert store._record is not None
    store._record = replace(store._record, cluster_id="somebody")
    bench.run(1)
    assert [e.name for e in bench.of(StoreLost) if isinstance(e, StoreLost)] == [X]
    assert anomalies(bench) == ["foreign_cluster"]


def test_standby_hears_of_a_store_that_began_another_life() -> None:
    """A standby's copy of the journal must not rely on a store that forgot it."""
    bench = Bench()
    bench.run(1)
    bench.stores[X].restart(keep=True)
    bench.run(1)
    assert len(bench.of(Reincarnated)) == 1


def test_timeout_of_a_call_that_was_answered_is_no_failure() -> None:
    """A timer that fires late must not make a store that answers look lost."""
    bench = Bench()
    bench.run(1)
    for call in list(bench.log):
        bench.feed(Failed(call=call, error="timeout"))
    assert bench.of(StoreLost) == []
    assert bench.machine._world.observed[X].failures == 0
