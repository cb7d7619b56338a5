"""Switching a node: who hands over, what is put back, what is refused; on a board of values."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from deploy import places
from deploy.board import script
from deploy.box import Box
from deploy.deployer import Wish, refuse_other_profile
from deploy.desired import Target
from deploy.errors import NodeUnhealthy, StepFailed
from deploy.facts import read_facts
from deploy.inventory import BoxPlace
from deploy.settings import SettingsSet, read_secrets, read_settings
from deploy.ssh import Shell
from deploy.store_list import grown_text, joint_text, read_grown
from deploy.switching import Patience, may_follow, sees_no_majority, switch, switch_back
from node.config_model import Config
from node.init import GivenSecrets, write_cluster
from node.init_answers import Answers

ANSWERS = Answers(preferred_host="192.168.1.11", standby_host="192.168.1.12")
SECRETS_OF_IT = f"{places.SECRETS}/jetson.toml"
PREVIOUS = (f"{places.BASE}/previous", f"{places.ETC}/previous")


@dataclass(slots=True)
class Board(Shell):
    """A box of values: it keeps links and what runs, and knows who leads."""

    target: str = "board"
    links: dict[str, str] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    fingerprint: str = ""
    is_active: bool = True
    dead: set[str] = field(default_factory=set)
    dead_with: bytes = b"no such secrets"
    on_start: Callable[[str], None] | None = None
    status: dict[str, Any] = field(default_factory=dict)
    stores: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def look(self, script: str, *words: str, timeout_s: float = 0) -> str:
        """Say what it is: a box on which something runs."""
        return "release=old\nsettings=set-old\n"

    def as_root(self, script: str, *words: str, timeout_s: float = 0) -> str:
        """Answer what the deployment asks."""
        if script == STATE:
            return self._state()
        self.asked.append(script)
        if "stores show" in script:
            return json.dumps(self.stores)
        if script.startswith("rm -f -- "):
            for path in script.split()[3:]:
                self.contents.pop(path, None)
        if "switchover --to" in script:
            self.status["holder"] = script.partition("--to ")[2].split()[0]
        return "nothing to accept"

    def staged(
        self, script: str, files: Mapping[str, bytes], *words: str, timeout_s: float = 0
    ) -> str:
        """Apply wants, as apply.sh would."""
        for line in files["wants"].decode().splitlines():
            kind, what, *more = line.split("\t")
            match kind:
                case "link":
                    self.links[what] = more[0]
                case "absent":
                    self.links.pop(what, None)
                case "file":
                    self.contents[what] = files[f"files/{more[2]}"]
                case "kept" if what in self.contents:
                    self.contents[f"{what}.before"] = self.contents[what]
                case "back" if f"{what}.before" in self.contents:
                    self.contents[what] = self.contents.pop(f"{what}.before")
                case "running":
                    self._start(more[0])
        return "changed\tsomething\n"

    def name(self, path: str) -> str:
        """Return the end of a link."""
        return self.links.get(path, "").rpartition("/")[2]

    def _start(self, fingerprint: str) -> None:
        has_bad = self.contents.get(SECRETS_OF_IT) == self.dead_with
        self.is_active = self.name(places.CURRENT) not in self.dead and not has_bad
        if not self.is_active:
            raise StepFailed("Job for hotspare-node.service failed")
        self.fingerprint = fingerprint
        if self.on_start is not None:
            self.on_start(fingerprint)

    def _state(self) -> str:
        previous_release, previous_settings = PREVIOUS
        said = {
            "active": "active" if self.is_active else "failed",
            "restarts": "0",
            "fingerprint": self.fingerprint,
            "release": self.name(places.CURRENT),
            "settings": self.name(places.SETTINGS_CURRENT),
            "previous_release": self.name(previous_release),
            "previous_settings": self.name(previous_settings),
            "status": json.dumps(self.status),
        }
        return "".join(f"{k}={v}\n" for k, v in said.items())


STATE = script("node_state.sh")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two boxes."""
    keys = {n: (f"key-of-{n}", f"secret-of-{n}") for n in ("jetson", "raspberrypi")}
    return write_cluster(tmp_path, ANSWERS, GivenSecrets(api_keys=keys)).config


