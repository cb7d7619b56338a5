"""One lease store becomes three under a real pair that trades all the while (R3, ADR 0056)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.store_list import joint_text
from node.cli.store_move import UNDONE
from node.config import load_config
from node.demo.stage import NODES
from node.demo.stores import StoreServer, find_server
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, Pair, grid_part, mover_part, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """A pair with one store, two servers more, and the files on the way."""

    pair: Pair
    servers: tuple[StoreServer, ...]  # all three
    old: Path
    joint: Path
    new: Path

    def restart(self, node_id: str, file: Path) -> None:
        """End a node in order, give it a file, and wait until it could take over."""
        self.pair.node(node_id).stop()
        self.start(node_id, file)

    def start(self, node_id: str, file: Path) -> None:
        """Start a node with a file, and wait until it could take over."""
        self.pair.start(node_id, config=file)
        pid = self.pair.node(node_id).pid

        def is_fit() -> bool:
            said = self.pair.member(node_id)
            return said.get("pid") == pid and said.get("reasons") == []

        self.pair.wait(is_fit, f"{node_id} to be fit with {file.name}")

    def use(self, file: Path) -> None:
        """Let `nodectl` be typed on a box that has this file."""
        self.pair.stage.config_path.write_text(file.read_text())

    def switch(self, to: str) -> None:
        """Hand over, as a person asks for it; the new leader sends an order."""
        other = next(node for node in NODES if node != to)
        self.pair.story.switch_to(to, of=other)
        self.pair.wait_order(to)

    def fail_over(self, killed: str, file: Path) -> None:
        """SIGKILL the leader: the other one trades, and the dead one comes back as its spare."""
        other = next(node for node in NODES if node != killed)
        seen = self.pair.stage.role_changes(other)
        self.pair.kill(killed)
        self.pair.wait_active(other, since=seen)
        self.pair.wait_order(other)
        self.start(killed, file)

    def settle(self, file: Path) -> tuple[int, str]:
        """Say it with a file; return exit code and what was said."""
        self.use(file)
        done = self.pair.stage.nodectl("stores", "settle")
        return done.returncode, done.stdout + done.stderr

    def lists(self) -> list[str]:
        """Return the list of each store's record: jetson, raspberrypi, witness."""
        found = {s.name: s.record for s in self.pair.stage.peek().stores}
        return [r.config_id for name in sorted(found) if (r := found[name]) is not None]


@contextmanager
def growing(pair: Pair) -> Iterator[Growing]:
    """Start two servers more and write the files beside the present one."""
    stage, program = pair.stage, find_server()
    old = stage.directory / "old.toml"
    old.write_text(stage.config_path.read_text())
    with (
        StoreServer(JETSON, program=program, password=stage.store_password).start() as second,
        StoreServer("witness", program=program, password=stage.store_password).start() as third,
    ):
        more = "".join(
            f'[[stores]]\nname = "{s.name}"\nhost = "{s.host}"\nport = {s.port}\n'
            for s in (second, third)
        )
        new, joint = stage.directory / "new.toml", stage.directory / "joint.toml"
        new.write_text(old.read_text().replace("[[stores]]", f"{more}[[stores]]", 1))
        text = new.read_text().replace("single-host", "three-stores", 1)
        joint.write_text(joint_text(text, PI).replace("three-stores", "single-host", 1))
        stage.stores = (*stage.stores, second, third)
        yield Growing(pair=pair, servers=stage.stores, old=old, joint=joint, new=new)


