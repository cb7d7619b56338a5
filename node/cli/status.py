"""nodectl status: who leads, since when, paused or not, spare or not; then everything else."""

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    local_zone,
    look,
    open_config,
    open_secrets,
    say,
    say_json,
    to_plain,
    wall_ms,
)
from node.cli.lazy import USAGE
from node.config import Config
from node.errors import CommandRefused
from node.secrets import Secrets
from node.status import build_status
from node.status_model import StatusView
from node.status_render import render_status

app = typer.Typer(add_completion=False)
WATCH_S = 1.0  # between two looks: as often as the lease is renewed
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Look again each second.")]


@app.command()
def status(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    *,
    as_json: JsonOption = False,
    watch: WatchOption = False,
) -> None:
    """Say who trades, and whether the other one could.

    Exit codes: 0 trading with a spare · 1 trading without one, or not with every strategy ·
    2 nobody trades (or paused) ·
    3 cannot tell · 4 configuration or secrets must be mended · 64 wrong usage. --watch ends
    with 0.
    """
    settings = open_config(config, profile)
    try:
        secrets = open_secrets(settings, node)
    except CommandRefused as refused:
        refused.exit_code = USAGE  # its own 1 would read as "trading without a spare"
        raise
    if watch:
        _watch(settings, secrets, as_json=as_json)
        return
    view = _view(settings, secrets)
    if as_json:
        say_json({**_plain(view), "exit_code": int(view.verdict)})
    else:
        say(render_status(view, zone=local_zone()))
    raise typer.Exit(int(view.verdict))


def _plain(view: StatusView) -> dict[str, object]:
    names = view.__slots__
    plain = {name: getattr(view, name) for name in names}
    return {**plain, "verdict": view.verdict.name.lower()}


def _view(config: Config, secrets: Secrets) -> StatusView:
    return build_status(look(config, secrets), config, now_wall_ms=wall_ms())


def _watch(config: Config, secrets: Secrets, *, as_json: bool) -> None:
    """Show it until Ctrl-C; as JSON one document a line."""
    zone = local_zone()
    console = Console()
    try:
        if as_json:
            while True:
                say(json.dumps(to_plain(_plain(_view(config, secrets))), ensure_ascii=False))
                time.sleep(WATCH_S)
        with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                live.update(Text(render_status(_view(config, secrets), zone=zone)), refresh=True)
                time.sleep(WATCH_S)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
