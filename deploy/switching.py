"""Switching a node to another release or other settings while the pair trades on.

One node at a time: a leader hands over first if there is a fit spare; the node is switched and
must come up well within the time; if it does not, it is put back as it was and that is checked
too. What decides is asked of the running process (its fingerprint), never remembered from a run
before, so that a deployment that broke off is seen and finished.
"""

import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy import places
from deploy.box import Box, NodeState
from deploy.desired import (
    Target,
    back_wants,
    copies,
    keep_wants,
    node_fingerprint,
    node_wants,
)
from deploy.errors import NodeUnhealthy, StepFailed
from deploy.wants import Absent, Link, Want
from node.config_model import Config

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a node runs: a release and a set of settings."""

    release: str
    settings: str


NOTHING = Version(release="", settings="")


def switch(box: Box, target: Target, patience: Patience, *, may_stop_trading: bool) -> bool:
    """Make the node run what the target says; return whether anything had to be done.

    Raises:
        NodeUnhealthy: it did not come up; it runs what it ran before, if that comes up.
        StepFailed: it leads, nobody could take over, and that was not allowed.
    """
    wanted = Version(release=target.release_id, settings=target.settings.set_id)
    return _switch_to(box, target, wanted, patience, may_stop_trading=may_stop_trading)


def switch_back(box: Box, target: Target, patience: Patience, *, may_stop_trading: bool) -> bool:
    """Make the node run what it ran before; raises as `switch` does."""
    state = refuse_nothing_before(box)
    wanted = Version(release=state.previous_release, settings=state.previous_settings)
    return _switch_to(box, target, wanted, patience, may_stop_trading=may_stop_trading)


def refuse_nothing_before(box: Box) -> NodeState:
    """Raise StepFailed where a node has nothing to go back to; return how it is."""
    state = box.node_state()
    if not state.previous_release or not state.previous_settings:
        raise StepFailed(
            f"{box.place.name} has nothing to go back to: it has run one version only\n"
            "    → check out the version you want and run: make upgrade"
        )
    return state


def _switch_to(
    box: Box, target: Target, wanted: Version, patience: Patience, *, may_stop_trading: bool
) -> bool:
    state = box.node_state()
    if state.is_active and state.fingerprint == _fingerprint(target, wanted):
        box.apply(_wants(target, wanted))  # links and files may still differ; nothing restarts
        return False
    refuse_other_stores(box, target, state, wanted)
    if box.is_dry:
        box.apply(_wants(target, wanted))
        return True
    if state.is_active and state.holder == box.place.name:
        if state.is_paused:
            for spare in state.spares[:1]:
                _accept(box, spare)
        else:
            _hand_over(box, state, patience, may_stop_trading=may_stop_trading)
    before = Version(release=state.release, settings=state.settings)
    is_first = not before.release
    # what failed was never run: going back later means what ran before that
    earlier = Version(release=state.previous_release, settings=state.previous_settings)
    if not is_first and before != wanted and (_is_well(box, state) or earlier in {wanted, NOTHING}):
        _remember(box, before)
    if not is_first:
        box.apply(keep_wants(target))
    # a node that saw the stores must see them afterwards: else it lost them by the switch
    may_be_alone = is_first or sees_no_majority(state)
    fingerprint = _fingerprint(target, wanted)
    problem = _try(box, _wants(target, wanted), fingerprint, patience, may_be_alone=may_be_alone)
    if not problem:
        box.shell.as_root(f"rm -f -- {shlex.join(copies(target))}")
        return True
    if is_first or state.fingerprint == fingerprint:
        raise NodeUnhealthy(
            f"{box.place.name} did not come up: {problem}\n    → see its log: make logs "
            f"BOX={box.place.name}"
        )
    box.say(f"  {box.place.name} did not come up ({problem}); putting back {before.release}")
    back = back_wants(
        target,
        release_id=before.release,
        settings_id=before.settings,
        fingerprint=state.fingerprint,
    )
    again = _try(box, back, state.fingerprint, patience, may_be_alone=may_be_alone)
    _remember(box, earlier)
    outcome = f"and is well again on {before.release}" if not again else f"and still: {again}"
    raise NodeUnhealthy(
        f"{box.place.name} did not come up with {wanted.release}: {problem}\n"
        f"    it was put back {outcome}\n    → see its log: make logs BOX={box.place.name}"
    )


def refuse_other_stores(box: Box, target: Target, state: NodeState, wanted: Version) -> None:
    """Refuse settings whose list of stores is neither the one in use nor the one that counts (R3).

    Two nodes with two lists are two leases: that is never one step of an upgrade.

    Raises:
        StepFailed: it is another list, or it cannot be told.
    """
    if not state.settings or wanted.settings in {state.settings, state.previous_settings}:
        return  # the first ones; or those that the node itself refuses where they became old
    try:
        said = json.loads(box.shell.as_root(f"{places.NODECTL} stores show --json </dev/null || :"))
    except ValueError:
        said = {}
    if may_follow(target.config, said):
        return
    if not said and not state.is_active:
        return  # what lies there cannot be read, and runs nowhere
    raise StepFailed(
        f"cluster.toml names other stores than {box.place.name} uses: two lists in use at once are "
        "two traders, so this is not changed by the way\n    → to add a witness put topology and "
        "[[stores]] back as they were and run: make deploy-witness; else see "
        "docs/replacing-a-store.md"
    )


def may_follow(config: Config, said: Mapping[str, Any]) -> bool:
    """Tell whether a node may go over to this list from the one that it uses.

    The joint list, on the way from one store to three, follows the old one, and the new one where
    that came of it; it is followed by the new one once that counts, else by the old one (ADR 0056).

    Args:
        config: with the list that is wished.
        said: what `nodectl stores show --json` says of the one in use.
    """
    used, old, counts = said.get("config_id"), said.get("old_list_id"), said.get("counts")
    if config.old_list_id:
        is_on_the_way = bool(old) or counts == used
        return used == config.old_list_id or (used == config.config_id and is_on_the_way)
    if old:
        return config.config_id == str(used if counts == used else old)
    return config.config_id in {used, counts}


def _wants(target: Target, version: Version) -> tuple[Want, ...]:
    return node_wants(target, release_id=version.release, settings_id=version.settings)


def _fingerprint(target: Target, version: Version) -> str:
    return node_fingerprint(target, release_id=version.release, settings_id=version.settings)


def _try(
    box: Box,
    wants: tuple[Want, ...],
    fingerprint: str,
    patience: Patience,
    *,
    may_be_alone: bool,
) -> str:
    try:
        box.apply(wants)
    except StepFailed as failed:  # systemd says so when the start itself fails
        lines = [line for line in str(failed).splitlines() if "\t" not in line]
        return " ".join(lines)
    return wait_until_well(box, patience, fingerprint, may_be_alone=may_be_alone)


def wait_until_well(
    box: Box, patience: Patience, fingerprint: str, *, may_be_alone: bool = False
) -> str:
    """Return why the node is not well in time; empty when it is.

    Well: active for systemd, running just this (an empty fingerprint: whatever runs), not restarted
    since, and seen by the stores. Where it may be alone, as long as the other box (and with it the
    stores' majority) was never deployed, systemd's word suffices.
    """
    until_s = patience.now_s() + patience.healthy_s
    state = box.node_state()
    restarts = state.restarts
    while patience.now_s() < until_s:
        state = box.node_state()
        if state.restarts > restarts + 1:
            return f"it ended and was started again {state.restarts - restarts} times"
        is_running = state.is_active and fingerprint in {"", state.fingerprint}
        if is_running and state.role_of(box.place.name) in FIT_ROLES:
            return ""
        if is_running and may_be_alone and sees_no_majority(state):
            return ""
        patience.sleep(POLL_S)
    return _unwell(box, state, fingerprint)


def _is_well(box: Box, state: NodeState) -> bool:
    """Tell whether what runs is worth going back to: not so where an upgrade was broken off."""
    is_seen_well = state.role_of(box.place.name) in FIT_ROLES
    return state.is_active and (is_seen_well or sees_no_majority(state))


def sees_no_majority(state: NodeState) -> bool:
    """Tell whether too few stores answer to say anything: as before the second box is deployed."""
    return bool(state.status.get("stores")) and not state.has_majority_without()


def _unwell(box: Box, state: NodeState, fingerprint: str) -> str:
    if not state.is_active:
        return "systemd does not call it active"
    if fingerprint not in {"", state.fingerprint}:
        return "something else runs than was installed"
    name = box.place.name
    reasons = "; ".join((*state.reasons_of(name), *state.store_errors)) or state.headline
    return f"it is {state.role_of(name) or 'not seen by the stores'}: {reasons}"


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
    _accept(box, others[0])
    box.say(f"  {box.place.name} hands over to {others[0]}")
    box.shell.as_root(f"{places.NODECTL} switchover --to {others[0]} </dev/null")
    until_s = patience.now_s() + patience.healthy_s
    while box.node_state().holder != others[0]:
        if patience.now_s() > until_s:
            raise StepFailed(f"{others[0]} did not take over in time\n    → make status")
        patience.sleep(POLL_S)


def _accept(box: Box, node_id: str) -> None:
    """Let the next leader decide with the strategy and limits that were deployed to it.

    Deploying them is the person's word that a leader with another fingerprint waits for.
    """
    said = box.shell.as_root(
        f"{places.NODECTL} strategy accept {node_id} </dev/null 2>&1 || echo not accepted"
    )
    if said.startswith("accepted"):
        box.say(f"  {said.strip()}")
    elif not said.startswith("nothing to accept"):
        box.say(f"  note: whether {node_id} may decide at once is not certain: see make status")


def _remember(box: Box, version: Version) -> None:
    """Note what can be gone back to; nothing where the version is empty."""
    wants: list[Want] = []
    for path, folder, name in (
        (f"{places.BASE}/previous", places.RELEASES, version.release),
        (f"{places.ETC}/previous", places.SETTINGS, version.settings),
    ):
        wants.append(Link(path=path, target=f"{folder}/{name}") if name else Absent(path=path))
    box.apply(tuple(wants))
