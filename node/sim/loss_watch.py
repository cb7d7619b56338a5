"""The daily loss limit in true time (S6): once latched nothing adds risk until a person lifts it.

Rules of this file: on spot every buy adds risk and no sell does. A node that knows the latch sends
no buy, but for the rest of a walk that it had begun; what both nodes knew for a while survives
whatever happens to processes and stores. Only the simulated person lifts it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from election.control_record import ControlRecord
from exchange.model import OrderIntent, Side
from node.latches import LOSS_LIMIT
from node.sim.process import SimProcess
from node.sim.world import World

if TYPE_CHECKING:
    from node.sim.box import Box

# A latch of the other node may arrive in the middle of a walk over a plan.
WALK_S = 5.0
# After so many looks (one a second) in which both nodes knew it, a latch survives everything.
KNOWN_LOOKS = 5
# A write that was under way when both knew it, and the venue's window.
EFFECT_S = 3.0


class LossWatch:
    """Whether a latched loss limit does what it promises."""

    def __init__(self, world: World) -> None:
        """Nothing is latched."""
        self._world = world
        self._since_s: dict[str, float] = {}  # of each living process: since when it knows it
        self._looks = 0
        self._in_force_s: float | None = None  # from when on no buy may be accepted from anyone
        self._lifted: int | None = 0  # version of a person's last word; None: it is being said

    # --- what a person does --------------------------------------------------------------------

    def begin_lift(self) -> None:
        """A person lifts it: from now on either may hold."""
        self._lifted, self._in_force_s, self._looks = None, None, 0
        self._since_s.clear()

    def end_lift(self, version: int) -> None:
        """It was written under this version, or no store had it latched (then its version)."""
        self._lifted = version

    # --- what is seen --------------------------------------------------------------------------

    def note_latched(self, process: SimProcess) -> None:
        """A node says that it latched the limit: not even the rest of a walk follows."""
        if self._lifted is not None:
            self._since_s[process.name] = self._world.now - WALK_S

    def look(self, boxes: Sequence["Box"]) -> None:
        """Once a second: see who keeps a latch, and whether one was lost."""
        known = 0
        for box in boxes:
            process, runtime = box.living, box.runtime
            if process is None or runtime is None or process.is_paused:
                continue
            watch = runtime.parts.watch
            record = watch.latches.records.get(LOSS_LIMIT)
            is_latched = self._is_valid(record) and watch.latches.is_loss_latched
            if is_latched:
                self._since_s.setdefault(process.name, self._world.now)
            elif self._in_force_s is not None and watch.has_looked:
                self._world.violate("the loss limit was forgotten", by=process.name)
            known += is_latched and not box.disk.is_unwell  # it could keep it on disk, too
        self._looks = self._looks + 1 if known == len(boxes) else 0
        if self._looks == KNOWN_LOOKS and self._in_force_s is None:
            self._world.count("loss limit known everywhere")
            self._in_force_s = self._world.now + EFFECT_S

    def _is_valid(self, record: ControlRecord | None) -> bool:
        """Tell whether a record is newer than a person's last word."""
        return record is not None and self._lifted is not None and record.version > self._lifted

    def check_send(self, process: SimProcess, intent: OrderIntent) -> None:
        """Nothing that adds risk leaves a node that knows the latch."""
        since_s = self._since_s.get(process.name)
        is_known = since_s is not None and self._world.now - since_s >= WALK_S
        if intent.side is Side.BUY and is_known:
            self._world.violate(
                "an order that adds risk left while the loss limit was latched",
                id=intent.client_order_id,
                by=process.name,
            )

    def note_arrival(self, intent: OrderIntent) -> None:
        """Nothing that adds risk is accepted once both nodes knew the latch."""
        since_s = self._in_force_s
        if intent.side is Side.BUY and since_s is not None and self._world.now > since_s:
            self._world.violate(
                "an order that adds risk was accepted while the loss limit was latched",
                id=intent.client_order_id,
            )

    def note_takeover(self) -> None:
        """A node took over: did it inherit a latch?"""
        if self._in_force_s is not None:
            self._world.count("takeover while the loss limit was latched")
