"""Draw mutants of the lease code and count those that the tests notice: `make mutants`.

Each is tried first in the simulation (a bounded number of seeds, in this process), then by the
quick tests of the machine, in a process of its own. The code on disk is never touched. A mutant
that no test notices is printed as a diff; one that is listed in `equivalent.py` changes nothing
that can be observed, with the reason there, and is not counted.
"""

import argparse
import random
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import FrameType

from tests.broken.judge import first_shown, run_tests_over
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutator import Mutant, mutants_of
from tests.support.edited import ROOT

MODULES = (
    "election/machine.py",
    "election/standing.py",
    "election/holding.py",
    "election/contest.py",
    "election/observation.py",
    "election/observed.py",
    "election/quorum.py",
    "election/looking.py",
    "election/tenure.py",
    "election/calls.py",
    "election/instants.py",
    "election/permit.py",
)
# (weather, stores, seeds): what breaks a promise at once, or who leads in good weather.
LADDER = (
    ("steady", 1, 1),
    ("switchovers", 3, 1),
    ("store faults", 1, 1),
    ("hostile", 3, 3),
    ("tight", 1, 4),
    ("hangs", 1, 1),
)
# In CPU seconds, not by the clock on the wall: a busy machine must not make a mutant look noticed.
# With the rules whole the simulation takes about one, the tests three.
SIMULATION_CPU_S = 10.0
TESTS_CPU_S = 30
WALL_S = 3600.0  # for what waits without computing
# None of these looks at real time either.
TESTS = (
    "tests/election/test_machine_takeable.py",
    "tests/election/test_machine_contending.py",
    "tests/election/test_machine_attempts.py",
    "tests/election/test_machine_holding.py",
    "tests/election/test_machine_clocks.py",
    "tests/election/test_machine_repair.py",
    "tests/election/test_machine_releasing.py",
    "tests/election/test_machine_details.py",
    "tests/election/test_machine_handover.py",
    "tests/election/test_machine_promise.py",
    "tests/election/test_machine_joint.py",
    "tests/election/test_quorum.py",
    "tests/election/test_observation.py",
    "tests/election/test_clock.py",
    "tests/election/test_permit.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How one mutant ended; `by` is empty when nobody noticed it."""

    mutant: Mutant
    by: str


def all_mutants(modules: Sequence[str]) -> list[Mutant]:
    """Return every mutant of the modules that may change something."""
    found = [m for path in modules for m in mutants_of(path, (ROOT / path).read_text("utf-8"))]
    return [mutant for mutant in found if mutant.key not in EQUIVALENT]


def try_mutant(mutant: Mutant) -> Verdict:
    """Try one mutant until somebody notices it."""
    texts = {mutant.path: mutant.text}
    by = _simulate(texts)
    if not by:
        is_caught, output = run_tests_over(texts, TESTS, timeout_s=WALL_S, cpu_s=TESTS_CPU_S)
        failed = [line for line in output.splitlines() if line.startswith("FAILED")]
        by = (failed or [output])[0] if is_caught else ""
    return Verdict(mutant=mutant, by=by)


def _simulate(texts: dict[str, str]) -> str:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SIMULATION_CPU_S)
    try:
        for setup, stores, seeds in LADDER:
            shown = first_shown(texts, setup, stores, range(seeds))
            if shown:
                return f"'{setup}' seed {shown[0]}: {shown[1]}"
    except TimeoutError:
        return "the simulation did not end"
    except Exception as error:  # noqa: BLE001  (a mutant may fail in any way)
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return ""


def main() -> int:
    """Run the drawn mutants; exit 1 when one survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=0, help="how many are drawn; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="which are drawn")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("modules", nargs="*", help="paths; all lease modules when none is given")
    asked = parser.parse_args()
    drawn = all_mutants(asked.modules or MODULES)
    total, began_s = len(drawn), time.monotonic()
    if asked.count:
        drawn = random.Random(asked.seed).sample(drawn, min(asked.count, total))
    survivors, caught, endless = [], 0, 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        for verdict in pool.map(try_mutant, drawn):
            if verdict.by:
                caught += 1
                endless += "did not end" in verdict.by
            else:
                survivors.append(verdict.mutant)
                _print(f"SURVIVED {verdict.mutant.key}\n{verdict.mutant.diff(2)}\n")
    took_s = time.monotonic() - began_s
    _print(
        f"{caught} of {len(drawn)} mutants caught ({caught / max(1, len(drawn)):.1%}), "
        f"{endless} of them because they did not end, "
        f"{total} possible, {len(EQUIVALENT)} listed as equivalent, {took_s:.0f} s"
    )
    return 1 if survivors else 0


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201  (a command line prints)


if __name__ == "__main__":
    sys.exit(main())