@pytest.fixture
def board(config: Config) -> Board:
    """It runs release `old` and leads nothing."""
    board = Board()
    board.links = {
        places.CURRENT: f"{places.RELEASES}/old",
        places.SETTINGS_CURRENT: f"{places.SETTINGS}/set-old",
        PREVIOUS[0]: f"{places.RELEASES}/older",
        PREVIOUS[1]: f"{places.SETTINGS}/set-older",
    }
    board.status = {
        "cluster_id": "test-home",
        "holder": "raspberrypi",
        "spares": ["jetson"],
        "nodes": [{"node_id": "jetson", "role": "standby", "reasons": []}],
        "stores": [{"name": "raspberrypi", "error": ""}],
        "headline": "trading",
    }
    board.stores = {"config_id": config.config_id, "counts": None}
    return board


@dataclass(slots=True)
class Time:
    """Seconds that pass only by waiting."""

    now: float = 0.0

    def patience(self) -> Patience:
        return Patience(now_s=lambda: self.now, sleep=self.wait, healthy_s=5.0)

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def box(board: Board) -> Box:
    """The Jetson."""
    place = BoxPlace(name="jetson", ssh="jetson", is_node=True, has_store=False, has_paper=False)
    return Box(place=place, shell=board, say=lambda _: None)


@pytest.fixture
def target(config: Config, box: Box) -> Target:
    """Release `new` with other settings."""
    return Target(
        place=box.place,
        config=config,
        facts=read_facts("systemd=252\n"),
        settings=SettingsSet(set_id="set-new", files={}),
        release_id="new",
        secrets={node: read_secrets(config, node) for node in config.nodes},
    )


def test_a_spare_is_switched_and_what_ran_is_what_one_can_go_back_to(
    board: Board, box: Box, target: Target
) -> None:
    """And back, and forth."""
    assert switch(box, target, Time().patience(), may_stop_trading=False)
    assert (board.name(places.CURRENT), board.name(PREVIOUS[0])) == ("new", "old")
    assert (board.name(places.SETTINGS_CURRENT), board.name(PREVIOUS[1])) == ("set-new", "set-old")
    assert not switch(box, target, Time().patience(), may_stop_trading=False)
    assert switch_back(box, target, Time().patience(), may_stop_trading=False)
    assert (board.name(places.CURRENT), board.name(PREVIOUS[0])) == ("old", "new")
    assert not [asked for asked in board.asked if "switchover" in asked]


def test_what_failed_is_nothing_to_go_back_to(board: Board, box: Box, target: Target) -> None:
    """It is put back, and so is what could be gone back to: a rollback moves both boxes alike."""
    board.dead = {"new"}
    with pytest.raises(NodeUnhealthy, match="put back and is well again on old"):
        switch(box, target, Time().patience(), may_stop_trading=False)
    assert (board.name(places.CURRENT), board.name(PREVIOUS[0])) == ("old", "older")
    assert (board.name(places.SETTINGS_CURRENT), board.name(PREVIOUS[1])) == (
        "set-old",
        "set-older",
    )
    for path in PREVIOUS:
        del board.links[path]
    with pytest.raises(NodeUnhealthy):
        switch(box, target, Time().patience(), may_stop_trading=False)
    assert not [path for path in PREVIOUS if path in board.links]


def test_what_was_broken_off_unwell_is_nothing_to_go_back_to(
    board: Board, box: Box, target: Target
) -> None:
    """Ctrl-C while a bad release is awaited: the next one is followed by what was good before."""
    well = dict(board.status)
    board.status = well | {"nodes": [{"node_id": "jetson", "role": "starting", "reasons": []}]}
    board.on_start = lambda _: board.status.update(well)
    assert switch(box, target, Time().patience(), may_stop_trading=False)
    assert (board.name(places.CURRENT), board.name(PREVIOUS[0])) == ("new", "older")
    assert board.name(PREVIOUS[1]) == "set-older"


