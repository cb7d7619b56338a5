"""From a symbol's configuration to its feed: source of candles, filters, first timeline."""

from decimal import Decimal
from pathlib import Path

from exchange.paper.candles import CandleSource, CsvCandles, WalkCandles, first_open
from exchange.paper.config import TIMEFRAMES_MS, ConfigError, SymbolConfig
from exchange.paper.feed import Feed, Timeline


def open_feed(entry: SymbolConfig, now_ms: int) -> Feed:
    """Return the feed of a symbol as configured, starting at the wall time `now_ms`.

    Raises:
        ConfigError: the candles cannot be used.
    """
    timeframe_ms = TIMEFRAMES_MS[entry.timeframe]
    first_price = _first_price(entry)
    rules = entry.rules(first_price)
    source, first_open_ms = _open_source(entry, rules.price_step)
    aligned_ms = now_ms - now_ms % timeframe_ms
    if first_open_ms is None or entry.is_rebased:
        first_open_ms = aligned_ms - entry.warmup * timeframe_ms
        start_ms = now_ms if entry.speed == 1 else aligned_ms
    else:
        start_ms = first_open_ms + entry.warmup * timeframe_ms
    return Feed(
        rules=rules,
        source=source,
        timeframe_ms=timeframe_ms,
        seed=f"{entry.seed or 'file'}/{rules.symbol}",
        depth_factor=Decimal(entry.depth_factor),
        timeline=Timeline(
            first_open_ms=first_open_ms,
            anchor_wall_ms=now_ms,
            anchor_candle_ms=start_ms,
            speed=entry.speed,
            is_paused=entry.is_paused,
            source=f"{entry.candles or 'walk ' + str(entry.seed)} {entry.timeframe}",
        ),
    )


def _first_price(entry: SymbolConfig) -> Decimal:
    if entry.candles is None:
        return Decimal(entry.start_price)
    try:
        return first_open(Path(entry.candles))
    except (OSError, ValueError) as e:
        raise ConfigError(str(e)) from e


def _open_source(entry: SymbolConfig, price_step: Decimal) -> tuple[CandleSource, int | None]:
    """Return the source, and the opening time of its first candle if it brings one."""
    if entry.candles is not None:
        try:
            candles = CsvCandles(Path(entry.candles), price_step)
        except (OSError, ValueError) as e:
            raise ConfigError(str(e)) from e
        if len(candles.open_times_ms) <= entry.warmup:
            raise ConfigError(f"{entry.candles}: no more than {entry.warmup} candles (warmup)")
        return candles, candles.open_times_ms[0]
    walk = WalkCandles(
        seed=f"{entry.seed}/{entry.symbol}",
        start=Decimal(entry.start_price),
        volatility=entry.volatility,
        volume=Decimal(entry.volume),
        price_step=price_step,
    )
    return walk, None
