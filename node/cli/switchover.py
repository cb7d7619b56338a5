"""nodectl switchover: the leader hands over to the other node, on purpose."""

import time
from typing import Annotated

import typer

from election.model import NodeId
from election.peek import ClusterPeek, majority_holder, merged_members
from node.cli.common import (
    ConfigOption,
    NodeOption,
    ProfileOption,
    look,
    open_config,
    open_secrets,
    say,
    wall_ms,
)
from node.cli.decide import NOT_SEEN, decide, wait_for
from node.config import Config
from node.errors import CommandRefused
from node.latches import SWITCHOVER
from node.role import Role
from node.status import build_status
from node.status_model import StatusView, Verdict

app = typer.Typer(add_completion=False)
DEADLINE_S = 60.0  # draining waits for what is in flight, reconciling for the venue
ToOption = Annotated[
    str | None, typer.Option("--to", help="Node that shall lead. Default: the spare.")
]


@app.command()
def switchover(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    to: ToOption = None,
) -> None:
    """Hand over to the other node: the leader drains and releases, the other one reconciles.

    Exit codes: 0 the other node leads · 1 refused, nothing changed · 3 asked, but not done in
    time (look with `nodectl status`) · 4 mend configuration or secrets.
    """
    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    view = build_status(look(settings, secrets), settings, now_wall_ms=wall_ms())
    target = _choose(view, settings, to)
    if target == view.holder:
        say(f"{target} leads already")
        return
    started_s = time.monotonic()
    value = {"to": target, "from": view.holder}
    decide(settings, secrets, {SWITCHOVER: value}, "nodectl switchover")
    say(f"asked {view.holder} to hand over to {target}")

    def is_done(seen: ClusterPeek) -> bool:
        holder = majority_holder(seen)
        member = merged_members(seen).get(NodeId(target))
        is_active = member is not None and member.body.get("role") == Role.ACTIVE
        return holder is not None and holder.node_id == target and is_active

    if not wait_for(settings, secrets, is_done, timeout_s=DEADLINE_S):
        raise CommandRefused(
            f"{target} does not lead after {DEADLINE_S:g} s",
            mend="look with `nodectl status` and `nodectl logs`",
            exit_code=NOT_SEEN,
        )
    say(f"{target} leads and trades, {time.monotonic() - started_s:.1f} s after it was asked")


def _choose(view: StatusView, config: Config, to: str | None) -> str:
    """Return who shall lead. Raises CommandRefused when that cannot work now."""
    if view.holder is None or view.verdict is Verdict.UNKNOWN or view.silent_s is not None:
        raise CommandRefused(
            f"nobody can hand over: {view.headline}", mend="look with `nodectl status`"
        )
    if to is not None and to not in config.nodes:
        raise CommandRefused(f"there is no node {to!r}", mend=f"one of: {', '.join(config.nodes)}")
    if to == view.holder:
        return to
    if view.is_paused:
        raise CommandRefused(
            f"the cluster is paused ({view.pause_reason}): nobody may take over",
            mend="run `nodectl resume` first",
        )
    wanted = [n for n in view.nodes if n.node_id in ([to] if to else view.spares)]
    ready = [n for n in wanted if n.is_spare]
    if ready:
        return ready[0].node_id
    reasons = "; ".join(
        f"{n.node_id}: {', '.join(n.reasons) or n.role}"
        for n in view.nodes
        if n.node_id != view.holder and (to is None or n.node_id == to)
    )
    raise CommandRefused(f"no node is ready to take over ({reasons})", mend="mend that first")
