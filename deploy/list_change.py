"""The moment in which a running pair goes from one store to three: pause, walk, restart, resume.

Rules of this file (R3, ADR 0052): a node gets the new settings only when the stores say that the
new list counts; a pause that a person set before stays; whatever broke off is asked for and
finished.
"""

import json
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deploy import places
from deploy.box import Box, Say
from deploy.desired import Target, node_fingerprint, node_wants
from deploy.errors import NodeUnhealthy, StepFailed
from deploy.switching import POLL_S, Patience, wait_until_well
from deploy.wants import Absent
from node.cli.decide import NOT_SEEN
from node.cli.store_move import UNDONE

REASON = "deploy-witness: the list of stores changes"
AGAIN = "    → say the same command again; nobody trades meanwhile, resting orders stay"
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """One change to the list with this id."""

    config_id: str
    say: Say
    patience: Patience

    def is_missing(self, boxes: Sequence[Box]) -> bool:
        """Whether a node uses another list, or our pause still stands."""
        return any(
            _list_of(box).get("config_id") != self.config_id or _is_our_pause(box) for box in boxes
        )

    def refuse_unfit(self, boxes: Sequence[Box]) -> None:
        """Raise StepFailed unless the pair is well, or the change has begun already."""
        for box in boxes:
            can = box.shell.as_root(f"{places.NODECTL} stores grow --help </dev/null || echo no")
            if can.strip().endswith("no"):
                raise StepFailed(
                    f"{box.place.name} runs a release that cannot change its list of stores\n"
                    "    → first: make upgrade"
                )
        if self._counts(boxes) or any(_is_our_pause(box) for box in boxes):
            return
        state = boxes[0].node_state()
        if state.status.get("is_loss_latched"):
            raise StepFailed(
                "the daily loss limit stopped new risk, and lifting the pause of this change would "
                "lift that too\n    → look at it, type nodectl resume, then run this again"
            )
        if state.holder is None or not state.spares:
            raise StepFailed(
                f"the pair is not well: {state.headline or 'nothing answers'}\n    → a leader and "
                "a fit spare are needed first: make status"
            )

    def run(self, nodes: Sequence[tuple[Box, Target]], *, write: Callable[[], None]) -> None:
        """Do it.

        Args:
            nodes: both nodes' boxes, with what they get.
            write: keeps the new list on the laptop, once it counts.

        Raises:
            StepFailed: a step was not finished.
            NodeUnhealthy: a node did not come up with the new list.
        """
        is_done = False
        try:
            self._run(nodes, write)
            is_done = True
        finally:
            if not is_done:  # also by Ctrl-C, or a connection that broke off
                self.say("note: the change of the list is not finished: the pair may be paused")

    def _run(self, nodes: Sequence[tuple[Box, Target]], write: Callable[[], None]) -> None:
        boxes = [box for box, _ in nodes]
        began_s = self.patience.now_s()
        is_begun = is_ours = any(_is_our_pause(box) for box in boxes)
        if not self._counts(boxes):
            is_ours |= self._pause(boxes[0])
            self._walk(nodes[0])
        write()
        with ThreadPoolExecutor(len(nodes)) as both:
            problems = [p for p in both.map(lambda node: self._restart(*node), nodes) if p]
        if problems:
            raise NodeUnhealthy("\n".join((*problems, AGAIN)))
        if not is_ours:
            self.say("three stores; the pause from before stays: nodectl resume")
        elif reason := _why_stay_paused(boxes[0]):
            self.say(f"three stores; the pair stays paused: {reason}\n    → nodectl resume")
        else:
            self._resume(boxes[0])
            leader = self._wait_leader(boxes[0])
            took_s = self.patience.now_s() - began_s
            gap = "" if is_begun else f"; nothing was sent for {took_s:.0f} s"
            self.say(f"{leader} leads with three stores{gap}; resting orders stayed")

    def _counts(self, boxes: Sequence[Box]) -> bool:
        return any(_list_of(box).get("counts") == self.config_id for box in boxes)

    def _pause(self, box: Box) -> bool:
        """Pause, unless somebody did; return whether the pause is ours."""
        if box.node_state().status.get("is_paused"):
            return _is_our_pause(box)
        self.say("pausing")
        box.shell.as_root(f"{places.NODECTL} pause --reason {shlex.quote(REASON)} </dev/null")
        return True

    def _walk(self, node: tuple[Box, Target]) -> None:
        box, target = node
        file = f"{places.SETTINGS}/{target.settings.set_id}/cluster.toml"
        self.say("closing the old list, carrying journal, latches and epoch to the new one")
        said = ""
        for _ in range(TRIES):
            said = box.shell.as_root(
                f"{places.NODECTL} stores grow {file} </dev/null 2>&1; echo code=$?"
            )
            code = said.rpartition("code=")[2].strip()
            if code == "0":
                return
            if code != str(UNDONE):
                break
            self.patience.sleep(POLL_S)
        raise StepFailed(f"the list of stores is not changed yet:\n{said.strip()[-800:]}\n{AGAIN}")

    def _restart(self, box: Box, target: Target) -> str:
        """Switch a node to the new list; return what is wrong, empty when it is well."""
        release = box.facts.release  # what runs stays: only the list changes
        fingerprint = node_fingerprint(target, release_id=release)
        try:
            box.apply(node_wants(target, release_id=release))
            # settings from before are of the old list: nobody may go back to them
            box.apply(
                (Absent(path=f"{places.BASE}/previous"), Absent(path=f"{places.ETC}/previous"))
            )
        except StepFailed as failed:
            return str(failed)
        problem = wait_until_well(box, self.patience, fingerprint)
        return f"{box.place.name} did not come up with the new list: {problem}" if problem else ""

    def _resume(self, box: Box) -> None:
        until_s = self.patience.now_s() + self.patience.healthy_s
        while True:
            said = box.shell.as_root(f"{places.NODECTL} resume </dev/null 2>&1; echo code=$?")
            code = said.rpartition("code=")[2].strip()
            if code in {"0", str(NOT_SEEN)}:  # lifted, a node has not shown it yet
                return
            if self.patience.now_s() > until_s:
                raise StepFailed(f"the pause could not be lifted:\n{said.strip()[-800:]}\n{AGAIN}")
            self.patience.sleep(POLL_S)

    def _wait_leader(self, box: Box) -> str:
        until_s = self.patience.now_s() + self.patience.healthy_s
        while (holder := box.node_state().holder) is None:
            if self.patience.now_s() > until_s:
                raise StepFailed(f"nobody took the lease in time\n    → make status\n{AGAIN}")
            self.patience.sleep(POLL_S)
        return holder


def _list_of(box: Box) -> dict[str, Any]:
    """Return which list the box's node is configured with, and which one counts."""
    said = box.shell.as_root(f"{places.NODECTL} stores show --json </dev/null || :")
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _why_stay_paused(box: Box) -> str:
    """Return what else than this change keeps the pair from trading: a person lifts that (S6)."""
    status = box.node_state().status
    if status.get("is_loss_latched"):
        return "resuming would lift the daily loss limit too"
    if status.get("is_paused") and not str(status.get("pause_reason")).startswith(REASON):
        return f"it was paused meanwhile: {status.get('pause_reason')}"
    return ""


def _is_our_pause(box: Box) -> bool:
    status = box.node_state().status
    return bool(status.get("is_paused")) and str(status.get("pause_reason")).startswith(REASON)
