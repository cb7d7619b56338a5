"""Defects that seeds found once: each with the seed, what it showed, and the old defect itself.

To keep a failing seed: mend the defect, add a row here with the values that the failing run showed,
a sentence, and what brings the old defect back (old_defects.py). Code that changes moves seeds: the
row's seed must pass, and with the defect one of `SEEDS_MAX` seeds from it on must fail.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from node.sim.simulation import Plan
from tests.sim import old_defects

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
    is_strict: bool = False
    has_storms: bool = True

    def plan(self, seed: int) -> Plan:
        """Return the run of a seed."""
        return Plan(
            seed=seed,
            hours=self.hours,
            stores=self.stores,
            only=self.faults,
            fault_every_s=self.fault_every_s,
            strategy="grid",
            is_strict=self.is_strict,
            has_storms=self.has_storms,
        )


REGRESSIONS = {
    "a pause outranked by an older resume when all stores began empty": Regression(
        seed=12,
        hours=0.1,
        stores=3,
        faults=("pause_cluster", "lose_all_stores"),
        fault_every_s=8.0,
        showed="a pause written just after all stores began empty was overruled by a resume "
        "that the nodes remembered under a higher version",
        old_defect=old_defects.decisions_count_from_what_stores_know,
        shows=("a pause was forgotten", "while the cluster was paused"),
    ),
    "an epoch used by both nodes after their only store began empty": Regression(
        seed=0,
        hours=0.1,
        stores=1,
        faults=("lose_all_stores", "crash"),
        fault_every_s=4.0,
        is_strict=True,
        showed="the store had forgotten which epochs were used; a node that was started since was "
        "granted one that the other had traded under",
        old_defect=old_defects.epochs_are_forgotten_with_the_store,
        shows=("an epoch was announced twice", "under an epoch that is not the newest"),
    ),
    "a takeover that nobody told because its process died first": Regression(
        seed=0,
        hours=0.1,
        stores=1,
        faults=("kill_at_takeover", "kill"),
        fault_every_s=8.0,
        showed="the process died between the journal of its takeover and the outbox",
        old_defect=old_defects.untold_takeovers_stay_untold,
        shows=("an epoch was never announced",),
    ),
    "a leader that was cut off is killed by its fence although it is well": Regression(
        seed=1,
        hours=0.1,
        stores=3,
        faults=("cut_box",),
        fault_every_s=4.0,
        showed="its turn waited for a read for longer than the guard, so that nobody settled",
        old_defect=old_defects.only_a_turn_settles,
        shows=("a node that is well was killed by its fence",),
    ),
    "an error of a disk that stalled and then failed is nobody's": Regression(
        seed=0,
        hours=0.2,
        stores=3,
        faults=("stall_disk", "fail_disk"),
        fault_every_s=8.0,
        showed="the journal's writer had stopped waiting for the card when the error came",
        old_defect=old_defects.late_disk_errors_are_left,
        shows=("an error was left behind in the event loop",),
    ),
    "a takeover told late as if nobody had told it": Regression(
        seed=7,
        hours=0.2,
        stores=1,
        faults=("fail_disk", "kill"),
        fault_every_s=4.0,
        showed="the disk failed when it was told first, so that the outbox did not know",
        old_defect=old_defects.no_message_says_that_the_disk_forgets,
        shows=("an epoch was announced twice",),
    ),
    "a message sent again after a restart because the disk kept no attempt": Regression(
        seed=7,
        hours=0.2,
        stores=1,
        faults=("fail_disk", "kill"),
        fault_every_s=4.0,
        showed="the disk failed between taking the message in and noting that it was sent; each "
        "process that was started sent it again, as if for the first time",
        old_defect=old_defects.no_sent_message_says_that_it_may_come_again,
        shows=("an epoch was announced twice",),
    ),
}
