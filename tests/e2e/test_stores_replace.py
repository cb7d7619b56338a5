"""A lease store is replaced under a real pair: told, closed, carried over, resumed (R3)."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from election.model import LeaseState
from election.peek import peek
from node.config import load_config
from node.demo.stage import NODES, PEEK_TIMEOUT_S
from node.demo.stores import StoreServer, find_server
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, Pair, grid_part, plan_of
from tests.support.redis_servers import address_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@contextlib.contextmanager
def new_store(pair: Pair) -> Iterator[StoreServer]:
    """Run an empty server with the cluster's password."""
    with StoreServer(
        "nas", program=find_server(), password=pair.stage.store_password
    ).start() as server:
        yield server


def replace(pair: Pair, old: str, new: StoreServer, *more: str) -> tuple[int, dict[str, Any], str]:
    """Say `nodectl stores replace`; return exit code, JSON and error text."""
    done = pair.stage.nodectl(
        "stores", "replace", old, f"{new.host}:{new.port}", "--json", *more, timeout_s=180
    )
    found = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return done.returncode, found, done.stderr


def said_by(pair: Pair, node_id: str) -> str:
    """Return why a node does not contend, in its own words on the member board."""
    return " ".join(pair.member(node_id).get("reasons", ()))


def pause(pair: Pair) -> None:
    done = pair.stage.nodectl("pause", "--reason", "a store is replaced")
    assert done.returncode == 0, done.stderr


def test_store_is_replaced_and_the_pair_goes_on(make_pair: PairMaker, tmp_path: Path) -> None:
    """The whole procedure; a node with the old file stays out, also after the old store returns."""
    pair = make_pair(plan_of())
    old_file = tmp_path / "old.toml"
    old_file.write_text(pair.stage.config_path.read_text())
    pair.open()
    pair.fill_some()
    lost = pair.stage.stores[2]
    with new_store(pair) as new:
        code, _, said = replace(pair, lost.name, new)
        assert (code, "not paused" in said) == (1, True), said
        pause(pair)
        code, report, said = replace(pair, lost.name, new, "--write")
        assert code == 0, said
        assert report["told"] == sorted(NODES)
        assert len(report["moved"]) == len(report["ready"]) == 3
        assert f"+port = {new.port}" in report["diff"]
        config_id = load_config(pair.stage.config_path, environ={}).config_id
        assert config_id == report["new"]

        # Nobody may go on before both nodes use the new list.
        done = pair.stage.nodectl("resume")
        assert (done.returncode, "store list" in done.stderr) == (1, True), done.stderr
        assert pair.holders() == []
        for node in NODES:
            pair.node(node).stop()
        # The old witness is back with what it had: a majority of the old list is closed all the
        # same (scenario 43), and a node with the old file knows from its disk that it is old.
        pair.start(PI, config=old_file)
        pair.wait(lambda: "store list was replaced" in said_by(pair, PI), "the Pi to say so")
        assert not pair.is_active(PI)
        pair.node(PI).stop()

        for node in NODES:
            pair.start(node)
        done = pair.stage.nodectl("resume")
        assert done.returncode == 0, done.stderr
        holder = pair.wait(
            lambda: next((n for n in NODES if pair.is_active(n)), None), "somebody to trade"
        )
        pair.wait_order(str(holder))
        seen = peek([address_of(new)], cluster_id="dev-demo", timeout_s=PEEK_TIMEOUT_S).stores[0]
        assert seen.record is not None
        assert seen.record.state is LeaseState.HELD
        assert seen.record.epoch > pair.epochs(JETSON)[0]
        assert any(key.startswith("state:") for key in seen.documents)
        pair.judge()


def test_interrupted_replacement_is_said_again(make_pair: PairMaker) -> None:
    """A store that was away keeps the old list; the command finishes when it is back."""
    pair = make_pair(plan_of(grid_part()))
    pair.open()
    pause(pair)
    first, lost = pair.stage.stores[0], pair.stage.stores[2]
    with new_store(pair) as new:
        new.kill()
        code, _, said = replace(pair, lost.name, new)
        assert (code, "does not answer" in said) == (1, True), said
        new.restart()
        first.pause()  # hangs: two of three are closed, the third one is not
        code, report, said = replace(pair, lost.name, new)
        assert code == 0, said
        assert first.name not in report["moved"]
        assert any(first.name in problem for problem in report["problems"])
        first.resume()
        code, again, said = replace(pair, lost.name, new)
        assert code == 0, said
        assert first.name in again["moved"]
        assert not again["problems"]
        assert pair.holders() == []
        shown = pair.stage.nodectl("stores", "show")
        assert (shown.returncode, "replaced" in shown.stdout) == (1, True), shown.stdout


def test_node_with_the_new_file_before_the_replacement_waits(
    make_pair: PairMaker, tmp_path: Path
) -> None:
    """A new file too early: the present stores refuse it, and the other node says what differs."""
    pair = make_pair(plan_of(grid_part()))
    pair.start(JETSON)
    pair.wait_active(JETSON)
    with new_store(pair) as new:
        text, lost = pair.stage.config_path.read_text(), pair.stage.stores[2]
        early = tmp_path / "early.toml"
        early.write_text(text.replace(f"port = {lost.port}\n", f"port = {new.port}\n"))
        pair.start(PI, config=early)
        pair.wait(lambda: "another store list" in said_by(pair, PI), "the Pi to say so")
        pair.kill(JETSON)
        pair.wait_told("nobody_trades", PI)
        assert not pair.epochs(PI)
