"""Stand-in for a spot venue, in memory: orders, fills, balances, and faults on request.

`MemoryExchange` is the venue's own state and outlives any node; `MemoryVenue` is one node's link
to it and satisfies both `exchange.ports.Venue` and `Gateway`. Prices move only when a test says
so; time too. It is for tests of what lies above the ports; the paper exchange is the one that
speaks HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from exchange.errors import VenueUnavailable
from exchange.model import (
    ZERO,
    Balance,
    Candle,
    ClientOrderId,
    Fill,
    MarketRules,
    OrderIntent,
    OrderStatus,
    Side,
    Ticker,
    TimeInForce,
    VenueOrder,
    VenueOrderId,
    WriteOutcome,
    WriteResult,
)
from exchange.positions import assets_of, fill_number

FEE_RATE: Final = Decimal("0.001")
HALF_SPREAD: Final = Decimal("0.0005")
START_BALANCE: Final = Decimal(1_000_000)


class Fault(StrEnum):
    """What goes wrong with one call."""

    NONE = "none"
    UNAVAILABLE = "unavailable"  # a read has no answer; a write was never sent
    LOST_BEFORE = "lost_before"  # a write's outcome is unknown, and nothing was done
    LOST_AFTER = "lost_after"  # a write's outcome is unknown, and it was done
    LATE = "late"  # a write's outcome is unknown, and it arrives at `deliver_late`
    REJECT = "reject"  # a write is refused with proof
    RAISE = "raise"  # a write raises, against its contract, after it was done
    STALE = "stale"  # a list of fills is older than the orders it belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One entry of the venue's own log: a placement that it accepted."""

    client_order_id: ClientOrderId
    venue_ms: int


class MemoryExchange:
    """The venue's own state."""

    def __init__(self, prices: Mapping[str, Decimal], *, now_ms: int = 1_700_000_000_000) -> None:
        """Open one market for each symbol."""
        self.now_ms = now_ms
        self.prices = dict(prices)
        self.orders: dict[VenueOrderId, VenueOrder] = {}
        self.fills: list[Fill] = []
        self.accepted: list[Accepted] = []
        self.depth: Decimal | None = None  # the most that one arriving order may take
        self._late: list[OrderIntent] = []
        self._totals: dict[str, Decimal] = {}
        for symbol in prices:
            for asset in assets_of(symbol):
                self._totals[asset] = START_BALANCE

    def rules(self, symbol: str) -> MarketRules:
        """Return the filters, the same for every symbol."""
        base, quote = assets_of(symbol)
        return MarketRules(
            symbol=symbol,
            base=base,
            quote=quote,
            amount_step=Decimal("0.001"),
            price_step=Decimal("0.01"),
            amount_min=Decimal("0.001"),
            cost_min=Decimal(1),
        )

    def accept(self, intent: OrderIntent) -> VenueOrder | str:
        """Take an order, match it at once; a text says why it is refused."""
        if intent.deadline_venue_ms is not None and self.now_ms > intent.deadline_venue_ms:
            return "-1021"
        if any(o.client_order_id == intent.client_order_id for o in self._open(intent.symbol)):
            return "-2010 Duplicate order sent."
        number = VenueOrderId(str(len(self.orders) + 1))
        self.orders[number] = VenueOrder(
            symbol=intent.symbol,
            venue_order_id=number,
            client_order_id=intent.client_order_id,
            side=intent.side,
            type=intent.type,
            status=OrderStatus.OPEN,
            amount=intent.amount,
            filled=ZERO,
            price=intent.price,
            created_venue_ms=self.now_ms,
        )
        self.accepted.append(Accepted(client_order_id=intent.client_order_id, venue_ms=self.now_ms))
        takes = intent.time_in_force is not TimeInForce.POST_ONLY
        if takes and self._crosses(self.orders[number]):
            amount = intent.amount if self.depth is None else min(intent.amount, self.depth)
            self.fill(number, amount)
        rests = intent.time_in_force in {TimeInForce.GTC, TimeInForce.POST_ONLY}
        if not rests and not self.orders[number].status.is_final:
            self.orders[number] = replace(self.orders[number], status=OrderStatus.EXPIRED)
        return self.orders[number]

    def fill(self, number: VenueOrderId, amount: Decimal) -> None:
        """Fill an open order at its own price (a market order at the present one)."""
        order = self.orders[number]
        base, quote = assets_of(order.symbol)
        price = self.prices[order.symbol] if order.price is None else order.price
        is_buy = order.side is Side.BUY
        fee = amount * FEE_RATE * (1 if is_buy else price)
        filled = order.filled + amount
        status = OrderStatus.CLOSED if filled == order.amount else OrderStatus.OPEN
        self.orders[number] = replace(order, filled=filled, status=status)
        fill = Fill(
            symbol=order.symbol,
            fill_id=str(len(self.fills) + 1),
            venue_order_id=number,
            side=order.side,
            amount=amount,
            price=price,
            fee=fee,
            fee_asset=base if is_buy else quote,
            venue_ms=self.now_ms,
        )
        self.fills.append(fill)
        self._totals[base] += order.side.sign * amount - (fee if is_buy else ZERO)
        self._totals[quote] -= order.side.sign * amount * price + (ZERO if is_buy else fee)

    def move_price(self, symbol: str, price: Decimal) -> None:
        """Set the price and fill every resting order that it reaches."""
        self.prices[symbol] = price
        for order in self._open(symbol):
            if self._crosses(order):
                self.fill(order.venue_order_id, order.remaining)

    def place_foreign(self, intent: OrderIntent, client_order_id: str | None) -> VenueOrder:
        """Place an order of somebody else on the same account."""
        order = self.accept(intent)
        assert isinstance(order, VenueOrder)
        self.accepted.pop()
        named = None if client_order_id is None else ClientOrderId(client_order_id)
        self.orders[order.venue_order_id] = replace(order, client_order_id=named)
        return self.orders[order.venue_order_id]

    def hold_back(self, intent: OrderIntent) -> None:
        """Keep a request on its way until `deliver_late`."""
        self._late.append(intent)

    def deliver_late(self) -> None:
        """Let every held request arrive now; those past their deadline are refused."""
        held, self._late = self._late, []
        for intent in held:
            self.accept(intent)

    def totals(self) -> dict[str, Balance]:
        """Return what the account holds."""
        return {asset: Balance(free=total) for asset, total in self._totals.items()}

    def open_orders(self, symbol: str) -> tuple[VenueOrder, ...]:
        """Return the open orders of a symbol."""
        return tuple(self._open(symbol))

    def _open(self, symbol: str) -> list[VenueOrder]:
        return [o for o in self.orders.values() if o.symbol == symbol and not o.status.is_final]

    def _crosses(self, order: VenueOrder) -> bool:
        price = self.prices[order.symbol]
        if order.price is None:
            return True
        return order.price >= price if order.side is Side.BUY else order.price <= price


