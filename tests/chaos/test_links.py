"""Cables and paths break under a trading pair with three stores (scenarios 22, 23, 25-27, 40)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.lab import WITNESS, Lab
from tests.chaos.lab_stage import PHONE_HOST, VENUE_HOST
from tests.support.pair import JETSON, PI, TTL_S

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

# Long enough for a lease to end and be taken, if it did.
STILL_S = 2.5 * TTL_S

Breaker = Callable[[Lab, str], None]


# --- what must not matter -------------------------------------------------------------------


def cut_from_each_other(lab: Lab, _leader: str) -> None:
    """23, and the ring of 27 as the stores stand: each reaches its own store and the witness."""
    lab.net.part([JETSON], [PI])


def cut_leader_from_witness(lab: Lab, leader: str) -> None:
    """27: the leader misses one store, the spare none: it could ask for all three."""
    lab.net.part([leader], [WITNESS])


def cut_witness(lab: Lab, _leader: str) -> None:
    """26: the witness is away."""
    lab.net.cut(WITNESS)


def cut_spare(lab: Lab, leader: str) -> None:
    """26: the spare and its store are away."""
    lab.net.cut(PI if leader == JETSON else JETSON)


def deafen_spare(lab: Lab, leader: str) -> None:
    """25: the spare speaks and hears nothing."""
    spare = PI if leader == JETSON else JETSON
    for other in (leader, WITNESS):
        lab.net.block(other, spare)


HARMLESS: tuple[Breaker, ...] = (
    cut_from_each_other,
    cut_leader_from_witness,
    cut_witness,
    cut_spare,
    deafen_spare,
)


def test_cuts_that_leave_the_leader_a_majority(lab: Lab) -> None:
    """R13, L1: who reaches two stores leads on; nobody moves, orders go on, nothing is taken."""
    lab.pair.open()
    for broken in HARMLESS:
        lab.pair.story.say(broken.__name__)
        broken(lab, JETSON)
        lab.hold_still(STILL_S)
        lab.pair.wait_order(JETSON)
        lab.net.heal()
        lab.net.clear()
        lab.wait_pair()
    assert lab.pair.epochs(JETSON) == [1]
    assert lab.pair.epochs(PI) == []
    lab.judge()


# --- what must move the lease ---------------------------------------------------------------


def cut_whole(lab: Lab, leader: str) -> None:
    """The leader's cable is out: stores, venue, phone and spare are gone for it."""
    lab.net.cut(leader)


def cut_from_stores_only(lab: Lab, leader: str) -> None:
    """22: it still reaches the venue, and must not use it."""
    others = [box for box in (JETSON, PI, WITNESS) if box != leader]
    lab.net.part([leader], others)


def mute_towards_stores(lab: Lab, leader: str) -> None:
    """25: its renewals are lost; it hears everything."""
    for box in (JETSON, PI, WITNESS):
        if box != leader:
            lab.net.block(leader, box)


def deafen_from_stores(lab: Lab, leader: str) -> None:
    """25: its renewals arrive and count for nothing, since it hears no answer."""
    for box in (JETSON, PI, WITNESS):
        if box != leader:
            lab.net.block(box, leader)


HARMFUL: tuple[Breaker, ...] = (
    cut_whole,
    cut_from_stores_only,
    mute_towards_stores,
    deafen_from_stores,
)


def test_cuts_that_take_the_leaders_majority(lab: Lab) -> None:
    """S1, L1: cut off, the leader stops by its own clocks, then the spare leads; it lives on."""
    lab.pair.open()
    pids = {node: lab.stage.nodes[node].pid for node in (JETSON, PI)}
    for broken in HARMFUL:
        leader = lab.leader()
        lab.pair.story.say(f"{broken.__name__} of {leader}")
        lapses = len(lab.pair.events(leader, "lease.lapsed"))
        broken(lab, leader)
        lab.wait_next(leader)
        lab.pair.wait_event(leader, "lease.lapsed", since=lapses)
        lab.net.heal()
        lab.net.clear()
        lab.wait_pair()
    # A healthy process that is cut off becomes standby; the fence is for those that are not.
    assert {node: lab.stage.nodes[node].pid for node in (JETSON, PI)} == pids
    assert all(lab.stage.nodes[node].is_running for node in (JETSON, PI))
    lab.judge()


# --- venue and phone ------------------------------------------------------------------------


@contextmanager
def venue_out_of_reach(lab: Lab, *nodes: str) -> Iterator[None]:
    ways = [(n, VENUE_HOST) for n in nodes] + [(VENUE_HOST, n) for n in nodes]
    with lab.net.blocked(*ways):
        yield


def test_venue_out_of_reach(lab: Lab) -> None:
    """24: who alone lost the venue hands over; what both have lost moves nobody."""
    lab.pair.open()
    with venue_out_of_reach(lab, JETSON):
        lab.wait_next(JETSON)
        granted = lab.pair.events(PI, "lease.granted")[-1]
        assert granted["was_released"], "handed over, not taken"
    lab.wait_pair()
    with venue_out_of_reach(lab, JETSON, PI):
        lab.pair.wait_event(PI, "venue.unreachable")
        lab.hold_still(STILL_S)
    lab.pair.wait_order(PI)
    lab.judge()


def test_phone_out_of_reach_during_a_failover(lab: Lab) -> None:
    """40: what happened meanwhile is told when the phone is back: once, in order."""
    lab.pair.open()
    lab.pair.wait_told("startup", PI)
    lab.net.cut(PHONE_HOST)
    lab.net.cut(JETSON)
    lab.wait_next(JETSON)
    lab.pair.wait_event(PI, "alert.not_sent")
    assert not any("trades now" in t and PI in t.splitlines()[0] for t in lab.telegram.api.texts)
    lab.net.heal()
    lab.pair.wait_told("took_over", PI)
    lab.wait_pair()
    lab.judge()
    heads = [text.splitlines()[0] for text in lab.telegram.api.texts]
    mine = [head for head in heads if PI in head]
    assert [("started" in h, "trades now" in h) for h in mine if "started" in h or "now" in h][
        :2
    ] == [(True, False), (False, True)], heads
