"""Planned changes of the leader, and starts of both at once: always exactly one leader."""

import signal
from collections import Counter

import pytest

from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, Pair, grid_part, mover_part, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_switchovers_while_orders_fill_in_parts(make_pair: PairMaker) -> None:
    """R10, S3: there and back while fills arrive in parts: none lost, none counted twice."""
    # A price point carries about half of what one order asks for.
    pair = make_pair(plan_of(grid_part(volume="0.04"), mover_part()))
    pair.open()
    pair.fill_some("2010")
    for target in (PI, JETSON):
        since = pair.stage.role_changes(target)
        switched = pair.stage.nodectl("switchover", "--to", target)
        assert switched.returncode == 0, switched.stderr
        pair.wait_active(target, since=since)
        pair.wait_order(target)
        pair.fill_some()
        pair.wait_event(target, "order.filled")
    parts = Counter(line["client_order_id"] for line in pair.venue_fills())
    assert max(parts.values()) > 1
    assert pair.epochs(JETSON) == [1, 3]
    assert pair.epochs(PI) == [2]
    pair.judge()


def test_switchover_to_a_dead_node_is_refused(pair: Pair) -> None:
    """S5: a switchover that cannot work is refused in words and changes nothing."""
    pair.open()
    pair.kill(PI)
    pair.wait_event(JETSON, "spare.lost")
    before = pair.stage.role_changes(JETSON)

    refused = pair.stage.nodectl("switchover", "--to", PI)
    assert refused.returncode == 1
    assert f"no node is ready to take over ({PI}: gone" in refused.stderr.replace("\n", " ")
    pair.wait_order(JETSON)
    assert pair.stage.role_changes(JETSON) == before
    assert pair.events(JETSON, "switchover.requested") == []
    pair.judge()


def test_both_start_at_once_several_times(pair: Pair) -> None:
    """R7, S1: whoever is first, there is exactly one leader and one spare."""
    granted = 0
    for _ in range(3):
        seen = {node: pair.stage.role_changes(node) for node in (JETSON, PI)}
        for node in (JETSON, PI):
            pair.node(node).start()
        leader = pair.wait(
            lambda: next((n for n in (JETSON, PI) if pair.is_active(n)), None), "a leader"
        )
        spare = PI if leader == JETSON else JETSON
        pair.story.wait_spare(spare)
        pair.wait_order(leader)
        assert "active" not in {e["to"] for e in pair.events(spare, "role.changed")[seen[spare] :]}
        for node in (JETSON, PI):
            pair.node(node).send(signal.SIGTERM)
        assert [pair.node(node).wait(60.0) for node in (JETSON, PI)] == [0, 0]
        epochs = pair.epochs(JETSON) + pair.epochs(PI)
        assert len(epochs) == len(set(epochs))
        assert len(epochs) > granted
        granted = len(epochs)
    # One more life, so that somebody counts what was filled meanwhile.
    pair.start(JETSON)
    pair.wait(lambda: pair.is_active(JETSON), "jetson to trade")
    pair.judge()
