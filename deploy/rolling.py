"""Changing both nodes while the pair trades: upgrade, strategy, rollback.

Everything is brought to both boxes first, beside what runs; nothing that can fail slowly is left
for the moment of the switch. Then the node that does not lead is switched and must be well; then
the leader hands over to it (that is the only gap), and is switched in turn. A node that does not
come up is put back by itself, and the other one is not touched any more.
"""

from contextlib import ExitStack

from deploy.begun import remember
from deploy.box import Box, Say, names
from deploy.deployer import (
    Wish,
    approve_prod,
    bring,
    connected,
    prepare,
    refuse_other_profile,
)
from deploy.desired import Target
from deploy.errors import InventoryRefused, StepFailed
from deploy.inventory import find_place
from deploy.switching import Patience, refuse_nothing_before, switch, switch_back


def change_both(wish: Wish, say: Say, patience: Patience | None = None) -> int:
    """Bring this checkout and the cluster's folder to both nodes, the spare first.

    Returns how many nodes were switched.

    Raises:
        NodeUnhealthy: a node did not come up and was put back; the other was left alone or is
            switched already, which the message says.
        DeployError: something else failed; a second run resumes.
    """
    with ExitStack() as stack:
        boxes = _connect(stack, wish, say)
        made = []
        for box in boxes:
            say(f"{box.place.name}: {box.place.ssh}")
            box.refuse_unfit()
            refuse_other_profile(box, wish)
            made.append(prepare(box, wish))
        approve_prod(wish, {t.place.name: t.release_id for t, _, _ in made}, say)
        targets: dict[str, Target] = {}
        for box, (target, release, python) in zip(boxes, made, strict=True):
            say(f"{box.place.name}: bringing what is new, nothing is switched yet")
            targets[box.place.name] = bring(box, target, release, python)
        switched = 0
        left = _spare_first(boxes)
        try:
            for box in tuple(left):
                say(f"{box.place.name}: switching")
                did = switch(
                    box,
                    targets[box.place.name],
                    patience or Patience(),
                    may_stop_trading=wish.is_forced,
                )
                switched += did
                if not did:
                    say(f"{box.place.name}: runs it already")
                left.remove(box)
        finally:
            if 0 < len(left) < len(boxes):
                say(f"note: {names(left)} was not switched, the other node runs what is new")
        say(_summary(boxes, wish))
        return switched


def roll_back(wish: Wish, say: Say, *, only: str = "", patience: Patience | None = None) -> None:
    """Switch both nodes to what each ran before, the spare first; or `only` one of them.

    Raises:
        StepFailed: a box has nothing to go back to, or it would stop trading; or only one of them
            runs what is new, so that the other would go back too far.
        NodeUnhealthy: it did not come up with that either.
    """
    with ExitStack() as stack:
        boxes = _connect(stack, wish, say)
        chosen = [box for box in _spare_first(boxes) if only in {"", box.place.name}]
        if not chosen:
            raise InventoryRefused(f"no node is called {only}\n    → BOX= one of: {names(boxes)}")
        for box in chosen:  # all that can be refused, before the first is touched
            refuse_other_profile(box, wish)
            refuse_nothing_before(box)
        if not only:
            _refuse_mixed(boxes)
        left = list(chosen)
        try:
            for box in chosen:
                say(f"{box.place.name}: switching back")
                target, _, _ = prepare(box, wish, is_built=False)
                switch_back(box, target, patience or Patience(), may_stop_trading=wish.is_forced)
                left.remove(box)
        finally:
            if 0 < len(left) < len(chosen):
                say(f"note: {names(left)} was not switched back, the other node was; then: "
                    f"make rollback BOX={names(left)}")  # fmt: skip
        say(_summary(boxes, wish))


def _refuse_mixed(boxes: list[Box]) -> None:
    """Refuse to send both back where an upgrade or a rollback broke off between the two.

    A node that never got what is new would go to what ran before that.
    """
    states = {box.place.name: box.node_state() for box in boxes}
    versions = {(s.release.partition("-")[0], s.settings) for s in states.values()}
    if len(versions) > 1:
        told = "; ".join(f"{n} runs {s.release} with settings {s.settings}"
                         for n, s in states.items())  # fmt: skip
        raise StepFailed(
            f"the nodes run different versions: {told}\n    → to finish what broke off: make "
            "upgrade, or make rollback BOX= for the one that should go back"
        )


def _connect(stack: ExitStack, wish: Wish, say: Say) -> list[Box]:
    config = wish.config
    places = [find_place(config, name) for name in config.nodes]
    return [stack.enter_context(connected(place, wish, say)) for place in places]


def _spare_first(boxes: list[Box]) -> list[Box]:
    """Return the boxes, the leader last; asked of a box that can tell."""
    holder = next((h for box in boxes if (h := box.node_state().holder) is not None), None)
    return sorted(boxes, key=lambda box: box.place.name == holder)


def _summary(boxes: list[Box], wish: Wish) -> str:
    if wish.is_dry:
        return "nothing was touched (DRY_RUN)"
    for box in boxes:
        state = box.node_state()
        if state.holder is not None:
            remember(wish.config, box.say)
        if state.leads:
            return state.leads
    raise StepFailed("no box can say who leads\n    → make status")
