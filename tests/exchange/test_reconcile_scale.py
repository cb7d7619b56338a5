"""Reconcile and plan stay linear: work is counted in calls, not in seconds."""

import sys
from collections.abc import Callable
from decimal import Decimal

import pytest

from exchange.identity import node_tag
from exchange.journal import Journal
from exchange.model import Fill, OrderStatus, OrderType, Side, Snapshot, VenueOrder, VenueOrderId
from exchange.plan import make_plan
from exchange.reconcile import ReconcileInput, reconcile
from exchange.wanted import PlanInput
from tests.support.desk import WIDE_LIMITS
from tests.support.journals import CLUSTER, make_id


def count_calls(work: Callable[[], object]) -> int:
    """Return how many Python functions a piece of work calls; the machine's speed is no matter."""
    calls = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def make_pass(orders: int) -> Callable[[], object]:
    """Return a takeover of that many orders, ten in a symbol, each with one fill, all orphans."""
    symbols = tuple(f"A{n}/USDT" for n in range(orders // 10))
    open_orders = tuple(
        VenueOrder(
            symbol=symbols[n // 10],
            venue_order_id=VenueOrderId(str(n)),
            client_order_id=make_id(n),
            side=Side.BUY,
            type=OrderType.LIMIT,
            status=OrderStatus.OPEN,
            amount=Decimal(2),
            filled=Decimal(1),
            price=Decimal(100),
        )
        for n in range(orders)
    )
    fills = tuple(
        Fill(
            symbol=order.symbol,
            fill_id=str(number),
            venue_order_id=order.venue_order_id,
            side=order.side,
            amount=Decimal(1),
            price=Decimal(100),
            fee=Decimal(0),
            fee_asset="USDT",
            venue_ms=1,
        )
        for number, order in enumerate(open_orders)
    )
    snapshot = Snapshot(symbols=symbols, taken_venue_ms=1, open_orders=open_orders, fills=fills)

    def work() -> object:
        findings = reconcile(
            ReconcileInput(
                journal=Journal(),
                snapshot=snapshot,
                cluster_tag=CLUSTER,
                node_tag=node_tag("raspberrypi"),
                my_epoch=2,
                effect_tail_ms=0,
            )
        )
        assert len(findings.orphans) == orders
        return make_plan(
            PlanInput(
                wanted={},
                findings=findings,
                rules={},
                tickers={},
                limits=WIDE_LIMITS,
                cluster_tag=CLUSTER,
                node_tag=node_tag("raspberrypi"),
                node_id="raspberrypi",
                epoch=2,
                first_counter=0,
                now_wall_ms=0,
            )
        )

    return work


@pytest.mark.parametrize("orders", [200, 1000])
def test_work_grows_in_proportion_to_the_orders(orders: int) -> None:
    """Budget: 5 000 open orders in 500 symbols, linear."""
    few, many = count_calls(make_pass(orders)), count_calls(make_pass(2 * orders))
    assert many < 2.2 * few
