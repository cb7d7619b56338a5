"""The checker of promises: who stood down does not lead, and an end is agreed, never assumed (R14).

Like the other checkers it knows true time and both boxes; each method states one promise.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from election.promise import PromiseMemory, PromiseState
from node.sim.process import SimProcess
from node.sim.world import World

if TYPE_CHECKING:
    from node.sim.box import Box


class PromiseWatch:
    """Looks at both boxes' promises."""

    def __init__(self, world: World, boxes: "Sequence[Box]", *, ttl_s: float) -> None:
        """Listen to both disks."""
        self._world, self._boxes, self._ttl_s = world, boxes, ttl_s
        self._ended: dict[str, float] = {}  # process -> when its promise ended, in true time
        for box in boxes:
            box.disk.on_promise = partial(self.note_change, box)

    def note_change(self, box: "Box", after: PromiseMemory) -> None:
        """No promise is forgotten while a process of the other box relies on it."""
        before = box.disk.promise
        if before.state is PromiseState.NONE or after.state is not PromiseState.NONE:
            return
        if box.living is not None:
            self._ended[box.living.name] = self._world.now
        other = box.neighbour
        if other is None or other.living is None or other.runtime is None:
            return
        relied = other.runtime.parts.heartbeat.relies_on
        if relied is not None and relied.by == box.name:
            self._world.violate(
                "a promise ended while the other node relies on it",
                by=box.name,
                holder=other.living.name,
            )

    def check_leader(self, process: SimProcess) -> None:
        """Whoever leads is bound by no promise, and waited one ttl since its last one ended."""
        promise = process.box.disk.promise
        if promise.state is not PromiseState.NONE and len(process.box.stores) == 1:
            self._world.violate(
                "a node leads although it stood down",
                by=process.name,
                promise=promise.promise_id or "not known",
            )
        since_s = self._ended.get(process.name)
        if since_s is not None and self._world.now < since_s + self._ttl_s:
            self._world.violate(
                "a node leads within one ttl of the end of its promise",
                by=process.name,
                after_s=round(self._world.now - since_s, 3),
            )

    def look(self) -> None:
        """Once a second: count what a campaign must have seen."""
        for box in self._boxes:
            if box.living is None or box.runtime is None:
                continue
            heartbeat = box.runtime.parts.heartbeat
            if heartbeat.relies_on is None or heartbeat.permit.remaining_s() <= 0:
                continue
            proven_s = heartbeat.peer_facts().holder.proven_s
            if proven_s is None or proven_s > self._ttl_s:
                self._world.count("seconds led by a promise alone")
