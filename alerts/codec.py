"""Changes of the outbox as lines of JSON, and back: pure.

Rules: one change is one line without a newline inside; a reader of this version refuses what it
does not know (`UnreadableRecord`) instead of guessing. Does not cover files (outbox_file.py).
"""

import json
from collections.abc import Mapping
from typing import Any, assert_never

from alerts.changes import (
    Added,
    Change,
    Counted,
    Dropped,
    DropsTold,
    IdsKept,
    Rerouted,
    Row,
    RowInput,
    RowKept,
    RowState,
    Stepped,
    TotalsKept,
)
from alerts.errors import UnreadableRecord
from alerts.model import AlertEvent, Kind, Verdict

FORMAT_VERSION = 1
HEADER = json.dumps({"type": "outbox", "v": FORMAT_VERSION})
"""First line of a file. A file of another version is set aside, never rewritten in place."""


def render_change(change: Change) -> str:  # noqa: PLR0911 - one return for each kind of change
    """Return the change as one line of JSON (ASCII, so that a cut never splits a character)."""
    match change:
        case Added():
            return _line("added", number=change.number, event=_event_out(change.event))
        case Counted():
            return _line("counted", number=change.number, event=_event_out(change.event))
        case Stepped():
            return _line(
                "stepped", number=change.number, input=change.input.value, reason=change.reason
            )
        case Dropped():
            return _line(
                "dropped",
                numbers=list(change.numbers),
                count=change.count,
                event_ids=list(change.event_ids),
            )
        case DropsTold():
            return _line("drops_told", count=change.count)
        case Rerouted():
            return _line("rerouted", old=change.old_address, new=change.new_address)
        case RowKept():
            return _line("row", **_row_out(change.row))
        case IdsKept():
            return _line("ids", event_ids=list(change.event_ids))
        case TotalsKept():
            return _line("totals", last_number=change.last_number, dropped=change.dropped)
        case _:
            assert_never(change)


def parse_change(line: str) -> Change:
    """Return the change that `render_change` wrote.

    Raises:
        UnreadableRecord: the line is cut, damaged, or of a kind this version does not know.
    """
    try:
        return _parse(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableRecord(f"outbox line was not a record: {type(error).__name__}") from error


def _parse(data: Mapping[str, Any]) -> Change:
    match data["type"]:
        case "added":
            return Added(number=int(data["number"]), event=_event_in(data["event"]))
        case "counted":
            return Counted(number=int(data["number"]), event=_event_in(data["event"]))
        case "stepped":
            return Stepped(
                number=int(data["number"]),
                input=RowInput(data["input"]),
                reason=str(data["reason"]),
            )
        case "dropped":
            return Dropped(
                numbers=tuple(int(number) for number in data["numbers"]),
                count=int(data["count"]),
                event_ids=_ids_in(data["event_ids"]),
            )
        case "drops_told":
            return DropsTold(count=int(data["count"]))
        case _:
            return _parse_kept(data)


def _parse_kept(data: Mapping[str, Any]) -> Change:
    match data["type"]:
        case "rerouted":
            return Rerouted(old_address=str(data["old"]), new_address=str(data["new"]))
        case "row":
            return RowKept(row=_row_in(data))
        case "ids":
            return IdsKept(event_ids=_ids_in(data["event_ids"]))
        case "totals":
            return TotalsKept(last_number=int(data["last_number"]), dropped=int(data["dropped"]))
        case _:
            raise UnreadableRecord(f"outbox line was of an unknown type: {data['type']!r}")


def _line(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, separators=(",", ":"))


def _row_out(row: Row) -> dict[str, object]:
    return {
        "number": row.number,
        "events": [_event_out(event) for event in row.events],
        "count": row.count,
        "state": row.state.value,
        "attempt": row.attempt,
        "reason": row.reason,
    }


def _row_in(data: Mapping[str, Any]) -> Row:
    events = tuple(_event_in(event) for event in data["events"])
    if not events:
        raise UnreadableRecord("outbox row was without an event")
    return Row(
        number=int(data["number"]),
        events=events,
        count=int(data["count"]),
        state=RowState(data["state"]),
        attempt=int(data["attempt"]),
        reason=str(data["reason"]),
    )


def _event_out(event: AlertEvent) -> dict[str, object]:
    return {
        "event_id": event.event_id,
        "kind": event.kind.value,
        "verdict": event.verdict.value,
        "created_wall_ms": event.created_wall_ms,
        "cluster": event.cluster,
        "node_id": event.node_id,
        "epoch": event.epoch,
        "facts": dict(event.facts),
        "collapse_key": event.collapse_key,
    }


def _event_in(data: Mapping[str, Any]) -> AlertEvent:
    return AlertEvent(
        event_id=str(data["event_id"]),
        kind=Kind(data["kind"]),
        verdict=Verdict(data["verdict"]),
        created_wall_ms=int(data["created_wall_ms"]),
        cluster=str(data["cluster"]),
        node_id=str(data["node_id"]),
        epoch=int(data["epoch"]),
        facts={str(name): str(value) for name, value in data["facts"].items()},
        collapse_key=str(data["collapse_key"]),
    )


def _ids_in(values: list[object]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
