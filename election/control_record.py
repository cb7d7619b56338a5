"""Control records: what a person (or the loss limit) decided for the whole cluster.

Pure. A record is one JSON text `{"v":1,"version":N,"value":{...},"by":"...","at_ms":...,
"reason":"..."}`; of two records of one kind the higher version wins, wherever it was found.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from election.model import StoreName

_FORMAT: Final = 1
VERSION_MAX: Final = 2**53 - 1  # what a Lua number holds exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRecord:
    """One decision. `at_ms` is wall time of whoever wrote it, for display only."""

    kind: str
    version: int
    value: Mapping[str, object]
    by: str
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReading:
    """The records of highest version among the stores that answered.

    `problems` are records that could not be read; `silent` says why each other store did not
    answer.
    """

    records: Mapping[str, ControlRecord]
    answered: tuple[StoreName, ...]
    total: int
    is_majority: bool
    problems: tuple[str, ...]
    silent: Mapping[StoreName, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPut:
    """How a put ended: `version` is the one that was written, by `accepted_by`."""

    accepted_by: tuple[StoreName, ...]
    is_majority: bool
    version: int
    problems: Mapping[StoreName, str]


def render_control(record: ControlRecord) -> str:
    """Render as JSON; equal records give equal texts.

    Raises:
        ValueError: the value cannot be JSON.
    """
    body = {
        "v": _FORMAT,
        "version": record.version,
        "value": dict(record.value),
        "by": record.by,
        "at_ms": record.at_ms,
        "reason": record.reason,
    }
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"control record {record.kind}: {error}") from None


def parse_control(kind: str, text: str) -> ControlRecord:
    """Parse one record.

    Raises:
        ValueError: it is not one of this format; the message says what is wrong.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"control record {kind} is not JSON") from None
    match body:
        case {
            "v": int(v),
            "version": int(version),
            "value": dict(value),
            "by": str(by),
            "at_ms": int(at_ms),
            "reason": str(reason),
        } if v == _FORMAT and 0 < version <= VERSION_MAX:
            return ControlRecord(
                kind=kind, version=version, value=value, by=by, at_ms=at_ms, reason=reason
            )
        case {"v": int(v)} if v != _FORMAT:
            raise ValueError(f"control record {kind} has format {v}, this program knows {_FORMAT}")
        case _:
            raise ValueError(f"control record {kind} lacks a field, or one is of another type")


def merge_controls(
    readings: Iterable[Mapping[str, ControlRecord]],
) -> Mapping[str, ControlRecord]:
    """Return the record of highest version of each kind.

    Two records of one version exist only when two people wrote at the same moment and neither
    had heard of the other: then the one that more places show wins, and after that the greater
    text, so that every node decides alike.
    """
    newest: dict[str, list[ControlRecord]] = {}
    for reading in readings:
        for kind, record in reading.items():
            held = newest.get(kind)
            if held is None or record.version > held[0].version:
                newest[kind] = [record]
            elif record.version == held[0].version:
                held.append(record)
    return {kind: _elect(records) for kind, records in newest.items()}


def _elect(records: list[ControlRecord]) -> ControlRecord:
    """Return the record that most places show, among records of one version."""
    first = records[0]
    if records.count(first) == len(records):
        return first
    by_text = {render_control(record): record for record in records}
    votes = Counter(render_control(record) for record in records)
    return by_text[max(votes, key=lambda text: (votes[text], text))]


def parse_controls(
    texts: Mapping[str, str],
) -> tuple[Mapping[str, ControlRecord], tuple[str, ...]]:
    """Return the records of one store, and what could not be read."""
    records: dict[str, ControlRecord] = {}
    problems: list[str] = []
    for kind, text in texts.items():
        try:
            records[kind] = parse_control(kind, text)
        except ValueError as error:
            problems.append(str(error))
    return records, tuple(problems)