@pytest.mark.parametrize("silent", [True, False])
def test_what_cannot_be_told_to_be_unwell_is_gone_back_to(
    board: Board, box: Box, target: Target, *, silent: bool
) -> None:
    """No store says how it is; or there is nothing before it."""
    if silent:
        board.status |= {"nodes": [], "stores": [{"name": "raspberrypi", "error": "no answer"}]}
    else:
        board.status["nodes"][0]["role"] = "starting"
        board.on_start = lambda _: board.status["nodes"][0].update(role="standby")
        for path in PREVIOUS:
            del board.links[path]
    assert switch(box, target, Time().patience(), may_stop_trading=False)
    assert (board.name(places.CURRENT), board.name(PREVIOUS[0])) == ("new", "old")


def test_what_is_put_back_has_its_secrets_and_its_unit_again(
    board: Board, box: Box, target: Target
) -> None:
    """A wrong key lay there after the put-back as before it, and the node stayed down."""
    unit = f"{places.UNITS}/{places.NODE_UNIT}"
    before = {SECRETS_OF_IT: b"good", places.NODECTL: b"as test", unit: b"unit of old"}
    board.contents, board.fingerprint = dict(before), "old"
    board.dead_with = target.secrets["jetson"].content
    with pytest.raises(NodeUnhealthy, match="is well again on old"):
        switch(box, target, Time().patience(), may_stop_trading=False)
    assert board.contents == before
    assert (board.fingerprint, board.name(places.CURRENT)) == ("old", "old")

    # and so also where nothing but the secrets is new
    same = replace(target, release_id="old", settings=SettingsSet(set_id="set-old", files={}))
    with pytest.raises(NodeUnhealthy, match="is well again on old"):
        switch(box, same, Time().patience(), may_stop_trading=False)
    assert board.contents == before

    board.dead_with = b""
    assert switch(box, target, Time().patience(), may_stop_trading=False)
    assert board.contents[SECRETS_OF_IT] == target.secrets["jetson"].content
    assert set(board.contents) == set(before)


def test_a_node_that_lost_the_stores_by_the_switch_is_put_back(
    board: Board, box: Box, target: Target
) -> None:
    """With a wrong password it looked like a first box, whose other one is still to come."""

    def loses_them(fingerprint: str) -> None:
        board.fingerprint = fingerprint
        is_new = board.name(places.CURRENT) == "new"
        board.status["stores"] = [
            {"name": "raspberrypi", "error": "wrong password" if is_new else ""}
        ]
        board.status["nodes"] = [] if is_new else [{"node_id": "jetson", "role": "standby"}]

    board.on_start = loses_them
    with pytest.raises(
        NodeUnhealthy, match=r"by the stores: wrong password(?s:.*)well again on old"
    ):
        switch(box, target, Time().patience(), may_stop_trading=False)
    assert board.name(places.CURRENT) == "old"


def test_a_box_that_is_alone_before_may_be_alone_afterwards(
    board: Board, box: Box, target: Target
) -> None:
    store = {"name": "raspberrypi", "error": "nothing listens there"}
    board.status |= {"stores": [store], "nodes": [], "holder": None}
    assert switch(box, target, Time().patience(), may_stop_trading=False)


@pytest.mark.parametrize("silent", ["raspberrypi", "witness"])
def test_what_counts_as_alone_is_what_the_stores_decide(
    board: Board, box: Box, silent: str
) -> None:
    """While the pair grows, the old store alone stops every decision, a new one alone none."""
    board.status["stores"] = [
        {"name": name, "error": "gone" * (name == silent), "is_needed": name == "raspberrypi"}
        for name in ("jetson", "raspberrypi", "witness")
    ]
    assert sees_no_majority(box.node_state()) is (silent == "raspberrypi")
    board.status["stores"] = []
    assert not sees_no_majority(box.node_state())


def test_a_leader_hands_over_first_and_its_successors_strategy_is_accepted(
    board: Board, box: Box, target: Target
) -> None:
    """What was deployed to the spare is what a person wants; it decides at once."""
    board.status |= {"holder": "jetson", "spares": ["raspberrypi"]}
    assert switch(box, target, Time().patience(), may_stop_trading=False)
    said = [asked for asked in board.asked if "nodectl s" in asked and "show" not in asked]
    assert ["accept raspberrypi" in said[0], "--to raspberrypi" in said[1]] == [True, True], said


