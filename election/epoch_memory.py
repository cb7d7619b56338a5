"""Which epochs of any node this disk knows: what was seen is written down, once (R7).

Pure. Stores that begin empty forget which epochs were used; a node that was restarted since would
then ask for one of them again. A write that the disk refuses is let go: an epoch that is asked for
is made durable by itself, and stops the asking if it cannot be.
"""

from election.signals import EpochNotStored, EpochStored, Stimulus, StoreEpoch


class EpochMemory:
    """Remembers the highest epoch that is on disk, or on its way there."""

    def __init__(self, disk_epoch: int) -> None:
        """Begin with what the disk says."""
        self._highest = disk_epoch
        self._under_way: set[int] = set()

    def note(self, seen: int) -> StoreEpoch | None:
        """Take in the highest epoch that is known; return what is to be written, if it is."""
        if seen <= self._highest:
            return None
        self._highest = seen
        self._under_way.add(seen)
        return StoreEpoch(epoch=seen)

    def takes(self, stimulus: Stimulus) -> bool:
        """Tell whether this is how such a write ended, and nothing for the machine."""
        if isinstance(stimulus, EpochStored):
            self._highest = max(self._highest, stimulus.epoch)
        if not isinstance(stimulus, EpochNotStored) or stimulus.epoch not in self._under_way:
            return False
        self._under_way.discard(stimulus.epoch)
        return True
