"""`make deploy-witness`: the third store; and a pair with one store becomes one with three (R3).

Rules of this file: the pair trades on (ADR 0056, list_change.py); everything that takes long is
brought before the first switch; each step is asked for, never remembered, so that the same command
finishes what broke off. The laptop's cluster.toml is changed when the new list counts, not before.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.box import Box, Say
from deploy.deployer import (
    Wish,
    approve_prod,
    bring,
    connected,
    prepare,
    refuse_other_profile,
)
from deploy.desired import secrets_wants, settings_wants
from deploy.errors import BoxUnreachable, InventoryRefused
from deploy.inventory import FILE, WITNESS, BoxPlace, find_place, load_inventory
from deploy.list_change import ListChange, NodePlan, list_of
from deploy.settings import SettingsSet, read_settings
from deploy.store_list import (
    difference,
    final_text,
    grown_inventory,
    grown_text,
    joint_text,
    read_grown,
    witness_address,
)
from deploy.switching import Patience
from election.durable import write_all
from node.config_model import Config, Topology, store_list_id
from node.topology import topology_sentence

Ask = Callable[[str], None]
"""Ask the owner whether to go on; raises DeployError when not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be: the configuration, and the laptop's files that change."""

    config: Config
    text: bytes | None = None  # of cluster.toml; None: it says so already
    files: dict[Path, str] | None = None


def deploy_witness(wish: Wish, address: str, ask: Ask, say: Say) -> int:
    """Bring the witness; where the pair has one store, make it three. Returns what changed.

    Raises:
        DeployError: it could not be done; a second run resumes.
    """
    place = _witness_place(wish)
    say(f"{place.name}: {place.ssh}")
    with ExitStack() as stack:
        box = stack.enter_context(connected(place, wish, say))
        box.refuse_unfit()
        plan = plan_witness(wish, box, address)
        wish = replace(wish, config=plan.config, text=plan.text)
        nodes = _nodes(stack, wish, say, is_needed=plan.text is not None)
        for node in nodes:
            refuse_other_profile(node, wish)
        change = ListChange(config_id=wish.config.config_id, say=say, patience=Patience())
        if change.is_missing(nodes):
            change.refuse_unfit(nodes)  # before the witness gets anything
        approve_prod(wish, {}, say)
        if plan.files:
            _show(plan, say)
            if not wish.is_dry:
                ask("add this witness?")
        target, _, _ = prepare(box, wish)
        bring(box, target, None, None)
        changes = box.changes
        if nodes:
            changes += _to_three(nodes, wish, plan, change)
        elif plan.files and not wish.is_dry:
            _write(plan)
        _conclude(changes, wish, say)
        return changes


def _witness_place(wish: Wish) -> BoxPlace:
    config = wish.config
    if config.cluster.topology is Topology.THREE_STORES:
        name = next(s.name for s in config.stores if s.name not in config.nodes)
        return find_place(config, name, host=wish.host)
    if config.cluster.topology is not Topology.TWO_BOXES:
        raise InventoryRefused("topology single-host runs on one machine and has no witness")
    entry = load_inventory(config.directory).boxes.get(WITNESS)
    ssh = wish.host or ("" if entry is None else entry.ssh)
    if not ssh:
        raise InventoryRefused(
            f"nothing says which machine the witness is\n    → say HOST=user@address, or put "
            f"[boxes.{WITNESS}] into {FILE}"
        )
    return BoxPlace(name=WITNESS, ssh=ssh, is_node=False, has_store=True, has_paper=False)


def plan_witness(wish: Wish, box: Box, address: str) -> Plan:
    """Return what will be.

    Args:
        wish: with the laptop's cluster.toml.
        box: the witness.
        address: of the witness, as the owner said it (ADDRESS=); empty when nothing.

    Raises:
        InventoryRefused: the file cannot be changed, or has the witness elsewhere.
    """
    config = wish.config
    assert config.path is not None
    if config.cluster.topology is Topology.THREE_STORES:
        _refuse_elsewhere(config, address)
        if not config.cluster.grown_from:
            return Plan(config=config)
        # the file for the way, which people write who go it by hand: what comes of it is wanted
        text = final_text(config.path.read_text(encoding="utf-8"))
        grown = read_grown(config, read_settings(config, text.encode()))
        return Plan(config=grown, text=text.encode(), files={config.path: text})
    near = config.stores[0].host
    host = witness_address(address, box.place.ssh, box.facts.addresses, near)
    text = grown_text(config.path.read_text(encoding="utf-8"), config, host)
    grown = read_grown(config, read_settings(config, text.encode()))
    files = {config.path: text}
    inventory = config.directory / FILE
    if inventory.exists():
        files[inventory] = grown_inventory(inventory.read_text(encoding="utf-8"), box.place.ssh)
    return Plan(config=grown, text=text.encode(), files=files)


