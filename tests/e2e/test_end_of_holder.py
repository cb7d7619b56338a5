"""The holder ends in every way a process can end: the other one goes on, nothing is doubled."""

import signal

import pytest

from election.model import WriteId
from tests.support.frozen_thread import PtraceRefusedError, freeze_main_thread
from tests.support.pair import JETSON, PI, Pair, wall_ms

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_killed_holder_with_an_order_in_flight(pair: Pair) -> None:
    """S3, L1: after SIGKILL the spare finds the unknown order, adopts the rest and trades."""
    pair.open()
    in_flight = pair.hold_back_an_order(JETSON)
    pair.kill(JETSON)
    pair.stage.paper.clear_faults()

    report = pair.wait_active(PI)
    pair.wait_order(PI)
    assert report["previous"] == JETSON
    assert in_flight in pair.accounted_for(PI)
    assert pair.events(PI, "order.adopted")

    pair.start(JETSON)
    pair.story.wait_spare(JETSON)
    assert not pair.is_active(JETSON)
    pair.judge()


def test_stopped_holder_is_killed_by_its_fence(pair: Pair) -> None:
    """S1: a holder that is stopped (SIGSTOP) dies by the kernel's hand while it is stopped."""
    pair.open()
    node = pair.node(JETSON)
    node.send(signal.SIGSTOP)

    pair.wait_active(PI)
    # Nobody has continued it: SIGKILL alone reaches a stopped process.
    assert node.wait(60.0) == -signal.SIGKILL
    pair.wait_order(PI)
    granted_ms = wall_ms(pair.events(PI, "lease.granted")[-1])
    assert all(r["arrived_venue_ms"] < granted_ms for r in pair.requests(JETSON))

    pair.start(JETSON)
    ended = pair.wait_event(JETSON, "node.previous_end")
    assert "ended by the kernel fence" in ended["reason"]
    assert "the last step its work loop completed was" in ended["reason"]
    pair.story.wait_spare(JETSON)
    pair.judge()


def test_terminated_holder_hands_over(pair: Pair) -> None:
    """R10: SIGTERM drains and releases; the spare does not wait for a ttl and adopts the orders."""
    pair.open()
    node = pair.node(JETSON)
    node.send(signal.SIGTERM)
    assert node.wait(60.0) == 0

    pair.wait_active(PI)
    granted = pair.events(PI, "lease.granted")[-1]
    assert granted["was_released"] is True
    assert granted["previous"] == JETSON
    assert pair.events(JETSON, "lease.released", was_acknowledged=True)
    assert len(pair.events(PI, "order.adopted")) >= 3
    assert len(pair.told("gave_up", JETSON)) == 1
    pair.wait_order(PI)
    pair.judge()


def test_hung_work_loop_loses_the_lease_although_the_heartbeat_lives(pair: Pair) -> None:
    """R8: renewals stop when the work loop makes no progress, and the fence ends the process."""
    pair.open()
    node = pair.node(JETSON)

    def renewals() -> set[WriteId]:
        return {s.record.wid for s in pair.stage.peek().stores if s.record is not None}

    try:
        freeze_main_thread(node.pid, pulse=renewals, wait=pair.wait)
    except PtraceRefusedError as error:
        pytest.skip(str(error))
    sent = len(pair.requests(JETSON))

    pair.wait_active(PI)
    assert node.wait(60.0) == -signal.SIGKILL
    pair.wait_order(PI)
    assert len(pair.requests(JETSON)) == sent

    pair.start(JETSON)
    assert "ended by the kernel fence" in pair.wait_event(JETSON, "node.previous_end")["reason"]
    pair.judge()
