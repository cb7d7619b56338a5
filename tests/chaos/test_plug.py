"""Boxes lose their power: no peer sees a connection close, only silence (scenarios 1, 3, 29).

The cable goes first, then every process of the box; the hub's counter proves that no FIN and no
RST of it passed (`Lab.pull` asserts that each time).
"""

import pytest

from election.model import LeaseTiming
from tests.chaos.conftest import LabMaker
from tests.chaos.lab import WITNESS, Lab
from tests.support.pair import JETSON, PI, TTL_S, plan_of, wall_ms

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STILL_S = 2.5 * TTL_S
DEFAULTS = LeaseTiming()


def test_leader_unplugged_at_the_default_ttl(make_lab: LabMaker) -> None:
    """3: with the default timings the spare leads after one ttl; nothing is lost or doubled."""
    lab = make_lab(plan_of(lease={"ttl_ms": DEFAULTS.ttl_ms}))
    lab.pair.open()
    in_flight = lab.pair.hold_back_an_order(JETSON)
    lab.pull(JETSON)
    lab.stage.paper.clear_faults()

    report = lab.pair.wait_active(PI)
    lab.pair.wait_order(PI)
    assert report["previous"] == JETSON
    granted = lab.pair.events(PI, "lease.granted")[-1]
    assert not granted["was_released"]
    assert float(granted["silent_s"]) >= DEFAULTS.ttl_ms / 1000
    known = {e["client_order_id"] for e in lab.pair.events(PI, "order.resolved")}
    known |= {e["client_order_id"] for e in lab.pair.events(PI, "order.adopted")}
    known |= {e["client_order_id"] for e in lab.pair.events(PI, "order.done")}
    assert in_flight in known

    lab.plug(JETSON)
    lab.wait_pair()
    assert lab.leader() == PI, "no failback by itself"
    lab.judge()


def test_spare_and_witness_unplugged(lab: Lab) -> None:
    """L1: without the spare, then without the witness, the leader leads on; each comes back."""
    lab.pair.open()
    lab.pair.wait_event(JETSON, "spare.back")  # only what it knew can be lost to it
    lab.pull(PI)
    before = lab.stage.role_changes(JETSON)
    lab.pair.wait_event(JETSON, "spare.lost")
    lab.pair.wait_order(JETSON)
    lab.plug(PI)
    lab.wait_pair()
    lab.pull(WITNESS)
    lab.hold_still(STILL_S)
    lab.pair.wait_order(JETSON)
    lab.plug(WITNESS)
    lab.pair.wait_event(JETSON, "store.back", store=WITNESS)
    # It counts again: with the Pi away now, two stores are left, the witness among them.
    lab.pull(PI)
    lab.hold_still(STILL_S)
    lab.pair.wait_order(JETSON)
    assert lab.stage.role_changes(JETSON) == before
    lab.judge()


def test_both_boxes_unplugged_one_returns(lab: Lab) -> None:
    """29: after a power cut in the whole house the first box that is back trades alone."""
    lab.pair.open()
    lab.pull(JETSON)
    lab.pull(PI)
    lab.plug(PI)
    lab.pair.wait(lambda: lab.leader() == PI, "the Pi to trade")
    lab.pair.wait_order(PI)
    assert len(lab.pair.told("both_were_off", PI)) == 1
    lab.judge()


def test_two_boxes_jetson_unplugged(two_boxes: Lab) -> None:
    """R16: one store, on the Pi. The Jetson goes, the Pi trades; the Jetson returns as spare."""
    lab = two_boxes
    lab.pair.open()
    lab.pull(JETSON)
    lab.pair.wait_active(PI)
    lab.pair.wait_order(PI)
    lab.plug(JETSON)
    lab.wait_pair()
    assert lab.leader() == PI
    lab.judge()


def test_two_boxes_pi_unplugged(two_boxes: Lab) -> None:
    """R16: the Pi goes with the only store. The Jetson stops within a ttl and says so; what rests
    at the venue stays; with the Pi back, somebody trades."""
    lab = two_boxes
    lab.pair.open()
    lab.pair.wait_resting()
    proof = lab.pull(PI)
    lapsed = lab.pair.wait_event(JETSON, "lease.lapsed")
    # No renewal was acknowledged after the cut: the kernel would have killed it within a ttl.
    assert lab.fences.ends[JETSON, lab.pair.epochs(JETSON)[-1]] <= proof.cut_boot_s + 0.9 * TTL_S
    lab.hold_idle(0.0)
    ended = _ended_unfilled(lab)
    last = max(int(r["arrived_venue_ms"]) for r in lab.pair.requests())
    assert last <= wall_ms(lapsed)
    lab.hold_idle(STILL_S)
    assert _ended_unfilled(lab) == ended  # what rested rests, unless the market filled it

    lab.pair.wait_told("nobody_trades", JETSON)

    lab.plug(PI)
    lab.pair.wait(lab.leader, "somebody to trade again")
    lab.wait_pair()
    lab.pair.wait_order(lab.leader())
    lab.judge()


def test_two_boxes_cable_between_them(two_boxes: Lab) -> None:
    """S1: cut off from the Pi's store the Jetson stops; the Pi, which has it, trades."""
    lab = two_boxes
    lab.pair.open()
    lab.net.part([JETSON], [PI])
    lab.wait_next(JETSON)
    lab.pair.wait_event(JETSON, "lease.lapsed")
    lab.net.clear()
    lab.wait_pair()
    assert lab.leader() == PI
    lab.judge()


def _ended_unfilled(lab: Lab) -> list[int]:
    """Return the orders that ended at the venue without being filled completely."""
    return [int(line["order_id"]) for line in lab.stage.requests() if line["type"] == "end"]
