"""The running exchange: venue, feeds, log and clock put together (no HTTP).

Rules of this file: every change goes plan → apply → log (synced) → answer, see `commit`; a
restart replays the log. The venue's clock is this machine's wall clock plus a skew that can be set.
"""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from exchange.paper.book import Market
from exchange.paper.codec import Line, parse_event, render_balances, render_event
from exchange.paper.config import ConfigError, PaperConfig
from exchange.paper.feed import Feed, Timeline
from exchange.paper.opening import open_feed
from exchange.paper.values import AccountOpened, Event, FillMade, OrderAccepted, OrderEnded
from exchange.paper.venue import PaperVenue
from exchange.paper.wal import RequestLog

BASIS_POINT = Decimal("0.0001")
# Public trades kept for /trades; the real venue serves 1000 at most.
PUBLIC_TRADES = 1000


class VenueClock:
    """This venue's time: wall clock plus skew."""

    def __init__(self) -> None:
        """Start without skew."""
        self.skew_ms = 0

    def now_ms(self) -> int:
        """Return the venue's time."""
        return self.wall_ms() + self.skew_ms

    @staticmethod
    def wall_ms() -> int:
        """Return this machine's wall time."""
        return time.time_ns() // 1_000_000


class PaperRuntime:
    """State, prices and log of one process."""

    def __init__(self, config: PaperConfig) -> None:
        """Open the log, replay it, and start the feeds where their timelines are now."""
        self.clock = VenueClock()
        self.log = RequestLog(config.state_dir)
        self.feeds: dict[str, Feed] = {}
        self.newest: dict[str, int] = {}
        self.public_trades: dict[str, list[dict[str, Any]]] = {}
        self.arrivals = 0
        markets: list[Market] = []
        for entry in config.symbols:
            feed = open_feed(entry, self.clock.wall_ms())
            self.feeds[feed.rules.symbol] = feed
            spread = feed.rules.price_step * entry.spread_steps
            markets.append(Market(rules=feed.rules, spread=spread))
        self.venue = PaperVenue(
            markets=markets,
            maker_fee=Decimal(config.maker_fee_bps) * BASIS_POINT,
            taker_fee=Decimal(config.taker_fee_bps) * BASIS_POINT,
        )
        self._replay()
        for account in config.accounts:
            events = self.venue.plan_account(
                account.name, account.uid, account.balances, self.clock.now_ms()
            )
            self.commit(events)
        for symbol, feed in self.feeds.items():
            self._show(symbol, feed.number_at(self.clock.wall_ms()))

    def close(self) -> None:
        """Sync and close the log."""
        self.log.close()

    # -- changing --------------------------------------------------------------------------

    def commit(self, events: Sequence[Event], head: Sequence[Line] = ()) -> None:
        """Change the state and write it down, as one batch.

        `head` are lines that go in front, such as the request that caused the events. When this
        returns, everything is on disk; only then may anybody be told. If it cannot be written the
        process ends (wal.py), so memory never lives on ahead of the disk.
        """
        lines = [*head, *(render_event(event) for event in events)]
        for event in events:
            self.venue.apply(event)
        now_ms = self.clock.now_ms()
        lines += [
            render_balances(account, self.venue.accounts[account], now_ms)
            for account in sorted({_account_of(event, self.venue) for event in events})
        ]
        self.log.append(lines, is_synced=bool(events))

    def advance(self, symbol: str, number: int) -> None:
        """Bring one symbol to a price point, with the fills it leads to."""
        self._show(symbol, number)
        point = self.feeds[symbol].point(number)
        now_ms = self.clock.now_ms()
        events = self.venue.plan_point(
            symbol, price=point.price, volume=point.volume, now_ms=now_ms
        )
        if events:
            head = {"type": "point", "symbol": symbol, "price": format(point.price, "f")}
            self.commit(events, [head | {"candle_ms": point.candle_ms, "venue_ms": now_ms}])
        trades = self.public_trades.setdefault(symbol, [])
        trades.append({"id": number, "price": point.price, "qty": point.volume, "time": now_ms})
        del trades[:-PUBLIC_TRADES]

    def advance_due(self, limit: int) -> tuple[int, int | None]:
        """Advance all symbols to now, by at most `limit` points.

        Returns:
            How many points were walked, and the wall time of the next one (None: none comes).
        """
        walked = 0
        due: list[int] = []
        for symbol, feed in self.feeds.items():
            now_number = feed.number_at(self.clock.wall_ms())
            while self.newest[symbol] < now_number and walked < limit:
                self.advance(symbol, self.newest[symbol] + 1)
                walked += 1
            next_ms = feed.due_wall_ms(self.newest[symbol] + 1)
            due += [next_ms] if next_ms is not None else []
        return walked, min(due, default=None)

    def set_timeline(self, symbol: str, timeline: Timeline) -> None:
        """Change how a symbol's candle time runs; it is remembered over restarts."""
        self.feeds[symbol].timeline = timeline
        self.log.append([timeline.to_line(symbol)], is_synced=True)

    def set_skew(self, skew_ms: int) -> None:
        """Set the venue clock's skew; it is remembered over restarts."""
        self.clock.skew_ms = skew_ms
        line = {"type": "clock", "skew_ms": skew_ms, "venue_ms": self.clock.now_ms()}
        self.log.append([line], is_synced=True)

    def write_balances(self) -> list[Line]:
        """Write a `balances` line for every account and return them."""
        now_ms = self.clock.now_ms()
        lines = [
            render_balances(account, balances, now_ms)
            for account, balances in sorted(self.venue.accounts.items())
        ]
        self.log.append(lines, is_synced=True)
        return lines

    # -- starting --------------------------------------------------------------------------

    def _replay(self) -> None:
        logged: dict[str, Timeline] = {}
        for line in self.log.loaded:
            event = parse_event(line)
            if line.get("symbol", "") not in self.feeds and line["type"] in ("order", "feed"):
                raise ConfigError(
                    f"{self.log.path} knows {line['symbol']}, the configuration does not: "
                    "add the symbol or use another state directory"
                )
            if event is not None:
                self.venue.apply(event)
            elif line["type"] == "feed":
                logged[line["symbol"]] = Timeline.from_line(line)
            elif line["type"] == "clock":
                self.clock.skew_ms = int(line["skew_ms"])
            elif line["type"] == "request":
                self.arrivals = max(self.arrivals, int(line["arrival"]))
        self.log.loaded.clear()
        for symbol, feed in self.feeds.items():
            before = logged.get(symbol)
            if before is not None:
                feed.timeline = before.resumed(feed.timeline, self.clock.wall_ms())
            if feed.timeline != before:
                self.set_timeline(symbol, feed.timeline)

    def _show(self, symbol: str, number: int) -> None:
        feed = self.feeds[symbol]
        self.newest[symbol] = number
        self.venue.markets[symbol].show(price=feed.point(number).price, depth=feed.depth(number))


def _account_of(event: Event, venue: PaperVenue) -> str:
    match event:
        case AccountOpened():
            return event.account
        case OrderAccepted(order=order):
            return order.account
        case FillMade(fill=fill):
            return fill.account
        case OrderEnded():
            order_now = venue.order(event.order_id)
            assert order_now is not None
            return order_now.account
