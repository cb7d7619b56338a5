"""Public endpoints: time, symbols, prices, klines."""

import json
from collections.abc import Mapping
from typing import Any

from exchange.paper.answers import book_ticker, kline_row, number, symbol_info
from exchange.paper.config import TIMEFRAMES_MS
from exchange.paper.feed import Kline
from exchange.paper.orders import parse_integer, require
from exchange.paper.refusals import refuse
from exchange.paper.runtime import PaperRuntime

DAY_MS = 86_400_000
LIMIT_MAX = 1000
LIMIT_DEFAULT = 500
DEPTH_MAX = 5000


class MarketRoutes:
    """Handlers of public GET endpoints: parameters in, JSON-able answer out, or Refused."""

    def __init__(self, runtime: PaperRuntime, *, limits: Mapping[str, int]) -> None:
        """Serve a runtime; `limits` are shown by exchangeInfo."""
        self._runtime = runtime
        self._limits = limits

    def ping(self, _parameters: Mapping[str, str]) -> Any:
        """Answer with nothing."""
        return {}

    def time(self, _parameters: Mapping[str, str]) -> Any:
        """Return the venue's time."""
        return {"serverTime": self._runtime.clock.now_ms()}

    def exchange_info(self, parameters: Mapping[str, str]) -> Any:
        """Return rules and filters of one, several or all symbols."""
        return {
            "timezone": "UTC",
            "serverTime": self._runtime.clock.now_ms(),
            "rateLimits": [
                _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, self._limits["weight"]),
                _rate_limit("ORDERS", "SECOND", 10, self._limits["orders_10s"]),
                _rate_limit("ORDERS", "DAY", 1, self._limits["orders_day"]),
            ],
            "exchangeFilters": [],
            "symbols": [symbol_info(self._runtime.venue.rules(s)) for s in self._asked(parameters)],
        }

    def klines(self, parameters: Mapping[str, str]) -> Any:
        """Return klines; the last one is still forming."""
        symbol = self._symbol(parameters)
        interval = require(parameters, "interval")
        feed = self._runtime.feeds[symbol]
        interval_ms = TIMEFRAMES_MS.get(interval, 0)
        # Shorter ones than the source's own cannot be known, so they are refused, not invented.
        if not interval_ms or interval_ms % feed.timeframe_ms:
            raise refuse("bad_interval")
        limit = _limit(parameters)
        start_ms = parse_integer(parameters, "startTime")
        end_ms = parse_integer(parameters, "endTime")
        newest = self._runtime.newest[symbol]
        last_ms = feed.newest_open_ms(newest) if end_ms is None else end_ms
        if start_ms is not None:
            last_ms = min(last_ms, start_ms + limit * interval_ms - 1)
        else:
            start_ms = min(last_ms, feed.newest_open_ms(newest)) - limit * interval_ms
        found = feed.klines(newest, interval_ms=interval_ms, first_ms=start_ms, last_ms=last_ms)
        rows = found[:limit] if "startTime" in parameters else found[-limit:]
        return [kline_row(kline) for kline in rows]

    def ticker_day(self, parameters: Mapping[str, str]) -> Any:
        """Return the statistics of the last 24 hours of candle time."""
        return self._one_or_all(parameters, self._ticker_day)

    def ticker_price(self, parameters: Mapping[str, str]) -> Any:
        """Return the last price."""
        return self._one_or_all(
            parameters,
            lambda s: {"symbol": s, "price": number(self._runtime.venue.markets[s].last)},
        )

    def ticker_book(self, parameters: Mapping[str, str]) -> Any:
        """Return the best bid and ask."""
        markets = self._runtime.venue.markets
        return self._one_or_all(parameters, lambda s: book_ticker(markets[s]))

    def average_price(self, parameters: Mapping[str, str]) -> Any:
        """Return the average price that the filters use: the last one (0 minutes)."""
        market = self._runtime.venue.markets[self._symbol(parameters)]
        now_ms = self._runtime.clock.now_ms()
        return {"mins": 0, "price": number(market.last), "closeTime": now_ms}

    def depth(self, parameters: Mapping[str, str]) -> Any:
        """Return the displayed market."""
        symbol = self._symbol(parameters)
        limit = _limit(parameters, default=100, most=DEPTH_MAX)
        asks, bids = self._runtime.venue.markets[symbol].levels_of_sides()
        return {
            "lastUpdateId": self._runtime.newest[symbol],
            "bids": [[number(price), number(size)] for price, size in bids[:limit]],
            "asks": [[number(price), number(size)] for price, size in asks[:limit]],
        }

    def trades(self, parameters: Mapping[str, str]) -> Any:
        """Return the market's own trades: one for each price point since the start."""
        symbol = self._symbol(parameters)
        trades = self._runtime.public_trades.get(symbol, [])
        return [
            {
                "id": trade["id"],
                "price": number(trade["price"]),
                "qty": number(trade["qty"]),
                "quoteQty": number(trade["price"] * trade["qty"]),
                "time": trade["time"],
                "isBuyerMaker": trade["id"] % 2 == 0,
                "isBestMatch": True,
            }
            for trade in trades[-_limit(parameters) :]
        ]

    def _ticker_day(self, symbol: str) -> Any:
        feed, newest = self._runtime.feeds[symbol], self._runtime.newest[symbol]
        last_ms = feed.newest_open_ms(newest)
        klines: list[Kline] = feed.klines(
            newest,
            interval_ms=feed.timeframe_ms,
            first_ms=last_ms - DAY_MS + feed.timeframe_ms,
            last_ms=last_ms,
        )
        first, last = klines[0], klines[-1]
        volume = sum(k.volume for k in klines)
        quote_volume = sum(k.quote_volume for k in klines)
        change = last.close - first.open
        now_ms = self._runtime.clock.now_ms()
        book = book_ticker(self._runtime.venue.markets[symbol])
        return book | {
            "priceChange": f"{change:.8f}",
            "priceChangePercent": f"{change / first.open * 100:.3f}",
            "weightedAvgPrice": number(quote_volume / volume if volume else last.close),
            "prevClosePrice": number(first.open),
            "lastPrice": number(last.close),
            "lastQty": number(feed.point(newest).volume),
            "openPrice": number(first.open),
            "highPrice": number(max(k.high for k in klines)),
            "lowPrice": number(min(k.low for k in klines)),
            "volume": f"{volume:.8f}",
            "quoteVolume": f"{quote_volume:.8f}",
            "openTime": now_ms - DAY_MS,
            "closeTime": now_ms,
            "firstId": 0,
            "lastId": newest,
            "count": newest + 1,
        }

    def _one_or_all(self, parameters: Mapping[str, str], render: Any) -> Any:
        asked = self._asked(parameters)
        return render(asked[0]) if "symbol" in parameters else [render(s) for s in asked]

    def _asked(self, parameters: Mapping[str, str]) -> list[str]:
        if "symbol" in parameters:
            return [self._symbol(parameters)]
        if "symbols" not in parameters:
            return list(self._runtime.venue.markets)
        try:
            names = [str(name) for name in json.loads(parameters["symbols"])]
        except (ValueError, TypeError):
            raise refuse("bad_data", "symbols") from None
        return [self._runtime.venue.rules(name).symbol for name in names]

    def _symbol(self, parameters: Mapping[str, str]) -> str:
        return self._runtime.venue.rules(require(parameters, "symbol")).symbol


def _limit(
    parameters: Mapping[str, str], *, default: int = LIMIT_DEFAULT, most: int = LIMIT_MAX
) -> int:
    wanted = parse_integer(parameters, "limit")
    return min(most, max(1, wanted if wanted is not None else default))


def _rate_limit(kind: str, interval: str, count: int, limit: int) -> dict[str, Any]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": count,
        "limit": limit,
    }
