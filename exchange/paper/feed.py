"""The market of one symbol over time: candles unfold as price points, points make klines.

Rules of this file:
- A candle is four points, a quarter of its time apart: open, one extreme, the other, close. Which
  extreme comes first follows from the seed. Each carries a quarter of the volume.
- Candle time runs `speed` times as fast as the clock from an anchor; it can be paused. While the
  process is down it goes on; what it would have traded meanwhile is skipped.
- A jump multiplies all later prices by a factor.
- At the end of a file the last price holds and no new candle opens.
Pure: `wall_ms` is a parameter; the anchor is written to the log so that a restart continues.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from exchange.paper.candles import CandleSource, quantize
from exchange.paper.values import ZERO, SymbolRules

POINTS = 4
# The displayed depth follows the mean volume of this many candles, so that one quiet candle does
# not empty the market.
DEPTH_CANDLES = 20
# Finished candles that are remembered: two days of minutes. Halved, a day of minutes would still
# fit; doubled, it is about a megabyte more for each symbol.
UNFOLDED_MAX = 2880


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """How clock time becomes candle time. Replayed from the log, changed by admin requests."""

    first_open_ms: int
    anchor_wall_ms: int
    anchor_candle_ms: int
    speed: float
    is_paused: bool = False
    jumps: tuple[tuple[int, Decimal], ...] = ()  # point number from which on, factor
    source: str = ""  # names the candles, so that a restart with others starts anew

    def candle_ms(self, wall_ms: int) -> int:
        """Return the candle time at a clock time."""
        if self.is_paused:
            return self.anchor_candle_ms
        gone_ms = max(0, wall_ms - self.anchor_wall_ms)
        return self.anchor_candle_ms + int(gone_ms * self.speed)

    def anchored(self, wall_ms: int, *, is_paused: bool, skip_ms: int = 0) -> "Timeline":
        """Return the same timeline anchored anew, moved on by `skip_ms` of candle time."""
        return replace(
            self,
            anchor_wall_ms=wall_ms,
            anchor_candle_ms=self.candle_ms(wall_ms) + skip_ms,
            is_paused=is_paused,
        )

    def resumed(self, configured: "Timeline", wall_ms: int) -> "Timeline":
        """Return how a restart goes on: this timeline at the configured speed.

        With other candles than before it is the configured one, from its start.
        """
        if configured.source != self.source:
            return configured
        if configured.speed == self.speed:
            return self
        return replace(self.anchored(wall_ms, is_paused=self.is_paused), speed=configured.speed)

    def to_line(self, symbol: str) -> dict[str, Any]:
        """Return the log line that lets a restart continue."""
        return {
            "type": "feed",
            "symbol": symbol,
            "first_open_ms": self.first_open_ms,
            "anchor_wall_ms": self.anchor_wall_ms,
            "anchor_candle_ms": self.anchor_candle_ms,
            "speed": self.speed,
            "is_paused": self.is_paused,
            "source": self.source,
            "jumps": [[point, format(factor, "f")] for point, factor in self.jumps],
        }

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> "Timeline":
        """Return the timeline of a log line."""
        return cls(
            first_open_ms=int(line["first_open_ms"]),
            anchor_wall_ms=int(line["anchor_wall_ms"]),
            anchor_candle_ms=int(line["anchor_candle_ms"]),
            speed=float(line["speed"]),
            is_paused=bool(line["is_paused"]),
            source=str(line["source"]),
            jumps=tuple((int(point), Decimal(factor)) for point, factor in line["jumps"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One price at one moment of a candle, and what was traded there."""

    number: int
    candle_ms: int
    price: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Kline:
    """A candle with its time, as far as it has unfolded."""

    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    points: int


