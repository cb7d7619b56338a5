"""Control records: versions decide, on real servers and in the pure merge."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from election.control_record import (
    ControlPut,
    ControlReading,
    ControlRecord,
    merge_controls,
    parse_control,
    render_control,
)
from election.majority import PUT_TRIES
from election.redis_control import KINDS_MAX, ControlBoard
from election.redis_reply import keys_of
from node.demo.stores import StoreServer
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    address_of,
    admin_of,
)

CLUSTER = "test-control"
KEY = keys_of(CLUSTER).control


def board_of(servers: Sequence[StoreServer]) -> ControlBoard:
    return ControlBoard([address_of(server) for server in servers], CLUSTER, REQUEST_TIMEOUT_MS)


@pytest.fixture
def board(three: list[StoreServer]) -> Iterator[ControlBoard]:
    made = board_of(three)
    yield made
    made.close()


def record_of(version: int, *, is_paused: bool = True, by: str = "me") -> ControlRecord:
    return ControlRecord(
        kind="pause",
        version=version,
        value={"is_paused": is_paused},
        by=by,
        at_ms=1_700_000_000_000,
        reason="“why” \\ 理由",
    )


def shown(server: StoreServer, kind: str = "pause") -> str | None:
    with admin_of(server) as admin:
        text = admin.hget(KEY, kind)
        assert text is None or isinstance(text, str)
        return text


def test_nothing_decided_reads_as_nothing(board: ControlBoard) -> None:
    """None found is for the caller to judge: paused, not free (amendment)."""
    reading = board.read()
    assert reading.records == {}
    assert (reading.answered, reading.total, reading.problems) == (("x", "y", "z"), 3, ())


def test_each_decision_has_a_higher_version_than_all_before(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    first = board.put("pause", {"is_paused": True}, "ann", 1, "holiday")
    second = board.put("pause", {"is_paused": False}, "bob", 2, "back")
    assert (first.version, first.is_majority, first.accepted_by) == (1, True, ("x", "y", "z"))
    assert (second.version, second.problems) == (2, {})
    record = board.read().records["pause"]
    assert record == ControlRecord(
        kind="pause", version=2, value={"is_paused": False}, by="bob", at_ms=2, reason="back"
    )
    assert shown(three[0]) == render_control(record)


def test_a_decision_is_above_what_is_known_elsewhere(board: ControlBoard) -> None:
    """A disk that remembers version 7 must not win over a newer decision of a person (S6)."""
    assert board.put("pause", {"is_paused": True}, "ann", 1, "", above=7).version == 8


def test_a_decision_made_while_one_store_was_down_wins_when_it_is_back(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    """The highest version wins, wherever it is found."""
    board.put("pause", {"is_paused": False}, "ann", 1, "")
    three[0].pause()
    # The frozen store's answer is not awaited for long in this test.
    hasty = ControlBoard([address_of(server) for server in three], CLUSTER, 1_000)
    put = hasty.put("pause", {"is_paused": True}, "bob", 2, "")
    three[0].resume()
    assert put.is_majority
    assert board.read().records["pause"].value == {"is_paused": True}
    hasty.close()


def test_with_two_stores_down_there_is_no_majority(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    """It is said, not retried: the caller tells the person."""
    three[1].kill()
    three[2].kill()
    put = board.put("pause", {"is_paused": True}, "ann", 1, "")
    assert (put.is_majority, put.accepted_by) == (False, ("x",))
    assert set(put.problems) == {"y", "z"}
    reading = board.read()
    assert (reading.answered, reading.total) == (("x",), 3)
    assert set(reading.silent) == {"y", "z"}
    assert reading.problems == ()


class BlindBoard(ControlBoard):
    """A writer that heard nothing before it wrote, as when all stores were silent just then."""

    def read(self) -> ControlReading:
        return ControlReading(
            records={}, answered=(), total=3, is_majority=False, problems=(), silent={}
        )


def blind_board_of(servers: list[StoreServer], wait: Callable[[float], None]) -> BlindBoard:
    addresses = [address_of(server) for server in servers]
    return BlindBoard(addresses, CLUSTER, REQUEST_TIMEOUT_MS, wait=wait)


def test_a_faster_writer_is_overtaken_by_trying_again(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    """Two people at once: the later decision gets the higher version."""
    for by in ("ann", "bob", "eve"):
        board.put("pause", {"is_paused": True}, by, 1, "")
    waits: list[float] = []
    blind = blind_board_of(three, waits.append)
    put = blind.put("pause", {"is_paused": False}, "me", 2, "")
    assert (put.version, put.is_majority, len(waits)) == (4, True, 1)
    assert board.read().records["pause"].by == "me"
    blind.close()


def test_a_writer_that_is_always_overtaken_gives_up(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    """Every loop has a bound."""
    board.put("pause", {"is_paused": True}, "rival", 1, "")
    waits: list[float] = []

    def overtake(seconds: float) -> None:
        waits.append(seconds)
        board.put("pause", {"is_paused": True}, "rival", 1, "")

    blind = blind_board_of(three, overtake)
    put = blind.put("pause", {"is_paused": False}, "me", 2, "")
    assert not put.is_majority
    assert len(waits) == PUT_TRIES
    assert all("stored already" in text for text in put.problems.values())
    blind.close()


def test_writers_that_race_never_share_a_version(three: list[StoreServer]) -> None:
    """Whatever was accepted by a majority is one decision of one version."""
    boards = [board_of(three) for _ in range(3)]

    def decide(index: int) -> list[ControlPut]:
        return [boards[index].put("pause", {"n": n}, f"p{index}", n, "") for n in range(8)]

    with ThreadPoolExecutor(len(boards)) as pool:
        puts = [put for made in pool.map(decide, range(len(boards))) for put in made]
    decided = [put.version for put in puts if put.is_majority]
    assert decided
    assert len(set(decided)) == len(decided)
    assert boards[0].read().records["pause"].version >= max(decided)
    for one in boards:
        one.close()


def test_known_records_are_pushed_back_after_a_loss(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    """The holder pushes control records again after a reincarnation; twice is harmless."""
    board.put("pause", {"is_paused": True}, "ann", 1, "")
    board.put("loss_limit", {"is_latched": True, "day": "2026-11-22"}, "node", 2, "")
    records = tuple(board.read().records.values())
    three[1].restart()
    with admin_of(three[2]) as admin:
        admin.flushall()
    for _ in range(2):
        push = board.push(records)
        assert (push.is_majority, push.accepted_by) == (True, ("x", "y", "z"))
    texts = {server.name: (shown(server), shown(server, "loss_limit")) for server in three}
    assert texts["x"] == texts["y"] == texts["z"]
    assert None not in texts["x"]


def test_a_push_does_not_wait_for_the_store_of_a_dead_box(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    """A takeover pushes: with a majority it goes on, whatever the third store's time limit is."""
    board.put("pause", {"is_paused": True}, "ann", 1, "")
    records = tuple(board.read().records.values())
    limit_s = 40
    patient = ControlBoard([address_of(server) for server in three], CLUSTER, limit_s * 1000)
    three[0].pause()
    began_s = time.monotonic()
    push = patient.push(records)
    took_s = time.monotonic() - began_s
    three[0].resume()
    patient.close()
    assert push.is_majority
    assert set(push.accepted_by) == {"y", "z"}
    assert took_s < limit_s / 2


