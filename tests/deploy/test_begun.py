"""A cluster begins once: a fresh card of one that has begun is told so (S6)."""

from pathlib import Path

import pytest

from deploy.backup import restore
from deploy.begun import FILE, has_begun, remember
from deploy.box import NodeState
from deploy.deployer import Wish, deploy
from node.config_model import Config
from tests.deploy.known_box import KnownBox, no_waiting, reach_known_box
from tests.support.backed_up import NODE, make_cluster


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_cluster(tmp_path / "home")


def deploy_to(monkeypatch: pytest.MonkeyPatch, config: Config, *, holder: str | None) -> KnownBox:
    """Run `deploy` with everything left out that needs a machine."""
    box = reach_known_box(monkeypatch, config, holder=holder)
    deploy(NODE, Wish(config=config), box.say, no_waiting())
    return box


def test_a_card_is_told_only_after_a_leader_was_seen(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two deployments begin the cluster; the third brings a card to one that lives."""
    assert not deploy_to(monkeypatch, config, holder=None).told_card
    assert not has_begun(config)
    assert not deploy_to(monkeypatch, config, holder=NODE).told_card
    assert has_begun(config)
    again = deploy_to(monkeypatch, config, holder=NODE)
    assert again.told_card
    assert again.shell.ran[-1][1] == f"/var/lib/hotspare/{NODE}"


def test_a_card_restored_without_a_file_is_told_whatever_the_laptop_remembers(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who types `make restore` says himself that the cluster is not new."""
    box = reach_known_box(monkeypatch, config, holder="raspberrypi")
    restore(NODE, Wish(config=config), box.say, None)
    assert box.told_card


def test_each_profile_begins_by_itself(config: Config) -> None:
    """What was tried with paper money says nothing about the cluster with real money."""
    remember(config, print)
    remember(config, print)
    assert (config.directory / FILE).read_text() == f"{config.cluster_id}\n"
    (config.directory / FILE).write_text("prod-home\n")
    assert not has_begun(config)
    remember(config, print)
    assert (config.directory / FILE).read_text() == f"prod-home\n{config.cluster_id}\n"


def test_a_folder_that_takes_nothing_is_said_and_fails_nothing(config: Config) -> None:
    (config.directory / f".{FILE}.new").mkdir()  # the name of the half-written file is taken
    said: list[str] = []
    remember(config, said.append)
    assert "cannot be written" in said[0]
    assert "mend that" in said[0]


def test_the_other_box_is_to_get_the_profile_that_was_said(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the pair is two clusters, each with one node."""
    box = reach_known_box(monkeypatch, config)
    monkeypatch.setattr(NodeState, "is_seen", lambda *_: False)
    deploy(NODE, Wish(config=config, is_profile_said=True), box.say, no_waiting())
    assert box.said[-1].endswith(f"make deploy-standby PROFILE={config.cluster.profile}")
    deploy(NODE, Wish(config=config), box.say, no_waiting())
    assert box.said[-1].endswith("make deploy-standby")
