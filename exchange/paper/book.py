"""What an order executes against: the displayed market around the last price, and candle volume.

Rules of this file (documented in docs/paper-exchange.md):
- Accounts trade with the market, never with each other.
- A taker meets LEVELS price levels on each side of the last price, one spread apart; together
  they hold `depth`. What it takes is gone until the next price point.
- A resting order fills when a price point reaches its price, at its own price, in price-time
  priority, and all orders of one side together get no more than that point's volume.
Pure: it moves no balances and knows no accounts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from exchange.paper.values import ZERO, Order, Side, SymbolRules

# Enough levels that a large market order visibly slips, few enough to stay readable in /depth.
LEVELS = 10


@dataclass(slots=True, kw_only=True)
class Market:
    """The displayed market of one symbol at the current price point (mutable, not persisted)."""

    rules: SymbolRules
    spread: Decimal
    last: Decimal = ZERO
    depth: Decimal = ZERO
    taken: dict[Side, Decimal] = field(default_factory=lambda: {Side.BUY: ZERO, Side.SELL: ZERO})

    def show(self, *, price: Decimal, depth: Decimal) -> None:
        """Move to the next price point: a new price and fresh liquidity on both sides."""
        self.last = price
        self.depth = depth
        self.taken = {Side.BUY: ZERO, Side.SELL: ZERO}

    def levels(self, side: Side) -> list[tuple[Decimal, Decimal]]:
        """Return price and amount of each level that a taker of `side` would meet, best first."""
        size = self.rules.floor_amount(self.depth / LEVELS)
        if self.depth > ZERO:
            size = max(size, self.rules.amount_step)
        gone = self.taken[side]
        sign = 1 if side is Side.BUY else -1
        found = []
        for number in range(1, LEVELS + 1):
            used = min(gone, size)
            gone -= used
            price = self.last + sign * self.spread * number
            if size - used > ZERO and price > ZERO:
                found.append((price, size - used))
        return found

    def levels_of_sides(
        self,
    ) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """Return asks and bids, best first: what a buyer and what a seller would meet."""
        return self.levels(Side.BUY), self.levels(Side.SELL)

    def best(self, side: Side) -> Decimal:
        """Return the best price for a taker of `side`, also when nothing is left there."""
        levels = self.levels(side)
        sign = 1 if side is Side.BUY else -1
        return (
            levels[0][0] if levels else max(self.rules.price_step, self.last + sign * self.spread)
        )

    def would_match(self, side: Side, price: Decimal) -> bool:
        """Return whether a limit price reaches the other side of the market."""
        best = self.best(side)
        return price >= best if side is Side.BUY else price <= best

    def walk(
        self, side: Side, *, quantity: Decimal, limit: Decimal | None
    ) -> list[tuple[Decimal, Decimal]]:
        """Return the executions of a taker order: price and amount, best first; takes nothing."""
        found = []
        left = quantity
        for price, size in self.levels(side):
            is_too_far = limit is not None and (
                price > limit if side is Side.BUY else price < limit
            )
            if left <= ZERO or is_too_far:
                break
            amount = min(left, size)
            found.append((price, amount))
            left -= amount
        return found

    def walk_quote(self, side: Side, quote: Decimal) -> list[tuple[Decimal, Decimal]]:
        """Return the executions that spend (or earn) at most `quote`, in whole amount steps."""
        found = []
        left = quote
        for price, size in self.levels(side):
            amount = min(size, self.rules.floor_amount(left / price))
            if amount <= ZERO:
                break
            found.append((price, amount))
            left -= amount * price
        return found

    def take(self, side: Side, amount: Decimal) -> None:
        """Note that a taker of `side` has used this much of the displayed liquidity."""
        self.taken[side] += amount


def match_resting(
    orders: Iterable[Order], *, rules: SymbolRules, price: Decimal, volume: Decimal
) -> list[tuple[Order, Decimal]]:
    """Return which resting orders fill at a price point, and how much of each.

    Args:
        orders: open orders of the symbol, of all accounts.
        rules: steps of the symbol.
        price: price of the point; a buy at or above it and a sell at or below it is reached.
        volume: what was traded at the point; bounds the fills of each side.
    """
    reached: dict[Side, list[Order]] = {Side.BUY: [], Side.SELL: []}
    for order in orders:
        if order.price >= price if order.side is Side.BUY else order.price <= price:
            reached[order.side].append(order)
    reached[Side.BUY].sort(key=lambda o: (-o.price, o.order_id))
    reached[Side.SELL].sort(key=lambda o: (o.price, o.order_id))
    found = []
    for side_orders in reached.values():
        left = rules.floor_amount(volume)
        for order in side_orders:
            amount = min(order.remaining, left)
            if amount > ZERO:
                found.append((order, amount))
                left -= amount
    return found