class Feed:
    """Points and klines of one symbol."""

    def __init__(
        self,
        *,
        rules: SymbolRules,
        source: CandleSource,
        timeframe_ms: int,
        seed: str,
        depth_factor: Decimal,
        timeline: Timeline,
    ) -> None:
        """Put a source on a timeline."""
        self.rules = rules
        self.timeframe_ms = timeframe_ms
        self.timeline = timeline
        self._source = source
        self._seed = seed
        self._depth_factor = depth_factor
        self._unfolded: dict[int, Kline] = {}  # by number of the first point
        self._unfolded_under: object = None  # the part of the timeline that they depend on

    def number_at(self, wall_ms: int) -> int:
        """Return the number of the newest point that has happened by then."""
        gone_ms = self.timeline.candle_ms(wall_ms) - self.timeline.first_open_ms
        number = max(0, gone_ms * POINTS // self.timeframe_ms)
        count = self._source.count()
        return number if count is None else min(number, count * POINTS - 1)

    def due_wall_ms(self, number: int) -> int | None:
        """Return the clock time at which a point happens; None when it does not come by itself."""
        timeline = self.timeline
        count = self._source.count()
        if timeline.is_paused or (count is not None and number >= count * POINTS):
            return None
        ahead_ms = self._time_of(number) - timeline.anchor_candle_ms
        return timeline.anchor_wall_ms + int(ahead_ms / timeline.speed) + 1

    def point(self, number: int) -> Point:
        """Return a point."""
        candle = self._source.candle(number // POINTS)
        # Not a secret; the same seed must give the same order on every machine.
        is_low_first = random.Random(f"{self._seed}/{number // POINTS}").random() < 0.5  # noqa: S311, PLR2004  (see above; a fair coin)
        extremes = (candle.low, candle.high) if is_low_first else (candle.high, candle.low)
        price = (candle.open, *extremes, candle.close)[number % POINTS]
        for first, factor in self.timeline.jumps:
            if number >= first:
                price *= factor
        return Point(
            number=number,
            candle_ms=self._time_of(number),
            price=max(self.rules.price_step, quantize(price, self.rules.price_step)),
            volume=candle.volume / POINTS,
        )

    def depth(self, number: int) -> Decimal:
        """Return how much the displayed market holds on each side at a point."""
        newest = number // POINTS
        numbers = range(max(0, newest - DEPTH_CANDLES), newest + 1)
        total = sum((self._source.candle(n).volume for n in numbers), ZERO)
        return total / len(numbers) * self._depth_factor

    def klines(self, newest: int, *, interval_ms: int, first_ms: int, last_ms: int) -> list[Kline]:
        """Return the klines that open in first_ms..last_ms, oldest first.

        Args:
            newest: number of the newest point; the kline it belongs to is still forming.
            interval_ms: a multiple of the feed's timeframe.
            first_ms: earliest opening time.
            last_ms: latest opening time.
        """
        found: list[Kline] = []
        start_ms = max(first_ms, self.timeline.first_open_ms)
        number = -(-(start_ms - self.timeline.first_open_ms) // self.timeframe_ms) * POINTS
        is_native = interval_ms == self.timeframe_ms
        while number <= newest:
            if is_native and number + POINTS - 1 <= newest:
                kline = self._whole(number)
                if kline.open_ms > last_ms:
                    break
                found.append(kline)
                number += POINTS
                continue
            point = self.point(number)
            open_ms = point.candle_ms - point.candle_ms % interval_ms
            if is_native:
                open_ms = self._time_of(number - number % POINTS)
            if open_ms > last_ms:
                break
            if found and found[-1].open_ms == open_ms:
                found[-1] = _extended(found[-1], point)
            elif open_ms >= first_ms:
                found.append(_opened(open_ms, interval_ms, point))
            number += 1
        return found

    def _whole(self, number: int) -> Kline:
        """Return the candle whose first point this is; all its points have happened.

        It is remembered: the statistics of a day would be put together anew for each ticker.
        """
        under = (self.timeline.first_open_ms, self.timeline.jumps)  # a jump bends the newest point
        if under != self._unfolded_under or len(self._unfolded) >= UNFOLDED_MAX:
            self._unfolded, self._unfolded_under = {}, under
        kline = self._unfolded.get(number)
        if kline is None:
            kline = _opened(self._time_of(number), self.timeframe_ms, self.point(number))
            for later in range(number + 1, number + POINTS):
                kline = _extended(kline, self.point(later))
            self._unfolded[number] = kline
        return kline

    def newest_open_ms(self, newest: int) -> int:
        """Return the opening time of the candle that a point belongs to."""
        return self._time_of(newest - newest % POINTS)

    def _time_of(self, number: int) -> int:
        return self.timeline.first_open_ms + number * self.timeframe_ms // POINTS


def _opened(open_ms: int, interval_ms: int, point: Point) -> Kline:
    return Kline(
        open_ms=open_ms,
        close_ms=open_ms + interval_ms - 1,
        open=point.price,
        high=point.price,
        low=point.price,
        close=point.price,
        volume=point.volume,
        quote_volume=point.volume * point.price,
        points=1,
    )


def _extended(kline: Kline, point: Point) -> Kline:
    return replace(
        kline,
        high=max(kline.high, point.price),
        low=min(kline.low, point.price),
        close=point.price,
        volume=kline.volume + point.volume,
        quote_volume=kline.quote_volume + point.volume * point.price,
        points=kline.points + 1,
    )
