"""What takeover documents and member records say of a switchover. Pure."""

from collections.abc import Mapping
from typing import Any

from node.drill.verdict import Seen
from node.status_nodes import number_or_none


def closed_at_ms(body: Mapping[str, Any], epoch: int) -> int | None:
    """Return when a node closed the gate of an epoch (venue time), None when it does not say."""
    shift = body.get("shift")
    if not isinstance(shift, Mapping) or shift.get("closed_epoch") != epoch:
        return None
    closed_ms = shift.get("closed_venue_ms")
    return closed_ms if isinstance(closed_ms, int) else None


def seen_of_switchover(
    times: Mapping[str, Any],
    *,
    closed_venue_ms: int | None,
    by: str,
    at_ms: int,
    holder: str,
    epoch: int,
    has_alerts: bool,
    back_s: float | None = None,
    back_budget_s: float | None = None,
) -> Seen:
    """Return what was seen of a switchover, from the new leader's takeover times.

    Without the old leader's word about its gate the takeover alone is measured.
    """
    granted_ms = times.get("granted_venue_ms")
    before_s = 0.0
    if closed_venue_ms is not None and isinstance(granted_ms, int):
        # Two measurements of the venue's clock: they may differ by some milliseconds.
        before_s = max(0.0, (granted_ms - closed_venue_ms) / 1000)

    def after(name: str) -> float | None:
        value = number_or_none(times.get(name))
        return None if value is None else before_s + value

    return Seen(
        by=by,
        at_ms=at_ms,
        new_holder=holder,
        new_epoch=epoch,
        granted_s=before_s,
        ready_s=after("ready_after_s"),
        first_order_s=after("first_order_after_s"),
        alert_s=after("alert_after_s"),
        has_alerts=has_alerts,
        back_s=back_s,
        back_budget_s=back_budget_s,
    )
