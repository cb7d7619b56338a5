"""Matching by example: who is served first, and what a taker leaves to the next."""

from decimal import Decimal

import pytest

from exchange.paper.book import LEVELS, Market, match_resting
from exchange.paper.config import SymbolConfig
from exchange.paper.values import ZERO, Order, OrderType, Side, Status, TimeInForce

RULES = SymbolConfig(symbol="ETH/BTC", seed="0", price_step="0.01", amount_step="0.001").rules(
    Decimal(100)
)


def order(order_id: int, side: Side, price: str, quantity: str = "1") -> Order:
    return Order(
        order_id=order_id,
        account="main",
        symbol="ETHBTC",
        client_order_id=str(order_id),
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=Decimal(price),
        quantity=Decimal(quantity),
        quote_quantity=ZERO,
        status=Status.NEW,
        executed=ZERO,
        executed_quote=ZERO,
        created_ms=0,
        updated_ms=0,
    )


@pytest.mark.parametrize(
    ("side", "served"),
    [(Side.BUY, [(3, "1"), (2, "1"), (4, "0.5")]), (Side.SELL, [(1, "1"), (2, "1"), (4, "0.5")])],
    ids=["highest bid first", "lowest offer first"],
)
def test_best_price_then_oldest_order_is_served_first(
    side: Side, served: list[tuple[int, str]]
) -> None:
    """Price-time priority; the last one gets what the volume leaves."""
    orders = [
        order(4, side, "100"),
        order(2, side, "100"),
        order(1, side, "99"),
        order(3, side, "101"),
    ]
    price = Decimal(99) if side is Side.BUY else Decimal(101)
    matched = match_resting(orders, rules=RULES, price=price, volume=Decimal("2.5"))
    assert [(o.order_id, str(amount.normalize())) for o, amount in matched] == served


@pytest.mark.parametrize(
    ("side", "price", "is_reached"),
    [
        (Side.BUY, "100", True),
        (Side.BUY, "100.01", False),
        (Side.SELL, "100", True),
        (Side.SELL, "99.99", False),
    ],
)
def test_order_is_reached_when_the_price_touches_it(
    side: Side, price: str, is_reached: bool
) -> None:
    """A buy at or above the price, a sell at or below it; both sides of each boundary."""
    matched = match_resting(
        [order(1, side, "100")], rules=RULES, price=Decimal(price), volume=Decimal(1)
    )
    assert bool(matched) is is_reached


def test_taker_leaves_less_to_the_next_until_the_price_moves() -> None:
    """Displayed liquidity is used up level by level, on one side only, and comes back."""
    market = Market(rules=RULES, spread=RULES.price_step)
    market.show(price=Decimal(100), depth=Decimal(10))
    assert len(market.levels(Side.BUY)) == LEVELS
    market.take(Side.BUY, Decimal("2.4"))
    best = market.walk(Side.BUY, quantity=Decimal(1), limit=None)
    assert best == [(Decimal("100.03"), Decimal("0.6")), (Decimal("100.04"), Decimal("0.4"))]
    assert market.levels(Side.SELL)[0] == (Decimal("99.99"), Decimal(1))
    market.show(price=Decimal(100), depth=Decimal(10))
    assert market.levels(Side.BUY)[0] == (Decimal("100.01"), Decimal(1))


def test_quiet_market_still_shows_a_step_on_each_level() -> None:
    """Depth below ten steps is rounded up; a market without any volume shows nothing."""
    market = Market(rules=RULES, spread=RULES.price_step)
    market.show(price=Decimal(100), depth=Decimal("0.001"))
    assert market.levels(Side.BUY)[0] == (Decimal("100.01"), RULES.amount_step)
    market.show(price=Decimal(100), depth=ZERO)
    assert market.levels(Side.BUY) == []
