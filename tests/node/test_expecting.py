"""When a spare looks faster: a fresh request to it, for as long as the leader keeps it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest

from election.control_record import ControlRecord
from node.expecting import Expecting
from node.health import Health
from node.latches import SWITCHOVER, Latches
from node.parts import NodeParts
from node.role import Role
from node.successor import REQUEST_S


class World:
    """A fit spare on its raspberrypi; the jetson leads."""

    def __init__(self, first: Mapping[str, str] | None = None) -> None:
        self.now_s, self.hints, self.version = 1000.0, 0, 0
        self.health = Health(role=Role.STANDBY)
        self.watch = SimpleNamespace(latches=Latches(records={}, is_complete=True), has_looked=True)
        if first is not None:
            self.ask(first)
        parts = SimpleNamespace(
            watch=self.watch,
            health=self.health,
            node_id="raspberrypi",
            heartbeat=SimpleNamespace(expect_handover=self.hint),
            monotonic_s=lambda: self.now_s,
        )
        self.health.reasons = ()
        self.expecting = Expecting(cast("NodeParts", parts))
        self.look()

    def hint(self) -> None:
        self.hints += 1

    def ask(self, value: Mapping[str, str]) -> None:
        self.version += 1
        record = ControlRecord(
            kind=SWITCHOVER, version=self.version, value=value, by="person", at_ms=0, reason=""
        )
        self.watch.latches = Latches(records={SWITCHOVER: record}, is_complete=True)

    def look(self, times: int = 1) -> int:
        """Look once a second; return how often the heartbeat was told."""
        before = self.hints
        for _ in range(times):
            self.now_s += 1
            self.expecting.step()
        return self.hints - before


@pytest.mark.parametrize("to", ["raspberrypi", ""])
def test_a_request_to_this_node_is_expected_until_it_leads(to: str) -> None:
    world = World()
    world.ask({"to": to, "from": "jetson"})
    assert world.look(3) == 3
    world.health.role = Role.TAKEOVER
    assert world.look() == 0
    world.health.role = Role.STANDBY  # it handed the lease back meanwhile
    assert world.look(3) == 0


def test_a_request_that_is_never_fulfilled_is_expected_as_long_as_the_leader_keeps_it() -> None:
    """The load on the stores has a bound."""
    world = World()
    world.ask({"to": "raspberrypi", "from": "jetson"})
    assert world.look(200) <= REQUEST_S + 1
    world.ask({"to": "raspberrypi", "from": "jetson"})
    assert world.look() == 1


@pytest.mark.parametrize(
    "value",
    [{"to": "jetson", "from": "raspberrypi"}, {"to": "", "from": "raspberrypi"}],
    ids=["to the other node", "asked of this node"],
)
def test_a_request_to_somebody_else_changes_nothing(value: Mapping[str, str]) -> None:
    world = World()
    world.ask(value)
    assert world.look(3) == 0


def test_a_request_from_before_this_process_is_old() -> None:
    world = World({"to": "raspberrypi", "from": "jetson"})
    assert world.look(3) == 0


def test_a_request_before_the_first_whole_look_is_old() -> None:
    """Until a majority of the stores was seen nobody knows which requests are new."""
    world = World()
    world.expecting = Expecting(world.expecting.parts)
    world.watch.has_looked = False
    world.ask({"to": "raspberrypi", "from": "jetson"})
    assert world.look(3) == 0
    world.watch.has_looked = True
    assert world.look(3) == 0


def test_an_unfit_node_waits_until_it_is_fit() -> None:
    """The leader would not hand over to it; when it is fit again the request may still stand."""
    world = World()
    world.health.reasons = ("venue: away",)
    world.ask({"to": "raspberrypi", "from": "jetson"})
    assert world.look(3) == 0
    world.health.reasons = ()
    assert world.look() == 1
