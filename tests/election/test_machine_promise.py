"""The machine under a promise: trading on without a store, standing down, standing up (R14)."""

import pytest

from election.model import Deposed, Lapsed, LeaseState, NodeId, StoreName
from election.promise import Promise
from election.promises import HOLDS_OFF
from election.signals import PromiseDropped, PromiseTaken, StandDown, StandUp, Verb
from election.standing import Phase
from tests.support.lease_bench import Bench

X = StoreName("x")
TAKEABLE_S = 6.12


def promised(bench: Bench, epoch: int = 1) -> None:
    """The other node stands down for this bench's grant."""
    promise = Promise(
        promise_id="p1",
        by=NodeId("rival"),
        by_nonce=bench.rival.nonce,
        to=bench.me.node_id,
        to_nonce=bench.me.nonce,
        epoch=epoch,
    )
    bench.feed(PromiseTaken(promise=promise))


# --- the holder ---------------------------------------------------------------------------------


def test_holder_trades_on_without_the_store() -> None:
    """R14: the only other node has promised not to contend, so no acknowledgement is needed."""
    bench = Bench().hold()
    promised(bench)
    bench.stores[X].set_down(True)
    for _ in range(600):
        bench.run(1.0)
        assert bench.is_open()
    assert not bench.of(Lapsed)
    assert bench.fence.at_boot_s is not None
    assert bench.fence.at_boot_s <= bench.clock.boot_s + 5.4


def test_without_the_promise_it_stops() -> None:
    """The same outage ends a grant that rests on the store."""
    bench = Bench().hold()
    bench.stores[X].set_down(True)
    bench.run(8.0)
    assert bench.of(Lapsed)


def test_hung_work_loop_ends_the_grant_under_a_promise_too() -> None:
    """R8: a promise is no progress; the fence moves no more and the grant lapses."""
    bench = Bench().hold()
    promised(bench)
    bench.stores[X].set_down(True)
    bench.run(2.0)
    bench.works = False
    bench.run(5.2)
    fence_at_s = bench.fence.at_boot_s
    bench.run(4.0)
    assert fence_at_s is not None
    assert bench.fence.at_boot_s == fence_at_s
    bench.run(6.0)
    assert bench.of(Lapsed)
    assert not bench.is_open()


def test_returning_store_is_put_back_under_the_same_epoch() -> None:
    """R11 under a promise: the store comes back empty, and the holder re-asserts."""
    bench = Bench().hold()
    promised(bench)
    bench.stores[X].set_down(True)
    bench.run(60.0)
    bench.stores[X].set_down(False)
    bench.stores[X].restart(keep=False)
    bench.run(3.0)
    record = bench.record()
    assert (record.state, record.epoch, record.nonce) == (LeaseState.HELD, 1, bench.me.nonce)
    assert not bench.of(Lapsed)
    facts = bench.machine.promises.facts(bench.clock.now())
    assert facts.proven_s is not None
    assert facts.proven_s < 2.0


def test_holder_that_lets_go_needs_the_store_again() -> None:
    """After the end only acknowledgements count; what was counted before lasts one ttl at most."""
    bench = Bench().hold()
    promised(bench)
    bench.stores[X].set_down(True)
    bench.run(20.0)
    bench.feed(PromiseDropped())
    bench.run(4.5)
    assert bench.of(Lapsed)
    assert not bench.is_open()


def test_rival_in_the_store_deposes_under_a_promise_too() -> None:
    """R8: a promise does not outvote the store; whoever is named there ends the grant."""
    bench = Bench().hold()
    promised(bench)
    bench.rival_takes("x", 5)
    bench.run(2.0)
    assert bench.of(Deposed)


def test_reliance_ends_with_the_grant() -> None:
    """A promise is for one grant: the next one does not rest on it."""
    bench = Bench().hold()
    promised(bench)
    bench.works = False
    bench.run(12.0)
    assert bench.of(Lapsed)
    bench.works = True
    bench.run(10.0)
    assert bench.is_open()
    assert bench.machine.promises.facts(bench.clock.now()).relies_on is None


