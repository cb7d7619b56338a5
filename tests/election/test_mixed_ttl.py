"""Two nodes with different ttl in simulated weather (R6, scenario 31): the longer one counts."""

from dataclasses import replace

import pytest

from election.instants import Instant
from election.model import Identity, LeaseTiming
from election.observation import Observation
from tests.election.test_simulation import HOSTILE, MUTANT_RUNS, RUNS, observing
from tests.support.lease_sim import Report, Simulation, build_machine, calm

LONG = LeaseTiming()
SHORT = LeaseTiming(ttl_ms=3000, renew_ms=500, request_timeout_ms=500, observe_ms=250)
PAIRS = [(LONG, SHORT), (SHORT, LONG)]
IDS = ["long-and-short", "short-and-long"]


class OwnTtlOnly(Observation):
    """Pitfall 10: a contender that waits its own ttl, whatever the holder's is."""

    __slots__ = ()

    def takeable_in_s(
        self, identity: Identity, timing: LeaseTiming, longest_ttl_ms: int, now: Instant
    ) -> float | None:
        own = self.record
        if own is not None:
            self.record = replace(own, ttl_ms=0)
        try:
            return super().takeable_in_s(identity, timing, 0, now)
        finally:
            self.record = own


def runs_of(seeds: range, stores: int, pair: tuple[LeaseTiming, LeaseTiming]) -> list[Report]:
    return [
        Simulation(
            seed=seed, stores=stores, weather=HOSTILE, timing=pair[0], timing_of_b=pair[1]
        ).run()
        for seed in seeds
    ]


@pytest.mark.parametrize("stores", [1, 3])
@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_different_ttl_never_opens_two_gates(
    stores: int, pair: tuple[LeaseTiming, LeaseTiming]
) -> None:
    """S1: whichever node has the longer ttl, the other one waits for it."""
    reports = runs_of(range(200_000, 200_000 + RUNS // 5), stores, pair)
    assert not [r.violations for r in reports if r.violations]
    assert sum(len({node for _, node, _ in r.grants}) == 2 for r in reports) > RUNS / 30


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_different_ttl_in_calm_weather_changes_nothing(
    pair: tuple[LeaseTiming, LeaseTiming],
) -> None:
    """L1: one grant, and it stays."""
    for seed in range(20):
        report = Simulation(
            seed=seed, stores=3, weather=calm(HOSTILE), timing=pair[0], timing_of_b=pair[1]
        ).run()
        assert not report.violations
        assert len(report.grants) == 1


@pytest.mark.parametrize("stores", [1, 3])
def test_contender_that_knows_its_own_ttl_only_is_caught(stores: int) -> None:
    """R6 is load-bearing: the same simulation finds two open gates without it."""
    build = observing(OwnTtlOnly)
    assert build is not build_machine
    for seed in range(MUTANT_RUNS):
        report = Simulation(
            seed=seed,
            stores=stores,
            weather=HOSTILE,
            timing=LONG,
            timing_of_b=SHORT,
            build=build,
        ).run()
        if report.violations:
            return
    pytest.fail(f"not caught in {MUTANT_RUNS} runs")
