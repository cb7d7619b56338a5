"""Request weights, and what happens to a client that uses too much.

Rules of this file: weight counts per client address (as the real venue counts per IP) in whole
minutes; over the limit the answer is 429 until the minute ends, and a client that keeps asking
meanwhile is banned (418). Pure: `now_ms` is a parameter.

Source: Binance spot documentation, "Limits" and the weight of each endpoint (state of 2026).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exchange.paper.refusals import refuse

MINUTE_MS = 60_000
TEN_S_MS = 10_000
DAY_MS = 86_400_000

# (method, path below /api/v3): weight with a symbol, weight without one.
WEIGHTS: Mapping[tuple[str, str], tuple[int, int]] = {
    ("GET", "ping"): (1, 1),
    ("GET", "time"): (1, 1),
    ("GET", "exchangeInfo"): (20, 20),
    ("GET", "trades"): (25, 25),
    ("GET", "klines"): (2, 2),
    ("GET", "avgPrice"): (2, 2),
    ("GET", "ticker/24hr"): (2, 80),
    ("GET", "ticker/price"): (2, 4),
    ("GET", "ticker/bookTicker"): (2, 4),
    ("GET", "account"): (20, 20),
    ("GET", "order"): (4, 4),
    ("POST", "order"): (1, 1),
    ("DELETE", "order"): (1, 1),
    ("GET", "openOrders"): (6, 80),
    ("DELETE", "openOrders"): (1, 1),
    ("GET", "allOrders"): (20, 20),
    ("GET", "myTrades"): (20, 20),
}
MY_TRADES_OF_ORDER = 5
# The weight of /depth grows with its limit.
DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def weight_of(method: str, path: str, parameters: Mapping[str, str]) -> int:
    """Return the weight of a request; unknown paths weigh 1."""
    if path == "depth":
        limit = parameters.get("limit", "100")
        wanted = int(limit) if limit.isdigit() else 100
        return next((weight for most, weight in DEPTH_WEIGHTS if wanted <= most), 250)
    if path == "myTrades" and "orderId" in parameters:
        return MY_TRADES_OF_ORDER
    with_symbol, without = WEIGHTS.get((method, path), (1, 1))
    return with_symbol if {"symbol", "symbols"} & set(parameters) else without


@dataclass(slots=True, kw_only=True)
class _Usage:
    minute: int = -1
    used: int = 0
    refused: int = 0
    banned_until_ms: int = 0


@dataclass(slots=True, kw_only=True)
class WeightMeter:
    """Counts weight per client.

    `limit` is weight per minute, `ban_after` how many refused requests in one minute lead to a
    ban, `ban_s` how long it lasts (the real venue starts at 2 minutes).
    """

    limit: int = 6000
    ban_after: int = 20
    ban_s: int = 120
    _clients: dict[str, _Usage] = field(default_factory=dict)

    def charge(self, client: str, weight: int, now_ms: int) -> int:
        """Charge a request and return the weight used in this minute, or raise Refused."""
        usage = self._clients.setdefault(client, _Usage())
        if usage.minute != now_ms // MINUTE_MS:
            usage.minute, usage.used, usage.refused = now_ms // MINUTE_MS, 0, 0
        if now_ms < usage.banned_until_ms:
            wait_s = -(-(usage.banned_until_ms - now_ms) // 1000)
            raise refuse("banned", usage.banned_until_ms, retry_after_s=wait_s)
        usage.used += weight
        if usage.used <= self.limit:
            return usage.used
        usage.refused += 1
        if usage.refused > self.ban_after:
            usage.banned_until_ms = now_ms + self.ban_s * 1000
            raise refuse("banned", usage.banned_until_ms, retry_after_s=self.ban_s)
        wait_s = -(-(MINUTE_MS - now_ms % MINUTE_MS) // 1000)
        raise refuse("too_much_weight", self.limit, retry_after_s=wait_s)

    def used(self, client: str, now_ms: int) -> int:
        """Return the weight a client has used in this minute."""
        usage = self._clients.get(client)
        return usage.used if usage is not None and usage.minute == now_ms // MINUTE_MS else 0


@dataclass(slots=True, kw_only=True)
class OrderMeter:
    """Counts new orders per account: per 10 seconds and per day (-1015 above)."""

    ten_s_limit: int = 100
    day_limit: int = 200_000
    _counts: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def charge(self, account: str, now_ms: int) -> tuple[int, int]:
        """Count one order; return the counts of this window and this day, or raise Refused."""
        found = []
        for span_ms, limit, name in (
            (TEN_S_MS, self.ten_s_limit, "10 SECOND"),
            (DAY_MS, self.day_limit, "1 DAY"),
        ):
            window, count = self._counts.get((account, span_ms), (-1, 0))
            count = count + 1 if window == now_ms // span_ms else 1
            if count > limit:
                raise refuse("too_many_orders", limit, name)
            self._counts[account, span_ms] = (now_ms // span_ms, count)
            found.append(count)
        return found[0], found[1]
