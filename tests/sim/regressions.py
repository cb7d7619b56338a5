"""Defects that seeds found once: each with the seed, what it showed, and the old defect itself.

To keep a failing seed: mend the defect, add a row here with the values that the failing run showed,
a sentence, and a context manager that brings the old defect back. Code that changes moves seeds:
the row's seed must pass, and with the defect one of `SEEDS_MAX` seeds from it on must fail.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from node.sim.boards import SimControl
from node.sim.simulation import Plan

SEEDS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One defect. `faults` are those that bring it out, `shows` words of the checker's verdict."""

    seed: int
    hours: float
    stores: int
    faults: tuple[str, ...]
    fault_every_s: float
    showed: str
    old_defect: Callable[[], AbstractContextManager[Any]]
    shows: tuple[str, ...]

    def plan(self, seed: int) -> Plan:
        """Return the run of a seed."""
        return Plan(
            seed=seed,
            hours=self.hours,
            stores=self.stores,
            only=self.faults,
            fault_every_s=self.fault_every_s,
        )


@contextmanager
def decisions_count_from_what_stores_know() -> Iterator[None]:
    """A person's version was one above the stores', not above the time of day."""
    put = SimControl.put

    def from_stores(control: SimControl, *args: Any, above: int = 0) -> Any:
        # A person's `above` is the time of day; a node's is a version that it knows.
        is_person = args[2] == "person"
        return put(control, *args, above=0 if is_person else above)

    with patch.object(SimControl, "put", from_stores):
        yield


REGRESSIONS = {
    "a pause outranked by an older resume when all stores began empty": Regression(
        seed=12,
        hours=0.1,
        stores=3,
        faults=("pause_cluster", "lose_all_stores"),
        fault_every_s=8.0,
        showed="a pause written just after all stores began empty was overruled by a resume "
        "that the nodes remembered under a higher version",
        old_defect=decisions_count_from_what_stores_know,
        shows=("a pause was forgotten", "while the cluster was paused"),
    ),
}