def test_a_push_never_replaces_a_newer_record(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    """Latches are lifted by a person only, never by an old copy (S6)."""
    old = record_of(1, is_paused=False)
    assert board.push([old]).is_majority
    board.put("pause", {"is_paused": True}, "ann", 1, "")
    push = board.push([old])
    assert push.accepted_by == ("x", "y", "z"), "a newer record is as good"
    assert board.read().records["pause"].value == {"is_paused": True}
    assert len({shown(server) for server in three}) == 1


def test_another_text_of_the_same_version_is_refused(board: ControlBoard) -> None:
    """One version means one decision in one store."""
    assert board.push([record_of(3, by="ann")]).is_majority
    push = board.push([record_of(3, by="bob")])
    assert push.accepted_by == ()
    assert board.read().records["pause"].by == "ann"


@pytest.mark.parametrize(
    "garbage", ["", "pause", "[]", "{}", '{"version":"2"}', "{", "\x00"], ids=repr
)
def test_a_garbled_record_is_refused_left_alone_and_told(
    board: ControlBoard, three: list[StoreServer], garbage: str
) -> None:
    """The other two stores decide; somebody must look at the third."""
    with admin_of(three[0]) as admin:
        admin.hset(KEY, "pause", garbage)
    put = board.put("pause", {"is_paused": True}, "ann", 1, "")
    assert (put.is_majority, put.accepted_by) == (True, ("y", "z"))
    assert "not JSON with a version" in put.problems[three[0].name]  # type: ignore[index]
    assert shown(three[0]) == garbage
    reading = board.read()
    assert reading.records["pause"].version == 1
    assert len(reading.problems) == 1


def test_a_key_of_another_type_and_a_full_hash_are_refused(
    board: ControlBoard, three: list[StoreServer]
) -> None:
    with admin_of(three[0]) as admin:
        admin.set(KEY, "x")
    with admin_of(three[1]) as admin:
        admin.hset(KEY, mapping={str(i): "{}" for i in range(KINDS_MAX)})
    put = board.put("pause", {"is_paused": True}, "ann", 1, "")
    assert put.accepted_by == ("z",)
    assert "not a hash" in str(put.problems)
    assert f"{KINDS_MAX} kinds" in str(put.problems)


def test_a_replica_takes_no_decision(board: ControlBoard, three: list[StoreServer]) -> None:
    """What it took it would forget when its source speaks again (R12)."""
    board.read()
    with admin_of(three[0]) as admin:
        admin.config_set("slave-read-only", "no")  # the script refuses, not only the server
        admin.slaveof("127.0.0.1", 1)
    put = board.put("pause", {"is_paused": True}, "ann", 1, "")
    assert put.accepted_by == ("y", "z")


@pytest.mark.parametrize(
    "value",
    [{"x": float("nan")}, {"x": object()}, {"x": "y" * 20_000}],
    ids=["not a number", "no JSON", "too long"],
)
def test_a_value_that_cannot_be_stored_is_our_own_error(
    board: ControlBoard, value: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"control record|JSON"):
        board.put("pause", value, "ann", 1, "")


@given(
    value=st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | st.integers()),
    version=st.integers(1, 2**53 - 1),
    text=st.text(),
)
def test_what_is_rendered_is_parsed_back(value: dict[str, object], version: int, text: str) -> None:
    record = ControlRecord(kind="k", version=version, value=value, by=text, at_ms=-1, reason=text)
    assert parse_control("k", render_control(record)) == record


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        json.dumps({"v": 2}),
        json.dumps({"v": 1, "version": 0, "value": {}, "by": "", "at_ms": 0, "reason": ""}),
        json.dumps({"v": 1, "version": 2**53, "value": {}, "by": "", "at_ms": 0, "reason": ""}),
        json.dumps({"v": 1, "version": 1, "value": [], "by": "", "at_ms": 0, "reason": ""}),
        "[" * 100_000,
    ],
    ids=["nothing", "a list", "a later format", "version 0", "inexact", "no object", "a bomb"],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="control record pause"):
        parse_control("pause", text)


@given(st.permutations([record_of(1), record_of(3, by="ann"), record_of(2), record_of(3)]))
def test_the_merge_does_not_depend_on_the_order(records: list[ControlRecord]) -> None:
    """The highest version; of two texts of one version the same one on every node."""
    merged = merge_controls({record.kind: record} for record in records)
    assert merged == {"pause": max([record_of(3), record_of(3, by="ann")], key=render_control)}


def test_of_two_texts_of_one_version_the_one_in_more_stores_wins() -> None:
    minority, majority = record_of(3, by="zoe"), record_of(3, by="ann")
    merged = merge_controls({"pause": one} for one in (minority, majority, majority))
    assert merged == {"pause": majority}
