"""Asking the owner at the keyboard; a script says it with a variable instead."""

import sys

from deploy.errors import DeployError


def confirm(question: str, *, is_said: bool) -> None:
    """Ask whether to go on, unless the owner has said so already (YES=1).

    Raises:
        DeployError: no, or nobody is there to be asked; nothing was changed.
    """
    if is_said:
        return
    if not sys.stdin.isatty():
        raise DeployError(f"{question}: nobody is here to answer\n    → say YES=1")
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise DeployError("nothing was changed")
