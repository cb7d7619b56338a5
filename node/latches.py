"""Latches of the cluster: pause, daily loss limit, accepted strategy, switchover requests.

Rules of this file (S6, lease amendments "Journal and latches"): pure. Records are versioned and
the highest version wins, wherever it was found (stores, own disk). When no record is found
anywhere the cluster counts as paused, except on the first start after `nodectl init`. A latch is
set by the node or a person, and lifted only by a person.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PAUSE = "pause"
LOSS_LIMIT = "loss_limit"
CLUSTER = "cluster"
SWITCHOVER = "switchover"
ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """One control record."""

    kind: str
    version: int
    value: Mapping[str, Any]
    by: str
    at_ms: int
    reason: str

    def to_json(self) -> str:
        """Render the stored form."""
        return json.dumps(
            {
                "v": 1,
                "version": self.version,
                "value": dict(self.value),
                "by": self.by,
                "at_ms": self.at_ms,
                "reason": self.reason,
            },
            sort_keys=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latches:
    """The merged latches of the cluster, with what they mean."""

    records: Mapping[str, Latch]
    is_complete: bool  # False: no record was found anywhere, so the cluster counts as paused

    @property
    def is_paused(self) -> bool:
        """True when nothing new may be sent."""
        if not self.is_complete:
            return True
        pause = self.records.get(PAUSE)
        return pause is not None and bool(pause.value.get("is_paused", True))

    @property
    def pause_reason(self) -> str:
        """Why it is paused, for people."""
        if not self.is_complete:
            return "no control record was found in any store or on this disk"
        pause = self.records.get(PAUSE)
        if pause is None:
            return ""
        return f"{pause.reason or 'no reason given'} (by {pause.by})"

    @property
    def is_loss_latched(self) -> bool:
        """True after the daily loss limit was reached, until a person lifts it."""
        record = self.records.get(LOSS_LIMIT)
        return record is not None and bool(record.value.get("is_latched", True))

    @property
    def accepted_fingerprint(self) -> str:
        """The strategy fingerprint a person accepted last, empty when none."""
        record = self.records.get(ACCEPT)
        return "" if record is None else str(record.value.get("fingerprint", ""))

    @property
    def switchover(self) -> Latch | None:
        """The newest switchover request; whether it is still to be done, the node decides."""
        return self.records.get(SWITCHOVER)


def parse_latch(kind: str, text: str) -> Latch:
    """Parse one stored record.

    Raises:
        ValueError: the text is no control record; the message says why.
    """
    try:
        raw = json.loads(text)
        return Latch(
            kind=kind,
            version=int(raw["version"]),
            value=dict(raw["value"]),
            by=str(raw.get("by", "?")),
            at_ms=int(raw.get("at_ms", 0)),
            reason=str(raw.get("reason", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"control record {kind!r} is unreadable: {error}") from error


def merge_latches(
    *sources: Mapping[str, Latch], is_first_start_allowed: bool
) -> tuple[Latches, bool]:
    """Merge records; the highest version of each kind wins.

    Returns:
        The latches, and whether this is the first start of a new cluster (the caller then
        creates the `cluster` record).
    """
    merged: dict[str, Latch] = {}
    for source in sources:
        for kind, latch in source.items():
            known = merged.get(kind)
            if known is None or latch.version > known.version:
                merged[kind] = latch
    is_first = not merged and is_first_start_allowed
    return Latches(records=merged, is_complete=bool(merged) or is_first), is_first
