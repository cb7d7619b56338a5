"""Verbs that only pass something on to a box: status, logs, drill, uninstall.

Rules of this file: what has this terminal asks for a sudo password itself, there.
"""

from collections.abc import Sequence

from deploy import places
from deploy.board import script
from deploy.box import NodeState, Say
from deploy.deployer import Wish, connected, refuse_empty
from deploy.errors import BoxUnfit, BoxUnreachable, DeployError
from deploy.inventory import find_place
from node.config import Config
from node.status_model import Verdict


def status(wish: Wish, say: Say) -> int:
    """Show what a node sees; the first box that can be reached is asked, the spare's first.

    Returns the exit code of `nodectl status`; 3 when no box can be reached.
    """
    problems = []
    for name in reversed(node_names(wish.config)):
        place = find_place(wish.config, name)
        try:
            with connected(place, wish, say, needs_root=False) as box:
                refuse_empty(box)
                return box.shell.attach(places.NODECTL, "status")
        except (BoxUnreachable, BoxUnfit) as error:
            problems.append(str(error))
    for problem in problems:
        say(problem)
    return Verdict.UNKNOWN


def logs(wish: Wish, name: str, words: Sequence[str], say: Say) -> int:
    """Follow the journal of a box's node; `words` go to journalctl."""
    place = find_place(wish.config, name, host=wish.host)
    with connected(place, wish, say, needs_root=False) as box:
        if place.is_node:
            refuse_empty(box)
        chosen = list(words) or ["-n", "100", "-f"]
        sudo = [] if box.facts.sudo == "root" else ["sudo"]
        return box.shell.attach(*sudo, "journalctl", "-u", "hotspare-*", *chosen)


def drill(wish: Wish, name: str, words: Sequence[str], say: Say) -> int:
    """Run a drill on a box, with this terminal: it asks before it hurts."""
    place = find_place(wish.config, name, host=wish.host)
    with connected(place, wish, say, needs_root=False) as box:
        refuse_empty(box)
        return box.shell.attach(places.NODECTL, "drill", *words)


def uninstall(wish: Wish, name: str, *, is_state_kept: bool, say: Say) -> int:
    """Give a box back as it was found and return how many things changed.

    Raises:
        DeployError: that would stop trading, and FORCE=1 was not said.
    """
    place = find_place(wish.config, name, host=wish.host)
    with connected(place, wish, say) as box:
        if not wish.is_forced and not wish.is_dry:
            state = box.node_state() if place.is_node else _seen_by_a_node(wish, say)
            if state is not None and state.is_active and (stops := why_trading_stops(state, name)):
                raise DeployError(stops)
        words = [w for w, on in (("keep-state", is_state_kept), ("dry", wish.is_dry)) if on]
        return box.told(box.shell.as_root(script("uninstall.sh"), *words))


def _seen_by_a_node(wish: Wish, say: Say) -> NodeState | None:
    """Return how things look from a box that runs a node; None where none can be reached."""
    for name in node_names(wish.config):
        try:
            with connected(find_place(wish.config, name), wish, say) as box:
                state = box.node_state()
                if state.is_active:
                    return state
        except (BoxUnreachable, BoxUnfit):
            continue
    return None


def why_trading_stops(state: NodeState, name: str) -> str:
    """Return why trading would stop if this box went; empty if it would not, or nobody trades."""
    if state.holder is None:
        return ""
    if state.holder == name:
        return (
            f"{name} leads: uninstalling it stops trading\n    → make it hand over first "
            "(nodectl switchover there), or say FORCE=1"
        )
    if state.has_majority_without(name):
        return ""
    return (
        f"without the lease store on {name} no majority of stores is left: {state.holder} stops "
        "trading\n    → bring a silent store back (make status), uninstall the leader's box first, "
        "or say FORCE=1"
    )


def node_names(config: Config) -> tuple[str, ...]:
    """Return the nodes, the preferred one first."""
    return tuple(sorted(config.nodes, key=lambda n: n != config.cluster.preferred_node))
