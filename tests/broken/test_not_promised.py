"""What is not promised, shown: a reader should see the counter-example, not only a sentence."""

from dataclasses import replace

from tests.broken.variant import SETUPS
from tests.support.lease_sim import Simulation, Weather, calm


def test_boxes_with_different_store_lists_may_both_lead() -> None:
    """Lists that differ in one store: each box first at another store (guarantees.md).

    The configuration id refuses the second comer at each store; but {w, x} and {y, z} are
    majorities of their lists, and no store sees both boxes.
    """
    weather = replace(calm(Weather()), lists=("wxy", "xyz"), duration_s=20.0)
    shown = [
        Simulation(seed=seed, stores=3, weather=weather).run().violations for seed in range(20)
    ]
    assert any("two open gates" in text for found in shown for text in found)
    assert not all(shown)  # mostly the second comer is refused everywhere that matters


def test_store_revived_from_a_memory_snapshot_may_give_two_holders() -> None:
    """Data of the past in the same life of the store: no rule can notice it (guarantees.md)."""
    chosen = SETUPS["unfit machine"]
    longest_s = max(
        Simulation(seed=seed, stores=1, weather=chosen.weather, bounds=chosen.bounds)
        .run()
        .overlap_s
        for seed in range(60)
    )
    assert longest_s > 0