def _refuse_elsewhere(config: Config, address: str) -> None:
    witness = next(store for store in config.stores if store.name not in config.nodes)
    if address not in {"", witness.host}:
        raise InventoryRefused(
            f"cluster.toml has the witness at {witness.host}, so ADDRESS={address} counts for "
            "nothing\n    → leave it out; to move the store: docs/replacing-a-store.md"
        )


def _show(plan: Plan, say: Say) -> None:
    for path, text in (plan.files or {}).items():
        shown = difference(path.name, path.read_text(encoding="utf-8"), text)
        if shown:
            say(shown)
    say(
        "the pair trades on meanwhile: each node is restarted twice, the spare first, and the "
        "leader hands over"
    )


def _nodes(stack: ExitStack, wish: Wish, say: Say, *, is_needed: bool) -> list[Box]:
    """Return the nodes' boxes if the pair is deployed, none if it never was.

    Raises:
        BoxUnreachable: one cannot be reached, and the pair's list is to change.
        InventoryRefused: one is deployed and the other is not.
    """
    config = wish.config
    places = [find_place(config, name) for name in config.nodes]
    try:
        boxes = [stack.enter_context(connected(place, wish, say)) for place in places]
    except BoxUnreachable as error:
        if is_needed:
            raise
        say(f"  note: whether both nodes use this list cannot be told: {error}")
        return []
    deployed = [box for box in boxes if box.facts.settings]
    if is_needed and len(deployed) == 1:
        other = next(box for box in boxes if box not in deployed)
        raise InventoryRefused(
            f"{deployed[0].place.name} is deployed and {other.place.name} is not: both must be "
            "told of the new list\n    → deploy the other one first"
        )
    return boxes if len(deployed) == len(boxes) else []


def _to_three(boxes: list[Box], wish: Wish, plan: Plan, change: ListChange) -> int:
    plans: list[NodePlan] = []
    if not change.is_missing(boxes):
        return 0
    change.refuse_unfit(boxes)  # the witness may have taken its time
    joint = _joint(boxes, wish)
    for box in boxes:
        change.say(f"{box.place.name}: bringing what is new, nothing is switched yet")
        target, _, _ = prepare(box, wish, is_built=False)
        new = bring(box, target, None, None)
        on_the_way = replace(new, config=joint[0], settings=joint[1])
        box.apply(settings_wants(on_the_way))
        box.apply(secrets_wants(new))  # the new stores may have passwords of their own
        plans.append(NodePlan(box=box, joint=on_the_way, new=new))
    if wish.is_dry:
        change.say("each node would be restarted twice, the spare first, the leader handing over")
    else:
        change.run(plans, write=lambda: _write(plan))
    return 1 + sum(box.changes for box in boxes)


def _joint(boxes: list[Box], wish: Wish) -> tuple[Config, SettingsSet]:
    """Return the list that needs the old store in every decision, as a node will read it."""
    config = wish.config
    assert config.path is not None
    used = {said.get(key) for said in map(list_of, boxes) for key in ("config_id", "old_list_id")}
    old = [store.name for store in config.stores if store_list_id([store]) in used]
    if not old:  # both use the new list already, and the old store's name plays no part any more
        old = [store.name for store in config.stores if store.name in config.nodes]
    text = config.path.read_bytes() if wish.text is None else wish.text
    settings = read_settings(config, joint_text(text.decode(), old[0]).encode())
    return read_grown(config, settings), settings


def _write(plan: Plan) -> None:
    if plan.files:
        write_all({path: (text, 0o644) for path, text in plan.files.items()})


def _conclude(changes: int, wish: Wish, say: Say) -> None:
    if wish.is_dry:
        said = f"{changes} changes would be made" if changes else "nothing would change"
        say(f"{said}; nothing was touched (DRY_RUN)")
        return
    say(f"{WITNESS}: {changes} changes" if changes else "nothing to change")
    say(topology_sentence(wish.config))
