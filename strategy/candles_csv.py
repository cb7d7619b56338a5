"""Reads candles from `timestamp_ms,open,high,low,close,volume`, the header line included.

Venues offer such files in their public archives. A bad line is refused with its number: a
replay over candles that were silently dropped would show another strategy.
"""

import csv
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from exchange.model import Candle
from strategy.errors import StrategyRefused
from strategy.model import Problem

HEADER = ["timestamp_ms", "open", "high", "low", "close", "volume"]


def load_candles(path: Path) -> tuple[Candle, ...]:
    """Return the candles of a file, oldest first; raises StrategyRefused with the line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or 'not a text file'}"
        raise StrategyRefused([Problem(file=str(path), line=1, what=what)]) from error
    if not rows or [name.strip() for name in rows[0]] != HEADER:
        instead = f"the first line must be {','.join(HEADER)}"
        what = "not a file of candles"
        raise StrategyRefused([Problem(file=str(path), line=1, what=what, instead=instead)])
    candles: list[Candle] = []
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            candle = parse_row(row)
            if candles and candle.open_ms <= candles[-1].open_ms:
                raise ValueError("not later than the line before")  # noqa: TRY301  (one exit)
        except ValueError as error:
            raise StrategyRefused([Problem(file=str(path), line=line, what=str(error))]) from error
        candles.append(candle)
    return tuple(candles)


def parse_row(row: Sequence[str]) -> Candle:
    """Return one candle; raises ValueError in words."""
    if len(row) != len(HEADER):
        raise ValueError(f"{len(row)} columns instead of {len(HEADER)}")
    try:
        open_ms = int(row[0])
        prices = [Decimal(text) for text in row[1:]]
    except (ValueError, InvalidOperation) as error:
        raise ValueError(f"not numbers: {','.join(row)[:60]}") from error
    if not all(price.is_finite() for price in prices):
        raise ValueError(f"not finite numbers: {','.join(row)[:60]}")
    return Candle(
        open_ms=open_ms,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=prices[4],
    )
