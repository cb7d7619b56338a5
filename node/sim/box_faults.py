"""What befalls boxes: clocks that are bent or set, sleep, no power, bad cards, heat."""

from functools import partial

from node.sim.surroundings import long_s
from node.sim.targets import Targets

SLEW = 0.08  # chrony's default limit
HOT_C = 95.0


class BoxFaults:
    """Faults of whole machines."""

    def __init__(self, targets: Targets) -> None:
        """Bind what can be struck."""
        self._targets, self._world = targets, targets.world

    def slew(self) -> None:
        """NTP bends the rate of a box's boot clock."""
        box = self._targets.box()
        rate = self._world.rng.uniform(-SLEW, SLEW)
        self._targets.note("clock slewed", box=box.name, percent=round(rate * 100, 2))
        box.clock.slew(box.clock.raw_rate * (1 + rate))

    def set_wall(self) -> None:
        """NTP or a person sets a box's wall clock."""
        box = self._targets.box()
        by_s = self._world.rng.choice((3600.0, -3600.0, 0.3, -0.3))
        if self._world.rng.random() < 0.2:  # noqa: PLR2004  (no battery: back to 1970)
            by_s = -box.clock.wall_s()
        self._targets.note("wall clock set", box=box.name, by_s=round(by_s, 1))
        box.clock.wall_offset_s += by_s

    def suspend(self) -> None:
        """A box sleeps: nothing runs, one of its clocks stands still."""
        box, slept_s = self._targets.box(), long_s(self._world)
        self._targets.note("box suspended", box=box.name, seconds=round(slept_s, 1))
        box.suspend(slept_s)

    def power_cut(self) -> None:
        """A box loses its power: its stores restart empty, its clocks begin anew."""
        box, rng = self._targets.box(), self._world.rng
        off_s = rng.uniform(1, 20)
        self._targets.note("power cut", box=box.name, seconds=round(off_s, 1))
        box.lose_power()
        for store in self._targets.homes.get(box.name, ()):
            store.set_down(is_down=True)
            store.restart(keep=False)
            self._world.after(off_s, partial(store.set_down, is_down=False))
        self._world.after(off_s, box.get_power)

    def stall_disk(self) -> None:
        """An SD card that does not answer for seconds."""
        box = self._targets.box()
        box.disk.stalled_until_s = self._targets.until_s()
        self._targets.note("disk stalls", box=box.name)

    def fail_disk(self) -> None:
        """A card that is full, read-only or dying."""
        box = self._targets.box()
        box.disk.failing_until_s = self._world.now + 2 * long_s(self._world)
        self._targets.note("disk fails", box=box.name)

    def heat(self) -> None:
        """A box gets too hot for a while."""
        box = self._targets.box()
        box.temperature_c = HOT_C
        self._targets.note("too hot", box=box.name)

        def cool() -> None:
            box.temperature_c = 50.0

        self._world.after(self._world.rng.uniform(20, 60), cool)
