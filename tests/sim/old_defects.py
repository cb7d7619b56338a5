"""What brings defects back that the simulator found once, each for as long as a `with` lasts.

Rules of this file: one defect each, as it was; where several guards were made against one, all of
them are undone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from election.epoch_memory import EpochMemory
from election.heartbeat import Heartbeat
from node.reconciling import Reconciling
from node.sim.boards import SimControl
from node.standby import Standby
from tests.support.edited_function import edited_function

LATE_BEFORE = "told late: this node's process ended before it could say so"


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


@contextmanager
def epochs_are_forgotten_with_the_store() -> Iterator[None]:
    """Epochs that were seen were neither kept on disk nor learnt from the journal."""
    with (
        patch.object(EpochMemory, "note", lambda *_: None),
        edited_function(Standby, "tail", "self.raise_floor(written)", "pass"),
        edited_function(Reconciling, "_gather", "written >= granted", "written > granted"),
    ):
        yield


@contextmanager
def untold_takeovers_stay_untold() -> Iterator[None]:
    """Nobody looked for takeovers whose process had died before it told them."""

    async def tell_none(*_: Any) -> tuple[int, ...]:
        return ()

    with patch("node.crash_watch.tell_untold", tell_none):
        yield


@contextmanager
def only_a_turn_settles() -> Iterator[None]:
    """A work loop whose turn waits for an answer settled only after it."""
    with patch.object(Heartbeat, "settle_unless_hung", lambda _: False):
        yield


@contextmanager
def late_disk_errors_are_left() -> Iterator[None]:
    """Whoever stopped waiting for the disk left its error to asyncio."""
    with patch("exchange.journal_writer._look_away", lambda _: None):
        yield


@contextmanager
def no_message_says_that_the_disk_forgets() -> Iterator[None]:
    """A late message did not say that it may come a second time, nor did one that was not kept.

    The second alone would warn of the first by now.
    """
    with patch("node.untold.LATE", LATE_BEFORE), no_sent_message_says_that_it_may_come_again():
        yield


@contextmanager
def no_sent_message_says_that_it_may_come_again() -> Iterator[None]:
    """A message that the disk did not keep as sent looked like any other."""
    with patch("alerts.render.MAY_COME_AGAIN", ""):
        yield
