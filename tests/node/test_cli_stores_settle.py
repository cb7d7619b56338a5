"""nodectl stores settle at real lease servers with puppets: from one store to three (R3)."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.store_list import joint_text
from election.model import NodeId
from election.peek import ClusterPeek, merged_control, merged_members, peek
from election.redis_reply import keys_of
from node.cli import store_settle
from node.cli.store_move import UNDONE
from node.config import Config, load_config
from node.demo.stores import StoreServer, find_server
from node.latches import STORES
from tests.support.nodectl import run_nodectl
from tests.support.paused_pair import observe
from tests.support.puppet_pair import (
    NODES,
    PASSWORD,
    TIMEOUT_MS,
    Puppets,
    running_puppets,
    wait_until,
    write_config,
)
from tests.support.redis_servers import admin_of

PI = NodeId("raspberrypi")
LED = {"state": "held", "node_id": "jetson", "nonce": "n", "epoch": 3, "max_epoch": 3, "ttl_ms": 1}
KEPT = {"role": "standby", "stores_kept": 10**9}


@pytest.fixture
def files(servers: list[StoreServer], tmp_path: Path) -> dict[str, Path]:
    """The three files on the way; the stores are empty, and "one" was the only one."""
    for server in servers:
        server.restart()
    made = write_config(tmp_path, servers).path
    assert made is not None
    text = made.read_text()
    more = "".join(
        f'[[stores]]\nname = "{s.name}"\nhost = "{s.host}"\nport = {s.port}\n' for s in servers[1:]
    )
    joint = joint_text(text.replace("single-host", "three-stores"), "one")
    written = {
        "old": text.replace(more, ""),
        "joint": joint.replace("three-stores", "single-host"),
        "new": text,
    }
    for name, content in written.items():
        (tmp_path / f"{name}.toml").write_text(content)
    return {name: tmp_path / f"{name}.toml" for name in written}


@pytest.fixture
def pair(files: dict[str, Path], servers: list[StoreServer]) -> Iterator[Puppets]:
    """Both nodes say that they use the joint list; one leads with it, and does nothing more."""
    config = load_config(files["joint"], environ={})
    with running_puppets(config, holder=None) as puppets:
        show_list(puppets, config)
        for server in servers:
            is_old = server.name == "one"
            observe(puppets, server, config.old_list_id if is_old else config.config_id)
            with admin_of(server) as admin:
                admin.hset(keys_of(config.cluster_id).lease, mapping=LED)
        yield puppets


def show_list(pair: Puppets, config: Config, *nodes: str) -> None:
    """Let nodes announce this list, and wait until a store shows it."""
    said = {"config_id": config.config_id, "old_list_id": config.old_list_id}
    for node in nodes or NODES:
        pair.bodies[node] = {**KEPT, **said}

    def is_shown() -> bool:
        found = {str(n): m.body for n, m in merged_members(seen(pair)).items()}
        return all({k: found.get(n, {}).get(k) for k in said} == said for n in nodes or NODES)

    wait_until(is_shown)


def seen(pair: Puppets) -> ClusterPeek:
    """Return what the stores show."""
    return peek(pair.addresses, cluster_id=pair.config.cluster_id, timeout_s=TIMEOUT_MS / 1000)


def lists(pair: Puppets) -> list[str]:
    """Return the list of each store's record."""
    return [s.record.config_id for s in seen(pair).stores if s.record is not None]


def settle(file: Path) -> tuple[int, str]:
    """Say it on a box that has this file."""
    return run_nodectl("stores", "settle", "-c", file)


def counts(pair: Puppets) -> tuple[str, bool] | None:
    """Return which list counts by the control record, and whether all use it."""
    record = merged_control(seen(pair)).get(STORES)
    if record is None:
        return None
    return str(record.value["config_id"]), bool(record.value["is_announced"])


