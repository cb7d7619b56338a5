"""The latest hand-overs for health, on disk: a restarted node must not bounce the lease anew.

Rules of this file: ages are told, not instants, because every process has its own monotonic clock.
Within one boot they are exact. After a reboot the wall clock is asked, which these boards set late:
it can only make a node that is unwell stay longer or shorter, by at most the hour that counts. A
file that cannot be read counts as empty. Calls block.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from election.durable import write_all
from election.grant_note import read_boot_id

FILE_NAME = "moves.json"
_FORMAT = 1


def _boottime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """What an age is measured with; tests set their own."""

    boot_id: Callable[[], str] = read_boot_id
    boottime_s: Callable[[], float] = _boottime_s
    wall_s: Callable[[], float] = time.time


class DiskMoves:
    """Satisfies `node.edges.MoveMemory`: `moves.json` in the claimed state directory."""

    def __init__(self, state_dir: Path, clocks: Clocks | None = None) -> None:
        """Remember the path; nothing is read yet."""
        self._path = state_dir / FILE_NAME
        self._clocks = clocks or Clocks()

    def load(self) -> tuple[float, ...]:
        """Return the ages of the remembered moves in seconds; never negative."""
        try:
            body = json.loads(self._path.read_text("utf-8"))
            if body["v"] != _FORMAT:
                return ()
            is_same_boot = body["boot_id"] == self._clocks.boot_id()
            stored_s = float(body["boottime_s"] if is_same_boot else body["wall_s"])
            ages = [float(age_s) for age_s in body["ages_s"]]
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        now_s = self._clocks.boottime_s() if is_same_boot else self._clocks.wall_s()
        since_s = max(0.0, now_s - stored_s)
        return tuple(max(0.0, age_s + since_s) for age_s in ages)

    def store(self, ages_s: Sequence[float]) -> None:
        """Remember these moves instead.

        Raises:
            OSError: the state directory cannot be written.
        """
        body = {
            "v": _FORMAT,
            "boot_id": self._clocks.boot_id(),
            "boottime_s": self._clocks.boottime_s(),
            "wall_s": self._clocks.wall_s(),
            "ages_s": [round(age_s, 3) for age_s in ages_s],
        }
        write_all({self._path: (json.dumps(body), 0o600)})
