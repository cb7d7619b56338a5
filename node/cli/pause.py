"""nodectl pause: nothing new is sent by anybody until a person resumes."""

from typing import Annotated

import typer

from node.cli.common import (
    ConfigOption,
    NodeOption,
    ProfileOption,
    look,
    open_config,
    open_secrets,
    say,
)
from node.cli.decide import decide, is_unknown, wait_for_pause
from node.latches import PAUSE

app = typer.Typer(add_completion=False)
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why, for the record.")]


@app.command()
def pause(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    reason: ReasonOption = "",
) -> None:
    """Pause the cluster: nothing new is sent, by either node, also after a restart.

    Resting orders stay at the venue. It is lifted only by `nodectl resume` or /resume.

    Exit codes: 0 paused and seen by every living node · 1 no majority of the stores took it ·
    3 written, but a living node did not show it in time · 4 mend configuration or secrets.
    """
    settings = open_config(config, profile)
    secrets = open_secrets(settings, node)
    is_new = is_unknown(look(settings, secrets))
    decide(settings, secrets, {PAUSE: {"is_paused": True}}, reason)
    effect = wait_for_pause(settings, secrets, is_paused=True)
    say(f"paused {settings.cluster_id}: {effect}. Go on with: nodectl resume")
    if is_new:
        say(
            f"! the stores knew nothing of a cluster {settings.cluster_id}: if one trades there, "
            "its name or profile is another, and it was NOT paused"
        )
