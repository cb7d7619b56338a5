"""How the heartbeat's work is carried: calls to stores, epochs to disk, turns of the coordinator.

Rules of this file: values and Protocols only. The heartbeat decides what is done in a turn; a
crew decides when and on what it runs: threads (thread_crew.py), or one event loop of a
simulation. Turns of one coordinator never overlap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from election.model import Identity, LeaseTiming
from election.ports import EpochFile, LeaseClock, LeaseStore
from election.signals import Call, Stimulus, StoreEpoch


class Coordinator(Protocol):
    """What a crew drives; the heartbeat."""

    def begin(self) -> None:
        """Say what was wrong at the start; called once, before the first turn."""
        ...

    def turn(self, stimulus: Stimulus | None, *, is_due: bool) -> float | None:
        """Take one turn: a tick if one is due, then the stimulus.

        Returns:
            Seconds until the next tick is due at the latest; None when the coordinator crashed:
            then no further turn may be taken.
        """
        ...


class Crew(Protocol):
    """Carries out what the coordinator decides; each call but `stop` returns at once."""

    @property
    def is_alive(self) -> bool:
        """True while turns are taken."""
        ...

    def start(self) -> None:
        """Begin: the first turn is due now."""
        ...

    def post(self, stimulus: Stimulus) -> None:
        """Let the coordinator take a stimulus in soon; callable from any thread."""
        ...

    def call(self, call: Call) -> None:
        """Make a call to a store and post what came of it (`Answered` or `Failed`).

        The instants of an answer are read right before the call leaves and right after its answer
        is here. The machine has at most one call under way to each store.
        """
        ...

    def store_epoch(self, order: StoreEpoch) -> None:
        """Make an epoch durable and post `EpochStored` or `EpochNotStored`."""
        ...

    def stop(self, timeout_s: float) -> None:
        """End all turns and close the stores; calls under way end by themselves."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewOrders:
    """What a crew needs to know."""

    coordinator: Coordinator
    stores: Sequence[LeaseStore]
    epoch_file: EpochFile
    identity: Identity
    timing: LeaseTiming
    clock: LeaseClock


BuildCrew = Callable[[CrewOrders], Crew]
