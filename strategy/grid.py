"""grid: a ladder of resting buys below a reference price; each unit bought is sold one step higher.

Level k lies k steps below the reference. Buys wait under the tags b1..bN at the levels 1..N that
are not held yet; the unit bought at level k is offered under s<k> at level k-1. So tags, prices
and amounts stay the same from candle to candle, and a new holder adopts the orders as they are.

- It never commits more than `quote_budget`: what is held and what is bid for share N slots.
- It sells only what the cluster holds, and buys only what the free quote can pay for.
- It moves the reference only while it holds nothing worth selling, and only when the price has
  left the ladder: up by `recentre_percent`, or below the lowest level.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from exchange.model import MarketRules, Side
from strategy.model import (
    Decision,
    Declaration,
    DesiredOrder,
    Evidence,
    Market,
    Parameter,
    Portfolio,
    WorkingOrder,
)

STRATEGY = Declaration(
    name="grid",
    version="1",
    symbols=("ETH/USDT",),
    timeframe="1m",
    history=1,
    wants_fills=True,
    parameters={
        "levels": Parameter(default=5, minimum=1, maximum=15, doc="number of levels"),
        "step_percent": Parameter(
            default=Decimal("0.5"),
            minimum=Decimal("0.01"),
            maximum=Decimal(5),
            doc="distance between levels, percent of the reference",
        ),
        "quote_budget": Parameter(
            default=Decimal(200),
            minimum=Decimal(0),
            doc="most that is ever held and bid for together, in quote currency",
        ),
        "recentre_percent": Parameter(
            default=Decimal(2),
            minimum=Decimal("0.1"),
            maximum=Decimal(50),
            doc="rise above the reference after which the ladder follows, percent",
        ),
    },
    doc="Resting orders around a reference price.",
)

ZERO = Decimal(0)
# Kept back per buy for a fee in quote (the highest usual spot fee is below 0.3 %).
FEE_RESERVE = Decimal("1.003")


def decide(market: Market, portfolio: Portfolio, state: Mapping[str, Any]) -> Decision:
    """Return the complete ladder wanted now."""
    parameters, rules = market.parameters, market.rules
    close = market.candles[-1].close
    held = settled_amount(portfolio)
    is_worth = is_tradable(held, close, rules)
    is_flat = not is_worth and not is_tradable(portfolio.position.amount, close, rules)
    reference, evidence = choose_reference(market, state, is_flat=is_flat)

    levels: int = parameters["levels"]
    prices = [level_price(reference, k, market) for k in range(levels + 1)]
    unit = round_down(parameters["quote_budget"] / levels / reference, rules.amount_step)
    is_unit_good = is_tradable(unit, prices[-1], rules) and prices[-1] > ZERO
    # Every begun unit takes a whole slot, so that rounding and fees never widen the budget.
    begun = (held / unit).to_integral_value(rounding=ROUND_CEILING) if unit > ZERO else ZERO
    slots = min(levels, int(begun)) if is_worth else 0
    buys = plan_buys(prices, unit, slots, portfolio) if is_unit_good else ()
    sells = plan_sells(prices, min(held, deliverable_amount(portfolio)), slots, rules)

    evidence += (
        check("a unit is tradable", unit, f">= {rules.amount_min} {rules.base}", is_unit_good),
        check("holds something worth selling", held, f"value >= {rules.cost_min}", is_worth),
        check("free slots for buys", levels - slots, "> 0", slots < levels),
        check(
            "the free quote covers every free slot",
            f"{len(buys)} of {levels - slots}",
            "all",
            len(buys) == levels - slots,
        ),
    )
    reason = f"around {reference}: buys {len(buys)}, sells {len(sells)}"
    return Decision(
        orders=(*buys, *sells),
        state={"reference": str(reference)},
        evidence=evidence,
        reason=reason,
    )


def choose_reference(
    market: Market,
    state: Mapping[str, Any],
    *,
    is_flat: bool,
) -> tuple[Decimal, tuple[Evidence, ...]]:
    """Return the reference price and the conditions that led to it."""
    close, parameters = market.candles[-1].close, market.parameters
    is_first = "reference" not in state
    reference = close if is_first else Decimal(state["reference"])
    ceiling = reference * (1 + parameters["recentre_percent"] / 100)
    floor = level_price(reference, parameters["levels"], market)
    is_above, is_below = close > ceiling, close < floor
    evidence = (
        check("first call, no reference yet", state.get("reference", "-"), "-", is_first),
        check("nothing held, the ladder may move", is_flat, "True", is_flat),
        check("close above the ladder", close, f"> {ceiling.normalize():f}", is_above),
        check("close below the ladder", close, f"< {floor}", is_below),
    )
    return (close if is_flat and (is_above or is_below) else reference), evidence


def check(condition: str, value: object, threshold: object, has_fired: bool) -> Evidence:
    """Return one row of the evidence."""
    return Evidence(
        condition=condition, value=str(value), threshold=str(threshold), has_fired=has_fired
    )


def settled_amount(portfolio: Portfolio) -> Decimal:
    """Return what is held, as if the orders that are partly filled were not.

    A ladder that changed with every partial fill would cancel the very order that is filling.
    """
    begun = sum(
        (order.side.sign * order.filled for order in portfolio.orders if is_own(order)),
        ZERO,
    )
    return max(ZERO, portfolio.position.amount - begun)


def deliverable_amount(portfolio: Portfolio) -> Decimal:
    """Return what the account can deliver, whatever the books say: free, or in own sells."""
    own = [order for order in portfolio.orders if is_own(order) and order.side is Side.SELL]
    return portfolio.base_free + sum((order.amount for order in own), ZERO)


def is_own(order: WorkingOrder) -> bool:
    """Return whether the order is one of the ladder's."""
    return order.tag[:1] in ("b", "s") and order.tag[1:].isdecimal()


