"""Run variants: in the simulation over edited code, or by the tests that must fail."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.broken.variant import SETUPS, ByTests
from tests.support.edited import ROOT, VARIABLE, Edit, edited_texts, loaded

TESTS_S = 300.0  # a run of a few test files takes seconds


def run_seed(texts: Mapping[str, str], setup: str, stores: int, seed: int) -> str:
    """Return what one run shows, empty when it keeps every promise."""
    return next((shown for _, shown in run_seeds(texts, setup, stores, [seed])), "")


def run_seeds(
    texts: Mapping[str, str], setup: str, stores: int, seeds: Iterable[int]
) -> Iterator[tuple[int, str]]:
    """Yield (seed, what it shows) for each seed that breaks a promise, over the edited texts."""
    chosen = SETUPS[setup]
    with loaded(texts, "tests.support.lease_sim", "election.model") as (sim, model):
        timing = _copy(model.LeaseTiming, chosen.timing)
        weather = _copy(sim.Weather, chosen.weather)
        bounds = _copy(sim.Bounds, chosen.bounds)
        for seed in seeds:
            shown = _run_one(
                sim.Simulation,
                seed=seed,
                stores=stores,
                weather=weather,
                timing=timing,
                bounds=bounds,
            )
            if shown:
                yield seed, shown


def first_shown(
    texts: Mapping[str, str], setup: str, stores: int, seeds: Iterable[int]
) -> tuple[int, str] | None:
    """Return the first seed that breaks a promise, and what it shows; None when none does."""
    return next(iter(run_seeds(texts, setup, stores, seeds)), None)


def _run_one(simulation: Any, **arguments: Any) -> str:
    try:
        made = simulation(**arguments)
        report = made.run()
    except AssertionError as error:  # production says itself that a rule is broken
        return f"assertion: {error}"
    return report.violations[0] if report.violations else ""


def _copy(kind: Any, value: object) -> Any:
    """Return the same value as an instance of the class that the edited modules know."""
    return kind(**{name: getattr(value, name) for name in kind.__dataclass_fields__})


def run_tests(edits: Sequence[Edit], proof: ByTests) -> tuple[bool, str]:
    """Run the proof's tests over the edited code; tell whether one failed, and their output."""
    return run_tests_over(edited_texts(edits), proof.tests)


def run_tests_over(
    texts: Mapping[str, str], tests: Sequence[str], *, timeout_s: float = TESTS_S, cpu_s: int = 0
) -> tuple[bool, str]:
    """Run tests in a process of its own over the given texts; tell whether one failed.

    A run that does not end in time, or within `cpu_s` seconds of CPU (0 for no limit), counts as
    failed: a mutant may loop for ever.
    """
    limited = ["prlimit", f"--cpu={cpu_s}"] if cpu_s else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sources.json"
        path.write_text(json.dumps(dict(texts)), "utf-8")
        command = [
            *limited,
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "tests.support.edited",
        ]
        command += ["-p", "no:cacheprovider", "--no-header", "--tb=line", *tests]
        environment = {**os.environ, VARIABLE: str(path), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ended = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return True, f"the tests did not end within {timeout_s:.0f} s"
    if ended.returncode == -signal.SIGKILL:  # what prlimit's limit ends with
        return True, f"the tests did not end within {cpu_s} s of CPU time"
    if ended.returncode not in (0, 1, 2):  # passed, failed, failed while collecting
        raise RuntimeError(f"pytest could not run: {ended.stdout}{ended.stderr}")
    return ended.returncode != 0, ended.stdout
