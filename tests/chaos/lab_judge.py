"""When each permit ended at the latest, seen from outside, and whether a grant came before that.

A node keeps a note of its armed fence in its state directory (election/fence_note.py): epoch and
the CLOCK_BOOTTIME at which the kernel would kill it. The gate closes earlier. On one machine all
hosts read the same clock, so a grant of the other node can be compared with it.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from election.fence_note import FILE_NAME

LOOK_S = 0.02
# A log line carries whole milliseconds, and the wall clock may be slewed by some.
EXACT_S = 0.01

Ends = Mapping[tuple[str, int], float]


class FenceWatch:
    """Reads the notes again and again; `ends` maps (node, epoch) to the latest fence seen."""

    def __init__(self, logs: Mapping[str, Path]) -> None:
        """Know each node's log (its state directory is two above); nothing is read yet."""
        self._notes = {node: path.parents[1] / FILE_NAME for node, path in logs.items()}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.ends: dict[tuple[str, int], float] = {}

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join(10.0)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            for node, path in self._notes.items():
                self._read(node, path)

    def _read(self, node: str, path: Path) -> None:
        try:
            note = json.loads(path.read_text("ascii"))
            key, end_s = (node, int(note["epoch"])), float(note["fence_boottime_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return  # there is none, or it is being written
        if key[1]:
            self.ends[key] = max(end_s, self.ends.get(key, 0.0))


def boot_s_of(event: Mapping[str, Any]) -> float:
    """Return when a log line was written, in CLOCK_BOOTTIME seconds of this machine."""
    wall_minus_boot_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return datetime.fromisoformat(str(event["ts"])).timestamp() - wall_minus_boot_s


def find_overlaps(
    grants: Mapping[str, Sequence[Mapping[str, Any]]], ends: Ends, offsets_s: Mapping[str, float]
) -> list[str]:
    """Return in words each grant that came before another node's older permit had ended.

    Args:
        grants: the `lease.granted` events of each node.
        ends: the latest fence seen of each node and epoch, on CLOCK_BOOTTIME.
        offsets_s: how far a node's wall clock stood off when it wrote that.
    """
    problems = []
    for node, events in grants.items():
        for event in events:
            if event["was_released"]:
                continue  # given up in order; the venue's log judges that
            epoch = int(event["lease_epoch"])
            granted_s = boot_s_of(event) - offsets_s.get(node, 0.0)
            problems += [
                f"epoch {epoch} was granted to {node} {end_s - granted_s:.3f} s before the fence "
                f"of epoch {older} of {other}"
                for (other, older), end_s in ends.items()
                if other != node and older < epoch and end_s > granted_s + EXACT_S
            ]
    return problems
