"""When a contender may take a record, and when it looks again (R5, R6)."""

import pytest

from election.instants import Instant
from election.model import (
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
