"""What a dead process left on this box: its notes, its journal, and the book of its crashes.

Rules of this file: it reads and writes what post_mortem.py asks for, and judges nothing. Whoever
uses it holds the claim on the state directory. Calls block.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from election.fence_note import End, read_end
from election.grant_note import GrantLeft, read_boot_id, read_grant, remove_grant
from election.model import StoreName
from election.post_mortem import Epitaph, release_after_death
from exchange.errors import JournalError
from exchange.journal_file import ReadFile, read_journal
from node.crash_file import read_book, write_book
from node.crashes import CrashBook
from node.state_files import JOURNAL_FILE


class FileRemains:
    """The files of one state directory; satisfies `node.post_mortem.Remains`."""

    def __init__(
        self,
        state_dir: Path,
        *,
        login_of: Callable[[GrantLeft], GrantLeft],
        password_of: Callable[[StoreName], str | None],
    ) -> None:
        """Bind the directory; nothing is read yet.

        Args:
            state_dir: of the dead process.
            login_of: gives the stores' addresses the user name to log in with.
            password_of: gives their passwords.
        """
        self._state_dir = state_dir
        self._login_of, self._password_of = login_of, password_of

    def boottime_s(self) -> float:
        """Return CLOCK_BOOTTIME."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall_ms(self) -> int:
        """Return Unix time."""
        return time.time_ns() // 1_000_000

    def boot_id(self) -> str:
        """Return what the kernel calls this boot."""
        return read_boot_id()

    def grant(self) -> GrantLeft | None:
        """Return the grant note."""
        return read_grant(self._state_dir)

    def why_void(self, left: GrantLeft) -> str:
        """Return why the note does not count here and now."""
        return left.why_void(self._state_dir)

    def end(self, died_s: float) -> End | None:
        """Return what the fence note says. Raises ValueError."""
        return read_end(self._state_dir, died_boottime_s=died_s)

    def journal(self) -> ReadFile:
        """Return this disk's journal.

        Raises:
            JournalError: it cannot be read; or the disk is read-only, and may have dropped what
                was written last, here and in the fence note: neither proves anything then.
        """
        if os.statvfs(self._state_dir).f_flag & os.ST_RDONLY:
            raise JournalError("its disk is read-only and may have dropped the last of it")
        return read_journal(self._state_dir / JOURNAL_FILE)

    def release(self, left: GrantLeft, drain_ms: int, reason: str) -> tuple[Epitaph, ...]:
        """Tell every store."""
        return release_after_death(
            self._login_of(left), password_of=self._password_of, drain_ms=drain_ms, reason=reason
        )

    def remove_grant(self) -> None:
        """Take the grant note away."""
        remove_grant(self._state_dir)

    def book(self) -> CrashBook:
        """Return the crashes that are known."""
        return read_book(self._state_dir)

    def write_book(self, book: CrashBook) -> bool:
        """Keep them durably; False when the disk refuses."""
        return write_book(self._state_dir, book)
