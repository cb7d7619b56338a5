"""Hasty looks in hostile weather (ADR 0030): whoever looks more often takes nothing too early.

The simulation of lease_sim.py with processes that are told of a handover all the time, whether
there is one or not: true hints, false ones, and hints to a holder.
"""

import os

import pytest

from election.instants import Instant
from election.machine import LeaseMachine
from election.observation import Observation
from election.signals import HandoverExpected
from tests.election.test_simulation import HOSTILE, TIGHT, WORSE
from tests.support.lease_process import Box, Process
from tests.support.lease_sim import Report, Simulation

RUNS = int(os.environ.get("HOTSPARE_SIM_RUNS", "300")) // 6
MUTANT_RUNS = 60
HINT_S = 2.0


class Hurried(Process):
    """A process that hears about every two seconds that a handover to it is expected."""

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self.after(0.1, self.hint)

    def hint(self) -> None:
        self.feed(HandoverExpected())
        self.after(self.sim.rng.expovariate(1 / HINT_S), self.hint)


class HurriedBox(Box):
    def begin_process(self) -> Process:
        return Hurried(self)


class HurriedSimulation(Simulation):
    def build_box(self, name: str) -> Box:
        return HurriedBox(self, name)


def run_one(seed: int, stores: int) -> Report:
    weather, timing = ((HOSTILE, None), (WORSE, TIGHT))[seed % 2]
    return HurriedSimulation(seed=seed, stores=stores, weather=weather, timing=timing).run()


@pytest.mark.parametrize("stores", [1, 3])
def test_hasty_looks_never_open_two_gates(stores: int) -> None:
    """S1 holds however often a contender looks; leases are granted and lost all the while."""
    reports = [run_one(seed, stores) for seed in range(RUNS)]
    for seed, report in enumerate(reports):
        assert not report.violations, f"seed {seed}, {stores} stores: {report.violations[0]}"
    assert sum(len(r.grants) for r in reports) > RUNS


def test_simulation_shows_a_hint_that_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If an expected handover let a contender take a held record, the simulation would say so."""
    honest = Observation.takeable_in_s

    def believing(self: Observation, *arguments: object) -> float | None:
        wait_s = honest(self, *arguments)  # type: ignore[arg-type]
        return wait_s if wait_s is None or not eager else min(wait_s, 1.0 - waited(self, arguments))

    def waited(seen: Observation, arguments: tuple[object, ...]) -> float:
        now = arguments[-1]
        assert isinstance(now, Instant)
        assert seen.since is not None
        return now.boot_s - seen.since.boot_s

    eager: list[LeaseMachine] = []
    step = LeaseMachine.step

    def noting(self: LeaseMachine, stimulus: object, **more: object) -> object:
        eager[:] = [self] if self._looking.is_hasty(more["now"]) else []  # type: ignore[arg-type]
        return step(self, stimulus, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(LeaseMachine, "step", noting)
    monkeypatch.setattr(Observation, "takeable_in_s", believing)
    assert any(run_one(seed, 1).violations for seed in range(MUTANT_RUNS))
