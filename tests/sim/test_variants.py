"""The simulator can fail: production code with one rule broken is caught by a checker.

A variant is broken in tests/support/sim_variants.py, for as long as the run lasts. Each runs with
the faults that bring it out, one store, from seed 0 on, and must be caught within `SEEDS_MAX`.
"""

import pytest

from node.sim.simulation import Plan, Simulation
from tests.support import sim_variants
from tests.support.sim_variants import Variant

SEEDS_MAX = 20  # the slowest was caught by the fourteenth

VARIANTS = {
    "the permit is not asked in the last hop": Variant(
        breaks=sim_variants.permit_not_asked,
        only=("slow_wire",),
        caught_by=("a write left without a permit",),
    ),
    "what the stores say replaces the latches that a node knows": Variant(
        breaks=sim_variants.latches_not_merged,
        only=("pause_cluster", "lose_all_stores", "roll_back"),
        caught_by=("a latch", "a pause was forgotten"),
    ),
    "latches are neither kept on the own disk nor pushed again": Variant(
        breaks=sim_variants.latches_forgotten,
        only=("pause_cluster",),
        caught_by=("a pause was forgotten",),
    ),
    "the standby keeps no copy of the journal": Variant(
        breaks=sim_variants.no_tail,
        only=("lose_all_stores", "kill", "crash", "power_cut"),
        caught_by=(
            "announced twice",
            "not the newest",
        ),  # nobody knows any more that the epoch was used
    ),
    "a takeover believes the stores alone": Variant(
        breaks=sim_variants.takeover_without_own_disk,
        only=("lose_all_stores", "kill", "crash"),
        caught_by=("an order was doubled", "announced twice", "disagree", "position"),
    ),
    "a repeated message does not say so": Variant(
        breaks=sim_variants.repeats_not_marked,
        only=("phone_away", "kill", "switchover"),
        caught_by=("announced twice",),
    ),
    "what was in flight at a kill counts as told": Variant(
        breaks=sim_variants.announcement_forgotten,
        only=("phone_away", "kill", "switchover"),
        caught_by=("never announced",),
    ),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_broken_rule_is_caught(variant: Variant) -> None:
    """Each rule is needed: without it a promise is broken, and a checker says which."""
    for seed in range(SEEDS_MAX):
        plan = Plan(seed=seed, hours=0.1, stores=1, only=variant.only, is_strict=True)
        with variant.breaks():
            broken = Simulation(plan).run()
        if broken.violations:
            assert any(words in broken.violations[0] for words in variant.caught_by)
            assert Simulation(plan).run().violations == []  # and the sound code passes that seed
            return
    pytest.fail(f"not caught within {SEEDS_MAX} seeds")
