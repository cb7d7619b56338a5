"""A raw HTTP server that answers like a small Binance, or as badly as a test wants.

aiohttp.web cannot produce cut bodies, garbage or silent drops; this can. It records every
request that arrives, so that a test can count them. It speaks of one account and one market.
"""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

SYMBOL = "BTC/USDT"
START_MS = 1_700_000_000_000 // 300_000 * 300_000


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    arrived_s: float


class Fate(StrEnum):
    """What happens to the connection in place of an answer."""

    HANG = "never answers"
    DROP = "closes without an answer"
    RESET = "resets the connection"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An HTTP answer; `announced` differs from the body's length when it is cut."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None


def reply_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Answer with JSON."""
    return Reply(
        status=status,
        body=json.dumps(value).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def refusal(code: int, message: str, status: int = 400) -> Reply:
    """Answer as Binance refuses."""
    return reply_json({"code": code, "msg": message}, status)


HTML = Reply(body=b"<html>one moment please</html>", headers={"Content-Type": "text/html"})

BAD_ANSWERS: dict[str, Reply | Fate | bytes] = {
    "HTML with status 200": HTML,
    "an empty body": Reply(headers={"Content-Type": "application/json"}),
    "cut JSON": Reply(body=b'{"symbol":"BTCUSDT","orderId"', headers={"Content-Type": "text/html"}),
    "a JSON number": Reply(body=b"12", headers={"Content-Type": "application/json"}),
    "a JSON text": Reply(body=b'"ok"', headers={"Content-Type": "application/json"}),
    "204 without content": Reply(status=204),
    "206 with HTML": Reply(status=206, body=HTML.body),
    "524, which ccxt's table forgets": Reply(status=524, body=b"timeout"),
    "524 with JSON that carries no code": reply_json({}, 524),
    "524 with a list": reply_json([], 524),
    "598 with JSON": reply_json({"orderId": 1}, 598),
    "502 with HTML": Reply(status=502, body=HTML.body),
    "503 with a venue's code": refusal(-1008, "Server is currently overloaded.", 503),
    "500 with a rejecting code": refusal(-2010, "Market is closed.", 500),
    "403 with HTML": Reply(status=403, body=HTML.body),
    "400 without a code": reply_json({"error": "bad"}, 400),
    "-1000, an unknown error": refusal(-1000, "An unknown error occurred."),
    "-1001, disconnected": refusal(-1001, "Internal error; unable to process your request."),
    "-1006, execution status unknown": refusal(-1006, "An unexpected response was received."),
    "-1007, timeout inside the venue": refusal(-1007, "Timeout waiting for response.", 408),
    "a code that nobody knows": refusal(-9876, "Something new."),
    "a body cut by disconnect": Reply(body=b'{"symbol"', announced=4_000),
    "bad gzip": Reply(body=b"no gzip at all", headers={"Content-Encoding": "gzip"}),
    "a garbage status line": b"\x00\x01garbage\r\n\r\n",
    "302 to another place": Reply(status=302, headers={"Location": "/elsewhere"}),
    "307 to another place": Reply(status=307, headers={"Location": "/elsewhere"}),
    "302 with JSON": reply_json({"orderId": 1}, 302, {"Location": "/elsewhere"}),
    "an empty object": reply_json({}),
    "an empty list": reply_json([]),
    "a list of junk": reply_json([{"a": 1}]),
    **{fate.value: fate for fate in Fate},
}


class BadServer:
    """The server; use it with `async with`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._arrived = asyncio.Event()
        self.rules: dict[tuple[str, str], Any] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.clock_ahead_ms = 0
        self.candle_count = 5
        self.url = ""
        self._server: asyncio.Server | None = None
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._stop.set()
        self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=20)

    def answer(self, method: str, path: str, reply: Any) -> None:
        """Answer this from now on: a Reply, raw bytes, a Fate, or a function of the request."""
        self.rules[(method, f"/api/v3/{path}")] = reply

    def seen(self, method: str | None = None, path: str | None = None) -> list[Request]:
        """Return the requests that arrived, of one method and path."""
        return [
            r
            for r in self.requests
            if (method is None or r.method == method)
            and (path is None or r.path == f"/api/v3/{path}")
        ]

    def changes(self) -> list[Request]:
        """Return the requests that could change something, wherever they went."""
        return [r for r in self.requests if r.method != "GET"]

    async def wait_for(self, method: str, path: str) -> None:
        """Wait until a request of that method and path arrived."""
        async with asyncio.timeout(30):
            while not self.seen(method, path):
                self._arrived.clear()
                await self._arrived.wait()

    def now_ms(self) -> int:
        """Return this server's clock."""
        return int(time.time() * 1000) + self.clock_ahead_ms

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        serving = asyncio.ensure_future(self._serve(reader, writer))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for part in (serving, stopping):
            part.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)
        writer.close()
        self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await _read_request(reader)) is not None:
            self.requests.append(request)
            self._arrived.set()
            reply = self.rules.get((request.method, request.path), self._good(request))
            if callable(reply):
                reply = reply(request)
            if asyncio.iscoroutine(reply):
                reply = await reply
            if not await _send(writer, reply):
                return

    def _good(self, request: Request) -> Reply:
        name = request.path.removeprefix("/api/v3/")
        good: dict[str, Callable[[Request], Any]] = {
            "time": lambda _: {"serverTime": self.now_ms()},
            "exchangeInfo": lambda _: {"symbols": [market()]},
            "klines": self._klines,
            "ticker/24hr": lambda _: ticker(),
            "account": lambda _: account(),
            "openOrders": lambda _: list(self.orders.values()),
            "myTrades": lambda _: [],
            "order": self._order,
        }
        if name not in good:
            return refusal(-1, f"no such path {request.path}", 404)
        answer = good[name](request)
        return answer if isinstance(answer, Reply) else reply_json(answer)

    def _klines(self, request: Request) -> Any:
        until_ms = int(request.params.get("endTime", START_MS * 2))
        rows = [candle(i) for i in range(self.candle_count)]
        rows = [row for row in rows if row[0] <= until_ms]
        return rows[-int(request.params["limit"]) :]

    def _order(self, request: Request) -> Any:
        if request.method == "POST":
            order = order_row(request.params, len(self.orders) + 1)
            self.orders[order["clientOrderId"]] = order
            return order
        order_id = request.params.get("origClientOrderId", "")
        found = self.orders.get(order_id)
        if found is None:
            if request.method == "GET":
                return refusal(-2013, "Order does not exist.")
            return refusal(-2011, "Unknown order sent.")
        if request.method == "GET":
            return found
        del self.orders[order_id]
        return {
            **found,
            "origClientOrderId": order_id,
            "clientOrderId": "a-cancel",
            "status": "CANCELED",
        }


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    params = dict(parse_qsl(parts.query)) | dict(parse_qsl(body.decode()))
    return Request(
        method=method,
        path=parts.path,
        params=params,
        headers=headers,
        arrived_s=time.monotonic(),
    )


