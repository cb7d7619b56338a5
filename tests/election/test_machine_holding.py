"""Holder's rules, row by row: renewing, and how a grant ends by itself."""

import pytest

from election.model import (
    Anomaly,
    Granted,
    HolderChanged,
    Lapsed,
    StoreName,
)
from election.signals import GateRefused, Verb
from election.standing import TRANSITIONS, Phase, Turn
from tests.support.lease_bench import STEP_S, Bench

X = StoreName("x")


# --- renewing (R8) ------------------------------------------------------------------------------


def test_holder_renews_every_period_and_stays_open() -> None:
    """R8: ttl/6 apart, in every store; an hour without an event."""
    bench = Bench(3).hold()
    for _ in range(3600):
        bench.run(1.0)
        assert bench.is_open()
    assert set(bench.verbs()) == {Verb.RENEW}
    assert bench.verbs("x").count(Verb.RENEW) == pytest.approx(3600, abs=40)
    assert not bench.events


def test_validity_runs_from_the_send_of_the_round() -> None:
    """R8, pitfall 8: an answer that took long proves less."""
    bench = Bench().hold()
    bench.clock.advance(1.0)
    bench.tick()
    bench.clock.advance(0.7)  # the renewal is under way
    bench.deliver()
    assert bench.permit.remaining_s() == pytest.approx(4.4 - 0.7, abs=0.01)


def test_round_counts_only_when_a_majority_acknowledged_that_round() -> None:
    """R13: acknowledgements of two rounds are not added up."""
    bench = Bench(3).hold()
    left = bench.permit.remaining_s()
    stores = ["x", "y", "x"]
    for store in stores:  # each round reaches one store only
        bench.clock.advance(1.0)
        bench.tick()
        bench.deliver(store)
        bench.lose()
    assert bench.permit.remaining_s() == pytest.approx(left - len(stores), abs=0.01)


def test_two_stores_of_three_are_enough() -> None:
    """R13: a majority carries the lease."""
    bench = Bench(3).hold()
    bench.stores[StoreName("y")].set_down(True)
    bench.run(60)
    assert bench.is_open()
    assert not bench.of(Lapsed)


@pytest.mark.parametrize("fate", ["request lost", "reply lost"])
def test_one_lost_renewal_changes_nothing(fate: str) -> None:
    """Scenario 20: renewal is idempotent by nonce and epoch."""
    bench = Bench().hold()
    bench.clock.advance(1.0)
    bench.tick()
    if fate == "request lost":
        bench.lose()
    else:
        bench.deliver(is_reply_lost=True)
    bench.run(3)
    assert bench.is_open()
    assert not bench.events


def test_late_acknowledgement_of_a_timed_out_renewal_is_not_counted() -> None:
    """One call a store at a time: an answer that matches none under way proves nothing."""
    bench = Bench().hold()
    bench.clock.advance(1.0)
    bench.tick()
    (call,) = bench.waiting
    bench.lose()
    left = bench.permit.remaining_s()
    bench.deliver_one(call)
    assert bench.permit.remaining_s() == pytest.approx(left)


def test_gate_closes_when_no_majority_answers() -> None:
    """R8: the gate ends with the time of the last counted round; the reason names the stores."""
    bench = Bench(3).hold()
    for store in ("x", "y"):
        bench.stores[StoreName(store)].set_down(True)
    left = bench.permit.remaining_s()
    bench.run(left - 0.1)
    assert bench.is_open()
    bench.run(0.1 + STEP_S)
    assert not bench.is_open()
    (lapsed,) = bench.of(Lapsed)
    assert isinstance(lapsed, Lapsed)
    assert "x: x: connection refused" in lapsed.reason


def test_lapsed_holder_waits_like_anyone() -> None:
    """Its own record has to be seen unchanged for one ttl; the next epoch is higher."""
    bench = Bench().hold()
    first = bench.permit.epoch
    bench.stores[X].set_down(True)
    bench.run(5)
    bench.stores[X].set_down(False)
    bench.run(0.5)
    assert not bench.is_open()
    bench.run(7)
    assert bench.is_open()
    assert bench.permit.epoch > first


# --- progress -----------------------------------------------------------------------------------


