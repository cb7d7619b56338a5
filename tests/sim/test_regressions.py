"""Seeds that found a defect once: they pass now, and with the old defect the simulator fails."""

import pytest

from node.sim.simulation import Simulation
from tests.sim.regressions import REGRESSIONS, SEEDS_MAX, Regression


@pytest.mark.timeout(600)  # up to ten runs, on a machine that may be busy
@pytest.mark.parametrize("kept", REGRESSIONS.values(), ids=REGRESSIONS.keys())
def test_old_defect_is_still_found(kept: Regression) -> None:
    """The present code passes the seed that shows the old defect, and the seed that is kept."""
    assert Simulation(kept.plan(kept.seed)).run().violations == []
    for seed in range(kept.seed, kept.seed + SEEDS_MAX):
        with kept.old_defect():
            broken = Simulation(kept.plan(seed)).run()
        if broken.violations:
            assert any(words in broken.violations[0] for words in kept.shows)
            assert Simulation(kept.plan(seed)).run().violations == []
            return
    pytest.fail(f"{kept.showed}: not found by {SEEDS_MAX} seeds from {kept.seed} on")
