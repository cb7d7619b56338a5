"""nodectl run: this process is the node."""

import os

import typer

from node.cli.common import ConfigOption, NodeOption, ProfileOption, find_node_id, open_config
from node.secrets import load_secrets

app = typer.Typer(add_completion=False)


@app.command()
def run(
    config: ConfigOption = None, node: NodeOption = None, profile: ProfileOption = None
) -> None:
    """Run this node until it is told to stop (SIGTERM or Ctrl-C: hands over first).

    Exit codes: 0 stopped on request · 1 failed, its log says why · 4 mend configuration or
    secrets; a supervisor should start it again in every case.
    """
    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)
    secrets = load_secrets(settings, node_id, os.environ)
    secrets.venue_key()
    from node.wiring import run_node  # noqa: PLC0415  (seconds on a slow board: after the checks)

    raise typer.Exit(run_node(settings, secrets, node_id))
