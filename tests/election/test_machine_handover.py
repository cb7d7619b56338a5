"""Looking faster while a handover is expected (R5, ADR 0030): sooner found, never sooner taken."""

import pytest

from election.looking import EXPECT_S, HASTY_LOOK_S
from election.model import LeaseState
from election.observation import GRACE_S
from election.signals import EligibilitySet, HandoverExpected, ReleaseAsked, Verb
from election.standing import Phase
from tests.support.lease_bench import Bench

EXPECTED = HandoverExpected()


def watching(stores: int = 1) -> Bench:
    """A contender that has seen a rival hold every store for a while."""
    bench = Bench(stores=stores)
    for name in bench.stores:
        bench.rival_takes(name, 3)
    bench.run(1)
    bench.log.clear()
    return bench


def pace(bench: Bench, seconds: float) -> None:
    """Tick when the machine wants it, as the crews do; every message arrives at once."""
    until_s = bench.clock.boot_s + seconds
    while bench.clock.boot_s < until_s - 1e-9:
        wake_s = bench.machine.wake_in_s(bench.clock.now())
        bench.clock.advance(min(wake_s, until_s - bench.clock.boot_s))
        bench.tick()
        bench.deliver()


def looks(bench: Bench, store: str = "") -> int:
    return bench.verbs(store).count(Verb.OBSERVE)


@pytest.mark.parametrize("stores", [1, 3])
def test_released_record_is_found_within_a_hasty_look(stores: int) -> None:
    """Without the hint it may take `observe_ms`; with it a twentieth of a second."""
    bench = watching(stores)
    bench.feed(EXPECTED)
    pace(bench, 1.01)
    for name in bench.stores:
        bench.rival_releases(name, 3, reserved_for="me")
    pace(bench, HASTY_LOOK_S)
    assert bench.is_open()


def test_without_the_hint_the_pace_is_the_configured_one() -> None:
    bench = watching()
    pace(bench, 5)
    assert looks(bench) == 10


def test_hasty_looks_are_bounded_although_nothing_comes_of_them() -> None:
    """A request that is never fulfilled costs each store so many reads, and no more."""
    bench = watching()
    bench.feed(EXPECTED)
    pace(bench, EXPECT_S)
    hasty = looks(bench)
    assert hasty <= EXPECT_S / HASTY_LOOK_S + 1
    assert hasty > EXPECT_S / HASTY_LOOK_S / 2
    pace(bench, 5)
    assert looks(bench) - hasty <= 5 / 0.5 + 1


def test_hint_that_is_said_again_goes_on() -> None:
    """The node says it with each look at the cluster."""
    bench = watching()
    for _ in range(5):
        bench.feed(EXPECTED)
        pace(bench, 1)
    assert looks(bench) >= 90


def test_store_that_does_not_answer_is_asked_once() -> None:
    """One call at a time: a slow store sets its own pace."""
    bench = watching()
    bench.feed(EXPECTED)
    for _ in range(20):
        bench.clock.advance(HASTY_LOOK_S)
        bench.tick()
    assert looks(bench) == 1


def test_held_record_waits_its_whole_time_under_hasty_looks() -> None:
    """R6: the hint is no authority. A silent holder keeps the lease for ttl·(1+d)."""
    bench = watching()
    bench.rival_renews("x", 3)
    bench.run(0.5)
    left_s = bench.machine.view(bench.clock.now()).takeover_in_s
    assert left_s is not None
    until_s = bench.clock.boot_s + left_s
    while bench.clock.boot_s < until_s - HASTY_LOOK_S:
        bench.feed(EXPECTED)
        pace(bench, HASTY_LOOK_S)
        assert not bench.asked_epochs
    pace(bench, 2 * HASTY_LOOK_S)
    assert bench.is_open()


def test_record_that_is_reserved_for_another_waits_its_grace() -> None:
    """R6a: who was meant to have it is in the record, not in the hint."""
    bench = watching()
    bench.feed(EXPECTED)
    bench.rival_releases("x", 3, reserved_for="somebody-else")
    pace(bench, GRACE_S - 0.1)
    assert not bench.asked_epochs
    pace(bench, 0.5)
    assert bench.is_open()


def test_drain_time_is_waited_for_under_hasty_looks() -> None:
    """R10: what the old holder still has under way is not hurried."""
    bench = watching()
    bench.feed(EXPECTED)
    bench.rival_releases("x", 3, drain_ms=1000, reserved_for="me")
    pace(bench, 1.0)
    assert not bench.asked_epochs
    pace(bench, 0.2)
    assert bench.is_open()


def test_unfit_node_looks_but_does_not_take() -> None:
    bench = watching()
    bench.feed(EligibilitySet(reasons=("unfit",)))
    bench.feed(EXPECTED)
    bench.rival_releases("x", 3, reserved_for="me")
    pace(bench, 1.0)
    assert bench.record().state is LeaseState.RELEASED
    assert bench.is_in(Phase.CONTENDING)


def wake_s(bench: Bench) -> float:
    return bench.machine.wake_in_s(bench.clock.now())


def taken_over() -> Bench:
    """A holder that the lease was just handed to."""
    bench = watching()
    bench.feed(EXPECTED)
    bench.rival_releases("x", 3, reserved_for="me")
    pace(bench, 0.2)
    assert bench.is_in(Phase.HOLDING)
    return bench


def test_holder_renews_by_its_own_pace_also_when_it_hears_the_hint_late() -> None:
    bench = taken_over()
    assert wake_s(bench) == pytest.approx(0.25)
    bench.feed(EXPECTED)
    assert wake_s(bench) == pytest.approx(0.25)


def test_grant_ends_the_expectation() -> None:
    """A lease that is given on at once is looked at as ever: nobody hands it back so soon."""
    bench = taken_over()
    bench.feed(ReleaseAsked(reason="given on", reserved_for="", drain_ms=0))
    bench.deliver()
    assert bench.is_in(Phase.CONTENDING)
    assert wake_s(bench) == pytest.approx(0.25)
