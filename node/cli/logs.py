"""nodectl logs: read this node's log with filters."""

import contextlib
import json
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    open_config,
    say,
)
from node.errors import CommandRefused
from node.events import Level, Stream
from node.log_reader import LogFilter, LogFollower, log_files, parse_since, render_line
from node.logs import FILE_NAME

app = typer.Typer(add_completion=False)
POLL_S = 0.3

LevelOption = Annotated[Level, typer.Option("--level", help="Smallest level shown.")]
StreamOption = Annotated[Stream | None, typer.Option("--stream", "-s", help="Only this stream.")]
EventOption = Annotated[str, typer.Option("--event", "-e", help='Event or beginning ("order.").')]
SymbolOption = Annotated[str, typer.Option("--symbol", help="Only this market.")]
SinceOption = Annotated[str, typer.Option("--since", help='"10m", "2h", "1d" or a time (UTC).')]
CountOption = Annotated[int, typer.Option("--last", "-l", min=1, help="How many lines at most.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")]


@app.command()
def logs(
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    level: LevelOption = Level.INFO,
    stream: StreamOption = None,
    event: EventOption = "",
    symbol: SymbolOption = "",
    since: SinceOption = "",
    *,
    last: CountOption = 200,
    follow: FollowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what this node logged, oldest first.

    Exit codes: 0 shown · 1 there is no log here, or it cannot be told which node this is · 4
    mend the configuration.
    """
    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)
    path = settings.log_dir(node_id) / FILE_NAME
    try:
        instant = parse_since(since, now=datetime.now(UTC))
    except ValueError:
        raise CommandRefused(
            f"--since was {since!r}", mend='say "10m", "2h", "1d" or 2026-11-22T12:00:00'
        ) from None
    wanted = LogFilter(
        level=level, stream=str(stream or ""), event=event, symbol=symbol, since=instant
    )
    if not log_files(path) and not follow:
        raise CommandRefused(
            f"{path} is not there", mend="this node has not run here; is --node right?"
        )
    follower = LogFollower(path)
    backlog = deque((x for x in follower.poll() if wanted.accepts(x)), maxlen=last)
    for line in backlog:
        _print(line, as_json=as_json)
    if follow:
        _follow(follower, wanted, as_json=as_json)
    follower.close()


def _follow(follower: LogFollower, wanted: LogFilter, *, as_json: bool) -> None:
    """Print new lines as they come, until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for line in follower.poll():
                if wanted.accepts(line):
                    _print(line, as_json=as_json)
            time.sleep(POLL_S)


def _print(line: Mapping[str, Any], *, as_json: bool) -> None:
    say(json.dumps(line, ensure_ascii=False) if as_json else render_line(line))
