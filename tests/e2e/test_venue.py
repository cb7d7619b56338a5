"""The venue answers garbage, or not yet: nothing is sent until it can be trusted (S4)."""

import pytest

from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, VENUE, Pair, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_garbage_during_a_takeover(make_pair: PairMaker) -> None:
    """S4: an answer that cannot be trusted is not an answer; the new holder waits and asks."""
    pair = make_pair(plan_of(venue=VENUE | {"read_budget_s": 2.0}))
    pair.open()
    pair.fill_some()
    paper = pair.stage.paper
    # A standby reads no trades, so it stays fit until it is asked to take over.
    trades = _arm(pair, "myTrades", "cut_json")
    pair.kill(JETSON)
    pair.wait_event(PI, "takeover.started")
    _wait_retried(pair, trades, since=0)
    # Each is mended only when the next to be read is broken: no look finds all three whole.
    orders, account = _arm(pair, "openOrders", "html"), _arm(pair, "account", "empty")
    for number, armed in enumerate((orders, trades, account), start=1):
        _wait_retried(pair, armed, since=number)
        if armed is not account:
            paper.clear_faults(armed)
    assert pair.requests(PI) == []
    assert not pair.is_active(PI)

    paper.clear_faults()
    pair.wait_active(PI)
    pair.wait_order(PI)
    pair.judge()


def test_node_that_starts_before_the_venue(pair: Pair) -> None:
    """L1: a node that cannot reach the venue waits, takes nothing, and goes on when it can."""
    pair.stage.paper.kill()
    pair.node(JETSON).start()
    pair.wait_event(JETSON, "venue.unreachable")
    pair.wait(lambda: pair.member(JETSON).get("role") == "starting", "the member board")
    assert "still starting" in pair.member(JETSON)["reasons"]
    assert pair.events(JETSON, "role.changed") == []

    pair.stage.paper.start()
    pair.wait_active(JETSON)
    pair.wait_order(JETSON)
    pair.judge()


def _arm(pair: Pair, path: str, kind: str) -> int:
    return pair.stage.paper.arm(kind, method="GET", path=path, key=PI, count=None)


def _wait_retried(pair: Pair, armed: int, *, since: int) -> None:
    """Wait until the fault was met, and one more trouble than before was told in the log."""

    def hits() -> int:
        return int(next(f["hits"] for f in pair.stage.paper.faults() if f["id"] == armed))

    pair.wait(hits, "the garbage to be read")
    pair.wait_event(PI, "takeover.retried", since=since)
