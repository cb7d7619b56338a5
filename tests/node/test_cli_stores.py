"""nodectl stores at real lease servers with puppets: the walk, its refusals, said again (R3)."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from election.control_record import parse_control
from election.model import NodeId, Refusal
from election.peek import peek
from election.redis_control import ControlBoard
from election.redis_reply import keys_of
from exchange.journal import Journal
from node.cli import store_move
from node.cli import stores as stores_module
from node.config import load_config
from node.demo.stores import StoreServer, find_server
from node.latches import STORES, Latches
from node.replacing import replaced_reason
from tests.support.nodectl import nodectl
from tests.support.paused_pair import DOCUMENTS, observe, paused_puppets
from tests.support.puppet_pair import (
    NODES,
    PASSWORD,
    TIMEOUT_MS,
    Puppets,
    wait_until,
)
from tests.support.redis_servers import admin_of


@pytest.fixture(scope="module")
def servers(servers: list[StoreServer]) -> Iterator[list[StoreServer]]:
    """Three real store servers and a new one."""
    with StoreServer("new", program=find_server(), password=PASSWORD).start() as new:
        yield [*servers, new]


@pytest.fixture
def pair(servers: list[StoreServer], tmp_path: Path) -> Iterator[Puppets]:
    """A paused pair at three stores; the fourth is new."""
    servers[3].restart()
    with paused_puppets(tmp_path, servers[:3]) as puppets:
        yield puppets


def replace(pair: Puppets, new: StoreServer, *more: str) -> tuple[int, dict[str, Any], str]:
    """Replace store three."""
    code, text = nodectl(
        pair, "stores", "replace", "three", f"{new.host}:{new.port}", "--json", *more
    )
    return code, json.loads(text) if text.startswith("{") else {}, text


def admin(server: StoreServer) -> Redis:
    return admin_of(server)


def test_the_walk_closes_the_old_list_and_carries_everything(
    pair: Puppets, servers: list[StoreServer]
) -> None:
    """Old list refused at every store, latches, journal and highest epoch at the new one."""
    text = pair.config.path.read_text() if pair.config.path else ""
    code, report, said = replace(pair, servers[3], "--write")
    assert code == 0, said
    assert (report["moved"], report["problems"]) == (["one", "two", "three"], [])
    assert report["is_written"]
    for server in servers[:3]:
        assert observe(pair, server, report["old"]).refusal is Refusal.OTHER_CONFIG
    seen = observe(pair, servers[3], report["new"])
    assert seen.record is not None
    assert seen.record.max_epoch == 1
    with admin(servers[3]) as client:
        assert client.hgetall(keys_of(pair.config.cluster_id).ledger) == DOCUMENTS
        kinds = client.hkeys(keys_of(pair.config.cluster_id).control)
    assert {"pause", "stores", "cluster"} <= set(kinds)
    assert pair.config.path is not None
    assert load_config(pair.config.path, environ={}).config_id == report["new"]
    assert nodectl(pair, "stores", "show")[0] == 0
    # On the other box, with the old file: only the file is left to change.
    pair.config.path.write_text(text)
    assert nodectl(pair, "stores", "show")[0] == 1
    code, again, said = replace(pair, servers[3], "--write")
    assert (code, again["is_written"]) == (0, True), said
    # Puppets do not announce the new list: resume waits.
    code, said = nodectl(pair, "resume")
    assert (code, "store list" in said) == (1, True), said
    for node in NODES:
        pair.bodies[node]["config_id"] = report["new"]
    wait_until(lambda: nodectl(pair, "resume")[0] == 0)


def test_server_with_a_journal_of_long_ago_gets_the_present_one(
    pair: Puppets, servers: list[StoreServer]
) -> None:
    """A store that was in the list last year comes back: its old positions must not survive."""
    old = dict(Journal().edit(epoch=1, states={"BTC/USDT": {"a": "of last year"}})[0].documents())
    present = dict(Journal().edit(epoch=7, states={"BTC/USDT": {"a": 2}})[0].documents())
    ledger = keys_of(pair.config.cluster_id).ledger
    with admin(servers[3]) as client:
        client.hset(ledger, mapping=old)
    for server in servers[:3]:
        with admin(server) as client:
            client.hset(ledger, mapping=present)
    code, _, said = replace(pair, servers[3])
    assert code == 0, said
    with admin(servers[3]) as client:
        assert client.hgetall(ledger) == present


def test_a_file_that_cannot_be_written_is_said_and_is_no_refusal(
    pair: Puppets, servers: list[StoreServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk is done; only the file is missing, and the same command makes it up."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(stores_module, "write_all", refuse)
        code, report, said = replace(pair, servers[3], "--write")
    assert code == 3, said
    assert (report["is_written"], report["ready"]) == (False, ["one", "two", "three"])
    assert "Read-only" in report["problems"][0]
    code, report, said = replace(pair, servers[3], "--write")
    assert (code, report["is_written"]) == (0, True), said


def test_a_store_whose_lease_cannot_be_read_is_not_called_empty(
    pair: Puppets, servers: list[StoreServer]
) -> None:
    """A field that is no number: shown as what it is, with what mends it, and not as good."""
    key = keys_of(pair.config.cluster_id).lease
    with admin(servers[0]) as client:
        client.hset(key, "epoch", "x")
    code, said = nodectl(pair, "stores", "show")
    assert code == 1
    assert "unreadable" in said.splitlines()[0]
    assert "its field epoch is not a whole number" in said
    assert f"delete the key {key} by hand" in said
    assert "empty" not in said


def test_it_begins_only_paused_and_heard(pair: Puppets, servers: list[StoreServer]) -> None:
    """Refused, and nothing changed: running, unheard nodes, a new store that is away."""
    assert nodectl(pair, "resume")[0] == 0
    code, _, said = replace(pair, servers[3])
    assert (code, "nodectl pause" in said) == (1, True), said
    assert nodectl(pair, "pause")[0] == 0
    servers[3].kill()
    code, _, said = replace(pair, servers[3])
    assert (code, "does not answer" in said) == (1, True), said
    code, said = nodectl(pair, "stores", "replace", "four", "127.0.0.1:1")
    assert (code, "no store 'four'" in said) == (1, True), said
    code, said = nodectl(pair, "stores", "replace", "three", "192.168.1.5:bad")
    assert (code, "no address" in said) == (1, True), said
    assert nodectl(pair, "stores", "show")[0] == 0


def test_nodes_that_do_not_keep_it_stop_the_walk(
    pair: Puppets, servers: list[StoreServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told is kept on disk: until both nodes show that, no store is closed."""
    monkeypatch.setattr(store_move, "EFFECT_S", 1.0)
    pair.bodies["jetson"]["stores_kept"] = 0

    def is_shown() -> bool:
        seen = peek(pair.addresses, cluster_id=pair.config.cluster_id, timeout_s=20)
        return all(s.members[NodeId("jetson")].body["stores_kept"] == 0 for s in seen.stores)

    wait_until(is_shown)  # a beat from before would count as kept
    code, _, said = replace(pair, servers[3])
    assert (code, "keep the decision on disk" in said) == (3, True), said
    assert observe(pair, servers[0], pair.config.config_id).is_ok
    pair.bodies["jetson"]["stores_kept"] = 10**9
    code, report, said = replace(pair, servers[3])
    assert code == 0, said
    assert report["told"] == sorted(NODES)


