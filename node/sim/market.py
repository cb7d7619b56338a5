"""The simulated venue's own side: orders, matching, moving prices, and the faults it has.

It outlives every node and knows true time; its log of accepted orders is what the checkers read.
Rules of this file: a request is judged at its arrival, by the venue's own clock; what is shown may
lag behind what was accepted, within a bound.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import exp

from exchange.ccxt_ticket import Stamp
from exchange.memory_venue import MemoryExchange
from exchange.model import (
    Candle,
    ClientOrderId,
    Fill,
    OrderIntent,
    OrderStatus,
    VenueOrder,
    VenueOrderId,
)
from node.sim.clocks import EPOCH_S
from node.sim.world import World

SYMBOL = "ETH/USDT"
FIRST_PRICE = Decimal(100)
PRICE_STEP = Decimal("0.01")
MOVE_S = 4.0  # the price moves this often
# Of the price, per move: a market in which little happens, and one that fills orders all the time.
# With few orders at the venue little there tells which epochs were used.
QUIET_SIGMA, BUSY_SIGMA = 0.0002, 0.0012
PRICE_MIN, PRICE_MAX = Decimal(60), Decimal(160)
CANDLE_MS = 60_000
CANDLES_KEPT = 240  # as many as a shipped strategy asks for
AHEAD_MS = 1000  # a stamp this much in the future is still taken (H12)
HELD_LEFT_S = (0.005, 0.15)  # what a held order has left of its window when it arrives
LAG_S = 0.7  # how old a lagging view is; below the second between two reads of the absence rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One placement that was accepted: true time, the intent as it was sent, by whom."""

    at_s: float
    intent: OrderIntent
    process: str


