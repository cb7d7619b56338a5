"""Processes and whole boxes stand still and wake up (scenarios 4, 8; H11)."""

import signal
import time
from functools import partial

import pytest

from tests.chaos import lab_stores
from tests.chaos.lab import WITNESS, Lab
from tests.support.pair import JETSON, PI, TTL_S

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_leader_that_stands_still(lab: Lab) -> None:
    """4: the leader's whole box stands still for three ttls: the kernel ends its node meanwhile,
    so that nothing is left to send when it wakes; its store wakes with an old record."""
    lab.pair.open()
    node = lab.stage.nodes[JETSON]
    node.send(signal.SIGSTOP)
    with lab_stores.frozen(lab.stage.store(JETSON)):
        stopped_s = time.monotonic()
        lab.wait_next(JETSON)
        assert node.wait(60.0) == -signal.SIGKILL
        lab.pair.wait(lambda: time.monotonic() > stopped_s + 3 * TTL_S, "three ttls")
    sent = len(lab.pair.requests(JETSON))
    lab.pair.start(JETSON)
    lab.wait_pair()
    assert lab.leader() == PI
    assert len(lab.pair.requests(JETSON)) == sent
    lab.judge()


def test_short_stops(lab: Lab) -> None:
    """8: stops of a third of a ttl, again and again, move nobody; orders go on after each."""
    lab.pair.open()
    before = lab.role_changes()
    for _ in range(4):
        lab.stage.nodes[JETSON].send(signal.SIGSTOP)
        stopped_s = time.monotonic()
        lab.pair.wait(partial(_is_over, stopped_s + TTL_S / 3), "a moment")
        lab.stage.nodes[JETSON].send(signal.SIGCONT)
        lab.pair.wait_order(JETSON)
    assert lab.role_changes() == before
    lab.judge()


def _is_over(end_s: float) -> bool:
    return time.monotonic() > end_s


def test_spare_that_wakes(lab: Lab) -> None:
    """R5, R6: a spare that slept for three ttls has seen nothing meanwhile, so it takes nothing."""
    lab.pair.open()
    for _ in range(2):
        before = lab.role_changes()
        lab.stage.nodes[PI].send(signal.SIGSTOP)
        lab.hold_still(3 * TTL_S)
        lab.stage.nodes[PI].send(signal.SIGCONT)
        lab.hold_still(1.5 * TTL_S)
        assert lab.role_changes() == before
        lab.pair.wait_order(JETSON)
        lab.pair.story.wait_spare(PI)
    assert lab.pair.epochs(PI) == []
    lab.judge()


def test_witness_that_stands_still_during_a_takeover(lab: Lab) -> None:
    """18, 26: with the witness frozen and the leader's box gone there is no majority: nobody
    trades; when it wakes, the spare does."""
    lab.pair.open()
    with lab_stores.frozen(lab.stage.store(WITNESS)):
        lab.pull(JETSON)
        lab.pair.wait_told("nobody_trades", PI)
        lab.hold_idle(TTL_S)
    lab.pair.wait(lambda: lab.leader() == PI, "the Pi to trade")
    lab.pair.wait_order(PI)
    lab.judge()
