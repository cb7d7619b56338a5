"""Where candles come from: a CSV file, or a seeded random walk.

Rules of this file: a source is a numbered sequence of candles; the same file or the same seed
gives the same candles on every machine. Times are not decided here (feed.py), except that a
file's candles carry the file's times.

CSV: header `timestamp_ms,open,high,low,close,volume`, one candle a line, oldest first.
"""

import csv
import random
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Protocol

from exchange.paper.values import ZERO

CSV_HEADER = ("timestamp_ms", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """Prices and volume of one candle, without its time."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def __post_init__(self) -> None:
        """Refuse what cannot be a candle."""
        if not ZERO < self.low <= min(self.open, self.close):
            raise ValueError(f"low {self.low} is not below open and close, or not positive")
        if self.high < max(self.open, self.close) or self.volume < ZERO:
            raise ValueError("high is below open or close, or volume is negative")


class CandleSource(Protocol):
    """A sequence of candles."""

    def candle(self, number: int) -> Candle:
        """Return candle `number` (from 0); after the end the last one's close, without volume."""
        ...

    def count(self) -> int | None:
        """Return how many candles there are, None for without end."""
        ...


class CsvCandles:
    """Candles of a file, kept in memory."""

    def __init__(self, path: Path, price_step: Decimal) -> None:
        """Read the file; prices are rounded to the symbol's step.

        Raises:
            ValueError: with file and line, when it is not such a file.
        """
        self.open_times_ms: list[int] = []
        self._candles: list[Candle] = []
        with path.open(newline="") as file:
            rows = csv.reader(file)
            if tuple(next(rows, ())) != CSV_HEADER:
                raise ValueError(f"{path}: the first line must be {','.join(CSV_HEADER)}")
            for number, row in enumerate(rows, start=2):
                try:
                    open_, high, low, close = (
                        max(price_step, quantize(Decimal(text), price_step)) for text in row[1:5]
                    )
                    candle = Candle(
                        open=open_, high=high, low=low, close=close, volume=Decimal(row[5])
                    )
                    self.open_times_ms.append(int(row[0]))
                except (ValueError, ArithmeticError, IndexError) as e:
                    raise ValueError(f"{path}:{number}: {e}") from e
                self._candles.append(candle)
        if not self._candles:
            raise ValueError(f"{path}: no candles")

    def candle(self, number: int) -> Candle:
        """Return a candle of the file."""
        if number < len(self._candles):
            return self._candles[number]
        last = self._candles[-1].close
        return Candle(open=last, high=last, low=last, close=last, volume=ZERO)

    def count(self) -> int | None:
        """Return how many candles the file has."""
        return len(self._candles)


def first_open(path: Path) -> Decimal:
    """Return the opening price of a file's first candle, without reading the rest.

    Raises:
        ValueError: there is none.
    """
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        row = next(rows, [])
    try:
        price = Decimal(row[1])
    except (ArithmeticError, IndexError) as e:
        raise ValueError(f"{path}:2: no candle") from e
    if not price > ZERO:
        raise ValueError(f"{path}:2: price must be positive")
    return price


class WalkCandles:
    """A seeded random walk that tends back to where it started, so that it can run for days."""

    # Share of the distance to the start price that a candle is pulled back by.
    PULL = 0.01

    def __init__(
        self,
        *,
        seed: str,
        start: Decimal,
        volatility: float,
        volume: Decimal,
        price_step: Decimal,
    ) -> None:
        """Prepare; `volatility` is the standard deviation of one candle as a fraction."""
        # Randomness here is a market, not a secret; it must be the same for the same seed.
        self._random = random.Random(seed)  # noqa: S311  (see the line above)
        self._start = float(start)
        self._volatility = volatility
        self._volume = float(volume)
        self._step = price_step
        self._close = float(start)
        self._candles: list[Candle] = []

    def candle(self, number: int) -> Candle:
        """Return a candle; the walk is extended as far as needed."""
        while len(self._candles) <= number:
            self._candles.append(self._next())
        return self._candles[number]

    def count(self) -> int | None:
        """Return None: a walk has no end."""
        return None

    def _next(self) -> Candle:
        open_ = self._close
        pull = self.PULL * (self._start - open_) / self._start
        close = open_ * max(0.5, 1.0 + pull + self._random.gauss(0.0, self._volatility))
        wick_up, wick_down = (abs(self._random.gauss(0.0, self._volatility / 2)) for _ in "ud")
        volume = self._volume * self._random.uniform(0.5, 1.5)
        self._close = close
        low = max(self._step, self._price(min(open_, close) * (1.0 - min(0.5, wick_down))))
        return Candle(
            open=max(low, self._price(open_)),
            high=max(low, self._price(max(open_, close) * (1.0 + wick_up))),
            low=low,
            close=max(low, self._price(close)),
            volume=quantize(Decimal(volume), Decimal("0.0001")),
        )

    def _price(self, value: float) -> Decimal:
        return quantize(Decimal(value), self._step)


def quantize(value: Decimal, step: Decimal) -> Decimal:
    """Round to the nearest multiple of a step."""
    return (value / step).to_integral_value(ROUND_HALF_EVEN) * step
