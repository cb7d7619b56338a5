"""nodectl resume: a person lifts the pause and the daily loss latch."""

from typing import Annotated

import typer

from election.peek import ClusterPeek, merged_members
from node.cli.common import (
    ConfigOption,
    NodeOption,
    ProfileOption,
    look,
    open_config,
    open_secrets,
    say,
)
from node.cli.decide import decide, living, records_of, wait_for_pause
from node.config import Config
from node.errors import CommandRefused
from node.latches import ACCEPT, LOSS_LIMIT, PAUSE, STORES, merge_latches
from node.replacing import refuse_resume

app = typer.Typer(add_completion=False)
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why, for the record.")]
AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-strategy",
        help="Also accept that strategy or limits differ from the last leader's.",
    ),
]


WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without", help="After `nodectl stores replace`: a node that is off and stays off."
    ),
]


@app.command()
def resume(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    reason: ReasonOption = "",
    *,
    accept_strategy: AcceptOption = False,
    without: WithoutOption = None,
) -> None:
    """Lift the pause and the daily loss limit: the leader trades again.

    Exit codes: 0 lifted and seen by every living node · 1 no majority of the stores took it ·
    3 written, but a living node did not show it in time · 4 mend configuration or secrets.
    """
    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    seen = look(settings, secrets)
    stores = records_of(seen).get(STORES)
    if stores is not None:
        _check_stores(seen, settings, without or [])
    decisions: dict[str, dict[str, object]] = {PAUSE: {"is_paused": False}}
    limit = records_of(seen).get(LOSS_LIMIT)
    is_latched = limit is not None and bool(limit.value.get("is_latched", True))
    if limit is not None and is_latched:
        decisions[LOSS_LIMIT] = {**limit.value, "is_latched": False}
    if accept_strategy:
        marks = {str(m.body.get("fingerprint") or "") for m in living(seen).values()} - {""}
        if len(marks) != 1:
            raise CommandRefused(
                f"{len(marks)} fingerprints are in use by living nodes, one is needed",
                mend="make strategies and limits of both nodes equal, then accept",
            )
        decisions[ACCEPT] = {"fingerprint": marks.pop()}
    # of a pair that grows it is said by `nodectl stores settle`, once the old store is moved too
    is_growth = stores is not None and bool(stores.value.get("grown_from"))
    if stores is not None and not is_growth and not stores.value.get("is_announced", False):
        decisions[STORES] = {**stores.value, "is_announced": True}
    decide(settings, secrets, decisions, reason)
    effect = wait_for_pause(settings, secrets, is_paused=False)
    lifted = " (daily loss limit lifted too)" if is_latched else ""
    say(f"resumed {settings.cluster_id}{lifted}: {effect}")


def _check_stores(seen: ClusterPeek, config: Config, without: list[str]) -> None:
    """Refuse while a node may still use the store list from before a replacement (R3)."""
    latches, _ = merge_latches(records_of(seen), is_first_start_allowed=False)
    nodes = [n for n in config.nodes if n not in without]
    members = {str(n): m for n, m in merged_members(seen).items()}
    problem = refuse_resume(latches, members, nodes)
    if problem:
        raise CommandRefused(
            problem,
            mend="put the new cluster.toml on that box and restart its node; a box that stays off: "
            "nodectl resume --without NODE (its file must be changed before it is started)",
        )
