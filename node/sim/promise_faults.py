"""What people and bad luck do to promises, and to the cable between the boxes.

Rules of this file: whoever stands down may die, reboot with the store, repent, or lose the file in
which the promise is; the cable fails there, back, or both ways. A promise is given only where it
is possible: one store.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from election.promise import NOT_KNOWN
from node.sim.stander import Stander
from node.sim.surroundings import long_s
from node.sim.targets import Targets, leads

if TYPE_CHECKING:
    from node.sim.box import Box

REBOOT_S = (3.0, 40.0)
CUT_WHILE_AWAY, DAMAGED_WHILE_AWAY = 0.3, 0.5  # shares of reboots


class PromiseFaults:
    """Faults around promises."""

    def __init__(self, targets: Targets, stander: Stander, *, is_storm: Callable[[], bool]) -> None:
        """Bind what can be struck, and who stands down; nothing strikes when no storm is on."""
        self._targets, self._world, self._stander = targets, targets.world, stander
        self._is_storm = is_storm

    @property
    def kinds(self) -> tuple[Callable[[], None], ...]:
        """What may strike; how often each is named says how often."""
        if len(self._targets.stores) != 1:
            return (self.cut_cable,)
        return (
            *([self.cut_cable] * 2),
            *([self.stand_down] * 2),
            *([self.stand_down_and_reboot] * 3),
            self.repent,
            self.end_stand_down,
            self.force_end,
            self.damage_promise,
        )

    def cut_cable(self) -> None:
        """The boxes do not hear each other: one way, the other, or both."""
        self._cut(self._world.rng.randrange(3))

    def _cut(self, direction: int) -> None:
        cable, until_s = self._targets.boxes[0].cable, self._targets.until_s()
        if cable is not None and self._is_storm():
            way = ("there", "back", "both ways")[direction]
            seconds = round(until_s - self._world.now, 1)
            self._targets.note("cut", wire=cable.name, way=way, seconds=seconds)
            cable.cut(until_s, direction)

    def stand_down(self) -> None:
        """A person lets the standby promise not to contend; nothing else happens."""
        if box := self._standby():
            self._stander.begin(box)

    def stand_down_and_reboot(self) -> None:
        """What it is for: the standby's box goes away, and the store with it."""
        box, world, rng = self._standby(), self._world, self._world.rng
        if box is None:
            return
        store, away_s = self._targets.stores[0], rng.uniform(*REBOOT_S)

        def go_off(code: str, _: str) -> None:
            if code:  # whatever was answered: some people reboot all the same
                world.after(rng.uniform(0.0, 3.0), off)

        def off() -> None:
            if not self._is_storm():
                return
            self._targets.note("reboot", box=box.name, seconds=round(away_s, 1))
            box.lose_power()
            store.set_down(is_down=True)
            world.after(away_s, on)
            if rng.random() < CUT_WHILE_AWAY:
                world.after(rng.uniform(0, away_s), partial(self._cut, 2))
            if rng.random() < DAMAGED_WHILE_AWAY:
                self._damage(box)

        def on() -> None:
            if not self._is_storm():
                return  # a calm has mended it all
            store.restart(keep=rng.random() < 0.3)  # noqa: PLR2004
            box.get_power()
            # Its node may be there before its store: then only the holder can say what it promised.
            world.after(
                rng.choice((0.0, rng.uniform(5, 15))), partial(store.set_down, is_down=False)
            )

        self._stander.begin(box, go_off)

    def repent(self) -> None:
        """A promise is given and taken back at once, and then the boxes lose each other."""
        box, world = self._standby(), self._world
        if box is None:
            return

        def take_back(code: str, _: str) -> None:
            if code:
                self._stander.end(box)
                world.after(world.rng.uniform(0, 2.0), partial(self._cut, world.rng.randrange(3)))

        self._stander.begin(box, take_back)

    def end_stand_down(self) -> None:
        """A person takes a promise back."""
        self._stander.end(self._world.rng.choice(self._targets.boxes))

    def force_end(self) -> None:
        """The leader's box dies while the other one is bound; a person sees it and forces."""
        for box in self._targets.boxes:
            other = box.neighbour
            if box.disk.promise.promise is None or other is None:
                continue
            away_s = 5.0 + long_s(self._world)
            self._targets.note("power cut", box=other.name, seconds=round(away_s, 1))
            other.lose_power()
            self._world.after(away_s * self._world.rng.random(), partial(self._stander.force, box))
            self._world.after(away_s, other.get_power)
            return

    def damage_promise(self) -> None:
        """A file on the card of one box cannot be read any more; its process is started anew.

        Mostly of a box that has promised something: the file of any other says nothing new.
        """
        bound = [box for box in self._targets.boxes if box.disk.promise.promise is not None]
        box = bound[0] if bound else self._targets.box()
        if box.living is not None:
            box.living.kill("killed")
        self._damage(box)

    def _damage(self, box: "Box") -> None:
        self._targets.note("promise.json is damaged", box=box.name)
        box.disk.promise = NOT_KNOWN

    def _standby(self) -> "Box | None":
        boxes = self._targets.boxes
        found = [box for box in boxes if box.living is not None and not leads(box)]
        return self._world.rng.choice(found) if found else None
