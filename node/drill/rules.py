"""Which drill may be run now, and what it is expected to cost. Pure.

A drill must not stop trading where the loss that it plays would: then it is refused in words,
unless the person accepts just that. The node that is hurt checks again (driller.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.config_model import Config, Topology
from node.doctor.losses import (
    loses_lease_when_cut,
    stores_on,
    survives_box,
    survives_store,
)
from node.drill.model import DrillKind
from node.status_model import StatusView, Verdict

# A planned hand-over, without the venue's round trips (the budget).
SWITCHOVER_S = 0.3
# An alert may wait for Telegram's pace; later than this after trading began it is late.
ALERT_S = 15.0
# How long a node that was hurt may take to be a fit spare again; a person plugs in by hand.
BACK_S = 120.0
PLUG_BACK_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPlan:
    """A drill as asked for. `here`: the node whose box this is, None when it is neither's.

    `running`: drills that a node shows as running. `does_accept_stop`: the person knows that
    trading stops.
    """

    kind: DrillKind
    target: str
    does_accept_stop: bool = False
    here: str | None = None
    running: Sequence[str] = ()


def list_refusals(plan: DrillPlan, config: Config, view: StatusView) -> tuple[str, ...]:
    """Return why this drill is not run now, each with what would have to change; empty: go."""
    return tuple(_refusals(plan, config, view))


def _refusals(plan: DrillPlan, config: Config, view: StatusView) -> Iterator[str]:
    if not config.drills.is_allowed:
        yield "the configuration allows no drills ([drills] is_allowed = false)"
    if view.verdict is Verdict.UNKNOWN or view.holder is None or view.silent_s is not None:
        yield f"nobody is known to trade: {view.headline}"
        return
    if view.is_paused:
        yield f"the cluster is paused ({view.pause_reason}): run `nodectl resume` first"
    if not view.spares:
        yield "there is no fit spare: the drill would stop trading as the loss would"
    if plan.running:
        yield f"another drill is running: {', '.join(plan.running)}"
    yield from _refusals_of_kind(plan, config, view.holder)


def _refusals_of_kind(plan: DrillPlan, config: Config, holder: str) -> Iterator[str]:
    match plan.kind:
        case DrillKind.STORE:
            if plan.target not in {store.name for store in config.stores}:
                known = ", ".join(store.name for store in config.stores)
                yield f"there is no store {plan.target!r}; use one of: {known}"
            elif would_stop(plan, config, holder) and not plan.does_accept_stop:
                yield (
                    f"{plan.target} is the only store that decides: without it the leader stops "
                    "after its validity. A witness would remove that; --accept-stop runs it all "
                    "the same"
                )
        case DrillKind.PARTITION:
            if not loses_lease_when_cut(config, holder):
                yield (
                    f"{holder} leads and the store is on its own box: cut off from the others it "
                    "goes on trading, nothing would be drilled; `nodectl switchover` first"
                )
        case DrillKind.PLUG:
            if plan.here == holder:
                yield (
                    f"{holder} leads and is this box: it cannot watch itself lose power; run it on "
                    "the standby's box"
                )
            if would_stop(plan, config, holder) and not plan.does_accept_stop:
                on_it = ", ".join(stores_on(config, holder))
                yield (
                    f"the box of {holder} carries the store {on_it}: pulling its plug stops "
                    "trading; --accept-stop runs it all the same, or `nodectl switchover` first"
                )
        case _:
            pass


def would_stop(plan: DrillPlan, config: Config, holder: str) -> bool:
    """Tell whether this drill stops trading, as the loss that it plays would."""
    if plan.kind is DrillKind.STORE:
        return not survives_store(config, plan.target)
    is_one_machine = config.cluster.topology is Topology.SINGLE_HOST
    return plan.kind is DrillKind.PLUG and not is_one_machine and not survives_box(config, holder)


def failover_budget_s(config: Config) -> float:
    """Return how long after the last renewal the other node must be ready to trade."""
    return config.timing().takeable_after_s + config.drills.slack_ms / 1000


def switchover_budget_s(config: Config) -> float:
    """Return how long a planned hand-over may take, from gate closed to ready."""
    return SWITCHOVER_S + config.drills.slack_ms / 1000


def stop_renewing_budget_s(config: Config, kind: DrillKind) -> float | None:
    """Return how long after the request renewals must have stopped, None where it is not judged."""
    if kind is not DrillKind.HANG:
        return None
    lease = config.lease
    waits_ms = lease.hang_limit_ms + lease.renew_ms + lease.request_timeout_ms
    return (waits_ms + config.drills.slack_ms) / 1000


def default_lasting_s(config: Config) -> float:
    """Return how long a cut must last so that the other node takes over and is seen to."""
    return 2 * config.timing().takeable_after_s + 5
