"""What people do to a cluster in a storm: pause it, resume it, ask for switchovers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.sim.targets import Targets, leads

if TYPE_CHECKING:
    from node.sim.person import Person

# A person's pause is followed this often by everything beginning anew that could remember it.
PAUSE_THEN_LOSS = 0.4


class PeopleFaults:
    """Decisions of a person, at a bad moment."""

    def __init__(
        self, targets: Targets, person: "Person", *, lose_everything: Callable[[], None]
    ) -> None:
        """Bind the person; `lose_everything`: processes and stores begin anew, if it storms."""
        self._targets, self._world = targets, targets.world
        self._person, self._lose_everything = person, lose_everything

    def switchover(self) -> None:
        """A person asks the leader to hand over."""
        boxes = self._targets.boxes
        for box in boxes:
            if box.living and leads(box):
                others = [other.name for other in boxes if other is not box]
                self._person.ask_switchover(box.name, self._world.rng.choice((others[0], "")))

    def pause_cluster(self) -> None:
        """A person pauses the cluster, and resumes it a while later."""
        rng, world = self._world.rng, self._world
        self._person.pause()
        if rng.random() < PAUSE_THEN_LOSS:
            world.after(rng.uniform(8, 15), self._lose_everything)
        world.after(rng.uniform(5, 60), self._person.resume)
