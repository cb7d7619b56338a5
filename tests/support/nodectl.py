"""nodectl in this process, as a person at a shell runs it."""

from typing import Any

from typer.testing import CliRunner

from node.cli.main import app
from tests.support.puppet_pair import Puppets

_RUNNER = CliRunner()


def run_nodectl(*words: object, **options: Any) -> tuple[int, str]:
    """Return exit code and everything shown; what is no exit is our own bug, and raised."""
    result = _RUNNER.invoke(app, [str(word) for word in words], **options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def nodectl(pair: Puppets, *words: object, **options: Any) -> tuple[int, str]:
    """Run nodectl for the puppets' cluster."""
    return run_nodectl(*words, "-c", pair.config.path, **options)
