"""The exception tree of node/, named by what the caller should do.

NodeError             print it (`render()`: what, where, how to mend) and end with `exit_code`
├── ConfigRefused     mend the configuration; lists every problem at once
├── SecretsRefused    mend the secrets file or its permissions; never shows a value
├── InitRefused       answer otherwise, or take another folder
├── NodeRefused       the node may not start as things are; the message says what to mend
├── BackupRefused     this backup cannot be used here; take another one, nothing was changed
└── CommandRefused    a command could not do what was asked; the cluster is as it was
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.config_rules import Problem


class NodeError(Exception):
    """Something a person must mend, said in words."""

    exit_code = 1

    def render(self) -> str:
        """Return it for people: what, where, how to mend."""
        return str(self)


class ConfigRefused(NodeError):  # noqa: N818  (named by what the caller does)
    """The configuration cannot be used; `problems` has all that is wrong with it."""

    exit_code = 4

    def __init__(self, problems: "Sequence[Problem]", *, path: Path) -> None:
        """Keep every problem and the file that was asked for."""
        self.problems = tuple(problems)
        self.path = path
        super().__init__(self.render())

    def render(self) -> str:
        """Return the list with file, path, message and mend of each problem."""
        count = len(self.problems)
        things = "problem" if count == 1 else "problems"
        lines = [f"{self.path}: {count} {things}, nothing was started"]
        return "\n".join([*lines, *(f"  {p.render()}" for p in self.problems)])


class SecretsRefused(NodeError):  # noqa: N818
    """The secrets are missing, unreadable, or readable by others."""

    exit_code = 4


class InitRefused(NodeError):  # noqa: N818
    """The answers do not give a usable configuration, or would overwrite one."""

    exit_code = 4


class NodeRefused(NodeError):  # noqa: N818
    """The node may not start as things are."""

    exit_code = 4


class BackupRefused(NodeError):  # noqa: N818
    """The backup is damaged, of another node or cluster, or of a newer release."""


class CommandRefused(NodeError):  # noqa: N818
    """What was asked could not be done."""

    def __init__(self, message: str, *, mend: str = "", exit_code: int = 1) -> None:
        """Keep what to do about it, and the exit code."""
        super().__init__(message)
        self.mend = mend
        self.exit_code = exit_code

    def render(self) -> str:
        """Return message and mend."""
        return f"{self}\n    → {self.mend}" if self.mend else str(self)
