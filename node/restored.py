"""Control records that a restore put into the state directory, until the node knows better."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from exchange.journal_file import read_journal
from node.state_files import RESTORED_CONTROL_FILE


class RestoredControls:
    """Satisfies `node.cluster_watch.RestoredRecords`: `control.restored`, never written to."""

    def __init__(self, path: Path, documents: Mapping[str, str]) -> None:
        """Use `found_in`."""
        self._path = path
        self._documents = documents

    @classmethod
    def found_in(cls, state_dir: Path) -> Self | None:
        """Return what was restored there, None where nothing was.

        Raises:
            JournalError: it cannot be read.
        """
        path = state_dir / RESTORED_CONTROL_FILE
        return cls(path, read_journal(path).documents) if path.exists() else None

    @property
    def documents(self) -> Mapping[str, str]:
        """The records as texts, by kind."""
        return self._documents

    def forget(self) -> None:
        """Remove the file. Raises OSError."""
        self._path.unlink(missing_ok=True)
