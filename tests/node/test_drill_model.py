"""Requests, tickets, results and the drill log: what is written is read back, nonsense is not."""

import json
from typing import Any

import pytest

from election.control_record import ControlRecord
from node.drill.history import CHARACTERS_MAX, ENTRIES_MAX, last_passed_ms, results_of, with_result
from node.drill.model import (
    DRILL,
    DRILL_LOG,
    LASTING_MAX_S,
    TICKET_S,
    DrillKind,
    DrillRequest,
    DrillResult,
    Outcome,
    Phase,
    is_fresh_ticket,
    parse_request,
    parse_result,
    ticket_at,
)

REQUEST = DrillRequest(
    drill_id="crash-1",
    kind=DrillKind.CRASH,
    target="jetson",
    holder="jetson",
    epoch=7,
    tickets={"jetson": "t"},
)


def record(kind: str, value: dict[str, Any], version: int = 1) -> ControlRecord:
    return ControlRecord(kind=kind, version=version, value=value, by="ada", at_ms=1, reason="")


def result(
    number: int = 1, outcome: Outcome = Outcome.PASSED, summary: str = "fine"
) -> DrillResult:
    return DrillResult(
        drill_id=f"crash-{number}",
        kind=DrillKind.CRASH,
        target="jetson",
        by="ada",
        at_ms=number,
        outcome=outcome,
        summary=summary,
        phases=(Phase(name="granted", after_s=6.2, budget_s=7.1), Phase(name="x", after_s=None)),
        problems=("p",),
    )


def test_a_request_is_read_back() -> None:
    assert parse_request(record(DRILL, REQUEST.to_value())) == REQUEST


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "explode"},
        {"id": ""},
        {"lasting_s": LASTING_MAX_S + 1},
        {"lasting_s": -1},
        {"epoch": "7"},
        {"tickets": None},
    ],
)
def test_a_request_that_makes_no_sense_is_none(change: dict[str, Any]) -> None:
    """Nothing is done on half of a request."""
    assert parse_request(record(DRILL, REQUEST.to_value() | change)) is None


def test_no_record_is_no_request() -> None:
    assert parse_request(None) is None


def test_a_ticket_is_good_for_one_to_two_minutes_of_its_process() -> None:
    """By the process's own clock; another process never accepts it."""
    ticket = ticket_at("nonce", 1000.0)
    for later_s in (0.0, 59.0):
        assert is_fresh_ticket(ticket, "nonce", 1000.0 + later_s)
    assert not is_fresh_ticket(ticket, "nonce", 1000.0 + 2 * TICKET_S)
    assert not is_fresh_ticket(ticket, "another", 1000.0)
    assert not is_fresh_ticket("", "nonce", 1000.0)


def test_a_result_is_read_back_as_it_was_written_down() -> None:
    """Notes are printed once and not kept."""
    assert parse_result(json.loads(json.dumps(result().to_body()))) == result()
    assert parse_result({"id": "x"}) is None
    assert parse_result({**result().to_body(), "outcome": "great"}) is None


def test_the_log_is_bounded_and_the_oldest_make_room() -> None:
    """A control record may hold 16 384 characters, whatever summaries say."""
    records: dict[str, ControlRecord] = {}
    for number in range(60):
        value = with_result(records, result(number, summary="words " * (20 if number > 40 else 2)))
        records = {DRILL_LOG: record(DRILL_LOG, value, number + 1)}
        assert len(json.dumps(value)) < CHARACTERS_MAX + 100
    kept = results_of(records)
    assert len(kept) <= ENTRIES_MAX
    assert kept[-1].drill_id == "crash-59"
    assert [r.at_ms for r in kept] == sorted(r.at_ms for r in kept)


def test_one_drill_is_one_entry() -> None:
    """Two that judged the same drill write down one."""
    records = {DRILL_LOG: record(DRILL_LOG, with_result({}, result(1, Outcome.FAILED)))}
    again = with_result(records, result(1))
    assert [entry["outcome"] for entry in again["drills"]] == ["passed"]


def test_only_what_passed_counts_as_tried() -> None:
    value = {"drills": [result(5).to_body(), result(9, Outcome.LATE).to_body(), "garbage"]}
    assert last_passed_ms({DRILL_LOG: record(DRILL_LOG, value)}) == 5
    assert last_passed_ms({}) is None
    assert last_passed_ms({DRILL_LOG: record(DRILL_LOG, {"drills": 3})}) is None
