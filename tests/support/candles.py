"""Candles, rules and portfolios for tests, as fixed values and as hypothesis strategies."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from exchange.model import Candle, MarketRules, Position, Side
from strategy.candles_csv import load_candles
from strategy.model import Market, Portfolio, WorkingOrder

D = Decimal
# Correctness never depends on how fast the machine is.
property_test = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SYMBOL = "ETH/USDT"
RULES = MarketRules(
    symbol=SYMBOL,
    base="ETH",
    quote="USDT",
    amount_step=D("0.0001"),
    price_step=D("0.01"),
    amount_min=D("0.0001"),
    cost_min=D(5),
)
MINUTE_MS = 60_000
# Real candles lie beside the repository on the machines that have them.
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def candle(
    close: Decimal | int | str,
    *,
    index: int = 0,
    low: Decimal | int | str | None = None,
    high: Decimal | int | str | None = None,
    open: Decimal | int | str | None = None,  # noqa: A002  (the field's own name)
) -> Candle:
    """One candle; what is not given equals the close."""
    last = D(close)
    first = last if open is None else D(open)
    return Candle(
        open_ms=index * MINUTE_MS,
        open=first,
        high=max(first, last) if high is None else D(high),
        low=min(first, last) if low is None else D(low),
        close=last,
        volume=D(1),
    )


def flat_candles(closes: Sequence[Decimal | int | str]) -> tuple[Candle, ...]:
    """Candles that only have closes."""
    return tuple(candle(close, index=index) for index, close in enumerate(closes))


def market(
    candles: tuple[Candle, ...],
    parameters: Mapping[str, Any] | None = None,
    rules: MarketRules = RULES,
) -> Market:
    """A market of one symbol."""
    return Market(
        symbol=rules.symbol,
        timeframe="1m",
        candles=candles,
        rules=rules,
        parameters=parameters or {},
    )


def portfolio(
    *,
    held: Decimal | int | str = 0,
    quote: Decimal | int | str = 1000,
    base: Decimal | int | str | None = None,
    orders: tuple[WorkingOrder, ...] = (),
) -> Portfolio:
    """An account; `base` is what is free of the base asset, by default what is held."""
    amount = D(held)
    return Portfolio(
        position=Position(symbol=SYMBOL, amount=amount),
        orders=orders,
        quote_free=D(quote),
        base_free=amount if base is None else D(base),
    )


def real_candles_path(name: str) -> Path:
    """File of recorded candles; skips the test where it is absent."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no recorded candles: {name} is not beside the repository")
    return path


def real_candles(name: str) -> tuple[Candle, ...]:
    """Candles of a real market; skips the test where the file is absent."""
    return load_candles(real_candles_path(name))


def decimals(low: str, high: str, places: int = 4) -> st.SearchStrategy[Decimal]:
    """Exact decimals between two bounds."""
    return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)


@st.composite
def candle_values(draw: st.DrawFn, index: int = 0) -> Candle:
    """Any valid candle."""
    prices = sorted(draw(st.lists(decimals("0.01", "100000"), min_size=4, max_size=4)))
    first, last = draw(st.permutations(prices[1:3]))
    return Candle(
        open_ms=index * MINUTE_MS,
        open=first,
        high=prices[3],
        low=prices[0],
        close=last,
        volume=draw(decimals("0", "1000000")),
    )


@st.composite
def working_orders(draw: st.DrawFn, tag: str) -> WorkingOrder:
    """Any order that works, partly filled or not."""
    amount = draw(decimals("0.0001", "10"))
    return WorkingOrder(
        tag=tag,
        side=draw(st.sampled_from(Side)),
        amount=amount,
        filled=amount * draw(st.sampled_from([D(0), D("0.5"), D(1)])),
        price=draw(st.none() | decimals("0.01", "100000")),
    )
