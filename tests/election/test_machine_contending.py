"""Contender's rules, row by row: when a record may be taken, and how it is asked for (R5-R7)."""

import pytest

from election.instants import Instant
from election.model import (
    Anomaly,
    Granted,
    Identity,
    LeaseRecord,
    LeaseState,
    LeaseTiming,
    NodeId,
    Refusal,
    StoreBack,
    StoreLost,
    StoreName,
    StoreReply,
    WriteId,
)
from election.observation import GRACE_S, Observation
from election.signals import (
    EligibilitySet,
    EpochNotStored,
    EpochStored,
    FloorRaised,
    Tick,
    Verb,
)
from election.standing import Phase
from tests.support.lease_bench import Bench, someone
from tests.support.manual_clock import ManualClock

ONE_TTL_S = 6.12  # max(ttl)·(1+d) with the default timing


# --- takeable (R6) ------------------------------------------------------------------------------


def record(state: LeaseState, **changes: object) -> LeaseRecord:
    base: dict[str, object] = {
        "cluster_id": "c",
        "config_id": "x",
        "node_id": NodeId("rival"),
        "nonce": "n",
        "epoch": 4,
        "max_epoch": 4,
        "state": state,
        "ttl_ms": 6000,
        "wid": WriteId("w"),
        "inc": "life1",
    }
    return LeaseRecord(**{**base, **changes})  # type: ignore[arg-type]  # a table row


@pytest.mark.parametrize(
    ("seen", "longest_ttl_ms", "wait_s"),
    [
        pytest.param(record(LeaseState.HELD), 6000, ONE_TTL_S, id="held: one ttl unchanged"),
        pytest.param(
            record(LeaseState.HELD, ttl_ms=20_000), 6000, 20.4, id="held: the record's longer ttl"
        ),
        pytest.param(
            record(LeaseState.HELD, ttl_ms=2000), 6000, ONE_TTL_S, id="held: own longer ttl"
        ),
        pytest.param(record(LeaseState.RELEASED), 6000, 0.0, id="released in this life: at once"),
        pytest.param(
            record(LeaseState.RELEASED, inc="life0"),
            6000,
            ONE_TTL_S,
            id="released in another life: not trusted (H2)",
        ),
        pytest.param(
            record(LeaseState.RELEASED, drain_ms=3000), 6000, 3.06, id="released: drain observed"
        ),
        pytest.param(
            record(LeaseState.RELEASED, drain_ms=60_000),
            6000,
            ONE_TTL_S,
            id="released: a drain longer than the ttl is for the reconcile to wait for",
        ),
        pytest.param(
            record(LeaseState.RELEASED, reserved_for="me"), 6000, 0.0, id="reserved for me"
        ),
        pytest.param(
            record(LeaseState.RELEASED, reserved_for="rival"),
            6000,
            GRACE_S,
            id="reserved for another: after the grace",
        ),
        pytest.param(
            record(LeaseState.VOID, ttl_ms=0), 6000, ONE_TTL_S, id="missing is not free (H3)"
        ),
        pytest.param(
            record(LeaseState.VOID, ttl_ms=0),
            20_000,
            20.4,
            id="missing: the longest ttl ever seen, for the lost record may have had it",
        ),
    ],
)
def test_record_is_takeable_after(seen: LeaseRecord, longest_ttl_ms: int, wait_s: float) -> None:
    """R6, both sides of the boundary."""
    clock = ManualClock()
    observation = Observation(name=StoreName("x"))
    reply = StoreReply(refusal=Refusal.NONE, record=seen, inc=type(seen.inc)("life1"))
    observation.note_reply(reply, sent=clock.now(), received=clock.now())

    def left_s(now: Instant) -> float:
        left = observation.takeable_in_s(someone("me"), LeaseTiming(), longest_ttl_ms, now)
        assert left is not None
        return left

    assert left_s(clock.now()) == pytest.approx(wait_s)
    assert left_s(clock.advance(wait_s + 0.001)) <= 0


