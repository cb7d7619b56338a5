"""One lease store becomes three under a real pair, and orders rest all the while (R3)."""

import json
from pathlib import Path

import pytest

from node.config import load_config
from node.demo.stage import NODES
from node.demo.stores import StoreServer, find_server
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, Pair, grid_part, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def said_by(pair: Pair, node_id: str) -> str:
    """Return why a node does not contend, in its own words on the member board."""
    return " ".join(pair.member(node_id).get("reasons", ()))


def test_one_store_becomes_three_and_orders_rest(make_pair: PairMaker, tmp_path: Path) -> None:
    """Told, closed, carried; nobody leads meanwhile, and a node with the old file never again."""
    pair = make_pair(plan_of(grid_part(), stores=1))
    old_file = tmp_path / "old.toml"
    old_file.write_text(pair.stage.config_path.read_text())
    pair.open()
    before = pair.stage.peek().stores[0].record
    assert before is not None
    program, password = find_server(), pair.stage.store_password
    with (
        StoreServer(JETSON, program=program, password=password).start() as second,
        StoreServer("witness", program=program, password=password).start() as third,
    ):
        more = "".join(
            f'[[stores]]\nname = "{s.name}"\nhost = "{s.host}"\nport = {s.port}\n'
            for s in (second, third)
        )
        grown = tmp_path / "grown.toml"
        grown.write_text(old_file.read_text().replace("[[stores]]", f"{more}[[stores]]", 1))
        pair.stage.paper.pause()  # else what rests could be filled before it is counted
        done = pair.stage.nodectl("pause", "--reason", "a witness is added")
        assert done.returncode == 0, done.stderr
        since = len(pair.stage.requests())
        done = pair.stage.nodectl("stores", "grow", str(grown), "--json", timeout_s=180)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["told"] == sorted(NODES)
        assert pair.holders() == []
        for node in NODES:
            pair.node(node).stop()

        # The only old store begins anew, empty: the old file is refused by the node itself.
        pair.stage.stores[0].restart()
        pair.start(PI, config=old_file)
        pair.wait(lambda: "store list was replaced" in said_by(pair, PI), "the Pi to say so")
        assert not pair.is_active(PI)
        pair.node(PI).stop()
        assert not pair.requests(since=since)  # orders rest: nothing was sent or cancelled
        assert pair.story.resting() >= 3

        pair.stage.paper.resume()
        text = grown.read_text()
        pair.stage.config_path.write_text(text)
        for node in NODES:
            pair.start(node)
        done = pair.stage.nodectl("resume")
        assert done.returncode == 0, done.stderr
        holder = pair.wait(
            lambda: next((n for n in NODES if pair.is_active(n)), None), "somebody to trade"
        )
        assert pair.epochs(str(holder))[-1] > before.epoch
        assert load_config(pair.stage.config_path, environ={}).config_id
        pair.judge()
