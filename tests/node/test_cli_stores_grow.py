"""nodectl stores grow at real lease servers with puppets: one store becomes three (R3)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from election.model import Refusal
from election.redis_reply import keys_of
from node.cli import store_move
from node.config import load_config
from node.demo.stores import StoreServer
from tests.support.nodectl import nodectl
from tests.support.paused_pair import DOCUMENTS, observe, paused_puppets
from tests.support.puppet_pair import (
    NODES,
    Puppets,
    wait_until,
)
from tests.support.redis_servers import admin_of


@pytest.fixture
def pair(servers: list[StoreServer], tmp_path: Path) -> Iterator[Puppets]:
    """A paused pair with one store; the other two are new."""
    for server in servers:
        server.restart()
    with paused_puppets(tmp_path, servers[:1]) as puppets:
        yield puppets


@pytest.fixture
def wanted(pair: Puppets, servers: list[StoreServer]) -> Path:
    """The file with three stores."""
    assert pair.config.path is not None
    more = "".join(
        f'[[stores]]\nname = "{s.name}"\nhost = "{s.host}"\nport = {s.port}\n' for s in servers[1:]
    )
    path = pair.config.path.with_name("grown.toml")
    path.write_text(pair.config.path.read_text().replace("[lease]", f"{more}[lease]"))
    return path


def grow(pair: Puppets, wanted: Path) -> tuple[int, dict[str, Any], str]:
    """Say it; return exit code, JSON and text."""
    code, text = nodectl(pair, "stores", "grow", str(wanted), "--json")
    return code, json.loads(text) if text.startswith("{") else {}, text


def test_the_old_list_is_closed_and_everything_is_carried(
    pair: Puppets, servers: list[StoreServer], wanted: Path
) -> None:
    """Latches, journal and epoch at all three; the old list is refused at its only store."""
    old, new = pair.config.config_id, load_config(wanted, environ={}).config_id
    code, report, said = grow(pair, wanted)
    assert code == 0, said
    assert (report["old"], report["new"], report["told"]) == (old, new, sorted(NODES))
    assert report["ready"] == ["one", "two", "three"]
    assert observe(pair, servers[0], old).refusal is Refusal.OTHER_CONFIG
    for server in servers:
        seen = observe(pair, server, new)
        assert seen.record is not None
        assert seen.record.max_epoch == 1
        with admin_of(server) as client:
            assert client.hgetall(keys_of(pair.config.cluster_id).ledger) == DOCUMENTS
            assert {"pause", "stores"} <= set(client.hkeys(keys_of(pair.config.cluster_id).control))
    code, shown = nodectl(pair, "stores", "show", "--json")
    assert (code, json.loads(shown)["counts"]) == (1, new)
    # Puppets go on with the old list: nobody may resume before both use the new one.
    assert nodectl(pair, "resume")[0] == 1
    for node in NODES:
        pair.bodies[node]["config_id"] = new
    wait_until(lambda: nodectl(pair, "resume")[0] == 0)


def test_a_crash_at_any_step_is_made_up_by_the_same_command(
    pair: Puppets, servers: list[StoreServer], wanted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told, closed, carried: whichever was the last, it finishes."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_close_old", "_carry", "_carry_one"):
        with monkeypatch.context() as patch:
            patch.setattr(store_move.Move, step, crash)
            assert grow(pair, wanted)[0] != 0, step
        is_open = observe(pair, servers[0], pair.config.config_id).is_ok
        assert is_open == (step == "_close_old"), step
    code, report, said = grow(pair, wanted)
    assert code == 0, said
    assert report["ready"] == ["one", "two", "three"]


def test_it_is_refused_before_anything_is_changed(
    pair: Puppets, servers: list[StoreServer], wanted: Path
) -> None:
    """Not paused; a new store that is away; a list that is no growth; another cluster."""
    old = pair.config.config_id
    assert nodectl(pair, "resume")[0] == 0
    code, _, said = grow(pair, wanted)
    assert (code, "nodectl pause" in said) == (1, True), said
    assert nodectl(pair, "pause")[0] == 0
    servers[2].kill()
    code, _, said = grow(pair, wanted)
    assert (code, "store three does not answer" in said) == (1, True), said
    servers[2].restart()
    text = wanted.read_text()
    wanted.write_text(text.replace(f"port = {servers[0].port}", "port = 1"))
    code, _, said = grow(pair, wanted)
    assert (code, "not one store that gets two more" in said) == (1, True), said
    wanted.write_text(text.replace('name = "puppets"', 'name = "others"'))
    code, _, said = grow(pair, wanted)
    assert (code, "another cluster" in said) == (1, True), said
    assert observe(pair, servers[0], old).is_ok
    assert nodectl(pair, "stores", "grow", str(pair.config.path))[0] == 0
