"""Who should trade instead: asked once, for a bounded time; unwell long enough; a fit spare."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

from election.control_record import ControlRecord
from node.health import Health
from node.latches import SWITCHOVER, Latches
from node.parts import NodeParts
from node.role import Role
from node.successor import REQUEST_S, Successor


class World:
    """One node's view: latches, spares and time that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.spares: tuple[str, ...] = ("raspberrypi",)
        self.peer_reasons: tuple[str, ...] = ()
        self.health = Health(role=Role.ACTIVE, is_ready=True, venue_error="")
        self.watch = SimpleNamespace(latches=Latches(records={}, is_complete=True), has_looked=True)
        parts = SimpleNamespace(
            watch=self.watch,
            health=self.health,
            node_id="jetson",
            peer_reasons=lambda: self.peer_reasons,
            monotonic_s=lambda: self.now_s,
            config=SimpleNamespace(venue=SimpleNamespace(read_budget_s=4.0)),
        )
        self.successor = Successor(cast("NodeParts", parts), spares=lambda: self.spares)
        self.note()

    def note(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.successor.note_request(self.now_s)

    def ask(self, value: Mapping[str, str], version: int = 1) -> None:
        record = ControlRecord(
            kind=SWITCHOVER, version=version, value=value, by="person", at_ms=0, reason=""
        )
        self.watch.latches = Latches(records={SWITCHOVER: record}, is_complete=True)
        self.note()

    def unwell_for(self, seconds: float) -> str:
        self.successor.reason_to_hand_over()
        self.now_s += seconds
        return self.successor.reason_to_hand_over()


def test_a_request_is_carried_out_once() -> None:
    """The named spare, or any when none is named."""
    for to in ("raspberrypi", ""):
        world = World()
        world.ask({"to": to, "from": "jetson"})
        assert world.successor.requested() == "raspberrypi"
        assert world.successor.requested() is None


def test_a_request_from_before_this_process_is_old() -> None:
    """After a restart nothing is replayed."""
    world = World()
    world.successor = Successor(world.successor.parts, spares=lambda: world.spares)
    world.ask({"to": "raspberrypi"})
    world.note()
    assert world.successor.requested() is None


def test_a_request_to_another_leader_is_not_this_nodes() -> None:
    """Whoever becomes leader by a request must not hand the lease on by the same one."""
    world = World()
    world.ask({"to": "", "from": "raspberrypi"})
    assert world.successor.requested() is None
    world.health.role = Role.STANDBY
    world.ask({"to": ""}, 2)
    world.health.role = Role.ACTIVE
    assert world.successor.requested() is None


def test_a_request_waits_for_its_spare_and_then_is_forgotten() -> None:
    """A spare that is fit a moment later still gets it; an hour later it does not."""
    world = World()
    world.spares = ()
    world.ask({"to": "raspberrypi"})
    assert world.successor.requested() is None
    world.spares = ("raspberrypi",)
    assert world.successor.requested() == "raspberrypi"
    world.spares = ()
    world.ask({"to": "raspberrypi"}, 2)
    world.note(REQUEST_S + 1)
    world.spares = ("raspberrypi",)
    assert world.successor.requested() is None


def test_heat_hands_over_after_a_while_to_a_fit_spare_only() -> None:
    """Hysteresis: a peak is no reason, and nobody is no successor."""
    world = World()
    world.health.resource_reasons = ("temperature: 90 °C",)
    assert world.unwell_for(14) == ""
    assert world.unwell_for(2) == "temperature: 90 °C"
    world.spares = ()
    assert world.unwell_for(100) == ""


def test_a_venue_that_hiccups_starts_the_wait_anew() -> None:
    """Each kind of problem has its own clock."""
    world = World()
    world.health.venue_error = "VenueUnavailable: no answer"
    assert world.unwell_for(25) == ""
    world.health.venue_error = ""
    assert world.unwell_for(0) == ""
    world.health.venue_error = "VenueUnavailable: no answer"
    assert world.unwell_for(25) == ""


def test_a_venue_away_hands_over_only_after_the_spare_has_looked_itself() -> None:
    """What both see is no reason to fail over: the spare looks every twenty seconds."""
    world = World()
    world.health.venue_error = "VenueUnavailable: no answer"
    assert world.unwell_for(24) == ""
    assert world.unwell_for(10) == "venue: VenueUnavailable: no answer"


def test_a_dead_disk_hands_over() -> None:
    """With a healthy peer an active node whose disk died gives the lease to it."""
    world = World()
    world.health.journal_error = "the disk is read-only"
    assert world.unwell_for(16) == "journal: the disk is read-only"


def test_different_servers_end_the_lease_at_once_spare_or_not() -> None:
    """R13: the other node does not see this lease, so whoever goes on could be the second."""
    rig = World()
    rig.spares, rig.peer_reasons = (), ("different servers: ...",)
    assert rig.successor.reason_to_hand_over() == "different servers: ..."
    rig.peer_reasons = ()
    assert not rig.successor.reason_to_hand_over()