def test_promise_for_another_epoch_is_not_taken() -> None:
    """It names the epoch that it was given for."""
    bench = Bench().hold()
    promised(bench, epoch=2)
    assert bench.machine.promises.facts(bench.clock.now()).relies_on is None


def test_what_the_other_node_may_know_is_what_this_one_does() -> None:
    """R13, R14: lives of stores, the grant and what it relies on, a promise, the highest epoch."""
    bench = Bench().hold()
    promised(bench)
    now = bench.clock.now()
    facts = bench.machine.peer_facts(now)
    assert facts.at == now
    assert set(facts.lives) == {X}
    assert (facts.holder.epoch, facts.holder.nonce) == (1, bench.me.nonce)
    assert facts.holder.relies_on is not None
    assert not facts.stood_down
    assert facts.max_epoch == 1
    spare = Bench()
    spare.feed(StandDown(reason="stood down"))
    facts = spare.machine.peer_facts(spare.clock.now())
    assert (facts.stood_down, facts.holder.epoch) == ("stood down", 0)


# --- the one that stands down --------------------------------------------------------------------


def test_node_that_stood_down_asks_for_nothing() -> None:
    """Whatever the store shows, and however long: nothing is written."""
    bench = Bench()
    bench.feed(StandDown(reason="stood down"))
    bench.run(60.0)
    assert set(bench.verbs()) == {Verb.OBSERVE}
    assert "stood down" in bench.machine.view(bench.clock.now()).ineligible


@pytest.mark.parametrize("phase", [Phase.PERSISTING, Phase.ACQUIRING])
def test_standing_down_drops_what_was_asked_for(phase: Phase) -> None:
    """R14: open attempts are dropped before the promise is given; a late grant is none."""
    bench = Bench()
    bench.disk_works = phase is Phase.ACQUIRING
    while not bench.is_in(phase):
        bench.clock.advance(0.25)
        bench.tick()
        if not bench.is_in(phase):
            bench.deliver()
    bench.feed(StandDown(reason="stood down"))
    assert bench.is_in(Phase.CONTENDING)
    bench.run(30.0)
    assert not bench.is_open()
    assert bench.record().state is not LeaseState.HELD


def test_holder_cannot_stand_down() -> None:
    """It would promise what it does not do; it hands over first."""
    bench = Bench().hold()
    bench.feed(StandDown(reason="stood down"))
    assert not bench.machine.promises.reason
    bench.run(5.0)
    assert bench.is_open()


def test_node_that_stands_up_waits_one_ttl() -> None:
    """The holder's last round may have left a moment before it let go: timers begin anew."""
    bench = Bench()
    bench.feed(StandDown(reason="stood down"))
    bench.run(60.0)
    bench.feed(StandUp(ttl_ms=6000))
    assert bench.machine.view(bench.clock.now()).takeover_in_s == pytest.approx(TAKEABLE_S)
    bench.run(TAKEABLE_S - 0.2)
    assert bench.machine.view(bench.clock.now()).ineligible == (HOLDS_OFF,)
    assert Verb.ACQUIRE not in bench.verbs()
    bench.run(1.0)
    assert bench.is_open()


def test_released_record_is_no_short_cut_past_the_wait() -> None:
    """A release that was seen before does not free a node that has just stood up."""
    bench = Bench()
    bench.run(0.5)
    bench.rival_takes("x", 3)
    bench.rival_releases("x", 3)
    bench.feed(StandDown(reason="stood down"))
    bench.run(30.0)
    bench.feed(StandUp(ttl_ms=6000))
    bench.run(TAKEABLE_S - 0.2)
    assert Verb.ACQUIRE not in bench.verbs()


def test_longest_known_ttl_counts() -> None:
    """R6: of two ttls the longer one is waited."""
    bench = Bench()
    bench.feed(StandDown(reason="stood down"))
    bench.run(20.0)
    bench.feed(StandUp(ttl_ms=12_000))
    bench.run(12.0)
    assert Verb.ACQUIRE not in bench.verbs()
    bench.run(1.5)
    assert bench.is_open()
