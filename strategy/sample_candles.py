"""Made-up candles for trying a strategy without a file, and venue rules that fit given prices.

The walk has calm and wild stretches and slow swings, so that most ideas find something to do. It
is seeded: the same seed gives the same candles on every machine.
"""

import random
from collections.abc import Sequence
from decimal import Decimal

from exchange.model import Candle, MarketRules

SAMPLE_SEED = 17
SAMPLE_CANDLES = 1500
START_PRICE = 2000
START_MS = 1_704_067_200_000  # 2024-01-01 00:00 UTC
PRICE_STEP = Decimal("0.01")
MINUTE_MS = 60_000
UNIT_MS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": 24 * 60 * MINUTE_MS}
# Binance's smallest order value for the usual quote assets; anything else is taken for a dollar.
COST_MIN = {"BTC": Decimal("0.0001"), "ETH": Decimal("0.001"), "BNB": Decimal("0.01")}
COST_MIN_DOLLAR = Decimal(5)
AMOUNT_STEP_MAX = Decimal("0.0001")


def timeframe_ms(timeframe: str) -> int:
    """Return the length of a timeframe such as `5m` in milliseconds."""
    return int(timeframe[:-1]) * UNIT_MS[timeframe[-1]]


def sample_candles(
    count: int = SAMPLE_CANDLES,
    *,
    timeframe: str = "5m",
    seed: int = SAMPLE_SEED,
) -> tuple[Candle, ...]:
    """Return `count` made-up candles, oldest first, without gaps."""
    source = random.Random(seed)  # noqa: S311  (made-up prices, no secret)
    length_ms = timeframe_ms(timeframe)
    price = Decimal(START_PRICE)
    drift, spread = 0, 200
    candles = []
    for index in range(count):
        if index % 60 == 0:
            drift, spread = source.randint(-12, 12), source.choice((60, 120, 200, 350))
        # Whole numbers of a hundred-thousandth: no float ever touches a price.
        moves = [drift + source.randint(-spread, spread) for _ in range(4)]
        path = [price]
        for move in moves:
            # A floor far below the start, so that no seed walks to zero.
            following = max(path[-1] * (100_000 + move) / 100_000, Decimal(1))
            path.append(following.quantize(PRICE_STEP))
        candles.append(
            Candle(
                open_ms=START_MS + index * length_ms,
                open=path[0],
                high=max(path),
                low=min(path),
                close=path[-1],
                volume=Decimal(source.randint(100, 10_000)) / 100,
            ),
        )
        price = path[-1]
    return tuple(candles)


def guess_rules(symbol: str, candles: Sequence[Candle]) -> MarketRules:
    """Return rules a venue might have for these prices: five digits of price, small amounts."""
    base, _, quote = symbol.partition(":")[0].partition("/")
    digits = candles[-1].close.adjusted()
    return MarketRules(
        symbol=symbol,
        base=base,
        quote=quote,
        amount_step=min(Decimal(1).scaleb(-digits - 1), AMOUNT_STEP_MAX),
        price_step=Decimal(1).scaleb(digits - 4),
        amount_min=min(Decimal(1).scaleb(-digits - 1), AMOUNT_STEP_MAX),
        cost_min=COST_MIN.get(quote, COST_MIN_DOLLAR),
    )
