"""Both nodes begin at the same instant, on clocks that agree to the last digit (scenario 28)."""

from dataclasses import replace

import pytest

from election.model import LeaseTiming, StoreName
from tests.support.lease_sim import Report, Simulation, Weather, calm

# Seconds on a free core; a busy machine gets all the time it wants.
pytestmark = pytest.mark.timeout(900)

TTL_S = LeaseTiming().ttl_ms / 1000
WAIT_S = (1 + LeaseTiming().drift) * TTL_S
# Only the network's dice and those of the back-off can tell the nodes apart.
ALIKE = calm(Weather(rate_error=0.0, slew=0.0, duration_s=10.0))


def begin(seed: int, stores: int, *, away: str = "", duration_s: float = 10.0) -> Report:
    weather = replace(ALIKE, duration_s=duration_s)
    simulation = Simulation(seed=seed, stores=stores, weather=weather)
    if away:
        simulation.frozen_until[StoreName(away)] = float("inf")
    return simulation.run()


@pytest.mark.parametrize(("stores", "starts"), [(1, 300), (3, 1000)])
def test_simultaneous_start_has_one_leader_after_one_wait(stores: int, starts: int) -> None:
    """With every store there, one of two contenders always gets the majority at once."""
    for seed in range(starts):
        report = begin(seed, stores)
        assert not report.violations, f"seed {seed}: {report.violations[0]}"
        assert [epoch for _, _, epoch in report.grants] == [1], f"seed {seed}"
        assert report.grants[0][0] < WAIT_S + 0.5, f"seed {seed}"


def test_simultaneous_start_with_a_store_away_is_no_livelock() -> None:
    """H15, R13: two stores can be split one to one. Both give up, wait at random, one leads."""
    epochs = []
    for seed in range(300):
        report = begin(seed, 3, away="z", duration_s=WAIT_S + 3 * TTL_S)
        assert not report.violations, f"seed {seed}: {report.violations[0]}"
        assert len(report.grants) == 1, f"seed {seed}: {report.grants}"
        # One wait, then a release and up to a ttl of back-off for each collision.
        assert report.grants[0][0] < WAIT_S + 2 * TTL_S, f"seed {seed}"
        epochs.append(report.grants[0][2])
    assert max(epochs) > 1, "no start collided: the test shows nothing"
