"""Replacing a store, the pure part: the wish, what refuses it, the file's text, who must wait."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from election.control_record import ControlRecord
from election.member_record import MemberReading
from election.model import NodeId, StoreName
from election.peek import ClusterPeek, StorePeek
from node.config_model import store_list_id
from node.latches import PAUSE, STORES, Latches
from node.replacing import (
    Change,
    acknowledged,
    edit_file,
    highest_epoch,
    is_free,
    parse_address,
    plan_change,
    refuse_now,
    refuse_resume,
    replaced_reason,
)
from tests.support.status_cases import THREE, make_config, make_record

NODES = ("jetson", "raspberrypi")


@pytest.fixture
def change(tmp_path: Path) -> Change:
    config = make_config(tmp_path)
    made = plan_change(config.stores, "witness", "192.168.1.20:7000", None)
    assert made.old_id == config.config_id
    return made


def record(change: Change, *, is_announced: bool = False, version: int = 4) -> ControlRecord:
    value = {**change.record_value(), "is_announced": is_announced}
    return ControlRecord(kind=STORES, version=version, value=value, by="me", at_ms=0, reason="")


def latches(*records: ControlRecord, is_paused: bool = True) -> Latches:
    pause = ControlRecord(
        kind=PAUSE, version=1, value={"is_paused": is_paused}, by="me", at_ms=0, reason=""
    )
    return Latches(records={r.kind: r for r in (pause, *records)}, is_complete=True)


def members(age_s: float = 0.5, **bodies: Mapping[str, object]) -> dict[str, MemberReading]:
    return {
        n: MemberReading(
            node_id=NodeId(n),
            nonce="n",
            beat=1,
            age_s=age_s,
            body=bodies.get(n, {}),
            stores=(StoreName("witness"),),
        )
        for n in NODES
    }


def picture(answered: int = 3, **states: str) -> ClusterPeek:
    names = ("jetson", "raspberrypi", "witness")
    return ClusterPeek(
        stores=tuple(
            StorePeek(
                name=StoreName(name),
                address_text=name,
                error=None if place < answered else "no answer",
                record=make_record(states[name], age_s=1) if name in states else None,
            )
            for place, name in enumerate(names)
        )
    )


# --- the wish ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.168.1.20", ("192.168.1.20", 6379)),
        ("pi.lan:7000", ("pi.lan", 7000)),
        ("[fe80::1]:7000", ("fe80::1", 7000)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    """HOST or HOST:PORT."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":1", "a:b", "a:0", "a:70000", "a b", "http://a:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="no address"):
        parse_address(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nas", "192.168.1.20", None), "no store 'nas'"),
        (("witness", "192.168.1.11", None), "already"),
        (("witness", "192.168.1.13", None), "already"),
        (("witness", "192.168.1.20", "jetson"), "another store"),
    ],
)
def test_impossible_wishes_are_refused(
    tmp_path: Path, arguments: tuple[str, str, str | None], words: str
) -> None:
    """A store that is not there, an address or a name that is taken."""
    with pytest.raises(ValueError, match=words):
        plan_change(make_config(tmp_path).stores, *arguments)


def test_new_list_has_another_id(change: Change) -> None:
    """Order, names and the other stores stay; the id is the one that the new file will have."""
    assert [s.name for s in change.new] == ["jetson", "raspberrypi", "witness"]
    assert change.new_id == store_list_id(change.new) != change.old_id


# --- may it begin -----------------------------------------------------------------------------


def test_it_begins_paused_with_both_nodes_and_a_majority(change: Change) -> None:
    """R3: paused, both nodes hear of it, a majority of the present stores is told."""

    def refused(**changes: object) -> str:
        given: dict[str, object] = {
            "seen": picture(),
            "latches": latches(),
            "members": members(),
            "nodes": NODES,
            "without": (),
            **changes,
        }
        return refuse_now(change, **given)  # type: ignore[arg-type]

    assert refused() == ""
    assert "not paused" in refused(latches=latches(is_paused=False))
    assert "1 of 3" in refused(seen=picture(answered=1))
    assert not refused(seen=picture(answered=2))
    assert "jetson, raspberrypi is not heard" in refused(members=members(age_s=60))
    assert not refused(members={}, without=NODES)
    # Begun before: nodes that were told already may be stopped by now.
    assert not refused(latches=latches(record(change)), members={})
    other = ControlRecord(
        kind=STORES, version=9, value={"config_id": "elsewhere"}, by="her", at_ms=0, reason=""
    )
    assert "cluster.toml is old" in refused(latches=latches(other))