@pytest.mark.parametrize("slow", ["boot_s", "raw_s"])
def test_contender_waits_on_its_slower_clock(slow: str) -> None:
    """R0: suspend or slewing on one clock shortens no wait."""
    bench = Bench()
    bench.rival_takes("x", 4)
    bench.run(0.5)
    setattr(bench.clock, slow, getattr(bench.clock, slow) - 2)  # as if it had run slower
    bench.tick()
    bench.run(5.0)
    assert bench.is_in(Phase.CONTENDING)
    bench.run(4.0)
    assert bench.is_open()


def test_time_counts_from_receipt_not_from_send() -> None:
    """R5, pitfall 9: a slow read may show a record that was written after the read was sent."""
    clock = ManualClock()
    observation = Observation(name=StoreName("x"))
    sent = clock.now()
    received = clock.advance(3.0)
    reply = StoreReply(
        refusal=Refusal.NONE, record=record(LeaseState.HELD), inc=record(LeaseState.HELD).inc
    )
    observation.note_reply(reply, sent=sent, received=received)
    assert observation.takeable_in_s(someone("me"), LeaseTiming(), 0, received) == pytest.approx(
        ONE_TTL_S
    )


@pytest.mark.parametrize("how", ["renewed", "restarted", "flushed"])
def test_any_change_of_key_starts_the_time_anew(how: str) -> None:
    """R5, H1: the key is (incarnation, write id)."""
    bench = Bench()
    bench.rival_takes("x", 4)
    bench.run(5)
    if how == "renewed":
        bench.rival_renews("x", 4)
    elif how == "restarted":
        bench.stores[StoreName("x")].restart(keep=True)
    else:
        bench.stores[StoreName("x")].flush()
    bench.run(5)
    assert not bench.asked_epochs
    bench.run(2.5)
    assert bench.is_open()


def test_silence_of_the_store_does_not_lengthen_the_wait() -> None:
    """R11: while a store is unreachable the timer runs; only acting waits for it."""
    bench = Bench()
    bench.rival_takes("x", 4)
    bench.run(1)
    bench.stores[StoreName("x")].set_down(True)
    bench.run(20)
    assert not bench.asked_epochs
    assert len(bench.of(StoreLost)) == 1
    bench.stores[StoreName("x")].set_down(False)
    bench.run(1)
    assert bench.is_open()
    assert len(bench.of(StoreBack)) == 1


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


# --- attempts that go wrong ---------------------------------------------------------------------


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


# --- when to look again ---------------------------------------------------------------------------


def test_contender_wakes_just_after_the_record_becomes_takeable() -> None:
    """The wait is no longer than the rule asks for: the tick comes at the moment, not after it."""
    bench = Bench()
    bench.tick()
    bench.deliver()
    now, timing = bench.clock.now(), bench.timing
    assert bench.machine.wake_in_s(now) == pytest.approx(timing.observe_ms / 2000)
    left_s = bench.machine.view(now).takeover_in_s
    assert left_s is not None
    bench.clock.advance(left_s - 0.1)
    assert bench.machine.wake_in_s(bench.clock.now()) == pytest.approx(0.101)


def test_record_that_is_takeable_already_waits_for_a_tick() -> None:
    """What keeps a node from asking now is looked at again by the next tick, not in a hurry."""
    bench = Bench()
    bench.feed(EligibilitySet(reasons=("unfit",)))
    bench.rival_takes("x", 3)
    bench.rival_releases("x", 3)
    bench.tick()
    bench.deliver()
    assert bench.machine.view(bench.clock.now()).takeover_in_s == 0
    assert bench.machine.wake_in_s(bench.clock.now()) == pytest.approx(0.25)


def test_holder_wakes_for_its_ticks_whatever_the_record_says() -> None:
    """A holder renews by ticks; when its own record would become takeable is nothing to it."""
    bench = Bench().hold()
    left_s = bench.machine._world.observed.takeable_in_s(bench.clock.now())
    assert left_s is not None
    bench.clock.advance(left_s - 0.1)
    assert bench.machine.wake_in_s(bench.clock.now()) == pytest.approx(0.25)


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