def test_crash_in_the_middle_is_said_again(
    pair: Puppets, servers: list[StoreServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed but not carried: nobody can lead, and the same command finishes it."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_move.Move, "_carry", crash)
        assert replace(pair, servers[3])[0] != 0
    old = pair.config.config_id
    assert observe(pair, servers[0], old).refusal is Refusal.OTHER_CONFIG
    code, report, said = replace(pair, servers[3])
    assert code == 0, said
    assert "three" in report["ready"]


def test_the_newest_decision_is_carried_although_its_store_goes_meanwhile(
    pair: Puppets, servers: list[StoreServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6: the second look sees an older pause; the one of the first look has the higher version."""
    board = ControlBoard(pair.addresses[2:], pair.config.cluster_id, TIMEOUT_MS)
    newest = board.put(
        "pause", {"is_paused": True}, "alice", 1, "newest, in one store only"
    ).version
    board.close()
    close_old = store_move.Move._close_old

    def close_and_lose(move: store_move.Move) -> None:
        close_old(move)
        servers[2].kill()

    monkeypatch.setattr(store_move.Move, "_close_old", close_and_lose)
    code, _, said = replace(pair, servers[3])
    assert code == 0, said
    with admin(servers[3]) as there:
        text = there.hget(keys_of(pair.config.cluster_id).control, "pause")
    assert parse_control("pause", str(text)).version >= newest


def test_replaced_store_that_returns_has_no_effect(
    pair: Puppets, servers: list[StoreServer]
) -> None:
    """Scenario 43: it still has the old list, and is one of three: two are closed to it."""
    old = servers[2]
    old.save()
    old.kill()
    code, report, said = replace(pair, servers[3])
    assert code == 0, said
    assert report["moved"] == ["one", "two"]
    old.restart(keep=True)
    usable = [observe(pair, s, report["old"]).is_ok for s in servers[:3]]
    assert usable == [False, False, True]


def test_stores_alone_do_not_retire_a_list(pair: Puppets, servers: list[StoreServer]) -> None:
    """ADR 0016's counter-example: a store that restarts forgets that it was closed.

    With the replaced one back, a majority of the old list lets an old node in. What keeps it out
    is the decision on its own disk, which it was asked to keep before anything was closed.
    """
    old = servers[2]
    old.save()
    old.kill()
    code, report, said = replace(pair, servers[3])
    assert code == 0, said
    with admin(servers[1]) as client:
        text = client.hget(keys_of(pair.config.cluster_id).control, STORES)
    old.restart(keep=True)
    servers[0].restart()
    usable = [observe(pair, s, report["old"]).is_ok for s in servers[:3]]
    assert usable == [True, False, True]
    kept = parse_control(STORES, str(text))
    latches = Latches(records={STORES: kept}, is_complete=True)
    assert replaced_reason(latches, frozenset({report["old"]}))
    assert not replaced_reason(latches, frozenset({report["new"]}))
