"""The claim on a state directory: one living process at a time (R1).

The kernel drops the claim when the process ends, however it ends. A stop hook that wants to
release post mortem takes the claim first and does nothing if it cannot.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from election.errors import IdentityRefused, StateDirUnusable

_FILE_NAME = "claim"


class StateClaim:
    """An advisory flock on `<state directory>/claim`, held until `close` or the process's end."""

    def __init__(self, state_dir: Path, *, notes_owner: bool = True) -> None:
        """Take the claim without waiting.

        Args:
            state_dir: the directory.
            notes_owner: write this process's number into the claim, for whoever is refused. A stop
                hook leaves it: then a disk that has become full or read-only is no hindrance.

        Raises:
            IdentityRefused: another living process has it.
            StateDirUnusable: the directory cannot be used.
        """
        path = state_dir / _FILE_NAME
        access = os.O_RDWR if notes_owner else os.O_RDONLY
        try:
            self._descriptor = os.open(path, access | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirUnusable(_unusable(path, error)) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise IdentityRefused(
                f"the state directory {state_dir} is in use by process {owner or 'unknown'}; "
                "stop it first"
            ) from error
        if not notes_owner:
            return
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # a full disk takes an empty file, but nothing in it
            os.close(self._descriptor)
            raise StateDirUnusable(_unusable(path, error)) from error

    def close(self) -> None:
        """Give the claim back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Return the claim."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the claim back."""
        self.close()


def _unusable(path: Path, error: OSError) -> str:
    return (
        f"{path}: the state directory cannot be written: {error.strerror or error}\n"
        "    → see that its disk has free space, is not read-only (dmesg), and that the user who "
        "runs the node owns the directory"
    )
