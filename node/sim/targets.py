"""What a fault may strike: mostly the node that leads, for it is the one worth hurting."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from node.role import Role
from node.sim.network import Wire
from node.sim.process import SimProcess
from node.sim.stores import SimStore
from node.sim.surroundings import long_s

if TYPE_CHECKING:
    from node.sim.box import Box
    from node.sim.world import World

AT_THE_LEADER = 0.6  # share of faults that seek the node that leads


class Targets:
    """Boxes and stores of one world, and a choice among them."""

    def __init__(
        self,
        world: "World",
        *,
        boxes: Sequence["Box"],
        stores: Sequence[SimStore],
        homes: Mapping[str, Sequence[SimStore]],
    ) -> None:
        """Bind what can break; `homes`: the stores on each box."""
        self.world, self.boxes, self.stores = world, tuple(boxes), tuple(stores)
        self.homes = homes

    def box(self) -> "Box":
        """Choose a box."""
        rng = self.world.rng
        holders = [box for box in self.boxes if box.living and leads(box)]
        if holders and rng.random() < AT_THE_LEADER:
            return rng.choice(holders)
        return rng.choice(self.boxes)

    def process(self) -> SimProcess | None:
        """Choose a box's process, None when it has none now."""
        return self.box().living

    def store(self) -> SimStore:
        """Choose a store."""
        return self.world.rng.choice(self.stores)

    def until_s(self) -> float:
        """Return an instant at which what begins now is over."""
        return self.world.now + long_s(self.world)

    def note(self, what: str, **details: object) -> None:
        """Write what struck into the timeline."""
        self.world.note("weather", what, **details)


def leads(box: "Box") -> bool:
    """Tell whether a box's node trades, or is about to."""
    return box.runtime is not None and box.runtime.desk.role in (Role.TAKEOVER, Role.ACTIVE)


def wires_of(box: "Box") -> list[Wire]:
    """Return the box's wires to the stores."""
    return list(box.wires.values())
