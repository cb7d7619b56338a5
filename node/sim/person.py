"""A person at a laptop: pauses, resumes and asks for switchovers, as `nodectl` writes them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from election.model import StoreName
from node.latches import CLEAR_CRASHES, LOSS_LIMIT, PAUSE, SWITCHOVER
from node.sim.boards import SimControl
from node.sim.fleet import SimFleet
from node.sim.process import SimProcess
from node.sim.watching import Watching

if TYPE_CHECKING:
    from node.sim.box import Box

NAME = "person"
# How much later than its being known everywhere a pause must have ended all placements: a write
# that was under way, and the venue's window.
EFFECT_S = 3.0
# After so many seconds in which both nodes knew it, a pause survives whatever happens.
KNOWN_S = 5
BEGAN_MS = 1_700_000_000_000  # the laptop's wall clock at true time 0
LOOKS_S = (3.0, 25.0)  # until a person has read why a node stays out of it
THINKS_S = (20.0, 200.0)  # until a person has looked at a loss and decided to go on
RETRY_S = 5.0  # between two tries of a person whom too few stores heard


class Person:
    """Decides for the cluster; knows what the stores said to that."""

    def __init__(
        self,
        process: SimProcess,
        wires: Mapping[StoreName, object],
        watching: Watching,
        boxes: Sequence["Box"],
    ) -> None:
        """Sit down at a laptop that reaches all stores."""
        fleet = SimFleet(process, wires, timeout_s=0.8)  # type: ignore[arg-type]  # of Wire
        self.process, self._world = process, process.world
        self._control = SimControl(process, fleet)
        self._watching, self._boxes = watching, boxes
        self._pause_version: int | None = None
        self._known_for_s = 0
        self.is_pausing = False
        self._clear_due_s: float | None = None
        self._lift_due_s: float | None = None

    def pause(self) -> None:
        """Pause the cluster."""
        self.is_pausing = True
        self._known_for_s = 0

        def done(put: object, error: BaseException | None) -> None:
            version = getattr(put, "version", 0)
            if error is None and getattr(put, "is_majority", False) and self.is_pausing:
                self._pause_version = version
                self._world.count("pause set")
            self._world.note(NAME, "paused", version=version)

        self._put(PAUSE, {"is_paused": True}, done)

    def resume(self) -> None:
        """Lift the pause and the loss limit."""
        self.is_pausing = False
        self._pause_version = None
        self._watching.paused_since_s = None
        self._world.note(NAME, "resumes")
        self._lift()

    def _lift(self) -> None:
        """Lift pause and loss limit; say it again as long as no majority took it."""
        if self.is_pausing:
            return
        control, world = self._control, self._world

        def retry_unless_taken(put: object, _: BaseException | None) -> None:
            if not getattr(put, "is_majority", False):
                world.after(RETRY_S, self._lift)

        self._put(PAUSE, {"is_paused": False}, retry_unless_taken)

        def read(reading: object, _: BaseException | None) -> None:
            limit = getattr(reading, "records", {}).get(LOSS_LIMIT)
            if limit is not None and limit.value.get("is_latched", True):
                world.note(NAME, "lifts the loss limit")
                self._put(LOSS_LIMIT, {**limit.value, "is_latched": False}, lifted)
            else:
                self._watching.loss.end_lift(0 if limit is None else limit.version)

        def lifted(put: object, error: BaseException | None) -> None:
            if getattr(put, "is_majority", False):
                world.count("loss limit lifted")
                self._watching.loss.end_lift(getattr(put, "version", 0))
            retry_unless_taken(put, error)

        self._watching.loss.begin_lift()
        control.read().then(read)

    def ask_switchover(self, holder: str, to: str) -> None:
        """Ask the leader to hand over."""
        self._world.note(NAME, "asks for a switchover", to=to)
        self._put(SWITCHOVER, {"to": to, "from": holder}, _nobody_waits)

    def look(self) -> None:
        """Once a second: see whether every box keeps the pause, and what waits for a person."""
        self._clear_crashes()
        self._think_of_losses()
        version = self._pause_version
        if version is None or self._watching.paused_since_s is not None:
            return
        if not all(self._knows(box, version) for box in self._boxes):
            self._known_for_s = 0
            return
        self._known_for_s += 1
        if self._known_for_s >= KNOWN_S:
            self._world.count("pause known everywhere")
            self._watching.paused_since_s = self._world.now + EFFECT_S

    def _think_of_losses(self) -> None:
        """Say `resume` a while after the loss limit was latched."""
        is_latched = any(
            box.living is not None
            and box.runtime is not None
            and box.runtime.parts.watch.latches.is_loss_latched
            for box in self._boxes
        )
        if not is_latched:
            self._lift_due_s = None
        elif self._lift_due_s is None:
            self._lift_due_s = self._world.now + self._world.rng.uniform(*THINKS_S)
        elif self._world.now >= self._lift_due_s and not self.is_pausing:
            self._lift_due_s = None
            self.resume()

    def _clear_crashes(self) -> None:
        """Look at the crashes of a node that stays out of it, and let it in again, one a time."""
        waiting = [
            (box.name, box.runtime.health.crash_latch_id)
            for box in self._boxes
            if box.living is not None and box.runtime is not None
        ]
        found = next(((name, mark) for name, mark in waiting if mark), None)
        if found is None:
            self._clear_due_s = None
            return
        now_s = self._world.now
        if self._clear_due_s is None:
            self._clear_due_s = now_s + self._world.rng.uniform(*LOOKS_S)
        if now_s >= self._clear_due_s:
            self._clear_due_s = now_s + RETRY_S
            name, mark = found
            self._world.note(NAME, "clears crashes", of=name)
            self._put(CLEAR_CRASHES, {"latch_id": mark, "node_id": name}, _nobody_waits)

    def _knows(self, box: "Box", version: int) -> bool:
        """Tell whether a box's node knows the pause and has a disk that could keep it."""
        runtime = box.runtime
        if box.living is None or runtime is None or box.disk.is_unwell:
            return False
        known = runtime.parts.watch.latches.records.get(PAUSE)
        return known is not None and known.version >= version

    def _put(self, kind: str, value: Mapping[str, object], done: object) -> None:
        at_ms = BEGAN_MS + int(self._world.now * 1000)
        put = self._control.put(kind, value, NAME, at_ms, "asked", above=at_ms // 1000)
        put.then(done)  # type: ignore[arg-type]


def _nobody_waits(_: object, __: BaseException | None) -> None:
    """Whether it was taken shows in what the nodes do."""
