"""What the lease machine does when a clock is not to be trusted (R0)."""

import pytest

from election.instants import ClockFault
from election.model import (
    Anomaly,
    Lapsed,
)
from election.standing import Phase
from tests.support.lease_bench import STEP_S, Bench, anomalies, takeover_in_s


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


def test_holder_whose_clock_ran_backwards_stops() -> None:
    """Nothing can be proven with such a clock: the grant ends, and a person is told."""
    bench = Bench().hold()
    bench.clock.advance(0.2)
    bench.tick()
    bench.clock.advance(-0.1)
    bench.tick()
    assert bench.is_in(Phase.CONTENDING)
    assert len(bench.of(Lapsed)) == 1
    assert ClockFault.BACKWARD.value in anomalies(bench)


def test_contender_whose_clock_ran_backwards_waits_from_zero() -> None:
    """What was measured with it does not count."""
    bench = Bench()
    bench.run(4)
    assert takeover_in_s(bench) < 3
    bench.clock.advance(-0.1)
    bench.tick()
    assert takeover_in_s(bench) == pytest.approx(6.12)


def test_contender_tells_of_a_wall_clock_that_was_set_but_not_of_a_late_tick() -> None:
    """A spare that was slow is no news; a clock that was set makes the venue's offset void."""
    bench = Bench()
    bench.run(1)
    bench.clock.advance(4)
    bench.tick()
    assert anomalies(bench) == []
    bench.clock.wall_s += 3600
    bench.clock.advance(0.1)
    bench.tick()
    assert anomalies(bench) == [ClockFault.STEPPED.value]


def test_work_loop_is_judged_by_the_faster_clock_and_by_the_whole_limit() -> None:
    """`hang_limit_ms` is 5 s: at 5 s the loop is well, beyond it hangs, whichever clock says so."""
    bench = Bench()
    bench.tick()
    bench.works = False
    bench.clock.advance(5.0)
    assert not bench.machine.view(bench.clock.now()).ineligible
    bench.clock.raw_s += 0.5
    (told,) = bench.machine.view(bench.clock.now()).ineligible
    assert "no step for 5.5 s" in told
