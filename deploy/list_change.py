"""A running pair goes from one store to three: two rolling switches, and what is said between them.

Rules of this file (R3, ADR 0056): no node gets the new list while another one may use the old one.
First both get the joint list, which needs the old store in every decision, and one leads with it;
then the stores and both disks are told that the new list counts; then both get the new one. The
leader hands over each time, so the pair trades on. Nothing is remembered here: what broke off is
asked for and goes on.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from deploy import places
from deploy.box import Box, NodeState, Say
from deploy.desired import Target
from deploy.errors import DeployError, StepFailed
from deploy.switching import POLL_S, Patience, switch
from deploy.wants import Absent

AGAIN = "    → mend that and say the same command again: it goes on; the pair is safe as it is"
TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One node's box, with what it gets on the way and at the end."""

    box: Box
    joint: Target
    new: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """One change to the list with this id."""

    config_id: str
    say: Say
    patience: Patience

    def is_missing(self, boxes: Sequence[Box]) -> bool:
        """Whether a node uses another list, or something is left to say or move."""
        return any(
            said.get("config_id") != self.config_id
            or said.get("old_list_id")
            or said.get("next_step")
            for said in map(list_of, boxes)
        )

    def refuse_unfit(self, boxes: Sequence[Box]) -> None:
        """Raise StepFailed unless the pair is well, or the change has begun already."""
        for box in boxes:
            can = box.shell.as_root(f"{places.NODECTL} stores settle --help </dev/null || echo no")
            if can.strip().endswith("no"):
                raise StepFailed(
                    f"{box.place.name} runs a release that cannot change its list of stores while "
                    "it trades\n    → first: make upgrade"
                )
        lists = [list_of(box) for box in boxes]
        for box, said in zip(boxes, lists, strict=True):
            self._refuse_other(box, said)
        if self._counts(boxes) or any(said.get("old_list_id") for said in lists):
            return
        state = boxes[0].node_state()
        if state.is_paused:
            raise StepFailed(
                "the pair is paused, and the change needs a leader: it hands over twice\n"
                "    → nodectl resume, then run this again"
            )
        if state.holder is None or not state.spares:
            raise StepFailed(
                f"the pair is not well: {state.headline or 'nothing answers'}\n    → a leader and "
                "a fit spare are needed first: make status"
            )

    def _refuse_other(self, box: Box, said: Mapping[str, Any]) -> None:
        """Refuse what is on the way to other stores, or cannot be told: nothing was changed yet."""
        name = box.place.name
        if not said.get("config_id"):
            raise StepFailed(
                f"{name} does not say which list of stores it uses\n"
                "    → mend that first: nodectl stores show there"
            )
        if not said.get("old_list_id") or said["config_id"] == self.config_id:
            return
        others = ", ".join(f"{s['name']} {s['address']}" for s in said.get("stores") or ())
        is_final = said.get("counts") == said["config_id"]
        back = "" if is_final else (
            ", or go back first: make deploy-standby and make deploy-primary, with cluster.toml as "
            "it is"
        )  # fmt: skip
        raise StepFailed(
            f"{name} is on its way to other stores than you ask for now: {others}\n"
            f"    → say ADDRESS= as you did then{back}"
        )

    def run(self, plans: Sequence[NodePlan], *, write: Callable[[], None]) -> None:
        """Do it.

        Args:
            plans: both nodes.
            write: keeps the new list on the laptop, once it counts.

        Raises:
            StepFailed: a step was not finished.
            NodeUnhealthy: a node did not come up with its next list; it was put back.
        """
        is_done = False
        try:
            self._run(plans, write)
            is_done = True
        except DeployError as error:
            raise type(error)(f"{error}\n{AGAIN}") from error
        finally:
            if not is_done:  # also by Ctrl-C, or a connection that broke off
                self.say("note: the change of the list is not finished")

    def _run(self, plans: Sequence[NodePlan], write: Callable[[], None]) -> None:
        boxes = [plan.box for plan in plans]
        if not self._counts(boxes):
            self._switch_all(plans, "the joint list", lambda plan: plan.joint)
        # Said once, it may still not be on both disks: it is waited for again.
        problems = self._tell(boxes)
        write()
        if problems:  # without one of the new stores no node would be fit with the new list
            raise StepFailed("\n".join(("not every store is ready for the new list:", *problems)))
        self._switch_all(plans, "the new list", lambda plan: plan.new)
        for box in boxes:
            # Settings from before are of the old list: nobody may go back to them. Before the last
            # step, which nothing that is left undone could bring back.
            box.apply(
                (Absent(path=f"{places.BASE}/previous"), Absent(path=f"{places.ETC}/previous"))
            )
        self.say("moving the old store to the new list")
        self._settle(boxes[0], is_last=True)
        state = self._wait(boxes[0], lambda state: state.is_paused or bool(state.spares))
        self.say(f"three stores; {state.leads or 'see make status'}")

    def _counts(self, boxes: Sequence[Box]) -> bool:
        return any(list_of(box).get("counts") == self.config_id for box in boxes)

    def _switch_all(
        self, plans: Sequence[NodePlan], what: str, target_of: Callable[[NodePlan], Target]
    ) -> None:
        """Give both nodes their next list, the leader last: it hands over before."""
        holder = next((h for plan in plans if (h := plan.box.node_state().holder)), None)
        for plan in sorted(plans, key=lambda plan: plan.box.place.name == holder):
            box, name = plan.box, plan.box.place.name
            # a spare that has just started watches the new stores for a ttl before it is one
            self._wait(box, partial(_can_be_switched, name))
            self.say(f"{name}: switching to {what}")
            if not switch(box, target_of(plan), self.patience, may_stop_trading=False):
                self.say(f"{name}: uses it already")

    def _wait(self, box: Box, is_so: Callable[[NodeState], bool]) -> NodeState:
        """Wait until it is so, or the patience is over; return what was seen last."""
        until_s = self.patience.now_s() + self.patience.healthy_s
        state = box.node_state()
        while not is_so(state) and self.patience.now_s() < until_s:
            self.patience.sleep(POLL_S)
            state = box.node_state()
        return state

    def _tell(self, boxes: Sequence[Box]) -> Sequence[str]:
        """Say on both disks that the new list counts; return what is wrong with the new stores."""
        lists = [(box, said) for box in boxes if (said := list_of(box))]
        able = [(box, said) for box, said in lists if said.get("config_id") == self.config_id]
        is_over = len(able) == len(boxes) and not any(said.get("old_list_id") for _, said in able)
        # None is able: both were put back since it counted, and contend no more: they know it.
        if is_over or not able:
            return ()
        box = able[0][0]
        self.say("saying on both disks that the new list counts")
        return self._settle(box, is_last=False)

    def _settle(self, box: Box, *, is_last: bool) -> Sequence[str]:
        """Let the box take the next step for the pair (`nodectl stores settle`).

        Returns:
            What it could not do of that step though it is said; nothing for the last one.
        """
        said, is_said = "", False
        problems: Sequence[object] = ()
        for _ in range(TRIES):
            said, _, code = box.shell.as_root(
                f"{places.NODECTL} stores settle --json </dev/null 2>&1; echo code=$?"
            ).rpartition("code=")
            report = _parsed(said)
            is_said = not is_last and isinstance(report, dict)
            problems = report.get("problems") or () if isinstance(report, dict) else ()
            if code.strip() == "0" or (is_said and not problems):
                return ()
            self.patience.sleep(POLL_S)  # what was just started shows itself within seconds
        if is_said:
            return [str(problem) for problem in problems]
        raise StepFailed(f"the new list is not in use everywhere yet:\n{said.strip()[-800:]}")


def _can_be_switched(name: str, state: NodeState) -> bool:
    """Tell whether a node does not lead, or may hand over."""
    return state.is_paused or state.holder != name or any(n != name for n in state.spares)


def list_of(box: Box) -> dict[str, Any]:
    """Return which list the box's node is configured with, and which one counts."""
    said = box.shell.as_root(f"{places.NODECTL} stores show --json </dev/null || :")
    return found if isinstance(found := _parsed(said), dict) else {}


def _parsed(said: str) -> object:
    try:
        return json.loads(said)
    except ValueError:
        return None
