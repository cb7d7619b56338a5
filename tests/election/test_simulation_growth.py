"""A pair grows from one store to three in hostile weather, and never opens two gates (R3).

The simulation of lease_sim.py with the walk of lease_growth.py: both boxes go from the old list to
the joint one and to the new one, with steps back, interrupted, and killed anywhere between.
`HOTSPARE_SIM_RUNS` sets how many seeds each campaign runs, as in test_simulation.py. The broken
rules that these runs must show are in tests/broken/growing.py.
"""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from election.model import LeaseTiming
from tests.broken.variant import TIGHT
from tests.election.test_simulation_post_mortem import MournedSimulation
from tests.support.lease_growth import WORDS
from tests.support.lease_sim import Bounds, Simulation, Weather, calm

RUNS = int(os.environ.get("HOTSPARE_SIM_RUNS", "300")) // 6
HOSTILE = Weather(grows="hasty", duration_s=110.0)
WORSE = replace(HOSTILE, lost=0.0, slow=0.1, slow_max_s=4.0)
# As `make deploy-witness` walks: one thing at a time, and only from a pair that is whole.
ORDERLY = Weather(grows="orderly", fault_every_s=12.0, duration_s=150.0)
PEACE = replace(calm(ORDERLY), faults=(), duration_s=70.0)


def run_seeds(
    seeds: range,
    weather: Weather,
    timing: LeaseTiming | None = None,
    *,
    bounds: Bounds | None = None,
    simulation: Callable[..., Simulation] = Simulation,
) -> list[Simulation]:
    runs = []
    for seed in seeds:
        run = simulation(seed=seed, stores=3, weather=weather, timing=timing, bounds=bounds)
        report = run.run()
        assert not report.violations, f"seed {seed}: {report.violations[0]}; {report.steps}"
        runs.append(run)
    return runs


def share(runs: list[Simulation], is_so: Callable[[Simulation], bool]) -> float:
    return sum(map(is_so, runs)) / len(runs)


def lists_of(run: Simulation) -> set[str]:
    """Return by which lists leases were granted."""
    return {WORDS[file] for file in run.report.granted_by}


def has_grown(run: Simulation) -> bool:
    return run.growth is not None and run.growth.is_done


@pytest.mark.parametrize(
    ("weather", "timing", "first"),
    [(HOSTILE, None, 0), (WORSE, TIGHT, 100_000)],
    ids=["hostile", "worse and tight"],
)
def test_pair_that_grows_in_hostile_weather_never_opens_two_gates(
    weather: Weather, timing: LeaseTiming | None, first: int
) -> None:
    """S1, S2 over the whole walk, and it is lively: leases by all three lists, steps back."""
    runs = run_seeds(range(first, first + RUNS), weather, timing)
    for word in WORDS.values():
        assert share(runs, lambda run, word=word: word in lists_of(run)) > 0.5, word  # type: ignore[misc]
    assert share(runs, lambda run: lists_of(run) == set(WORDS.values())) > 0.4
    assert share(runs, has_grown) > 0.4
    assert share(runs, lambda run: any(" old" in step for step in run.report.steps)) > 0.3
    assert sum(r.report.led_s for r in runs) > 0.2 * sum(r.report.duration_s for r in runs)
    assert sum(r.report.lapses for r in runs) > RUNS / 10


def test_stop_hooks_while_the_pair_grows_never_open_two_gates() -> None:
    """R16: each store is released under the list that the dead process kept it under."""
    seeds = range(200_000, 200_000 + RUNS // 2)
    runs = run_seeds(seeds, HOSTILE, simulation=MournedSimulation)
    freed = [run.freed for run in runs if isinstance(run, MournedSimulation)]
    assert sum(freed) > RUNS / 10, "the hooks freed nothing: this campaign shows nothing"


def test_pair_that_is_walked_in_order_grows_in_spite_of_faults() -> None:
    """A fault every 12 s: the walk waits, and goes on."""
    runs = run_seeds(range(300_000, 300_000 + RUNS // 2), ORDERLY)
    assert share(runs, has_grown) > 0.6


def test_pair_grows_in_peace_without_a_pause() -> None:
    """L1: from the first grant on nobody leads only about the two switchovers."""
    bounds = Bounds(leaderless_s=2.5, leaderless_from_s=None, grows=True)
    for run in run_seeds(range(40), PEACE, bounds=bounds):
        assert [WORDS[file] for file in run.report.granted_by] == ["old", "joint", "new"]
        assert not run.report.lapses
        first_s = run.report.grants[0][0]
        assert run.report.led_s > run.report.duration_s - first_s - 4.0


def test_epoch_that_nobody_used_and_all_stores_forgot_may_be_followed_by_a_lower_one() -> None:
    """Seed 1001122: a gate opened for 54 ms, its box lost power, both its stores were wiped.

    No order bears that epoch. The next leader's was lower (H9), and its orders looked late to the
    simulation, which compared epochs. It compares which gate opened last.
    """
    run_seeds(range(1001122, 1001123), HOSTILE)
