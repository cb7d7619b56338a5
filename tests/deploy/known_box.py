"""A box on which everything lies already, for tests of what `make` decides around a deployment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy import deployer
from deploy.board import script
from deploy.box import NodeState
from deploy.facts import BoxFacts, read_facts
from deploy.inventory import BoxPlace
from deploy.switching import Patience
from node.config_model import Config
from tests.support.backed_up import NODE


@dataclass
class RootShell:
    """Notes which script was run as root, and with which words."""

    ran: list[tuple[str, ...]] = field(default_factory=list)

    def as_root(self, text: str, *words: str) -> str:
        """Note it; nothing is run."""
        self.ran.append((text, *words))
        return ""


@dataclass
class KnownBox:
    """A box whose node runs; `holder` is whom its stores name."""

    place: BoxPlace
    holder: str | None = None
    shell: RootShell = field(default_factory=RootShell)
    said: list[str] = field(default_factory=list)
    is_dry: bool = False
    changes: int = 0
    facts: BoxFacts = field(default_factory=lambda: read_facts(f"node={NODE}\n"))

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)

    def refuse_unfit(self) -> None:
        """It is fit."""

    def node_state(self) -> NodeState:
        """Return what its node says: both nodes stand by, as far as roles go."""
        nodes = [{"node_id": n, "role": "standby"} for n in ("jetson", "raspberrypi")]
        status: dict[str, Any] = {
            "holder": self.holder,
            "nodes": nodes,
            "stores": [{"name": "raspberrypi", "error": ""}],
        }
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
        """Whether the card was told that its cluster is not new."""
        return any(ran[0] == script("returning.sh") for ran in self.shell.ran)


def reach_known_box(
    monkeypatch: pytest.MonkeyPatch, config: Config, *, holder: str | None = None
) -> KnownBox:
    """Let `deploy` reach such a box; everything is left out of it that needs a machine."""
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
    return box


def no_waiting() -> Patience:
    """Return a patience whose clock goes on by a second at each look."""
    clock = iter(range(10_000))
    return Patience(now_s=lambda: float(next(clock)), sleep=lambda _: None)
