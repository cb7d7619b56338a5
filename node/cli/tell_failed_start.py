"""nodectl tell-failed-start: a supervisor's second stop hook tells of a node that cannot start."""

import os
from pathlib import Path
from typing import Annotated

import typer

from node.failed_start import run_alarm, say_out

app = typer.Typer(add_completion=False)
StateDirOption = Annotated[Path, typer.Option("--state-dir", help="The node's state directory.")]


@app.command()
def tell_failed_start(state_dir: StateDirOption) -> None:
    """Count a start that failed; tell the third in a row by message. For a stop hook only.

    It reads $SERVICE_RESULT, $EXIT_STATUS and $INVOCATION_ID, which systemd sets, and ends within
    ten seconds, whatever Telegram does.

    Exit codes: 0 always · 64 wrong usage.
    """
    raise typer.Exit(run_alarm(state_dir, os.environ, say=say_out))
