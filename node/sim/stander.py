"""A person at the standby's box who says `nodectl stand-down`, takes it back, or forces its end.

Rules of this file: it asks the box's own node through the production client, as the command does.
An end is forced only when the process that was promised is dead: that is what a person must know.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from node.config_model import Config
from node.peer_client import STEP_S
from node.peer_desk import DONE
from node.sim.cable import Way
from node.sim.network import Weather, Wire
from node.sim.peers import client_of_command
from node.sim.process import SimProcess

if TYPE_CHECKING:
    from node.sim.box import Box

NAME = "person"
PROMISED = "stood down: it promised"  # of the reasons that a node shows
RETRY_S = 5.0
Told = Callable[[str, str], None]  # how a step ended: its code, and words


class Stander:
    """Gives and takes back promises, for one pair."""

    def __init__(self, process: SimProcess, config: Config, boxes: "tuple[Box, Box]") -> None:
        """Know both boxes; `process` is the person's own."""
        self._process, self._world, self._config = process, process.world, config
        self._boxes = boxes
        self._wire = Wire(process.world, Weather(), "at the box")  # on the box itself

    def begin(self, box: "Box", then: Told = lambda _code, _text: None) -> None:
        """Stand down: the node on this box promises not to contend."""

        def told(code: str, text: str) -> None:
            self._world.count("stand-down given" if code == DONE else "stand-down not given")
            then(code, text)

        self._step(box, "begin", told)

    def end(self, box: "Box", then: Told = lambda _code, _text: None) -> None:
        """Take it back, in agreement with the node that leads."""
        is_standing = box.disk.promise.promise is not None

        def told(code: str, text: str) -> None:
            if is_standing:
                what = "stand-down taken back" if code == DONE else "stand-down not taken back"
                self._world.count(what)
            then(code, text)

        self._step(box, "end", told)

    def force(self, box: "Box", then: Told = lambda _code, _text: None) -> None:
        """End it without the other node, if whoever was promised is dead."""
        other = self._boxes[1] if box is self._boxes[0] else self._boxes[0]
        if box.disk.promise.promise is None or other.living is not None:
            return
        self._world.count("stand-down forced")
        self._step(box, "force", then)

    def end_all(self) -> None:
        """Take back whatever stands; say it again as long as it is not agreed to."""

        def again_unless_done(code: str, _: str) -> None:
            if code != DONE:
                self._world.after(RETRY_S, self.end_all)

        for box in self._boxes:
            if box.disk.promise.promise is not None or _shows_promise(box):
                self.end(box, again_unless_done)

    def _step(self, box: "Box", step: str, then: Told) -> None:
        world = self._world
        world.note(NAME, f"stand-down: {step}", at=box.name)
        way = Way(self._process, self._wire, box, is_backward=False)
        client = client_of_command(self._process, way, self._config, box.name)

        def done(answer: Mapping[str, Any] | None, error: BaseException | None) -> None:
            code = "" if answer is None else str(answer.get("code"))
            text = str(error) if answer is None else str(answer.get("text"))
            world.note(NAME, f"stand-down: {step} is over", at=box.name, code=code, text=text)
            then(code, text)

        client.stand_down({"step": step}, STEP_S).then(done)


def _shows_promise(box: "Box") -> bool:
    """Tell whether status shows a promise: one that a failing disk refused stands all the same."""
    runtime = box.runtime
    if box.living is None or runtime is None:
        return False
    return any(reason.startswith(PROMISED) for reason in runtime.health.reasons)