def test_a_leader_without_a_spare_is_left_alone(board: Board, box: Box, target: Target) -> None:
    """Unless the owner says that trading may stop."""
    board.status |= {"holder": "jetson", "spares": []}
    with pytest.raises(StepFailed, match="no fit spare"):
        switch(box, target, Time().patience(), may_stop_trading=False)
    assert board.name(places.CURRENT) == "old"
    assert switch(box, target, Time().patience(), may_stop_trading=True)


def test_a_paused_leader_is_switched_without_a_hand_over(
    board: Board, box: Box, target: Target
) -> None:
    """Whoever paused because of a bug can bring its remedy; nobody may take over while paused."""
    board.status |= {"holder": "jetson", "spares": ["raspberrypi"], "is_paused": True}
    assert switch(box, target, Time().patience(), may_stop_trading=False)
    assert not [words for words in board.asked if "switchover" in words]
    assert [words for words in board.asked if "strategy accept raspberrypi" in words]
    state = replace(box.node_state(), status=board.status | {"holder": None})
    assert state.leads == "PAUSED (nodectl resume): trading"


def test_another_list_of_stores_is_never_brought_by_the_way(
    board: Board, box: Box, target: Target
) -> None:
    """R3: only the list in use, or the one that counts since `nodectl stores replace`."""
    own = board.stores["config_id"]
    for stores in ({"config_id": "another", "counts": None}, {}):
        board.stores = stores
        with pytest.raises(StepFailed, match="names other stores"):
            switch(box, target, Time().patience(), may_stop_trading=True)
        assert board.name(places.SETTINGS_CURRENT) == "set-old"
    board.stores = {"config_id": "another", "counts": own}
    assert switch(box, target, Time().patience(), may_stop_trading=True)


@pytest.mark.parametrize(
    ("used", "old", "counts", "wished"),
    [
        ("O", "", None, {"O", "J"}),  # the new list only by way of the joint one
        ("N", "O", None, {"J", "O"}),  # not yet: the other node may still use the old one
        ("N", "O", "N", {"J", "N"}),
        ("N", "", "N", {"N", "J"}),
        ("N", "", None, {"N"}),  # it began with three stores
    ],
)
def test_lists_follow_each_other_by_the_joint_one(
    config: Config, used: str, old: str, counts: str | None, wished: set[str]
) -> None:
    """R3, ADR 0056: no node comes to the new list while another one may use the old one."""
    assert config.path is not None
    text = grown_text(config.path.read_text(), config, "192.168.1.13")
    lists = {"O": config} | {
        name: read_grown(config, read_settings(config, said.encode()))
        for name, said in (("N", text), ("J", joint_text(text, "raspberrypi")))
    }
    ids = {"O": config.config_id, "N": lists["N"].config_id, "": "", None: None}
    said = {"config_id": ids[used], "old_list_id": ids[old], "counts": ids[counts]}
    assert lists["J"].list_ids == {ids["O"], ids["N"]}
    assert {name for name, wanted in lists.items() if may_follow(wanted, said)} == wished


def test_what_cannot_be_read_and_runs_nowhere_is_replaced(
    board: Board, box: Box, target: Target
) -> None:
    """A first deployment with a wrong file must not be the last one."""
    board.stores, board.is_active = {}, False
    assert switch(box, target, Time().patience(), may_stop_trading=True)


def test_a_running_profile_is_changed_only_when_it_is_said(
    board: Board, box: Box, config: Config
) -> None:
    """Paper and real money are other clusters: `make upgrade` must not swap them."""
    wish = Wish(config=config)
    refuse_other_profile(box, wish)
    board.status["cluster_id"] = "prod-home"
    with pytest.raises(StepFailed, match="PROFILE=prod to keep"):
        refuse_other_profile(box, wish)
    refuse_other_profile(box, replace(wish, is_profile_said=True))
    board.status["cluster_id"] = "test-away"
    with pytest.raises(StepFailed, match="belongs to cluster away, this folder is of cluster home"):
        refuse_other_profile(box, replace(wish, is_profile_said=True))
    board.status = {}
    refuse_other_profile(box, wish)
