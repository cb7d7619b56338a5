"""Holder's rules, row by row: renewing, repairing, and every way in which a grant ends."""

import pytest

from election.model import (
    Anomaly,
    Deposed,
    Granted,
    HolderChanged,
    Identity,
    Lapsed,
    LeaseState,
    NodeId,
    Reincarnated,
    Released,
    StoreName,
    WriteId,
)
from election.signals import FloorRaised, GateRefused, ReleaseAsked, Verb
from election.standing import TRANSITIONS, Phase, Turn
from tests.support.lease_bench import STEP_S, Bench

X = StoreName("x")


def release(bench: Bench, *, drain_ms: int = 0, reserved_for: str = "") -> None:
    """Give the lease away as the node does: gate closed and drained before."""
    bench.permit.close(reason="switchover")
    bench.feed(ReleaseAsked(drain_ms=drain_ms, reserved_for=reserved_for, reason="switchover"))


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


# --- clocks (R0) --------------------------------------------------------------------------------


def test_clock_step_closes_the_gate_until_a_later_renewal() -> None:
    """R0, scenario 9: no change of role; a renewal is sent at once; the node is told."""
    bench = Bench().hold()
    bench.clock.wall_s += 3600
    bench.clock.advance(STEP_S)
    bench.tick()
    assert not bench.is_open()
    bench.deliver()
    assert bench.is_open()
    assert [e.code for e in bench.of(Anomaly) if isinstance(e, Anomaly)] == ["clock_stepped"]
    assert not bench.of(Lapsed)


@pytest.mark.parametrize(
    ("late_s", "is_fault"),
    [pytest.param(1.9, False, id="just in time"), pytest.param(2.1, True, id="over ttl/3")],
)
def test_late_tick_closes_the_gate_until_a_later_renewal(late_s: float, is_fault: bool) -> None:
    """R0, scenario 8: late by more than ttl/3; no flap."""
    bench = Bench().hold()
    bench.clock.advance(STEP_S + late_s)
    bench.tick()
    assert bench.is_open() is not is_fault
    bench.deliver()
    assert bench.is_open()
    assert not bench.of(Lapsed)


def test_suspended_machine_wakes_with_a_closed_gate() -> None:
    """Scenario 11: suspend moves CLOCK_BOOTTIME only; the gate is closed before the first send."""
    bench = Bench().hold()
    bench.clock.boot_s += 30
    assert not bench.is_open()
    bench.clock.advance(STEP_S)
    bench.tick()
    assert len(bench.of(Lapsed)) == 1


@pytest.mark.parametrize("clock", ["boot_s", "raw_s"])
def test_backward_clock_fails_closed(clock: str) -> None:
    """Scenario 47."""
    bench = Bench().hold()
    setattr(bench.clock, clock, getattr(bench.clock, clock) - 5)
    bench.tick()
    assert not bench.is_open()
    assert len(bench.of(Lapsed)) == 1
    (anomaly,) = bench.of(Anomaly)
    assert isinstance(anomaly, Anomaly)
    assert anomaly.is_fatal


# --- stores that change (R8, R11, R13) ----------------------------------------------------------


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


# --- releasing (R10) ----------------------------------------------------------------------------


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