@pytest.mark.parametrize("has_peers", [False, True], ids=["by-stores", "with-peers"])
def test_one_store_becomes_three_while_the_pair_trades(
    make_pair: PairMaker, *, has_peers: bool
) -> None:
    """Two switchovers, no pause; then the old store may die, and the old file leads nobody."""
    pair = make_pair(plan_of(stores=1, has_peers=has_peers))
    pair.open()
    with growing(pair) as way:
        code, said = way.settle(way.old)
        assert (code, "says nothing of a pair that grows" in said) == (1, True), said
        way.restart(PI, way.joint)
        code, said = way.settle(way.joint)  # the leader uses the old list
        assert (code, f"{JETSON} does not show" in said) == (1, True), said
        way.use(way.old)
        way.switch(PI)
        way.restart(JETSON, way.joint)
        code, said = way.settle(way.joint)
        assert (code, "take grown_from out" in said) == (UNDONE, True), said
        assert f"told that the new list counts: {JETSON}, {PI}" in said
        new_id = load_config(way.new, environ={}).config_id
        old_id = load_config(way.old, environ={}).config_id
        assert way.lists() == [new_id, old_id, new_id]
        way.restart(JETSON, way.new)
        way.switch(JETSON)
        way.restart(PI, way.new)
        code, said = way.settle(way.new)
        assert (code, "the pair has three stores" in said) == (0, True), said
        pair.wait(lambda: way.lists() == [new_id] * 3, "the old store to be under the new list")
        pair.wait(lambda: len(pair.holders()) == len(way.servers), "the holder in all three")
        shown = pair.stage.nodectl("stores", "show", "--json")
        assert shown.returncode == 0, shown.stdout
        assert json.loads(shown.stdout)["next_step"] == ""
        for node in NODES:
            assert not pair.events(node, "latch.paused"), node
            queued = [str(e["event_id"]) for e in pair.events(node, "alert.queued")]
            assert not [e for e in queued if "other_config" in e or "store_lost" in e], node

        pair.node(PI).stop()
        pair.start(PI, config=way.old)
        pair.wait(
            lambda: "store list was replaced" in " ".join(pair.member(PI).get("reasons", ())),
            "the Pi to say that its file is old",
        )
        pair.node(PI).stop()
        pair.start(PI, config=way.new)
        # nodes that hear of another list directly stop both, until they are equal again (R13)
        leader = pair.wait(lambda: next(filter(pair.is_active, NODES), None), "somebody to trade")
        pair.wait_order(leader)
        way.servers[0].kill()  # the store that was the only one
        for _ in range(2):
            pair.wait_order(leader)
        assert pair.is_active(leader)
        way.servers[0].restart()
        pair.judge()


def test_leaders_die_while_one_node_uses_the_old_list(make_pair: PairMaker) -> None:
    """The joint list and the old one take over from each other: both need the old store."""
    pair = make_pair(plan_of(grid_part(), mover_part(), stores=1))
    pair.open()
    with growing(pair) as way:
        way.restart(PI, way.joint)
        way.fail_over(JETSON, way.old)  # to the joint list, by the old store and a new one
        way.fail_over(PI, way.joint)  # back to the old list, by the old store alone
        way.servers[1].kill()  # one of the new stores may be away, the other one is enough
        way.fail_over(JETSON, way.old)
        pair.judge()


def test_leaders_die_while_one_node_uses_the_new_list(make_pair: PairMaker) -> None:
    """The joint list and the new one take over from each other: both are two of three."""
    pair = make_pair(plan_of(grid_part(), mover_part(), stores=1))
    pair.open()
    with growing(pair) as way:
        way.restart(PI, way.joint)
        way.use(way.old)
        way.switch(PI)
        way.restart(JETSON, way.joint)
        assert way.settle(way.joint)[0] == UNDONE
        way.restart(JETSON, way.new)
        way.fail_over(PI, way.joint)  # to the new list, by the two new stores
        way.fail_over(JETSON, way.new)  # back to the joint list, by the old store and a new one
        way.switch(JETSON)
        way.restart(PI, way.new)
        pair.wait(lambda: way.settle(way.new)[0] == 0, "the old store to be moved")
        way.fail_over(JETSON, way.new)
        pair.judge()


def test_the_old_store_dies_for_good_once_the_new_list_counts(make_pair: PairMaker) -> None:
    """Nobody leads with the joint list then; the new one is the way out, and is finished later."""
    pair = make_pair(plan_of(stores=1))
    pair.open()
    with growing(pair) as way:
        way.restart(PI, way.joint)
        way.use(way.old)
        way.switch(PI)
        way.restart(JETSON, way.joint)
        assert way.settle(way.joint)[0] == UNDONE
        way.servers[0].kill()
        pair.wait(lambda: not any(map(pair.is_active, NODES)), "nobody to trade")
        code, said = way.settle(way.joint)
        assert (code, "take grown_from out" in said) == (UNDONE, True), said
        for node in (JETSON, PI):
            pair.node(node).stop()
            pair.start(node, config=way.new)
            leader = pair.wait(lambda: next(filter(pair.is_active, NODES), None), "a leader")
            pair.wait_order(leader)
        code, said = way.settle(way.new)
        assert (code, "mend that and say it again" in said) == (UNDONE, True), said
        way.servers[0].restart()
        pair.wait(lambda: way.settle(way.new)[0] == 0, "the old store to be moved")
        pair.wait(lambda: len(pair.holders()) == len(way.servers), "the holder in all three")
        pair.judge()