class MemoryVenue:
    """One node's link to a `MemoryExchange`.

    `on_call(name)` is asked before each call what shall go wrong with it; it may raise, too.
    """

    def __init__(
        self,
        exchange: MemoryExchange,
        *,
        on_call: Callable[[str], Fault] = lambda _name: Fault.NONE,
    ) -> None:
        """Link to the exchange."""
        self.exchange = exchange
        self._on_call = on_call

    def _read(self, name: str) -> None:
        if self._on_call(name) not in {Fault.NONE, Fault.STALE}:
            raise VenueUnavailable(f"{name}: no answer")

    async def venue_now_ms(self) -> int:
        """Return the venue's time."""
        return self.exchange.now_ms

    async def measure_clock(self) -> float:
        """Return the uncertainty of the offset: none."""
        return 0.0

    async def account_id(self) -> str:
        """Return the account's id."""
        self._read("account_id")
        return "memory"

    async def market_rules(self, symbol: str) -> MarketRules:
        """Return the filters of one symbol."""
        self._read("market_rules")
        return self.exchange.rules(symbol)

    async def candles(self, symbol: str, timeframe: str, limit: int) -> tuple[Candle, ...]:
        """Return flat candles at the present price, one a minute."""
        del timeframe
        self._read("candles")
        price, minute_ms = self.exchange.prices[symbol], 60_000
        last_ms = self.exchange.now_ms // minute_ms * minute_ms
        return tuple(
            Candle(
                open_ms=last_ms - back * minute_ms,
                open=price,
                high=price,
                low=price,
                close=price,
                volume=ZERO,
            )
            for back in range(limit, 0, -1)
        )

    async def ticker(self, symbol: str) -> Ticker:
        """Return prices around the present one."""
        self._read("ticker")
        price = self.exchange.prices[symbol]
        return Ticker(
            symbol=symbol,
            bid=price * (1 - HALF_SPREAD),
            ask=price * (1 + HALF_SPREAD),
            last=price,
            venue_ms=self.exchange.now_ms,
        )

    async def open_orders(self, symbol: str) -> tuple[VenueOrder, ...]:
        """Return all open orders of the account in the symbol."""
        self._read("open_orders")
        return self.exchange.open_orders(symbol)

    async def order_by_client_id(
        self, symbol: str, client_order_id: ClientOrderId
    ) -> VenueOrder | None:
        """Return the newest order of that id."""
        self._read("order_by_client_id")
        return next(
            (
                o
                for o in reversed(self.exchange.orders.values())
                if o.symbol == symbol and o.client_order_id == client_order_id
            ),
            None,
        )

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder | None:
        """Return the order of that number."""
        self._read("order_by_venue_id")
        order = self.exchange.orders.get(VenueOrderId(venue_order_id))
        return order if order is not None and order.symbol == symbol else None

    async def fills(self, symbol: str, after_fill_id: str | None) -> tuple[Fill, ...]:
        """Return the fills after the given one, oldest first."""
        fault = self._on_call("fills")
        if fault is Fault.STALE:
            return ()
        if fault is not Fault.NONE:
            raise VenueUnavailable("fills: no answer")
        after = 0 if after_fill_id is None else fill_number(after_fill_id)
        return tuple(
            f for f in self.exchange.fills if f.symbol == symbol and fill_number(f.fill_id) > after
        )

    async def balances(self) -> Mapping[str, Balance]:
        """Return all balances."""
        self._read("balances")
        return self.exchange.totals()

    async def close(self) -> None:
        """Close nothing."""

    async def place(self, intent: OrderIntent) -> WriteResult:
        """Send one order; its outcome depends on the fault."""
        fault = self._on_call("place")
        if fault in {Fault.UNAVAILABLE, Fault.REJECT}:
            return self._failed(fault)
        if fault is Fault.LOST_BEFORE:
            return self._unknown(intent)
        if fault is Fault.LATE:
            self.exchange.hold_back(intent)
            return self._unknown(intent)
        taken = self.exchange.accept(intent)
        if fault is Fault.RAISE:
            raise RuntimeError("the answer could not be parsed")
        if fault is Fault.LOST_AFTER:
            return self._unknown(intent)
        if isinstance(taken, str):
            return WriteResult(outcome=WriteOutcome.REJECTED, reason=taken, code=taken.split()[0])
        return WriteResult(
            outcome=WriteOutcome.CONFIRMED,
            reason="",
            order=taken,
            deadline_venue_ms=intent.deadline_venue_ms,
        )

    async def cancel(
        self, symbol: str, client_order_id: ClientOrderId, *, epoch: int
    ) -> WriteResult:
        """Cancel one order; its outcome depends on the fault."""
        del epoch
        fault = self._on_call("cancel")
        if fault in {Fault.UNAVAILABLE, Fault.REJECT}:
            return self._failed(fault)
        unknown = WriteResult(outcome=WriteOutcome.UNKNOWN, reason="no answer")
        if fault in {Fault.LOST_BEFORE, Fault.LATE}:
            return unknown
        for order in self.exchange.open_orders(symbol):
            if order.client_order_id == client_order_id:
                self.exchange.orders[order.venue_order_id] = replace(
                    order, status=OrderStatus.CANCELED
                )
                break
        else:
            return WriteResult(outcome=WriteOutcome.REJECTED, reason="no such order", code="-2011")
        if fault is Fault.RAISE:
            raise RuntimeError("the answer could not be parsed")
        if fault is Fault.LOST_AFTER:
            return unknown
        return WriteResult(outcome=WriteOutcome.CONFIRMED, reason="")

    def _failed(self, fault: Fault) -> WriteResult:
        if fault is Fault.REJECT:
            return WriteResult(
                outcome=WriteOutcome.REJECTED, reason="refused on request", code="-2010"
            )
        return WriteResult(outcome=WriteOutcome.NOT_SENT, reason="no connection")

    def _unknown(self, intent: OrderIntent) -> WriteResult:
        return WriteResult(
            outcome=WriteOutcome.UNKNOWN,
            reason="no answer",
            deadline_venue_ms=intent.deadline_venue_ms,
        )