def test_told_then_moved(pair: Puppets, files: dict[str, Path], servers: list[StoreServer]) -> None:
    """The whole way; each step twice is the same step once."""
    joint, new = (load_config(files[name], environ={}) for name in ("joint", "new"))
    for _ in range(2):
        code, said = settle(files["joint"])
        assert code == UNDONE, said
        assert "take grown_from out of cluster.toml on jetson and raspberrypi" in said
        assert counts(pair) == (new.config_id, False)
        assert lists(pair) == [joint.old_list_id, new.config_id, new.config_id]
    show_list(pair, new, "jetson")
    code, said = settle(files["new"])
    assert (code, "on raspberrypi" in said) == (UNDONE, True), said
    assert lists(pair)[0] == joint.old_list_id  # the other node needs it there
    show_list(pair, new)
    with admin_of(servers[0]) as admin:  # whoever led with the joint list handed over
        admin.hset(keys_of(pair.config.cluster_id).lease, "state", "released")
    for _ in range(2):
        code, said = settle(files["new"])
        assert (code, "the pair has three stores" in said) == (0, True), said
        assert counts(pair) == (new.config_id, True)
        assert lists(pair) == [new.config_id] * 3
    record = seen(pair).stores[0].record
    assert record is not None
    assert record.max_epoch == LED["max_epoch"]


def test_nothing_is_told_while_a_node_uses_the_old_list(
    pair: Puppets, files: dict[str, Path]
) -> None:
    """It would act by the old store alone, beside a node of the new list."""
    show_list(pair, load_config(files["old"], environ={}), "jetson")
    code, said = settle(files["joint"])
    assert (code, "jetson does not show that it uses the joint list" in said) == (1, True), said
    assert counts(pair) is None


def test_nothing_is_told_before_one_leads_with_the_list_joint(
    pair: Puppets, files: dict[str, Path], servers: list[StoreServer]
) -> None:
    """Else the new stores would not know the last lease, nor what its holder still had to do."""
    lease = keys_of(pair.config.cluster_id).lease
    for server in servers[1:]:
        with admin_of(server) as admin:
            admin.hset(lease, "state", "void")
    code, said = settle(files["joint"])
    assert (code, "nobody leads with the joint list yet" in said) == (1, True), said
    assert counts(pair) is None


