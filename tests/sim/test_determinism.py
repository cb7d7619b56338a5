"""A seed names one run: in any process, whatever that process did before or does meanwhile."""

import decimal
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from node.config_model import Config
from node.logs import log_event
from node.runtime import Runtime
from node.sim.edges import SimEdges
from node.sim.simulation import Plan, Simulation
from node.wiring import build_runtime

PLAN = Plan(seed=7, hours=0.05)
PROGRAM = (
    "import sys;"
    "from node.sim.simulation import Plan, Simulation;"
    "print([Simulation(Plan(seed=int(s), hours=0.05)).run().digest for s in sys.argv[1:]][-1])"
)


def digest_in_fresh_process(*seeds: int, hash_seed: int) -> str:
    """Return the digest of the last of these seeds, run in turn by a process of their own."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, seeds)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.fixture(scope="module")
def digest() -> str:
    """What the plan's run is, as a fresh process sees it."""
    return digest_in_fresh_process(7, hash_seed=1)


def test_other_hashes_and_other_seeds_before_change_nothing(digest: str) -> None:
    """Neither the order in which sets of texts are walked, nor what ran before in the process."""
    assert digest_in_fresh_process(7, hash_seed=2) == digest
    assert digest_in_fresh_process(4, 7, hash_seed=3) == digest


@contextmanager
def eager_garbage_collection() -> Iterator[None]:
    """The collector at work all the time, over a heap that is full of cycles."""
    before, cycles = gc.get_threshold(), [[] for _ in range(50_000)]  # type: ignore[var-annotated]
    for cycle in cycles:
        cycle.append(cycle)
    del cycles[::2], cycle
    gc.set_threshold(50, 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """The collector switched off by whoever ran before; it stays so after the run."""
    gc.disable()
    try:
        yield
        assert not gc.isenabled()
    finally:
        gc.enable()


@contextmanager
def coarse_decimals() -> Iterator[None]:
    """Another test has set the precision of this thread's decimals."""
    with decimal.localcontext(prec=4):
        yield


DISTURBANCES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "nothing": nullcontext,
    "eager garbage collection": eager_garbage_collection,
    "no garbage collection": no_garbage_collection,
    "coarse decimals": coarse_decimals,
}


@pytest.mark.parametrize("disturb", DISTURBANCES.values(), ids=DISTURBANCES.keys())
def test_state_of_the_process_changes_nothing(
    disturb: Callable[[], AbstractContextManager[None]], digest: str
) -> None:
    """What others left behind in this process does not reach the run."""
    with disturb():
        assert Simulation(PLAN).run().digest == digest


def test_other_threads_of_the_process_are_not_heard(digest: str) -> None:
    """A thread that a test before left behind logs while the run goes on: not the run's event."""

    def build(config: Config, node_id: str, edges: SimEdges) -> Runtime:
        stranger = threading.Thread(target=log_event, args=("node.ready",))
        stranger.start()
        stranger.join()
        return build_runtime(config, node_id, edges)

    assert Simulation(PLAN, build=build).run().digest == digest
