"""What each single failure would do to trading, worked out from where the lease stores are.

Pure; the table of lease rule R16 as code. `nodectl doctor` prints it, and a drill is refused when
the loss that it plays would stop trading. A store that carries a node's id runs on that node's
box; every other store is a box of its own.
"""

from collections.abc import Collection
from dataclasses import dataclass

from node.config_model import Config, Topology

# From the end of the wait to the first order: the grant, reconciling, and some (the budget).
TAKEOVER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The row of R16's table that applies. `is_good`: no single box ends trading for good."""

    where: str
    meaning: str
    is_good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One single failure. `stops`: nobody trades until it is mended; `about_s`: how long at most
    nobody trades otherwise (0: nobody notices), None where it ends with the failure itself.
    """

    what: str
    effect: str
    stops: bool
    about_s: float | None


def has_majority_without(config: Config, lost: Collection[str]) -> bool:
    """Tell whether enough stores are left to decide when these are gone."""
    return config.quorum.is_met([name for name in config.quorum.stores if name not in lost])


def stores_on(config: Config, box: str) -> tuple[str, ...]:
    """Return the stores that go when this box goes."""
    return tuple(store.name for store in config.stores if store.name == box)


def survives_box(config: Config, box: str) -> bool:
    """Tell whether somebody trades after this box lost its power: enough stores, another node."""
    others = [node for node in config.nodes if node != box]
    return bool(others) and has_majority_without(config, stores_on(config, box))


def survives_store(config: Config, store: str) -> bool:
    """Tell whether trading goes on without this store."""
    return has_majority_without(config, (store,))


def loses_lease_when_cut(config: Config, box: str) -> bool:
    """Tell whether a node that reaches nothing but its own box must give the lease up."""
    others = [store.name for store in config.stores if store.name != box]
    return not has_majority_without(config, others)


def takeover_s(config: Config) -> float:
    """Return how long a power cut of the leader costs at most, in seconds (the budget)."""
    return config.timing().takeable_after_s + TAKEOVER_S


def topology_row(config: Config) -> Row:
    """Return the row of R16's table that applies to this configuration."""
    preferred = config.cluster.preferred_node
    names = [store.name for store in config.stores]
    if config.cluster.topology is Topology.SINGLE_HOST:
        return Row(
            where=f"{len(names)} on one machine (single-host)",
            meaning="shows failovers between processes; survives no loss of the machine",
            is_good=False,
        )
    if config.cluster.grown_from:
        return Row(
            where=f"on {config.cluster.grown_from} and one more of {', '.join(names)}",
            meaning="on the way from one store to three: finish with make deploy-witness",
            is_good=False,
        )
    if len(names) > 1:
        outside = [name for name in names if name not in config.nodes]
        return Row(
            where=f"a majority of {', '.join(names)}",
            meaning="any one box or store may be lost"
            if outside
            else "no store is outside the two boxes: losing one box may lose the majority",
            is_good=all(survives_box(config, node) for node in config.nodes),
        )
    if names[0] == preferred:
        return Row(
            where=f"on {preferred}, the preferred node",
            meaning="no failover when that box dies, which is the one failure it is all about",
            is_good=False,
        )
    if names[0] in config.nodes:
        return Row(
            where=f"on {names[0]}, the standby's box",
            meaning=f"failover when {preferred} dies; trading stops when {names[0]} dies",
            is_good=False,
        )
    return Row(
        where=f"on {names[0]}, a third box",
        meaning=f"failover when either node dies; trading stops while {names[0]} is away",
        is_good=False,
    )


def list_losses(config: Config) -> tuple[Loss, ...]:
    """Return what each single failure would do, boxes first."""
    is_alone = config.cluster.topology is Topology.SINGLE_HOST  # no cable between anything
    return (
        *(_box_loss(config, node) for node in config.nodes),
        *(_store_loss(config, store.name) for store in config.stores),
        *(() if is_alone else (_link_loss(config), _switch_loss(config))),
        Loss(
            what="the home uplink",
            effect="nobody reaches the venue, so nobody hands over; resting orders stay there; "
            "trading goes on when it is back",
            stops=True,
            about_s=None,
        ),
        Loss(
            what="Telegram",
            effect="trading goes on; messages are kept on disk and told once, in order",
            stops=False,
            about_s=0.0,
        ),
        Loss(
            what=f"the venue ({config.venue.exchange})",
            effect="both nodes see it, so nobody hands over; resting orders are the venue's; "
            "trading goes on when it answers again",
            stops=True,
            about_s=None,
        ),
    )


def _box_loss(config: Config, box: str) -> Loss:
    others = [node for node in config.nodes if node != box]
    label, on_it = config.label_of(box), stores_on(config, box)
    what = f"the box {label}" + (" with its store" if on_it else "")
    if config.cluster.topology is Topology.SINGLE_HOST:
        # Stores named after nodes are separate processes here, and outlive the node's.
        what, on_it = f"the process of {label}", ()
    if not others:
        return Loss(
            what=what, effect="nobody trades: it is the only node", stops=True, about_s=None
        )
    other = config.label_of(others[0])
    if on_it and not has_majority_without(config, on_it):
        return Loss(
            what=what,
            effect=f"nobody trades, also when {other} led: it stops after "
            f"{config.timing().gate_s:.1f} s, because nobody can prove that the other side is "
            "dead; resting orders stay at the venue",
            stops=True,
            about_s=None,
        )
    return Loss(
        what=what,
        effect=f"{other} takes over if {label} led; else trading goes on without a spare",
        stops=False,
        about_s=takeover_s(config),
    )


def _store_loss(config: Config, store: str) -> Loss:
    what = f"the store {store}"
    if survives_store(config, store):
        left = len(config.stores) - 1
        return Loss(
            what=what,
            effect=f"trading goes on with {left} of {len(config.stores)}; one more would stop it",
            stops=False,
            about_s=0.0,
        )
    return Loss(
        what=what,
        effect=f"the leader stops after {config.timing().gate_s:.1f} s; a store that comes back "
        f"within that is not noticed, later somebody trades one ttl "
        f"({config.lease.ttl_ms / 1000:g} s) after its return",
        stops=True,
        about_s=None,
    )


def _link_loss(config: Config) -> Loss:
    what = "the link between the two boxes"
    shared = [store.name for store in config.stores if store.name not in config.nodes]
    boxes = [node for node in config.nodes if stores_on(config, node)]
    if not boxes:
        return Loss(
            what=what, effect="nothing: no store is reached over it", stops=False, about_s=0
        )
    if shared:
        return Loss(
            what=what,
            effect="trading goes on: the leader still reaches its own store and "
            f"{', '.join(shared)}",
            stops=False,
            about_s=0.0,
        )
    cut = [config.label_of(node) for node in config.nodes if loses_lease_when_cut(config, node)]
    near = [config.label_of(node) for node in config.nodes if config.label_of(node) not in cut]
    return Loss(
        what=what,
        effect=f"if {', '.join(cut)} led, it stops and {', '.join(near) or 'nobody'} takes over; "
        "else trading goes on without a spare",
        stops=not near,
        about_s=takeover_s(config) if near else None,
    )


def _switch_loss(config: Config) -> Loss:
    effect = (
        f"no box reaches a majority: the leader stops after {config.timing().gate_s:.1f} s; "
        "resting orders stay at the venue; trading goes on by itself when it is back"
    )
    return Loss(
        what="the switch or router between all of them", effect=effect, stops=True, about_s=None
    )
