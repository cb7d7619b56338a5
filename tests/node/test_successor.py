"""Who should trade instead: asked once, for a bounded time; unwell long enough; a fit spare."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest

from election.control_record import ControlRecord
from node.config_box import HealthConfig
from node.health import Health
from node.latches import SWITCHOVER, Latches
from node.parts import NodeParts
from node.role import Role
from node.succession import UNWELL
from node.successor import REQUEST_S, Successor


class World:
    """One node's view: latches, spares and time that the test sets."""

    def __init__(self, remembered_s: tuple[float, ...] = ()) -> None:
        self.now_s = 1000.0
        self.spares: tuple[str, ...] = ("raspberrypi",)
        self.peer_reasons: tuple[str, ...] = ()
        self.health = Health(role=Role.ACTIVE, is_ready=True, venue_error="")
        self.health.clock_error_ms = 5.0
        self.proof_age_s = 1.0
        self.beat = 1
        self.watch = SimpleNamespace(
            latches=Latches(records={}, is_complete=True),
            has_looked=True,
            venue_proof_ages=lambda: dict.fromkeys(self.spares, self.proof_age_s),
            beats=lambda: {"raspberrypi": ("n1", self.beat)},
        )
        parts = SimpleNamespace(
            watch=self.watch,
            health=self.health,
            node_id="jetson",
            moves=SimpleNamespace(load=lambda: remembered_s),
            peer_reasons=lambda: self.peer_reasons,
            monotonic_s=lambda: self.now_s,
            config=SimpleNamespace(health=HealthConfig()),
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
        self.beat += 1

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


def test_a_spare_that_died_in_silence_is_not_handed_to() -> None:
    """It looks fit for some seconds: only a beat since the request proves that it lives."""
    world = World()
    world.ask({"to": "raspberrypi"})
    world.beat -= 1
    assert world.successor.requested() is None
    world.note(1.0)
    assert world.successor.requested() is None
    world.beat += 1
    assert world.successor.requested() == "raspberrypi"


def test_heat_hands_over_after_a_while_to_a_fit_spare_only() -> None:
    """Hysteresis: a peak is no reason, and nobody is no successor."""
    world = World()
    world.health.resource_reasons = ("temperature: 90 °C",)
    assert world.unwell_for(14) == ""
    assert world.unwell_for(2) == f"{UNWELL}temperature: 90 °C"
    world.spares = ()
    assert world.unwell_for(100) == ""


def test_a_venue_that_hiccups_starts_the_wait_anew() -> None:
    """Each kind of problem has its own clock."""
    world = World()
    world.health.venue_error = "VenueUnavailable: no answer"
    assert world.unwell_for(14) == ""
    world.health.venue_error = ""
    assert world.unwell_for(0) == ""
    world.health.venue_error = "VenueUnavailable: no answer"
    assert world.unwell_for(14) == ""


def test_a_venue_away_hands_over_only_to_a_spare_that_has_reached_it_since() -> None:
    """What both see is no reason to fail over: the spare's proof must be younger."""
    world = World()
    world.health.venue_error = "VenueUnavailable: no answer"
    world.proof_age_s = 40.0
    assert world.unwell_for(35) == ""
    assert "has not reached the venue since" in world.successor.advice.stay_because
    world.proof_age_s = 3.0
    assert world.successor.reason_to_hand_over() == f"{UNWELL}venue: VenueUnavailable: no answer"


@pytest.mark.parametrize("error", ["VenueRateLimited: HTTP 418", "VenueMaintenance: closed"])
def test_what_the_address_or_the_venue_suffers_is_no_reason(error: str) -> None:
    """429, 418, maintenance: stay, also when the clock cannot be measured because of it."""
    world = World()
    world.health.venue_error, world.health.clock_error_ms = error, None
    assert world.unwell_for(3600) == ""
    assert error in world.successor.advice.stay_because


@pytest.mark.parametrize("error_ms", [None, 501.0])
def test_an_uncertain_clock_hands_over(error_ms: float | None) -> None:
    """A holder that cannot sign does not trade, although it holds the lease."""
    world = World()
    world.health.clock_error_ms = error_ms
    assert world.unwell_for(29) == ""
    assert world.unwell_for(2).startswith(f"{UNWELL}clock: the offset")


def test_a_dead_disk_hands_over() -> None:
    """With a healthy peer an active node whose disk died gives the lease to it."""
    world = World()
    world.health.journal_error = "the disk is read-only"
    assert world.unwell_for(16) == f"{UNWELL}journal: the disk is read-only"


def test_a_lease_that_came_for_health_does_not_go_back_at_once() -> None:
    """The one who is granted counts the move as well as the one who drained."""
    for reason, moves in ((f"{UNWELL}temperature: 90 °C", False), ("switchover", True)):
        world = World()
        world.successor.note_granted(reason)
        world.health.resource_reasons = ("memory: 500 MB",)
        assert bool(world.unwell_for(20)) is moves
        assert world.successor.advice.is_held is not moves


def test_a_restart_forgets_no_move() -> None:
    """Two boxes that are unwell must not bounce the lease by restarting in between."""
    for ages_s, moves in (((30.0,), False), ((119.0,), True), ((3601.0,), True)):
        world = World(ages_s)
        world.health.resource_reasons = ("memory: 500 MB",)
        assert bool(world.unwell_for(20)) is moves


def test_what_is_still_starting_has_no_trouble_with_the_venue() -> None:
    """Before READY nothing was asked."""
    world = World()
    world.health.is_ready, world.health.venue_error = False, "not asked yet"
    assert world.unwell_for(100) == ""
    assert world.successor.advice.stay_because == ""


def test_different_servers_end_the_lease_at_once_spare_or_not() -> None:
    """R13: the other node does not see this lease, so whoever goes on could be the second."""
    rig = World()
    rig.spares, rig.peer_reasons = (), ("different servers: ...",)
    assert rig.successor.reason_to_hand_over() == "different servers: ..."
    rig.peer_reasons = ()
    assert not rig.successor.reason_to_hand_over()