def test_a_pair_that_has_not_finished_growing_is_finished_first(change: Change) -> None:
    """The old store's record would stay under the first list; unless it is that store that goes."""

    def refused(grown_from: str, *, is_announced: bool) -> str:
        value = {"config_id": change.old_id, "grown_from": grown_from, "is_announced": is_announced}
        known = ControlRecord(kind=STORES, version=3, value=value, by="me", at_ms=0, reason="")
        return refuse_now(change, picture(), latches(known), members(), NODES, ())

    assert "first: nodectl stores settle" in refused("raspberrypi", is_announced=False)
    assert not refused("raspberrypi", is_announced=True)
    assert not refused("witness", is_announced=False)


def test_nothing_begins_while_a_node_trades_by_the_others_promise(change: Change) -> None:
    """ADR 0015: the promise is about the old list, and stands on the other node's disk."""
    relying = members(jetson={"relies_on": "raspberrypi"})
    said = refuse_now(change, picture(), latches(), relying, NODES, ())
    assert "stand-down --end" in said


def test_who_has_it_on_disk_has_acknowledged(change: Change) -> None:
    """A version on disk as high as the record's, or a process that uses the new list."""
    told = record(change, version=4)
    assert acknowledged(told, members()) == ()
    assert acknowledged(told, members(jetson={"stores_kept": 3})) == ()
    assert acknowledged(told, members(jetson={"stores_kept": 4})) == ("jetson",)
    assert acknowledged(told, members(jetson={"stores_kept": True})) == ()
    assert acknowledged(told, members(raspberrypi={"config_id": change.new_id})) == ("raspberrypi",)


def test_freedom_needs_a_majority_and_epochs_come_from_every_store() -> None:
    """One store that still names a holder was away at the release; two of them are a lease."""
    seen = picture(witness="jetson")
    assert is_free(seen)
    assert not is_free(picture(witness="jetson", raspberrypi="jetson"))
    assert not is_free(picture(answered=1))
    assert is_free(picture())
    assert highest_epoch(picture(), seen) == 7
    assert highest_epoch(picture()) == 0


# --- after it ---------------------------------------------------------------------------------


def test_node_with_the_old_file_knows_it_from_its_disk(change: Change) -> None:
    """R3: the record binds whoever reads it, and says what to do; the new list is free."""
    told = latches(record(change))
    assert "192.168.1.20:7000" in replaced_reason(told, frozenset({change.old_id}))
    assert not replaced_reason(told, frozenset({change.new_id}))
    assert not replaced_reason(latches(), frozenset({change.old_id}))


def test_resume_waits_for_both_nodes(change: Change) -> None:
    """Until both have announced the new list once; later an absent node is an ordinary thing."""
    new, old = {"config_id": change.new_id}, {"config_id": change.old_id}
    told = latches(record(change))
    assert not refuse_resume(latches(), {}, NODES)
    assert "jetson still uses" in refuse_resume(told, members(jetson=old, raspberrypi=new), NODES)
    assert not refuse_resume(told, members(jetson=new, raspberrypi=new), NODES)
    alone = {"jetson": members(jetson=new)["jetson"]}
    assert "raspberrypi has not yet" in refuse_resume(told, alone, NODES)
    assert not refuse_resume(told, alone, ("jetson",))
    assert not refuse_resume(latches(record(change, is_announced=True)), alone, NODES)


# --- the file ---------------------------------------------------------------------------------


def test_only_the_store_changes_in_the_file(tmp_path: Path, change: Change) -> None:
    """Comments, order and everything else stay; the edited file is the new list."""
    text = THREE.replace('name = "witness"', 'name = "witness"  # the old NAS') + "# the end\n"
    edited = edit_file(text, change)
    assert 'name = "witness"  # the old NAS\nhost = "192.168.1.20"\nport = 7000\n' in edited
    assert edited.replace('host = "192.168.1.20"\nport = 7000\n', 'host = "192.168.1.13"\n') == text
    assert make_config(tmp_path, edited).config_id == change.new_id


def test_port_and_name_are_changed_where_they_stand(tmp_path: Path) -> None:
    """A table with a port keeps its lines."""
    text = THREE.replace('host = "192.168.1.13"', 'host = "192.168.1.13"\nport = 6380 # odd')
    stores = make_config(tmp_path, text).stores
    change = plan_change(stores, "witness", "nas.lan", "nas")
    edited = edit_file(text, change)
    assert 'name = "nas"\nhost = "nas.lan"\nport = 6379 # odd\n' in edited
    assert make_config(tmp_path, edited).config_id == change.new_id


def test_file_without_the_table_is_left_alone(change: Change) -> None:
    """Stores that come from an overlay or the environment are changed there, by hand."""
    with pytest.raises(ValueError, match="witness"):
        edit_file('[[stores]]\nname = "jetson"\nhost = "a"\n', change)
