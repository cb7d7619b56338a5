"""Taking a box away is refused where that would stop trading."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import remote
from deploy.box import NodeState
from deploy.deployer import Wish
from deploy.errors import DeployError
from deploy.inventory import BoxPlace
from deploy.remote import why_trading_stops
from node.config_model import Topology
from node.init import GivenSecrets, write_cluster
from node.init_answers import Answers


def seen(holder: str | None, **stores: str) -> NodeState:
    """What a node sees: who leads, and each store's error by name."""
    status: dict[str, Any] = {
        "holder": holder,
        "stores": [{"name": name, "error": error} for name, error in stores.items()],
    }
    nothing = dict.fromkeys(
        ("fingerprint", "release", "settings", "previous_release", "previous_settings"), ""
    )
    return NodeState(is_active=True, restarts=0, status=status, **nothing)


def growing(needed: str) -> NodeState:
    """What a node of the joint list sees: every decision needs this store."""
    state = seen("jetson", **THREE)
    for store in state.status["stores"]:
        store["is_needed"] = store["name"] == needed
    return state


ONE = {"raspberrypi": ""}
THREE = {"jetson": "", "raspberrypi": "", "witness": ""}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (seen("raspberrypi", **THREE), "raspberrypi leads"),
        (seen("jetson", **ONE), "no majority of stores is left: jetson stops trading"),
        (seen("jetson", **{**THREE, "witness": "refused"}), "no majority of stores is left"),
        (growing("raspberrypi"), "no majority of stores is left"),
    ],
)
def test_a_box_that_trading_needs_stays(state: NodeState, words: str) -> None:
    assert words in why_trading_stops(state, "raspberrypi")


@pytest.mark.parametrize(
    "state",
    [
        seen("jetson", **THREE),
        seen(None, **ONE),
        seen("jetson", jetson=""),
        growing("witness"),
    ],
)
def test_a_box_that_trading_does_not_need_may_go(state: NodeState) -> None:
    assert why_trading_stops(state, "raspberrypi") == ""


class SeenBox:
    """A box that says this of its node, and takes an uninstalling."""

    def __init__(self, state: NodeState) -> None:
        self.state, self.shell, self.gone = state, self, False

    def node_state(self) -> NodeState:
        """Return it."""
        return self.state

    def as_root(self, *_: str) -> str:
        """Run uninstall.sh."""
        self.gone = True
        return "changed\tall of it\n"

    def told(self, said: str) -> int:
        """Count its lines."""
        return len(said.splitlines())


@pytest.mark.parametrize("pi", ["", "silent"])
def test_a_witness_stays_while_its_store_is_one_of_the_two_that_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pi: str
) -> None:
    """It runs no node that could be asked: another box is."""
    answers = Answers(
        topology=Topology.THREE_STORES,
        preferred_host="192.168.1.11",
        standby_host="192.168.1.12",
        witness_host="192.168.1.13",
    )
    wish = Wish(config=write_cluster(tmp_path, answers, GivenSecrets()).config)
    witness = SeenBox(replace(seen(None), is_active=False))
    jetson = SeenBox(seen("jetson", jetson="", raspberrypi=pi, witness=""))

    @contextmanager
    def connected(place: BoxPlace, *_: object) -> Iterator[SeenBox]:
        yield witness if place.name == "witness" else jetson

    monkeypatch.setattr(remote, "connected", connected)
    if pi:
        with pytest.raises(DeployError, match="jetson stops trading"):
            remote.uninstall(wish, "witness", is_state_kept=False, say=print)
    else:
        assert remote.uninstall(wish, "witness", is_state_kept=False, say=print) == 1
    assert witness.gone == (not pi)
