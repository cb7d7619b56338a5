"""The drill log: the last drills of the cluster, one control record that every node keeps. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from election.control_record import ControlRecord
from node.drill.model import DRILL_LOG, DrillResult, Outcome, parse_result

# Two years of monthly drills; the record may hold 16 384 characters.
ENTRIES_MAX = 24
CHARACTERS_MAX = 14_000


def results_of(records: Mapping[str, ControlRecord]) -> tuple[DrillResult, ...]:
    """Return the drills on record, oldest first; entries that make no sense are left out."""
    record = records.get(DRILL_LOG)
    entries = [] if record is None else record.value.get("drills", [])
    found = map(parse_result, entries if isinstance(entries, list) else [])
    return tuple(result for result in found if result is not None)


def with_result(records: Mapping[str, ControlRecord], result: DrillResult) -> dict[str, Any]:
    """Return the value of the drill log with one more result; the oldest ones make room.

    A result of the same drill is replaced: two that judged it wrote down one drill.
    """
    kept = [r.to_body() for r in results_of(records) if r.drill_id != result.drill_id]
    entries = [*kept, result.to_body()][-ENTRIES_MAX:]
    while len(entries) > 1 and len(json.dumps(entries)) > CHARACTERS_MAX:
        entries = entries[1:]
    return {"drills": entries}


def last_passed_ms(records: Mapping[str, ControlRecord]) -> int | None:
    """Return when the newest drill that passed was asked for (wall time), None without one."""
    passed = [r.at_ms for r in results_of(records) if r.outcome is Outcome.PASSED]
    return max(passed, default=None)