class SimExchange(MemoryExchange):
    """The venue's state, with indexes that keep hours of orders cheap."""

    def __init__(self, world: World) -> None:
        """Open one market; its price moves from now on."""
        self._alive: list[VenueOrderId] = []
        self._by_client_id: dict[ClientOrderId, VenueOrderId] = {}
        super().__init__({SYMBOL: FIRST_PRICE}, now_ms=int(EPOCH_S * 1000))
        self._world = world
        self.arrivals: list[Arrival] = []
        self.tags: dict[VenueOrderId, str] = {}
        self.maintenance_until_s = 0.0
        self.limited_until_s = 0.0
        self.lagging_until_s = 0.0
        self.cancelled_s: dict[ClientOrderId, float] = {}
        self.holds_next_order = False  # something on the way keeps it as long as it may
        self.drift = 0.0  # of the price, per move
        self.sigma = world.rng.choice((QUIET_SIGMA, BUSY_SIGMA, BUSY_SIGMA))
        self.is_still = False  # the price does not move
        self.on_arrival: Callable[[Arrival, VenueOrder], None] = lambda _arrival, _order: None
        self.candles: list[Candle] = [
            _flat(self.now_ms - ago * CANDLE_MS, FIRST_PRICE) for ago in range(CANDLES_KEPT, 0, -1)
        ]
        self.forming = _flat(self.now_ms, FIRST_PRICE)
        world.after(MOVE_S, self._move)

    def tick(self) -> None:
        """Let the venue's clock show the present."""
        self.now_ms = int((EPOCH_S + self._world.now) * 1000)

    # --- requests ------------------------------------------------------------------------------

    def place(self, intent: OrderIntent, stamp: Stamp, process: str) -> VenueOrder | str:
        """Judge a placement at its arrival; a text says why it is refused."""
        self.tick()
        if not self.is_timely(stamp):
            return "-1021"
        order = self.accept(replace(intent, deadline_venue_ms=stamp.deadline_ms))
        if isinstance(order, VenueOrder):
            self.tags[order.venue_order_id] = intent.tag
            arrival = Arrival(at_s=self._world.now, intent=intent, process=process)
            self.arrivals.append(arrival)
            self.on_arrival(arrival, order)
            if order.filled:
                self._world.count("fill")
            self._world.note(
                "venue",
                "order accepted",
                id=intent.client_order_id,
                tag=intent.tag,
                side=intent.side.value,
                amount=intent.amount,
                price=intent.price,
                epoch=intent.epoch,
                by=process,
            )
        return order

    @property
    def last_arrival_s(self) -> float:
        """True time at which the newest order was accepted, 0 before the first."""
        return self.arrivals[-1].at_s if self.arrivals else 0.0

    def hold_s(self, stamp: Stamp) -> float | None:
        """Return how long an order that leaves now is held up; None: it is not."""
        if not self.holds_next_order:
            return None
        self.holds_next_order = False
        self._world.count("order held up")
        self.tick()
        left_s = (stamp.deadline_ms - self.now_ms) / 1000
        return max(0.0, left_s - self._world.rng.uniform(*HELD_LEFT_S))

    def is_timely(self, stamp: Stamp) -> bool:
        """Tell whether the venue takes a request with this stamp now."""
        return stamp.timestamp_ms <= self.now_ms + AHEAD_MS and self.now_ms <= stamp.deadline_ms

    def cancel(self, client_order_id: ClientOrderId, stamp: Stamp) -> str:
        """Cancel an open order; a text says why not."""
        self.tick()
        if not self.is_timely(stamp):
            return "-1021"
        for order in self._open(SYMBOL):
            if order.client_order_id == client_order_id:
                self.orders[order.venue_order_id] = replace(order, status=OrderStatus.CANCELED)
                self.cancelled_s[client_order_id] = self._world.now
                self._world.note("venue", "order cancelled", id=client_order_id)
                return ""
        return "-2011"

    def shown(self, orders: tuple[VenueOrder, ...]) -> tuple[VenueOrder, ...]:
        """Return the orders that a reader is shown: a lagging venue leaves the newest out."""
        if self._world.now >= self.lagging_until_s:
            return orders
        before_ms = self.now_ms - int(LAG_S * 1000)
        return tuple(o for o in orders if (o.created_venue_ms or 0) <= before_ms)

    def order_of(self, client_order_id: ClientOrderId) -> VenueOrder | None:
        """Return the order of that id as it is shown."""
        number = self._by_client_id.get(client_order_id)
        found = () if number is None else self.shown((self.orders[number],))
        return found[0] if found else None

    def fills_after(self, after: int) -> tuple[Fill, ...]:
        """Return the fills after a number, which counts them."""
        fills = tuple(self.fills[after:])
        if self._world.now < self.lagging_until_s:
            before_ms = self.now_ms - int(LAG_S * 1000)
            fills = tuple(f for f in fills if f.venue_ms <= before_ms)
        return fills

    # --- MemoryExchange, indexed ---------------------------------------------------------------

    def accept(self, intent: OrderIntent) -> VenueOrder | str:
        """Take an order as the stand-in does, and index it."""
        order = super().accept(intent)
        if isinstance(order, VenueOrder):
            self._by_client_id[intent.client_order_id] = order.venue_order_id
            self._alive.append(order.venue_order_id)
        return order

    def _open(self, symbol: str) -> list[VenueOrder]:
        orders = self.orders
        self._alive = [number for number in self._alive if not orders[number].status.is_final]
        return [orders[number] for number in self._alive if orders[number].symbol == symbol]

    # --- prices --------------------------------------------------------------------------------

    def _move(self) -> None:
        world = self._world
        self.tick()
        old = self.prices[SYMBOL]
        moved = float(old) * exp(world.rng.gauss(self.drift, self.sigma))
        price = max(PRICE_MIN, min(PRICE_MAX, Decimal(moved).quantize(PRICE_STEP)))
        if self.is_still:
            price = old
        self._to_candle(price)
        before = len(self.fills)
        self.prices[SYMBOL] = price
        for order in self._open(SYMBOL):
            if self._crosses(order):
                part = (order.remaining / 2).quantize(Decimal("0.001"))
                is_part = world.rng.random() < 0.2 and part > 0  # noqa: PLR2004  (one in five)
                self.fill(order.venue_order_id, part if is_part else order.remaining)
        for fill in self.fills[before:]:
            world.count("fill")
            world.note(
                "venue",
                "order filled",
                id=self.orders[fill.venue_order_id].client_order_id,
                side=fill.side.value,
                amount=fill.amount,
                price=fill.price,
            )
        world.after(MOVE_S * world.rng.uniform(0.8, 1.2), self._move)

    def _to_candle(self, price: Decimal) -> None:
        forming = self.forming
        if self.now_ms - forming.open_ms >= CANDLE_MS:
            self.candles.append(forming)
            del self.candles[:-CANDLES_KEPT]
            self.forming = _flat(self.now_ms // CANDLE_MS * CANDLE_MS, price)
            return
        self.forming = replace(
            forming,
            high=max(forming.high, price),
            low=min(forming.low, price),
            close=price,
        )

    def position(self) -> Decimal:
        """Return what all fills of our orders add up to."""
        return sum((f.side.sign * f.amount for f in self.fills), Decimal(0))

    def open_tags(self) -> Mapping[str, list[ClientOrderId]]:
        """Return the open orders by tag."""
        tags: dict[str, list[ClientOrderId]] = {}
        for order in self._open(SYMBOL):
            if order.client_order_id is not None:
                tag = self.tags.get(order.venue_order_id, "")
                tags.setdefault(tag, []).append(order.client_order_id)
        return tags


def _flat(open_ms: int, price: Decimal) -> Candle:
    return Candle(
        open_ms=open_ms, open=price, high=price, low=price, close=price, volume=Decimal(1)
    )
