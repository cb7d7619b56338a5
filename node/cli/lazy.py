"""Verbs that are imported only when they are asked for, and one place where errors end.

`nodectl status` must not pay for what `run` needs: each verb names the module that has it.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from node.errors import NodeError

USAGE = 64  # EX_USAGE; click's own 2 would read as "nobody trades" in `nodectl status`
CLICK_USAGE = 2

VERBS: Mapping[str, str] = {
    "demo": "node.cli.demo",
    "init": "node.cli.init",
    "run": "node.cli.run",
    "status": "node.cli.status",
    "switchover": "node.cli.switchover",
    "stand-down": "node.cli.stand_down",
    "stores": "node.cli.stores",
    "pause": "node.cli.pause",
    "resume": "node.cli.resume",
    "clear-crashes": "node.cli.clear_crashes",
    "release": "node.cli.release",
    "tell-failed-start": "node.cli.tell_failed_start",
    "backup": "node.cli.backup",
    "restore": "node.cli.restore",
    "history": "node.cli.history",
    "logs": "node.cli.logs",
    "explain": "node.cli.explain",
    "simulate": "node.cli.simulate",
    "config": "node.cli.config",
    "strategy": "node.cli.strategy",
    "telegram": "node.cli.telegram",
    "doctor": "node.cli.doctor",
    "drill": "node.cli.drill",
    "version": "node.cli.version",
}


class LazyGroup(TyperGroup):
    """A group whose commands are Typer apps named `app` in their own modules."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs in the order in which a new user needs them."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the verb's module; None when there is no such verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command = typer.main.get_command(import_module(VERBS[cmd_name]).app)
        command.name = cmd_name
        return command

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the words before the verb; what is wrong there is wrong usage too."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            _mark_usage(error)
            raise

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Read the command line and run it; a character the terminal lacks becomes a `?`."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; our own errors are printed and become exit codes."""
        try:
            return super().invoke(ctx)
        except NodeError as error:
            sys.stderr.write(f"{error.render()}\n")
            raise typer.Exit(error.exit_code) from None
        except TyperException as error:  # a verb's own exit code, typer.Exit, is none of these
            _mark_usage(error)
            raise


def _mark_usage(error: TyperException) -> None:
    """Let one of Click's own usage errors end with our code."""
    if error.exit_code == CLICK_USAGE:
        error.exit_code = USAGE