def test_hung_work_loop_stops_the_renewals() -> None:
    """R8: renewal only while the work loop completed a step within hang_limit."""
    bench = Bench().hold()
    bench.works = False
    bench.run(5.25)
    bench.log.clear()
    bench.run(4.0)
    assert Verb.RENEW not in bench.verbs()
    bench.run(1.0)
    (lapsed,) = bench.of(Lapsed)
    assert isinstance(lapsed, Lapsed)
    assert "'step'" in lapsed.reason
    assert [e.code for e in bench.of(Anomaly) if isinstance(e, Anomaly)] == ["work_loop_hung"]
    assert bench.fence.is_armed()


def test_hang_that_ends_in_time_costs_nothing() -> None:
    """A step completed before the gate ends resumes the renewals."""
    bench = Bench().hold()
    bench.works = False
    bench.run(6.5)
    bench.works = True
    bench.run(5)
    assert bench.is_open()
    assert not bench.of(Lapsed)


# --- what is told -------------------------------------------------------------------------------


def test_grant_tells_what_it_replaces() -> None:
    """The takeover's alert says who was silent, for how long, under which epoch."""
    bench = Bench()
    bench.rival_takes("x", 4)
    bench.run(8)
    (granted,) = bench.of(Granted)
    assert isinstance(granted, Granted)
    assert (granted.previous, granted.previous_epoch, granted.epoch) == ("rival", 4, 5)
    assert not granted.was_released
    assert granted.silent_s == pytest.approx(6.12, abs=0.3)


def test_holder_changes_are_told_once() -> None:
    """Roles are shown from what a majority names."""
    bench = Bench(3)
    for store in "xy":
        bench.rival_takes(store, 4)
    bench.run(3)
    assert bench.of(HolderChanged) == [HolderChanged(holder=bench.rival.node_id, epoch=4)]


def test_view_measures_the_longest_gap_between_heartbeats() -> None:
    """R8 amendment: the longest gap is measured, and begins anew with each view."""
    bench = Bench().hold()
    bench.run(5)
    bench.machine.view(bench.clock.now())
    bench.stores[X].set_down(True)
    bench.run(3)
    bench.stores[X].set_down(False)
    bench.run(2)
    assert 3 <= bench.machine.view(bench.clock.now()).longest_gap_s < 5
    bench.run(3)
    assert bench.machine.view(bench.clock.now()).longest_gap_s < 2


def test_view_of_a_contender_counts_down() -> None:
    """`takeover_in_s` counts down to the moment of the majority."""
    bench = Bench(3)
    for store in "xyz":
        bench.rival_takes(store, 4)
    bench.run(1)
    first = bench.machine.view(bench.clock.now()).takeover_in_s
    bench.run(2)
    second = bench.machine.view(bench.clock.now()).takeover_in_s
    assert first is not None
    assert second is not None
    assert first - second == pytest.approx(2, abs=0.01)
    assert bench.machine.view(bench.clock.now()).holder == "rival"


# --- the table ----------------------------------------------------------------------------------


def test_every_phase_is_reached_and_left() -> None:
    """The table of transitions is closed: no phase without a way in and out."""
    for phase in Phase:
        assert any(source is phase for source, _ in TRANSITIONS)
        assert phase in TRANSITIONS.values()
    assert {turn for _, turn in TRANSITIONS} == set(Turn)


def test_refused_gate_ends_the_grant_it_belongs_to_and_no_other() -> None:
    """Without its fence a node neither leads nor contends (kernel fence)."""
    bench = Bench().hold()
    epoch = bench.permit.epoch
    bench.feed(GateRefused(epoch=epoch - 1, error="of an older grant", is_fence_unavailable=False))
    assert bench.is_in(Phase.HOLDING)
    bench.feed(GateRefused(epoch=epoch, error="no timer", is_fence_unavailable=True))
    assert bench.is_in(Phase.CONTENDING)
    assert [e.epoch for e in bench.of(Lapsed) if isinstance(e, Lapsed)] == [epoch]
    told = bench.machine.view(bench.clock.now()).ineligible
    assert any("the kernel fence is not available: no timer" in reason for reason in told)
    (alarm,) = [e for e in bench.of(Anomaly) if isinstance(e, Anomaly)]
    assert (alarm.code, alarm.is_fatal) == ("fence_unavailable", True)
