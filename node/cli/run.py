"""nodectl run: this process is the node."""

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

import typer

from node.cli.common import ConfigOption, NodeOption, ProfileOption, find_node_id, open_config
from node.errors import NodeError
from node.redact import redact
from node.secrets import load_secrets, require_complete, secrets_path
from node.starts_file import leave_words

app = typer.Typer(add_completion=False)
FAILED = 1


@app.command()
def run(
    config: ConfigOption = None, node: NodeOption = None, profile: ProfileOption = None
) -> None:
    """Run this node until it is told to stop (SIGTERM or Ctrl-C: hands over first).

    Exit codes: 0 stopped on request · 1 failed, its log says why · 4 mend configuration or
    secrets; a supervisor should start it again in every case.
    """
    try:
        code = _run(config, node, profile)
    except NodeError as error:
        # for the stop hook, which cannot read the journal; these messages show no secret
        leave_words(os.environ, error.render())
        raise
    raise typer.Exit(code)


def _run(config: Path | None, node: str | None, profile: str | None) -> int:
    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)
    secrets = load_secrets(settings, node_id, os.environ)
    require_complete(secrets, settings, secrets_path(settings, node_id, os.environ))
    from node.wiring import run_node  # noqa: PLC0415  (seconds on a slow board: after the checks)

    try:
        return run_node(settings, secrets, node_id)
    except NodeError:
        raise
    except Exception as error:  # noqa: BLE001  (the last place where secrets can be taken out)
        sys.stderr.write(crash_text(error, secrets.all_values()))
        said = redact(f"{type(error).__name__}: {error}", secrets.all_values())
        leave_words(os.environ, said)
        return FAILED


def crash_text(error: BaseException, secret_values: Iterable[str]) -> str:
    """Return a traceback for a report: places and messages, without secrets."""
    return redact("".join(traceback.format_exception(error)), secret_values)
