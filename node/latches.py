"""Latches of the cluster: pause, daily loss limit, accepted strategy, switchover requests.

Rules of this file (S6, lease amendments "Journal and latches"): pure. Records are versioned and
the highest version wins, wherever it was found (stores, own disk). When no record is found
anywhere the cluster counts as paused, except on the first start after `nodectl init`. A latch is
set by the node or a person, and lifted only by a person.

What proves that the cluster may trade is what says so: a pause record, or the cluster's birth.
Anything else (an account, a request, the note of a crash) may be written while the cluster counts
as paused, and must not end that. Records out of a backup latch, but prove nothing:
a pause may be younger than the backup (ADR 0051).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from election.control_record import ControlRecord, merge_controls

PAUSE = "pause"
LOSS_LIMIT = "loss_limit"
CLUSTER = "cluster"
SWITCHOVER = "switchover"
ACCEPT = "accept"
STORES = "stores"  # which store list counts, since a person replaced one
CLEAR_CRASHES = "clear_crashes"
LAST_CRASH = "last_crash"
# Kinds that decide nothing: the first start of a new cluster may find them.
NO_LATCHES = frozenset({"drill", "drill_log", "drill_schedule"})
BORN = "born_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latches:
    """The merged latches of the cluster, with what they mean."""

    records: Mapping[str, ControlRecord]
    is_complete: bool  # False: no record proves that it may trade, so the cluster counts as paused

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
    def account(self) -> str | None:
        """The venue account that the cluster trades, None before its first holder."""
        record = self.records.get(CLUSTER)
        account = None if record is None else record.value.get("account")
        return None if account is None else str(account)

    @property
    def born_ms(self) -> int:
        """Wall time at which the cluster first ran, 0 when unknown."""
        record = self.records.get(CLUSTER)
        born = 0 if record is None else record.value.get(BORN, 0)
        return born if isinstance(born, int) else 0

    @property
    def switchover(self) -> ControlRecord | None:
        """The newest switchover request; whether it is still to be done, the node decides."""
        return self.records.get(SWITCHOVER)


def proves_trading(records: Mapping[str, ControlRecord]) -> bool:
    """Tell whether these records say of themselves that the cluster is paused or is not."""
    cluster = records.get(CLUSTER)
    return PAUSE in records or (cluster is not None and BORN in cluster.value)


def merge_latches(
    *sources: Mapping[str, ControlRecord],
    is_first_start_allowed: bool,
    restored: Mapping[str, ControlRecord] = MappingProxyType({}),
) -> tuple[Latches, bool]:
    """Merge records; the highest version of each kind wins.

    Args:
        sources: what stores and disks have.
        is_first_start_allowed: a new cluster may begin where nothing is found.
        restored: out of a backup; they count, but do not prove that the cluster may trade.

    Returns:
        The latches, and whether this is the first start of a new cluster (the caller then
        creates the `cluster` record).
    """
    found = merge_controls(sources)
    merged = merge_controls([found, restored])
    is_first = is_first_start_allowed and not any(kind not in NO_LATCHES for kind in merged)
    return Latches(records=merged, is_complete=proves_trading(found) or is_first), is_first
