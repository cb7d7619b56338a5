"""Risk limits: each limit refuses just beyond its threshold, and says so."""

from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.model import Position, Side
from exchange.risk import RiskFacts, RiskLimits, check_daily_loss, check_order, is_reducing

LIMITS = RiskLimits(
    max_order_value=Decimal(100),
    max_position_value=Decimal(300),
    max_open_orders=3,
    max_orders_per_minute=10,
    price_band_percent=Decimal(5),
    daily_loss_limit=Decimal(20),
)
FACTS = RiskFacts(
    position_amount=Decimal(0),
    buys_amount=Decimal(0),
    sells_amount=Decimal(0),
    open_orders=0,
    orders_last_minute=0,
    reference_price=Decimal(10),
)


def refused(
    facts: RiskFacts = FACTS, *, side: Side = Side.BUY, amount: str = "10", price: str | None = "10"
) -> str:
    """Return the name of the limit that refuses, empty when none does."""
    refusal = check_order(
        side=side,
        amount=Decimal(amount),
        price=None if price is None else Decimal(price),
        facts=facts,
        limits=LIMITS,
    )
    if refusal is None:
        return ""
    assert refusal.value
    assert refusal.threshold
    assert refusal.limit in str(refusal)
    return refusal.limit


@pytest.mark.parametrize(
    ("changes", "amount", "price", "limit"),
    [
        ({}, "10", "10", ""),
        ({}, "10.001", "10", "max_order_value"),
        ({}, "10.001", None, "max_order_value"),
        ({"position_amount": Decimal(20)}, "10", "10", ""),
        ({"position_amount": Decimal("20.001")}, "10", "10", "max_position_value"),
        ({"buys_amount": Decimal("20.001")}, "10", "10", "max_position_value"),
        ({"open_orders": 2}, "1", "10", ""),
        ({"open_orders": 3}, "1", "10", "max_open_orders"),
        ({"orders_last_minute": 9}, "1", "10", ""),
        ({"orders_last_minute": 10}, "1", "10", "max_orders_per_minute"),
        ({}, "1", "10.5", ""),
        ({}, "1", "10.51", "price_band_percent"),
        ({}, "1", "9.49", "price_band_percent"),
        ({"reference_price": None}, "1", "10", "price_band_percent"),
        ({"is_loss_latched": True}, "1", "10", "daily_loss_limit"),
    ],
    ids=[
        "all at the threshold",
        "order value",
        "order value of a market order",
        "position value at the threshold",
        "position value",
        "buys that may still fill count as position",
        "open orders at the threshold",
        "open orders",
        "rate at the threshold",
        "rate",
        "price band at the threshold",
        "price too high",
        "price too low",
        "no known price",
        "daily loss latched",
    ],
)
def test_a_buy_is_refused_beyond_each_threshold(
    changes: dict[str, object], amount: str, price: str | None, limit: str
) -> None:
    """Both sides of every limit."""
    facts = replace(FACTS, **changes)  # type: ignore[arg-type]
    assert refused(facts, amount=amount, price=price) == limit


HOLDING = replace(FACTS, position_amount=Decimal(50))


@pytest.mark.parametrize(
    ("changes", "price", "limit"),
    [
        ({}, "10", ""),
        ({"open_orders": 99}, "10", ""),
        ({"is_loss_latched": True}, "10", ""),
        ({"orders_last_minute": 19}, "10", ""),
        ({"orders_last_minute": 20}, "10", "max_orders_per_minute"),
        ({}, "9.49", "price_band_percent"),
        ({"sells_amount": Decimal("0.1")}, "10", "own_position"),
    ],
    ids=[
        "of any value",
        "with too many open orders",
        "with the loss latched",
        "at twice the rate",
        "beyond twice the rate",
        "at a bad price",
        "of more than is left to sell",
    ],
)
def test_a_reduction_is_judged_more_softly(
    changes: dict[str, object], price: str, limit: str
) -> None:
    """Selling 50 of 50 at 500 in value, with limits of 100 and 300."""
    facts = replace(HOLDING, **changes)  # type: ignore[arg-type]
    assert refused(facts, side=Side.SELL, amount="50", price=price) == limit


def test_the_owners_other_holdings_are_never_sold() -> None:
    """On spot a sell beyond the cluster's own position is refused, whatever the account holds."""
    assert refused(side=Side.SELL, amount="0.001") == "own_position"


def test_reducing_counts_what_other_orders_may_still_do() -> None:
    """Worst case: two sells of the whole position are not both reductions."""
    facts = replace(HOLDING, sells_amount=Decimal(30))
    assert is_reducing(side=Side.SELL, amount=Decimal(20), facts=facts)
    assert not is_reducing(side=Side.SELL, amount=Decimal(21), facts=facts)
    assert not is_reducing(side=Side.BUY, amount=Decimal(1), facts=facts)
    short = replace(FACTS, position_amount=Decimal(-5), buys_amount=Decimal(2))
    assert is_reducing(side=Side.BUY, amount=Decimal(3), facts=short)
    assert not is_reducing(side=Side.BUY, amount=Decimal(4), facts=short)


@pytest.mark.parametrize(
    ("results", "is_latched"),
    [
        ({"ETH/USDT": "-19.99"}, False),
        ({"ETH/USDT": "-20"}, True),
        ({"ETH/USDT": "-12", "BTC/USDT": "-8"}, True),
        ({"ETH/USDT": "-12", "ETH/BTC": "-12"}, False),
        ({"ETH/USDT": "-30", "BTC/USDT": "11"}, False),
    ],
    ids=[
        "below",
        "at the threshold",
        "two symbols of one quote add up",
        "other quotes do not",
        "gains count",
    ],
)
def test_daily_loss_latches_at_the_threshold(results: dict[str, str], is_latched: bool) -> None:
    """The loss of one UTC day in one quote currency."""
    positions = [
        Position(symbol=symbol, realised_quote=Decimal(value), day="2026-01-02")
        for symbol, value in results.items()
    ]
    latch = check_daily_loss(positions, day="2026-01-02", limits=LIMITS)
    assert (latch is not None) is is_latched
    assert check_daily_loss(positions, day="2026-01-03", limits=LIMITS) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"max_order_value": Decimal(0)},
        {"max_position_value": Decimal(-1)},
        {"max_open_orders": 0},
        {"max_orders_per_minute": 0},
        {"price_band_percent": Decimal(100)},
        {"daily_loss_limit": Decimal(0)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_limits_that_mean_nothing_are_refused(changes: dict[str, object]) -> None:
    """Construct = valid."""
    with pytest.raises(ValueError, match=f"risk.{next(iter(changes))} was"):
        replace(LIMITS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("price", ["1E+40", "1E-40"])
def test_an_absurd_price_is_refused_rather_than_computed(price: str) -> None:
    """More digits than rounding can keep are a refusal, not an arithmetic error."""
    assert refused(price=price, amount="1") == "price_band_percent"
