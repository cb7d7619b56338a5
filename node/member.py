"""What a node says about itself on the member board: facts for status and eligibility."""

import os
from collections.abc import Collection, Mapping
from math import isfinite
from types import MappingProxyType

from election.model import StoreName
from node.config_model import Config
from node.health import Health
from node.role import has_lease
from node.version import program_version


def member_body(
    config: Config,
    node_id: str,
    health: Health,
    fingerprint: str,
    *,
    is_paused: bool,
    now_wall_ms: int,
    now_s: float,
    step_age_s: float | None,
    stores_answered: Collection[StoreName] | None = None,
    joins_in_s: float | None = 0.0,
    venue_now_ms: int | None = None,
    shift: Mapping[str, int] = MappingProxyType({}),
) -> Mapping[str, object]:
    """Return the facts as JSON values; what is unknown is None.

    Args:
        config: of this node.
        node_id: who says it.
        health: what it knows about itself.
        fingerprint: of its strategies and limits.
        is_paused: whether it acts as paused.
        now_wall_ms: Unix time.
        now_s: monotonic.
        stores_answered: stores that answered the last look, None before the first. A node that
            is cut off still shows itself in the store on its own box.
        joins_in_s: when the new stores of a pair that grows may be used, None while they do not
            answer.
        venue_now_ms: the venue's time now, None while it is not known.
        shift: the last order and the last closed gate (shift_times.py).
        step_age_s: since the work loop's last completed step, None before the first. The board is
            fed beside the work loop: without this a standby that hangs would look fit.
    """
    resources = health.resources
    reasons = list(health.reasons)
    if step_age_s is not None and step_age_s > config.lease.hang_limit_ms / 1000:
        reasons.append(f"work loop: it has completed no step for {step_age_s:.0f} s")
    total = len(config.stores)
    if not has_lease(health.role):
        if stores_answered is not None and not config.quorum.is_met(stores_answered):
            reasons.append(f"stores: it reaches {len(stores_answered)} of {total}, no majority")
        elif joins_in_s is None:
            reasons.append("stores: none of the new ones answers")
        elif joins_in_s > 0:
            reasons.append(f"stores: the new ones are watched for another {joins_in_s:.0f} s")
    return {
        "role": health.role.value,
        "since_wall_ms": health.role_since_wall_ms or now_wall_ms,
        "reasons": reasons,
        "is_paused": is_paused,
        "venue_ok": not health.venue_error,
        "venue_error": health.venue_error,
        "venue_proof_age_s": _age_s(now_s - health.venue_proven_s),
        "unaccepted": list(health.unaccepted),
        "clock_error_ms": health.clock_error_ms,
        "wall_ms": now_wall_ms,
        "venue_ahead_ms": None if venue_now_ms is None else venue_now_ms - now_wall_ms,
        "longest_gap_ms": health.longest_gap_ms,
        "temperature_c": None if resources is None else resources.temperature_c,
        "memory_mb": None if resources is None else round(resources.memory_mb, 1),
        "cpu_percent": None if resources is None else resources.cpu_percent,
        "disk_free_mb": None
        if resources is None or resources.disk_free_mb is None
        else round(resources.disk_free_mb),
        "uptime_s": None if resources is None else round(resources.uptime_s),
        "version": program_version(),
        "profile": config.cluster.profile.value,
        "config_id": config.config_id,
        "old_list_id": config.old_list_id,
        "fingerprint": fingerprint,
        "strategies": [f"{s.use} {' '.join(s.symbols)}" for s in config.strategies],
        "account": health.account,
        "shift": dict(shift),
        "drill": dict(health.drill),
        "warnings": list(health.warnings),
        "notes": list(health.notes),
        "outside": {
            name: {"answered_age_s": _age_s(now_s - seen.answered_s), "error": seen.error}
            for name, seen in health.outside.items()
        },
        "label": config.label_of(node_id),
        "crash_latch_id": health.crash_latch_id,
        "pid": os.getpid(),
    }


def _age_s(age_s: float) -> float | None:
    """Return an age for the board, None for what never happened."""
    return round(age_s, 1) if isfinite(age_s) else None
