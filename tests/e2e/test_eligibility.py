"""Who may not take over, does not: wrong account, paused cluster, a copied node (R1, R7, S6)."""

import pytest

from node.demo.node_process import NodeProcess
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, Pair, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_standby_with_a_key_of_another_account(make_pair: PairMaker) -> None:
    """R7: a node whose key reaches another account never takes over, and says why."""
    pair = make_pair(plan_of(keys_of={PI: "other"}))
    pair.start(JETSON)
    pair.wait_active(JETSON)
    pair.start(PI)
    pair.wait(lambda: _has_reason(pair, PI, "wrong account"), "the reason on the board")
    pair.wait_resting()
    pair.stage.paper.pause()
    pair.kill(JETSON)

    nobody = pair.wait_event(PI, "trading.nobody")
    assert "wrong account" in nobody["reason"]
    pair.wait_told("nobody_trades", PI)
    assert pair.epochs(PI) == []
    assert {r["key"] for r in pair.requests()} == {JETSON}

    # The owner's mend: the right box is back, and trading goes on.
    since = pair.stage.role_changes(JETSON)
    pair.start(JETSON)
    pair.wait_active(JETSON, since=since)
    pair.stage.paper.resume()
    pair.wait_order(JETSON)
    pair.judge()


def test_paused_cluster_is_not_taken_over(pair: Pair) -> None:
    """S6: a pause outlives the holder; only a person lifts it, then the spare takes over."""
    pair.open()
    paused = pair.stage.nodectl("pause", "--reason", "holidays")
    assert paused.returncode == 0, paused.stderr
    pair.kill(JETSON)

    nobody = pair.wait_event(PI, "trading.nobody")
    assert "holidays" in nobody["reason"]
    pair.wait_told("nobody_trades", PI)
    assert pair.epochs(PI) == []
    assert pair.requests(PI) == []

    resumed = pair.stage.nodectl("resume")
    assert resumed.returncode == 0, resumed.stderr
    pair.wait_active(PI)
    pair.wait_order(PI)
    pair.judge()


def test_second_process_with_the_same_node_id(pair: Pair) -> None:
    """R1: a copied box refuses to start while the first one lives, which is unharmed."""
    pair.open()
    before = pair.stage.role_changes(JETSON)
    copy = NodeProcess(pair.stage.config_path, JETSON, state_dir="copied-state")
    copy.start()
    try:
        assert copy.wait(90.0) == 1
    finally:
        copy.stop()
    refused = copy.events("member.duplicate")
    assert len(refused) == 1
    assert "another living process uses the node id jetson" in refused[0]["reason"]

    assert pair.node(JETSON).is_running
    assert pair.stage.role_changes(JETSON) == before
    pair.wait_order(JETSON)
    pair.judge()


def _has_reason(pair: Pair, node_id: str, text: str) -> bool:
    return any(text in str(reason) for reason in pair.member(node_id).get("reasons", ()))
