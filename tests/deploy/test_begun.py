"""A cluster begins once: a fresh card of one that has begun is told so (S6)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy import deployer
from deploy.begun import FILE, has_begun, remember
from deploy.board import script
from deploy.box import NodeState
from deploy.deployer import Wish, deploy
from deploy.inventory import BoxPlace
from deploy.switching import Patience
from node.config_model import Config
from tests.support.backed_up import NODE, make_cluster


@dataclass
class RootShell:
    """Notes which script was run as root, and with which words."""

    ran: list[tuple[str, ...]] = field(default_factory=list)

    def as_root(self, text: str, *words: str) -> str:
        self.ran.append((text, *words))
        return ""


@dataclass
class KnownBox:
    """A box on which everything lies already; `holder` is whom its stores name."""

    place: BoxPlace
    holder: str | None = None
    shell: RootShell = field(default_factory=RootShell)
    said: list[str] = field(default_factory=list)
    is_dry: bool = False
    changes: int = 0

    def say(self, text: str) -> None:
        self.said.append(text)

    def refuse_unfit(self) -> None:
        return None

    def node_state(self) -> NodeState:
        nodes = [{"node_id": n, "role": "standby"} for n in ("jetson", "raspberrypi")]
        status: dict[str, Any] = {"holder": self.holder, "nodes": nodes, "stores": [{"error": ""}]}
        return NodeState(
            is_active=True,
            restarts=0,
            fingerprint="",
            release="",
            settings="",
            previous_release="",
            previous_settings="",
            status=status,
        )

    @property
    def told_card(self) -> bool:
        return any(ran[0] == script("returning.sh") for ran in self.shell.ran)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_cluster(tmp_path / "home")


def deploy_to(monkeypatch: pytest.MonkeyPatch, config: Config, *, holder: str | None) -> KnownBox:
    """Run `deploy` with everything left out that needs a machine."""
    place = BoxPlace(name=NODE, ssh=NODE, is_node=True, has_store=False, has_paper=False)
    box = KnownBox(place=place, holder=holder)

    @contextmanager
    def connected(*_: object) -> Iterator[KnownBox]:
        yield box

    class Target:
        release_id = "r1"

    Target.config = config  # type: ignore[attr-defined]
    monkeypatch.setattr(deployer, "connected", connected)
    monkeypatch.setattr(deployer, "refuse_other_profile", lambda *_: None)
    monkeypatch.setattr(deployer, "prepare", lambda *_: (Target, None, None))
    monkeypatch.setattr(deployer, "bring", lambda *_: Target)
    monkeypatch.setattr(deployer, "switch", lambda *_, **__: True)
    clock = iter(range(10_000))
    patience = Patience(now_s=lambda: float(next(clock)), sleep=lambda _: None)
    deploy(NODE, Wish(config=config), box.say, patience)
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