def test_a_node_that_does_not_keep_it_on_disk_is_waited_for(
    pair: Puppets, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores keep nothing: the two disks are what remembers it (ADR 0016)."""
    monkeypatch.setattr(store_settle, "EFFECT_S", 1.0)
    pair.bodies["raspberrypi"]["stores_kept"] = 0
    wait_until(lambda: merged_members(seen(pair))[PI].body["stores_kept"] == 0)
    code, said = settle(files["joint"])
    assert (code, "for raspberrypi to keep it on disk" in said) == (UNDONE, True), said
    pair.bodies["raspberrypi"]["stores_kept"] = 10**9
    code, said = settle(files["joint"])
    assert "take grown_from out" in said


def test_a_record_that_is_held_is_not_moved(
    pair: Puppets,
    files: dict[str, Path],
    servers: list[StoreServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that still renews by the old list keeps it; silent for a ttl, it is moved."""
    joint, new = (load_config(files[name], environ={}) for name in ("joint", "new"))
    settle(files["joint"])
    lease = keys_of(pair.config.cluster_id).lease
    with admin_of(servers[0]) as admin:
        admin.hset(lease, mapping={"state": "held", "node_id": "jetson", "ttl_ms": 1})
    show_list(pair, new)
    clock = itertools.count(0.0, 1.0)

    def renew(_: float) -> None:
        with admin_of(servers[0]) as admin:
            admin.hset(lease, "wid", f"w{next(clock)}")

    watch = SimpleNamespace(monotonic=lambda: next(clock), sleep=renew)
    monkeypatch.setattr("node.cli.store_record.time", watch)
    code, said = settle(files["new"])
    assert (code, "one: somebody wrote since it was read" in said) == (UNDONE, True), said
    assert lists(pair)[0] == joint.old_list_id
    watch.sleep = lambda _: None
    assert settle(files["new"])[0] == 0
    assert lists(pair) == [new.config_id] * 3


def test_a_store_of_an_earlier_try_is_taken_along(
    pair: Puppets, files: dict[str, Path], servers: list[StoreServer]
) -> None:
    """A walk with another witness broke off: its list is used by nobody any more."""
    new = load_config(files["new"], environ={})
    with admin_of(servers[1]) as admin:
        admin.hset(keys_of(pair.config.cluster_id).lease, "config_id", "of-another-witness")
    assert settle(files["joint"])[0] == UNDONE
    assert lists(pair)[1:] == [new.config_id] * 2


def test_it_says_what_it_is_for_where_no_pair_grows(pair: Puppets, files: dict[str, Path]) -> None:
    """The old file; a pair that began with three; a list that is neither."""
    for name in ("old", "new"):
        code, said = settle(files[name])
        assert (code, "says nothing of a pair that grows" in said) == (1, True), (name, said)
    settle(files["joint"])
    text = files["joint"].read_text()
    other = files["joint"].with_name("other.toml")
    other.write_text(text.replace('name = "three"', 'name = "four"'))
    code, said = settle(other)
    assert (code, "this cluster.toml is old" in said) == (1, True), said


def test_the_way_is_shown_and_no_store_is_replaced_on_it(
    pair: Puppets, files: dict[str, Path], servers: list[StoreServer]
) -> None:
    """`stores show` says what comes next, on either box."""
    code, said = run_nodectl("stores", "show", "--json", "-c", files["joint"])
    shown = json.loads(said)
    assert (code, shown["next_step"].startswith("nodectl stores settle")) == (1, True)
    assert [row["is_this_list"] for row in shown["stores"]] == [True, True, True]
    settle(files["joint"])
    code, said = run_nodectl("stores", "show", "-c", files["joint"])
    assert (code, "next: take grown_from out" in said) == (1, True), said
    code, said = run_nodectl(
        "stores", "replace", "three", f"{servers[2].host}:1", "-c", files["joint"]
    )
    assert (code, "finish that first" in said) == (1, True), said


def test_a_pause_lifted_on_the_way_does_not_end_it(
    pair: Puppets, files: dict[str, Path], servers: list[StoreServer]
) -> None:
    """`resume` says of a replaced store that both nodes use the list; here one store is left."""
    settle(files["joint"])
    code, said = run_nodectl("resume", "-c", files["joint"])
    assert (code, "resumed" in said) == (0, True), said
    new = load_config(files["new"], environ={})
    assert counts(pair) == (new.config_id, False)
    show_list(pair, new)
    code, said = run_nodectl("stores", "show", "--json", "-c", files["new"])
    assert (code, json.loads(said)["next_step"]) == (1, "nodectl stores settle")


def test_without_the_old_store_it_says_what_comes_next(
    pair: Puppets, files: dict[str, Path], servers: list[StoreServer]
) -> None:
    """Nobody leads with the joint list then: the new one is the way out, once it counts."""
    settle(files["joint"])
    servers[0].kill()
    try:
        code, said = settle(files["joint"])
    finally:
        servers[0].restart()
    assert (code, "take grown_from out of cluster.toml" in said) == (UNDONE, True), said


def test_an_old_store_that_is_gone_for_good_is_replaced(
    pair: Puppets, files: dict[str, Path], servers: list[StoreServer]
) -> None:
    """Another one is not: the record of the old store would stay under the first list."""
    settle(files["joint"])
    new = load_config(files["new"], environ={})
    show_list(pair, new)
    for server in servers[1:]:
        with admin_of(server) as admin:
            admin.hset(keys_of(pair.config.cluster_id).lease, "state", "released")
    assert run_nodectl("pause", "--reason", "a store", "-c", files["new"])[0] == 0
    servers[0].kill()
    try:
        with StoreServer("four", program=find_server(), password=PASSWORD).start() as fourth:
            place = f"{fourth.host}:{fourth.port}"
            code, said = run_nodectl("stores", "replace", "two", place, "-c", files["new"])
            assert (code, "first: nodectl stores settle" in said) == (1, True), said
            code, said = run_nodectl("stores", "replace", "one", place, "-c", files["new"])
            assert (code, "Ready: one, two, three" in said) == (0, True), said
    finally:
        servers[0].restart()
