"""Both nodes go back together, or none does; what broke off between the two is said."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import places, rolling
from deploy.box import Box
from deploy.deployer import Wish
from deploy.desired import Target
from deploy.errors import InventoryRefused, NodeUnhealthy, StepFailed
from deploy.facts import read_facts
from deploy.inventory import BoxPlace
from deploy.settings import SettingsSet, read_secrets
from node.init import GivenSecrets, write_cluster
from tests.deploy.test_switching import ANSWERS, PREVIOUS, Board, Time

NAMES = ("jetson", "raspberrypi")


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Board]:
    """Both nodes run 2-new and ran 1-old before; raspberrypi leads, jetson is its spare."""
    return {name: _board() for name in NAMES}


def _board() -> Board:
    board = Board()
    for current, previous, folder, names in (
        (places.CURRENT, PREVIOUS[0], places.RELEASES, ("2-new", "1-old")),
        (places.SETTINGS_CURRENT, PREVIOUS[1], places.SETTINGS, ("set-new", "set-old")),
    ):
        board.links[current], board.links[previous] = (f"{folder}/{name}" for name in names)
    board.status = {
        "cluster_id": "test-home",
        "holder": "raspberrypi",
        "spares": ["jetson"],
        "nodes": [{"node_id": name, "role": "standby", "reasons": []} for name in NAMES],
        "stores": [{"name": "raspberrypi", "error": ""}],
        "headline": "trading",
    }
    return board


@pytest.fixture
def wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boards: dict[str, Board]) -> Wish:
    """Roll back on these boards."""
    keys = {n: (f"key-of-{n}", f"secret-of-{n}") for n in NAMES}
    config = write_cluster(tmp_path, ANSWERS, GivenSecrets(api_keys=keys)).config
    for board in boards.values():
        board.stores = {"config_id": config.config_id, "counts": None}

    @contextmanager
    def connected(place: BoxPlace, _wish: Wish, say: object) -> Iterator[Box]:
        yield Box(place=place, shell=boards[place.name], say=lambda _: None)

    def prepare(box: Box, _wish: Wish, *, is_built: bool) -> tuple[Target, None, None]:
        assert not is_built
        target = Target(
            place=box.place,
            config=config,
            facts=read_facts("systemd=252\n"),
            settings=SettingsSet(set_id="set-new", files={}),
            release_id="2-new",
            secrets={node: read_secrets(config, node) for node in config.nodes},
        )
        return target, None, None

    monkeypatch.setattr(rolling, "connected", connected)
    monkeypatch.setattr(rolling, "prepare", prepare)
    return Wish(config=config)


def running(boards: dict[str, Board]) -> list[str]:
    return [boards[name].name(places.CURRENT) for name in NAMES]


def test_both_go_back(boards: dict[str, Board], wish: Wish) -> None:
    said: list[str] = []
    rolling.roll_back(wish, said.append, patience=Time().patience())
    assert running(boards) == ["1-old", "1-old"]
    assert said[-1] == "raspberrypi leads (trading), spare: jetson"


def test_none_goes_back_where_one_cannot(boards: dict[str, Board], wish: Wish) -> None:
    """A card that came back has run one version only: the other node would be left alone in one."""
    boards["raspberrypi"].links.pop(PREVIOUS[0])
    with pytest.raises(StepFailed, match="raspberrypi has nothing to go back to"):
        rolling.roll_back(wish, lambda _: None, patience=Time().patience())
    assert running(boards) == ["2-new", "2-new"]


def test_a_node_that_never_got_what_is_new_does_not_go_further_back(
    boards: dict[str, Board], wish: Wish
) -> None:
    """An upgrade broke off between the two: only the first has something to take back."""
    boards["raspberrypi"].links[places.CURRENT] = f"{places.RELEASES}/1-old"
    boards["raspberrypi"].links[PREVIOUS[0]] = f"{places.RELEASES}/0-older"
    with pytest.raises(StepFailed, match=r"different versions: jetson runs 2-new (?s:.*)BOX="):
        rolling.roll_back(wish, lambda _: None, patience=Time().patience())
    assert running(boards) == ["2-new", "1-old"]
    rolling.roll_back(wish, lambda _: None, only="jetson", patience=Time().patience())
    assert running(boards) == ["1-old", "1-old"]


def test_what_is_left_is_said_when_the_second_does_not_come_up(
    boards: dict[str, Board], wish: Wish
) -> None:
    boards["raspberrypi"].dead = {"1-old"}
    said: list[str] = []
    with pytest.raises(NodeUnhealthy):
        rolling.roll_back(wish, said.append, patience=Time().patience())
    assert running(boards) == ["1-old", "2-new"]
    assert said[-1].endswith("make rollback BOX=raspberrypi")


def test_a_name_that_is_no_node_is_said(wish: Wish) -> None:
    with pytest.raises(InventoryRefused, match=r"no node is called witness\n.*jetson, raspberrypi"):
        rolling.roll_back(wish, lambda _: None, only="witness")
