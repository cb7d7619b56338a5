"""trend: holds while the fast moving average is above the slow one, if the market is calm enough.

Rules, each a line of the evidence: it *enters* when the fast average is more than `band_percent`
above the slow one and the volatility (mean absolute change per candle) is at most
`volatility_max_percent`; it *leaves* when the fast average is more than `band_percent` below.
In between it keeps what it decided last: the target amount is fixed at entry and kept in the
state, so a half filled entry is completed, also by the other node, and price moves alone never
cause orders.
"""

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from exchange.model import Candle, MarketRules
from strategy.model import Decision, Declaration, Evidence, Market, Parameter, Portfolio

STRATEGY = Declaration(
    name="trend",
    version="1",
    symbols=("BTC/USDT",),
    timeframe="5m",
    history=240,
    parameters={
        "fast": Parameter(default=20, minimum=1, maximum=239, doc="fast average, candles"),
        "slow": Parameter(default=60, minimum=2, maximum=240, doc="slow average, candles"),
        "band_percent": Parameter(
            default=Decimal("0.1"),
            minimum=Decimal(0),
            maximum=Decimal(20),
            doc="how far the averages must be apart, percent of the slow one",
        ),
        "volatility_window": Parameter(
            default=20, minimum=1, maximum=239, doc="candles that the volatility is measured on"
        ),
        "volatility_max_percent": Parameter(
            default=Decimal("1.5"),
            minimum=Decimal(0),
            maximum=Decimal(100),
            doc="no entry above this mean absolute change per candle, percent",
        ),
        # Below the node's default limit for one order (50).
        "quote_value": Parameter(
            default=Decimal(40),
            minimum=Decimal(0),
            doc="position to hold while the trend is up, in quote currency",
        ),
    },
    doc="Moving-average cross with a volatility filter.",
)

ZERO = Decimal(0)
# Left free of what is spent, for the fee and the price moving before the order arrives.
SPEND_SHARE = Decimal("0.99")
# Digits of a percentage in the evidence; decisions use the exact value.
SHOWN_STEP = Decimal("0.0001")


def decide(market: Market, portfolio: Portfolio, state: Mapping[str, Any]) -> Decision:
    """Return the position wanted after the last closed candle."""
    parameters = market.parameters
    closes = [candle.close for candle in market.candles]
    slow = average(closes[-parameters["slow"] :])
    gap = (average(closes[-parameters["fast"] :]) / slow - 1) * 100
    volatility = mean_change_percent(market.candles[-parameters["volatility_window"] - 1 :])
    band, calm_max = parameters["band_percent"], parameters["volatility_max_percent"]
    amount = affordable_amount(market, portfolio)

    is_ordered = parameters["fast"] < parameters["slow"]
    is_up, is_down, is_calm = gap > band, gap < -band, volatility <= calm_max
    is_enough = is_tradable(amount, closes[-1], market.rules)
    evidence = (
        check("fast is shorter than slow", parameters["fast"], parameters["slow"], is_ordered),
        check("fast average above slow, %", gap.quantize(SHOWN_STEP), f"> {band}", is_up),
        check("fast average below slow, %", gap.quantize(SHOWN_STEP), f"< {-band}", is_down),
        check("calm, % per candle", volatility.quantize(SHOWN_STEP), f"<= {calm_max}", is_calm),
        check(
            f"enough to trade, {market.rules.base}",
            amount,
            f"minimum of {market.rules.amount_min} and {market.rules.cost_min} in value",
            is_enough,
        ),
    )
    wanted = Decimal(state["target"]) if "target" in state else None
    has_entered = wanted is not None and wanted > ZERO
    if not is_ordered:
        reason = "fast is not shorter than slow: nothing is changed"
    elif is_down:
        wanted, reason = ZERO, "the trend is down: hold nothing"
    elif has_entered:
        reason = "the trend is not down: keep the position"
    elif not is_up:
        reason = "no trend: nothing is changed"
    elif not is_calm:
        reason = "the trend is up, but the market is too wild to enter"
    elif not is_enough:
        reason = "the trend is up, but there is not enough to trade"
    else:
        wanted, reason = amount, "the trend is up: enter"
    new_state = {} if wanted is None else {"target": str(wanted)}
    return Decision(target=wanted, state=new_state, evidence=evidence, reason=reason)


def check(condition: str, value: object, threshold: object, has_fired: bool) -> Evidence:
    """Return one row of the evidence."""
    return Evidence(
        condition=condition, value=str(value), threshold=str(threshold), has_fired=has_fired
    )


def average(values: Sequence[Decimal]) -> Decimal:
    """Return the arithmetic mean."""
    return sum(values, ZERO) / len(values)


def mean_change_percent(candles: Sequence[Candle]) -> Decimal:
    """Return the mean absolute change from close to close, percent; 0 for a single candle."""
    changes = [
        abs(after.close / before.close - 1) * 100 for before, after in itertools.pairwise(candles)
    ]
    return average(changes) if changes else ZERO


def affordable_amount(market: Market, portfolio: Portfolio) -> Decimal:
    """Return the amount to hold: `quote_value`, or what can be paid, in whole steps (down)."""
    price = market.candles[-1].close
    can_pay = portfolio.quote_free * SPEND_SHARE + portfolio.position.amount * price
    value: Decimal = min(market.parameters["quote_value"], can_pay)
    step = market.rules.amount_step
    return max(ZERO, value / price // step * step)


def is_tradable(amount: Decimal, price: Decimal, rules: MarketRules) -> bool:
    """Return whether the venue would take an order of this amount."""
    return amount > ZERO and amount >= rules.amount_min and amount * price >= rules.cost_min
