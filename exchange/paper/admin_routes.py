"""Admin endpoints under /paper: faults, feed, clock, state. Not part of any real venue.

Rules of this file: only callers on this machine, unless the configuration says otherwise. Bodies
and answers are JSON; a wrong request is 400 with {"error": ...}.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from aiohttp import web

from exchange.paper.answers import number, order_info
from exchange.paper.codec import money
from exchange.paper.feed import POINTS
from exchange.paper.refusals import Refused
from exchange.paper.runtime import PaperRuntime
from exchange.paper.server import PaperServer

LOOPBACK = ("127.0.0.1", "::1", None)


def _is_from_here(request: web.Request) -> bool:
    """Tell whether a process of this machine asks, also by the machine's own LAN address."""
    own = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return request.remote in LOOPBACK or (own is not None and request.remote == own[0])


class AdminRoutes:
    """Handlers of /paper/*."""

    def __init__(self, runtime: PaperRuntime, server: PaperServer, *, is_remote: bool) -> None:
        """Serve a runtime and its HTTP server."""
        self._runtime = runtime
        self._server = server
        self._is_remote = is_remote

    async def handle(self, request: web.Request) -> web.Response:
        """Serve one admin request."""
        if not self._is_remote and not _is_from_here(request):
            return web.json_response({"error": "admin requests are local only"}, status=403)
        handlers = {
            ("GET", "state"): self._state,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._arm_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "clock"): self._set_clock,
            ("POST", "feed"): self._change_feed,
            ("POST", "symbol"): self._change_symbol,
            ("POST", "balances"): self._write_balances,
        }
        handler = handlers.get((request.method, request.match_info["path"].strip("/")))
        if handler is None:
            return web.json_response({"error": "no such admin request"}, status=404)
        try:
            text = await request.text()
            body = json.loads(text) if text else dict(request.query)
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")  # noqa: TRY301, TRY004  (answered below, with all other wrong bodies)
            return web.json_response(handler(body))
        except Refused as e:
            return web.json_response({"error": e.message}, status=400)
        except (ValueError, KeyError, TypeError, ArithmeticError) as e:
            return web.json_response({"error": f"{type(e).__name__}: {e}"}, status=400)

    # -- faults ----------------------------------------------------------------------------

    def _list_faults(self, _body: Mapping[str, Any]) -> Any:
        return {"faults": [fault.to_json() for fault in self._server.faults.faults]}

    def _arm_fault(self, body: Mapping[str, Any]) -> Any:
        return self._server.faults.arm(body).to_json()

    def _clear_faults(self, body: Mapping[str, Any]) -> Any:
        fault_id = int(body["id"]) if "id" in body else None
        return {"removed": self._server.faults.clear(fault_id)}

    # -- clock and prices ------------------------------------------------------------------

    def _set_clock(self, body: Mapping[str, Any]) -> Any:
        self._runtime.set_skew(int(body["skew_ms"]))
        return {"skew_ms": self._runtime.clock.skew_ms, "venue_ms": self._runtime.clock.now_ms()}

    def _change_feed(self, body: Mapping[str, Any]) -> Any:
        action = body.get("action")
        symbols = [self._symbol(body)] if "symbol" in body else list(self._runtime.feeds)
        for symbol in symbols:
            match action:
                case "pause" | "resume":
                    self._hold(symbol, is_paused=action == "pause")
                case "jump":
                    self._jump(symbol, Decimal(str(body["price"])))
                case "advance":
                    points = int(body.get("points", 0)) + POINTS * int(body.get("candles", 0))
                    self._advance(symbol, points)
                case _:
                    raise ValueError("action is pause, resume, jump or advance")
        return {"feeds": {symbol: self._feed_state(symbol) for symbol in symbols}}

    def _hold(self, symbol: str, *, is_paused: bool) -> None:
        timeline = self._runtime.feeds[symbol].timeline
        anchored = timeline.anchored(self._runtime.clock.wall_ms(), is_paused=is_paused)
        self._runtime.set_timeline(symbol, anchored)

    def _jump(self, symbol: str, price: Decimal) -> None:
        if price <= 0:
            raise ValueError("price must be positive")
        timeline = self._runtime.feeds[symbol].timeline
        newest = self._runtime.newest[symbol]
        factor = price / self._runtime.venue.markets[symbol].last
        jumped = replace(timeline, jumps=(*timeline.jumps, (newest, factor)))
        self._runtime.set_timeline(symbol, jumped)
        self._runtime.advance(symbol, newest)

    def _advance(self, symbol: str, points: int) -> None:
        """Walk some points now; candle time is moved along with them."""
        feed = self._runtime.feeds[symbol]
        wall_ms = self._runtime.clock.wall_ms()
        newest = self._runtime.newest[symbol]
        for step in range(1, points + 1):
            self._runtime.advance(symbol, newest + step)
        skip_ms = feed.point(newest + points).candle_ms - feed.timeline.candle_ms(wall_ms)
        anchored = feed.timeline.anchored(
            wall_ms, is_paused=feed.timeline.is_paused, skip_ms=max(0, skip_ms)
        )
        self._runtime.set_timeline(symbol, anchored)

    def _change_symbol(self, body: Mapping[str, Any]) -> Any:
        """Halt or open a symbol (until the next restart)."""
        market = self._runtime.venue.markets[self._symbol(body)]
        market.rules = replace(market.rules, has_trading=bool(body["has_trading"]))
        return {"symbol": market.rules.symbol, "has_trading": market.rules.has_trading}

    # -- looking ---------------------------------------------------------------------------

    def _write_balances(self, _body: Mapping[str, Any]) -> Any:
        return {"accounts": self._runtime.write_balances()}

    def _state(self, _body: Mapping[str, Any]) -> Any:
        venue = self._runtime.venue
        return {
            "venue_ms": self._runtime.clock.now_ms(),
            "skew_ms": self._runtime.clock.skew_ms,
            "arrivals": self._runtime.arrivals,
            "log": str(self._runtime.log.path),
            "feeds": {symbol: self._feed_state(symbol) for symbol in self._runtime.feeds},
            "faults": [fault.to_json() for fault in self._server.faults.faults],
            "accounts": {
                name: {
                    "uid": venue.uids[name],
                    "balances": {
                        asset: {
                            "free": money(balances.free(asset)),
                            "locked": money(balances.locked(asset)),
                        }
                        for asset in balances.assets()
                    },
                    "open_orders": [order_info(o) for o in venue.open_orders(name, None)],
                    "fills": {symbol: len(venue.fills(name, symbol)) for symbol in venue.markets},
                }
                for name, balances in sorted(venue.accounts.items())
            },
        }

    def _feed_state(self, symbol: str) -> dict[str, Any]:
        feed = self._runtime.feeds[symbol]
        point = feed.point(self._runtime.newest[symbol])
        return {
            "price": number(self._runtime.venue.markets[symbol].last),
            "point": point.number,
            "candle_ms": point.candle_ms,
            "is_paused": feed.timeline.is_paused,
            "speed": feed.timeline.speed,
        }

    def _symbol(self, body: Mapping[str, Any]) -> str:
        return self._runtime.venue.rules(str(body["symbol"]).replace("/", "")).symbol
