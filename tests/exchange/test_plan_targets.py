"""Plans for targets, clamped sells, limits within a plan, and what is skipped."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from exchange.identity import decode
from exchange.intents import TARGET_TAG
from exchange.model import (
    OrderType,
    Side,
    TimeInForce,
)
from exchange.steps import Cancel, Keep, Place, Skip
from exchange.wanted import Wanted
from tests.support.desk import WIDE_LIMITS
from tests.support.plans import at_work, buy, kinds, propose, sell, unclear, want


@pytest.mark.parametrize(
    ("position", "target", "side", "amount", "price"),
    [
        ("0", "1.239", Side.BUY, "1.23", "100.6"),
        ("1", "0.5", Side.SELL, "0.5", "99.5"),
        ("0.999", "0", Side.SELL, "0.99", "99.5"),
    ],
    ids=["buy, amount down, price down", "sell, price up", "sell all but the dust"],
)
def test_a_move_to_a_target_is_a_bounded_ioc_limit_order(
    position: str, target: str, side: Side, amount: str, price: str
) -> None:
    """0.5 % from the best price, rounded so that it never pays more than that."""
    (step,) = propose(want(target=target), position=position).steps
    assert isinstance(step, Place)
    intent = step.intent
    assert (intent.tag, intent.type) == (TARGET_TAG, OrderType.LIMIT)
    assert intent.time_in_force is TimeInForce.IOC
    assert intent.side is side
    assert intent.amount == Decimal(amount)
    assert intent.price == Decimal(price)


@pytest.mark.parametrize(
    ("position", "target"), [("1", "1"), ("1", "1.009"), ("1.009", "1")], ids=str
)
def test_a_target_that_is_reached_needs_nothing(position: str, target: str) -> None:
    """Less than one step is nothing."""
    assert not propose(want(target=target), position=position).steps


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        (want(target="0.04"), {}),
        (want(buy(amount="0.04")), {}),
        (want(buy(amount="0.004")), {}),
        (want(sell()), {}),
        (want(target="1"), {"tickers": {}}),
        (want(buy()), {"tickers": {}}),
        (want(buy(price="40")), {}),
        (want(target="1"), {"unclears": [unclear(TARGET_TAG)]}),
    ],
    ids=[
        "target below the smallest value",
        "order below the smallest value",
        "order below one step",
        "sell of nothing",
        "target without ticker",
        "order without ticker",
        "price outside the band",
        "its last order is unclear",
    ],
)
def test_what_cannot_be_sent_is_skipped_with_its_reason(
    wanted: Wanted, changes: dict[str, Any]
) -> None:
    """S5: nothing silent."""
    plan = propose(wanted, **changes)
    assert Place not in kinds(plan)
    skips = [step for step in plan.steps if isinstance(step, Skip)]
    assert len(skips) == 1
    assert skips[0].reason


def test_sells_are_clamped_to_what_is_held_and_never_oversell() -> None:
    """Three sells of 1 with 1.5 held: 1, 0.5, nothing."""
    plan = propose(want(sell("s1"), sell("s2"), sell("s3")), position="1.5")
    amounts = [s.intent.amount for s in plan.steps if isinstance(s, Place)]
    assert amounts == [Decimal(1), Decimal("0.5")]
    assert kinds(plan) == [Place, Place, Skip]


def test_a_sell_short_by_a_fee_is_kept() -> None:
    """0.999 held after a fee in base: the sell of 0.99 stands for the wanted sell of 1."""
    work = at_work(tag="s1", side=Side.SELL, amount="0.99", price="101")
    assert kinds(propose(want(sell()), working=[work], position="0.999")) == [Keep]
    half = at_work(tag="s1", side=Side.SELL, amount="0.98", price="101")
    assert kinds(propose(want(sell()), working=[half], position="2")) == [Cancel]


def test_each_placement_counts_against_the_limits_of_the_next() -> None:
    """Open orders, position value and rate are judged within the plan."""
    orders = [buy(f"b{n}", price="99") for n in range(5)]
    for limits, placed in [
        (replace(WIDE_LIMITS, max_open_orders=3), 3),
        (replace(WIDE_LIMITS, max_position_value=Decimal(210)), 2),
        (replace(WIDE_LIMITS, max_orders_per_minute=4), 4),
        (replace(WIDE_LIMITS, max_order_value=Decimal(98)), 0),
    ]:
        plan = propose(want(*orders), limits=limits)
        assert [kinds(plan).count(Place), kinds(plan).count(Skip)] == [placed, 5 - placed]


def test_ids_are_of_this_grant_and_follow_the_counter() -> None:
    """The plan leaves the executor no choice, not even the id."""
    plan = propose(want(buy("b1"), buy("b2")))
    parts = [decode(s.intent.client_order_id) for s in plan.steps if isinstance(s, Place)]
    assert [(p.epoch, p.counter) for p in parts if p is not None] == [(2, 40), (2, 41)]