def level_price(reference: Decimal, level: int, market: Market) -> Decimal:
    """Return the price `level` steps below the reference, on the venue's price step (down)."""
    share = 1 - market.parameters["step_percent"] * level / 100
    return round_down(reference * share, market.rules.price_step)


def plan_buys(
    prices: list[Decimal],
    unit: Decimal,
    slots: int,
    portfolio: Portfolio,
) -> tuple[DesiredOrder, ...]:
    """Return the buys of the free slots, nearest level first, as far as the quote reaches."""
    own = [order for order in portfolio.orders if is_own(order) and order.side is Side.BUY]
    locked = sum(
        ((order.amount - order.filled) * order.price for order in own if order.price is not None),
        ZERO,
    )
    # What already fills was paid already; the plan is for whole orders.
    paid = sum((order.filled * order.price for order in own if order.price is not None), ZERO)
    room = portfolio.quote_free + locked + paid
    buys: list[DesiredOrder] = []
    for level in range(slots + 1, len(prices)):
        room -= unit * prices[level] * FEE_RESERVE
        # A price step as wide as the ladder's step puts two levels on one price: keep one.
        if room < ZERO or prices[level] == prices[level - 1]:
            break
        buys.append(
            DesiredOrder(tag=f"b{level}", side=Side.BUY, amount=unit, price=prices[level]),
        )
    return tuple(buys)


def plan_sells(
    prices: list[Decimal],
    held: Decimal,
    slots: int,
    rules: MarketRules,
) -> tuple[DesiredOrder, ...]:
    """Return what is held as sells, one step above where each unit was bought."""
    if slots == 0:
        return ()
    # Equal shares: a fee taken from what was bought makes each unit a little smaller.
    share = round_down(held / slots, rules.amount_step)
    if is_tradable(share, prices[slots - 1], rules):
        return tuple(
            DesiredOrder(tag=f"s{k}", side=Side.SELL, amount=share, price=prices[k - 1])
            for k in range(1, slots + 1)
        )
    whole = round_down(held, rules.amount_step)
    if not is_tradable(whole, prices[0], rules):
        return ()
    return (DesiredOrder(tag="s1", side=Side.SELL, amount=whole, price=prices[0]),)


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `value`."""
    return (value / step).to_integral_value(rounding=ROUND_FLOOR) * step


def is_tradable(amount: Decimal, price: Decimal, rules: MarketRules) -> bool:
    """Return whether the venue would take an order of this amount at this price."""
    return amount > ZERO and amount >= rules.amount_min and amount * price >= rules.cost_min
