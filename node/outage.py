"""How long nobody traded, and whether both boxes were off. Pure judgement, one small file edge.

Each node remembers the wall time at which it last knew the cluster to trade (itself active, or a
holder's fresh write seen). Wall time is right here: it is compared across a power cut, for a
message only, never for a decision about the lease.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "last-trading.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What a new holder tells about the time before it."""

    gap_s: float | None  # None: this cluster never traded before
    was_whole_cluster_off: bool
    off_since_ms: int | None = None  # wall time, when the whole cluster was off


def judge_outage(
    *,
    now_ms: int,
    started_ms: int,
    last_trading_ms: int | None,
    was_released: bool,
    silent_s: float | None,
    since_grant_s: float,
    unheard_s: float | None = None,
) -> Outage:
    """Tell how long nobody traded before this node became active.

    Args:
        now_ms: wall time now.
        started_ms: wall time at which this process started.
        last_trading_ms: last wall time at which the cluster was known to trade, None if never.
        was_released: the lease was given up just before the grant, in order or after a crash.
        silent_s: how long this process saw the previous holder silent before the grant; None
            when the holder gave the lease up, or when nobody held it (the stores were empty).
        since_grant_s: how long the takeover took.
        unheard_s: of a holder that crashed and was released: since its last beat while it traded,
            a beat more than it was dead at most; None when nobody crashed, or that is not known.

    Returns:
        Both boxes were off when the cluster traded last before this process even started. Then,
        and when nobody held the lease, the gap is a difference of wall times.
    """
    if last_trading_ms is not None and last_trading_ms < started_ms:
        return Outage(
            gap_s=max(0.0, (now_ms - last_trading_ms) / 1000),
            was_whole_cluster_off=True,
            off_since_ms=last_trading_ms,
        )
    if silent_s is not None:
        return Outage(gap_s=silent_s + since_grant_s, was_whole_cluster_off=False)
    if was_released:
        return Outage(gap_s=max(since_grant_s, unheard_s or 0.0), was_whole_cluster_off=False)
    if last_trading_ms is None:
        return Outage(gap_s=None, was_whole_cluster_off=False)
    gap_s = max(since_grant_s, (now_ms - last_trading_ms) / 1000)
    return Outage(gap_s=gap_s, was_whole_cluster_off=False)


class LastTrading:
    """The remembered instant, on disk; losing it costs a sentence in a message, nothing more."""

    def __init__(self, state_dir: Path) -> None:
        """Use a file in the node's state directory."""
        self._path = state_dir / FILE_NAME

    def load_ms(self) -> int | None:
        """Return the remembered wall time, None when there is none or it is unreadable."""
        try:
            return int(json.loads(self._path.read_text())["wall_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store_ms(self, wall_ms: int) -> None:
        """Remember; atomic, but not synced (a minute more or less does not matter).

        Raises:
            OSError: the state directory cannot be written.
        """
        scratch = self._path.with_suffix(".new")
        scratch.write_text(json.dumps({"wall_ms": wall_ms}))
        os.replace(scratch, self._path)  # noqa: PTH105  (same call, shown as what it is)