async def _send(writer: asyncio.StreamWriter, reply: Reply | Fate | bytes) -> bool:
    """Send; True when the connection may go on."""
    match reply:
        case Fate.HANG:
            await asyncio.Event().wait()
        case Fate.DROP:
            return False
        case Fate.RESET:
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        case bytes():
            writer.write(reply)
            await writer.drain()
            return False
        case Reply():
            length = len(reply.body) if reply.announced is None else reply.announced
            lines = [f"HTTP/1.1 {reply.status} Status", f"Content-Length: {length}"]
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + reply.body)
            await writer.drain()
            return reply.announced is None
    return False


def market(symbol: str = "BTCUSDT", base: str = "BTC", quote: str = "USDT") -> dict[str, Any]:
    """One row of exchangeInfo."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "1000000",
                "tickSize": "0.01",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001",
                "maxQty": "9000",
                "stepSize": "0.00001",
            },
            {"filterType": "NOTIONAL", "minNotional": "5", "applyMinToMarket": True},
        ],
    }


def candle(index: int) -> list[Any]:
    """One five-minute candle."""
    open_ms = START_MS + index * 300_000
    return [
        open_ms,
        "100.5",
        "110",
        "90",
        "105",
        "12.5",
        open_ms + 299_999,
        "1300",
        7,
        "1",
        "1",
        "0",
    ]


def ticker() -> dict[str, Any]:
    """Best prices."""
    return {
        "symbol": "BTCUSDT",
        "bidPrice": "100.01",
        "askPrice": "100.02",
        "lastPrice": "100.02",
        "openPrice": "99",
        "highPrice": "101",
        "lowPrice": "98",
        "volume": "10",
        "quoteVolume": "1000",
        "closeTime": START_MS,
    }


def account(**changes: Any) -> dict[str, Any]:
    """The account."""
    return {
        "uid": 354937868,
        "canTrade": True,
        "balances": [
            {"asset": "BTC", "free": "1.50000000", "locked": "0.25000000"},
            {"asset": "USDT", "free": "1000.10", "locked": "0"},
            {"asset": "BNB", "free": "0.00000000", "locked": "0.00000000"},
        ],
        **changes,
    }


def trade(fill_id: int, **changes: Any) -> dict[str, Any]:
    """One own fill."""
    return {
        "symbol": "BTCUSDT",
        "id": fill_id,
        "orderId": 77,
        "orderListId": -1,
        "price": "100.00",
        "qty": "0.01000000",
        "quoteQty": "1.00",
        "commission": "0.00001",
        "commissionAsset": "BTC",
        "time": START_MS + fill_id,
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
        **changes,
    }


def order_row(params: dict[str, str], order_id: int) -> dict[str, Any]:
    """The answer to a placement: it rests, or is filled when it is a market order."""
    is_market = params["type"] == "MARKET"
    amount = params.get("quantity", "0")
    return {
        "symbol": params["symbol"],
        "orderId": order_id,
        "orderListId": -1,
        "clientOrderId": params.get("newClientOrderId", ""),
        "transactTime": START_MS,
        "price": "0.00" if is_market else params["price"],
        "origQty": amount,
        "executedQty": amount if is_market else "0",
        "cummulativeQuoteQty": "1" if is_market else "0",
        "status": "FILLED" if is_market else "NEW",
        "timeInForce": params.get("timeInForce", "GTC"),
        "type": params["type"],
        "side": params["side"],
        "fills": [],
    }
