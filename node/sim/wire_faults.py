"""What befalls cables: cut there, back or both, or so slow that messages overtake each other."""

from node.sim.network import Wire
from node.sim.surroundings import long_s
from node.sim.targets import Targets, wires_of


class WireFaults:
    """Faults of the network."""

    def __init__(self, targets: Targets) -> None:
        """Bind what can be struck."""
        self._targets, self._world = targets, targets.world

    def cut_wire(self) -> None:
        """One box and one store, there, back or both."""
        wire = self._world.rng.choice(wires_of(self._targets.box()))
        self._cut(wire, self._world.rng.randrange(3))

    def cut_box(self) -> None:
        """One box and all stores, perhaps one way only."""
        direction = self._world.rng.randrange(3)
        until_s = self._targets.until_s()
        for wire in wires_of(self._targets.box()):
            self._cut(wire, direction, until_s)

    def cut_all_but_one(self) -> None:
        """One box sees one store only."""
        wires = wires_of(self._targets.box())
        spared = self._world.rng.choice(wires)
        until_s = self._targets.until_s()
        for wire in wires:
            if wire is not spared or len(wires) == 1:
                self._cut(wire, 2, until_s)

    def cut_venue(self) -> None:
        """One box does not reach the venue."""
        wire = self._targets.box().venue_wire
        self._cut(wire, self._world.rng.randrange(3), self._world.now + 3 * long_s(self._world))

    def slow_wire(self) -> None:
        """A wire that delays what it carries, so that messages overtake each other."""
        box = self._targets.box()
        wire = self._world.rng.choice((*wires_of(box), box.venue_wire))
        wire.slow_until_s = self._targets.until_s()
        self._targets.note("slow", wire=wire.name)

    def _cut(self, wire: Wire, direction: int, until_s: float | None = None) -> None:
        until_s = self._targets.until_s() if until_s is None else until_s
        way = ("there", "back", "both ways")[direction]
        self._targets.note(
            "cut", wire=wire.name, way=way, seconds=round(until_s - self._world.now, 1)
        )
        wire.cut(until_s, direction)
