"""Switching a node to another release or other settings while the pair trades on.

One node at a time: a leader hands over first if there is a fit spare; the node is switched and
must come up well within the time; if it does not, it is put back as it was and that is checked
too. What decides is asked of the running process (its fingerprint), never remembered from a run
before, so that a deployment that broke off is seen and finished.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from deploy import places
from deploy.box import Box, NodeState
from deploy.desired import Target, node_fingerprint, node_wants
from deploy.errors import NodeUnhealthy, StepFailed
from deploy.wants import Link

HEALTHY_S = 240.0
"""A Nano imports and loads markets for half a minute; the peer must be heard, too."""
POLL_S = 1.0
FIT_ROLES = frozenset({"leader", "standby", "taking over"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How waiting is done; tests have their own clock."""

    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    healthy_s: float = HEALTHY_S


def switch(box: Box, target: Target, patience: Patience, *, may_stop_trading: bool) -> bool:
    """Make the node run what the target says; return whether anything had to be done.

    Raises:
        NodeUnhealthy: it did not come up; it runs what it ran before, if that comes up.
        StepFailed: it leads, nobody could take over, and that was not allowed.
    """
    before = box.node_state()
    wanted = node_fingerprint(target)
    if before.is_active and before.fingerprint == wanted:
        box.apply(node_wants(target))  # links and files may still differ; nothing restarts
        return False
    if box.is_dry:
        box.apply(node_wants(target))
        return True
    if before.is_active and before.holder == box.place.name:
        _hand_over(box, before, patience, may_stop_trading=may_stop_trading)
    if before.release and (before.release, before.settings) != (
        target.release_id,
        target.settings.set_id,
    ):
        _remember(box, before.release, before.settings)
    problem = _try(box, target, patience)
    if not problem:
        return True
    if not before.release:
        raise NodeUnhealthy(f"{box.place.name} did not come up: {problem}")
    box.say(f"  {box.place.name} did not come up ({problem}); putting back {before.release}")
    wants = node_wants(target, release_id=before.release, settings_id=before.settings)
    box.apply(wants)
    again = _wait_until_well(
        box,
        patience,
        node_fingerprint(target, release_id=before.release, settings_id=before.settings),
    )
    outcome = f"and is well again on {before.release}" if not again else f"and still: {again}"
    raise NodeUnhealthy(
        f"{box.place.name} did not come up with {target.release_id}: {problem}\n"
        f"    it was put back {outcome}\n    → see its log: make logs BOX={box.place.name}"
    )


def _try(box: Box, target: Target, patience: Patience) -> str:
    try:
        box.apply(node_wants(target))
    except StepFailed as failed:  # systemd says so when the start itself fails
        return str(failed)
    return _wait_until_well(box, patience, node_fingerprint(target))


def _wait_until_well(box: Box, patience: Patience, fingerprint: str) -> str:
    """Return why the node is not well in time; empty when it is.

    Well: active for systemd, running just this, not restarted since, and seen by the stores. While
    the other box (and with it the stores' majority) was never deployed, systemd's word suffices.
    """
    until_s = patience.now_s() + patience.healthy_s
    state = box.node_state()
    restarts = state.restarts
    while patience.now_s() < until_s:
        state = box.node_state()
        if state.restarts > restarts + 1:
            return f"it ended and was started again {state.restarts - restarts} times"
        is_running = state.is_active and state.fingerprint == fingerprint
        if is_running and state.role_of(box.place.name) in FIT_ROLES:
            return ""
        if is_running and sees_no_majority(state):
            return ""
        patience.sleep(POLL_S)
    return _unwell(box, state, fingerprint)


def sees_no_majority(state: NodeState) -> bool:
    """Tell whether too few stores answer to say anything: as before the second box is deployed."""
    stores = state.status.get("stores") or []
    silent = [store for store in stores if store.get("error")]
    return bool(stores) and 2 * len(silent) >= len(stores)


def _unwell(box: Box, state: NodeState, fingerprint: str) -> str:
    if not state.is_active:
        return "systemd does not call it active"
    if state.fingerprint != fingerprint:
        return "something else runs than was installed"
    role = state.role_of(box.place.name) or "not seen by the stores"
    return f"it is {role}: {state.headline}"


def _hand_over(box: Box, before: NodeState, patience: Patience, *, may_stop_trading: bool) -> None:
    others = [spare for spare in before.spares if spare != box.place.name]
    if not others:
        if may_stop_trading:
            box.say(f"  {box.place.name} leads and there is no fit spare: trading pauses meanwhile")
            return
        raise StepFailed(
            f"{box.place.name} leads and there is no fit spare: changing it would stop trading\n"
            "    → bring the other node up first (make status); or say FORCE=1"
        )
    box.say(f"  {box.place.name} hands over to {others[0]}")
    box.shell.as_root(f"{places.NODECTL} switchover --to {others[0]} </dev/null")
    until_s = patience.now_s() + patience.healthy_s
    while box.node_state().holder != others[0]:
        if patience.now_s() > until_s:
            raise StepFailed(f"{others[0]} did not take over in time\n    → make status")
        patience.sleep(POLL_S)


def _remember(box: Box, release: str, settings: str) -> None:
    box.apply(
        (
            Link(path=f"{places.BASE}/previous", target=f"{places.RELEASES}/{release}"),
            Link(path=f"{places.ETC}/previous", target=f"{places.SETTINGS}/{settings}"),
        )
    )
