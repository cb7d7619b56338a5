"""The member board on real servers, and the pure merge."""

from collections.abc import Iterator

import pytest

from election.member_record import MemberReading, merge_members, parse_member
from election.model import NodeId, StoreName
from election.redis_members import MEMBERS_MAX, MemberBoard
from election.redis_reply import keys_of
from node.demo.stores import StoreServer
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    address_of,
    admin_of,
)

CLUSTER = "test-members"
KEY = keys_of(CLUSTER).members
JETSON, PI = NodeId("jetson"), NodeId("raspberrypi")
BODY = {"role": "active", "temperature_c": 41.5, "label": 'Küche "oben" \\', "reasons": []}


@pytest.fixture
def board(three: list[StoreServer]) -> Iterator[MemberBoard]:
    made = MemberBoard(
        [address_of(server) for server in three],
        cluster_id=CLUSTER,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    yield made
    made.close()


def test_what_is_published_is_read_with_an_age_and_the_stores_that_show_it(
    board: MemberBoard,
) -> None:
    assert board.publish(JETSON, 'n"1', 1, BODY).accepted_by == ("x", "y", "z")
    assert board.publish(JETSON, 'n"1', 2, BODY).problems == {}
    board.publish(PI, "n2", 7, {})
    members = board.read()
    assert set(members) == {JETSON, PI}
    seen = members[JETSON]
    assert (seen.node_id, seen.nonce, seen.beat, seen.body) == (JETSON, 'n"1', 2, BODY)
    assert seen.stores == ("x", "y", "z")
    assert 0 <= seen.age_s < 60


def test_the_age_is_told_by_the_store_s_own_clock(
    board: MemberBoard, three: list[StoreServer]
) -> None:
    """Never the clocks of two machines: what is an hour old there is an hour old."""
    board.publish(JETSON, "n", 1, {})
    with admin_of(three[0]) as admin:
        seconds, _ = admin.time()
        for server in three:
            with admin_of(server) as one:
                text = f'{{"nonce":"n","beat":1,"seen_us":{(seconds - 3600) * 10**6},"body":{{}}}}'
                one.hset(KEY, JETSON, text)
    assert 3600 <= board.read()[JETSON].age_s < 3700


def test_a_store_that_is_down_is_skipped(board: MemberBoard, three: list[StoreServer]) -> None:
    three[1].kill()
    published = board.publish(JETSON, "n", 1, BODY)
    assert published.accepted_by == ("x", "z")
    assert set(published.problems) == {"y"}
    assert board.read()[JETSON].stores == ("x", "z")
    three[0].kill()
    three[2].kill()
    assert board.publish(JETSON, "n", 2, BODY).accepted_by == ()
    assert board.read() == {}


def test_garbage_on_the_board_hides_nobody(board: MemberBoard, three: list[StoreServer]) -> None:
    board.publish(JETSON, "n", 1, BODY)
    with admin_of(three[0]) as admin:
        admin.hset(KEY, mapping={"x": "{", "y": "[]", "z": '{"nonce":1}', "": "{}"})
    assert set(board.read()) == {JETSON}


def test_a_key_of_another_type_and_a_full_board_are_refused(
    board: MemberBoard, three: list[StoreServer]
) -> None:
    with admin_of(three[0]) as admin:
        admin.set(KEY, "x")
    with admin_of(three[1]) as admin:
        admin.hset(KEY, mapping={str(i): "{}" for i in range(MEMBERS_MAX)})
    published = board.publish(JETSON, "n", 1, BODY)
    assert published.accepted_by == ("z",)
    assert "not a hash" in published.problems[StoreName("x")]
    assert f"{MEMBERS_MAX} members" in published.problems[StoreName("y")]
    with admin_of(three[0]) as admin:
        assert admin.get(KEY) == "x"
    assert board.read()[JETSON].stores == ("z",)


def test_a_full_board_still_takes_the_beats_of_its_members(
    board: MemberBoard, three: list[StoreServer]
) -> None:
    for i in range(MEMBERS_MAX):
        board.publish(NodeId(f"n{i}"), "n", 1, {})
    assert board.publish(NodeId("n3"), "n", 2, {}).accepted_by == ("x", "y", "z")


def test_a_replica_takes_no_beat(board: MemberBoard, three: list[StoreServer]) -> None:
    board.publish(JETSON, "n", 1, BODY)
    with admin_of(three[0]) as admin:
        admin.config_set("slave-read-only", "no")  # the script refuses, not only the server
        admin.slaveof("127.0.0.1", 1)
    assert board.publish(JETSON, "n", 2, BODY).accepted_by == ("y", "z")


@pytest.mark.parametrize(
    "body",
    [{"t": float("nan")}, {"t": object()}, {"t": "x" * 20_000}],
    ids=["nan", "object", "long"],
)
def test_a_body_that_cannot_be_published_is_our_own_error(
    board: MemberBoard, body: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"body|JSON"):
        board.publish(JETSON, "n", 1, body)


def reading(store: str, nonce: str, beat: int, age_s: float) -> MemberReading:
    return MemberReading(
        node_id=JETSON,
        nonce=nonce,
        beat=beat,
        body={"from": store},
        age_s=age_s,
        stores=(StoreName(store),),
    )


def test_the_freshest_process_of_a_node_is_shown_with_its_own_stores() -> None:
    """A store that missed the restart still shows the process before (R1)."""
    merged = merge_members(
        {
            StoreName("x"): {JETSON: reading("x", "before", 900, 30.0)},
            StoreName("y"): {JETSON: reading("y", "now", 3, 0.2)},
            StoreName("z"): {JETSON: reading("z", "now", 2, 1.2)},
        }
    )
    seen = merged[JETSON]
    assert (seen.nonce, seen.beat, seen.age_s) == ("now", 3, 0.2)
    assert (seen.stores, seen.body) == (("y", "z"), {"from": "y"})


def test_a_wall_clock_that_was_set_back_gives_age_zero() -> None:
    text = '{"nonce":"n","beat":1,"seen_us":2000000,"body":{}}'
    assert parse_member("n", text, now_us=1_000_000, store=StoreName("x")).age_s == 0
    assert parse_member("n", text, now_us=3_500_000, store=StoreName("x")).age_s == 1.5
