"""nodectl release --after-crash: a supervisor's stop hook frees the lease of a dead process."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.common import (
    ConfigOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    open_config,
    say,
)
from node.errors import CommandRefused
from node.release_hook import run_hook

app = typer.Typer(add_completion=False)
USAGE = 64
AfterCrashOption = Annotated[
    bool, typer.Option("--after-crash", help="Every process of the node is dead: release.")
]
StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The node's own state directory; skips the configuration."),
]


@app.command()
def release(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    state_dir: StateDirOption = None,
    *,
    after_crash: AfterCrashOption = False,
) -> None:
    """Free the lease that the dead process of this node held; for a supervisor's stop hook.

    It does nothing while any process has the node's state directory, and frees nothing that the
    dead process did not hold. It ends within five seconds, whatever the stores do. With
    --state-dir it needs no configuration and starts fastest.

    Exit codes: 0 freed, or nothing to free · 1 not freed (no majority of the stores, or the state
    directory cannot be claimed): it runs out by itself after one ttl · 4 mend configuration or
    secrets · 64 wrong usage.
    """
    if not after_crash:
        raise CommandRefused(
            "a living node gives the lease up with: nodectl switchover",
            mend="only a supervisor whose node process is dead says --after-crash",
            exit_code=USAGE,
        )
    if state_dir is None:
        settings = open_config(config, profile)
        state_dir = settings.node_state_dir(find_node_id(settings, node))
    raise typer.Exit(run_hook(state_dir, say=say))
