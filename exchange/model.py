"""Values of the venue side: markets, orders, fills, balances, intents, snapshots.

Rules of this file: values only, money is Decimal, times carry their clock and unit in their
name (`venue_ms` is the venue's clock, `wall_ms` this machine's). Construct = valid: what cannot
be right raises ValueError in `__post_init__`. It decides nothing; see reconcile.py and plan.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NewType

ClientOrderId = NewType("ClientOrderId", str)
VenueOrderId = NewType("VenueOrderId", str)

ZERO = Decimal(0)


class Side(StrEnum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: what a fill does to the position."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Kinds of order that this release sends."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    """How long an order works. POST_ONLY rests or is refused, it never takes."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PO"


class OrderStatus(StrEnum):
    """State of an order as the venue reports it (ccxt's unified words)."""

    OPEN = "open"
    CLOSED = "closed"  # completely filled
    CANCELED = "canceled"
    EXPIRED = "expired"  # IOC/FOK remainder
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """True when no further fill can happen."""
        return self is not OrderStatus.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """What the venue demands of an order in one symbol (its filters).

    Amounts are multiples of `amount_step`, prices of `price_step`; `cost_min` is the smallest
    amount*price in quote currency.
    """

    symbol: str
    base: str
    quote: str
    amount_step: Decimal
    price_step: Decimal
    amount_min: Decimal
    cost_min: Decimal
    is_active: bool = True

    def __post_init__(self) -> None:
        """Refuse steps that cannot round anything."""
        if self.amount_step <= ZERO or self.price_step <= ZERO:
            raise ValueError(f"{self.symbol}: steps must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One closed candle; `open_ms` is its opening time on the venue's clock."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def __post_init__(self) -> None:
        """A candle whose high is below its low is a bad answer, not a market."""
        if not self.low <= self.open <= self.high or not self.low <= self.close <= self.high:
            raise ValueError(f"candle {self.open_ms}: open/close outside low..high")
        if self.low <= ZERO or self.volume < ZERO:
            raise ValueError(f"candle {self.open_ms}: price must be > 0 and volume >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Best prices of one symbol. `venue_ms` is None where the venue gives no time."""

    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    venue_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One asset on the account."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Free plus locked."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue reports it, ours or foreign."""

    symbol: str
    venue_order_id: VenueOrderId
    client_order_id: ClientOrderId | None
    side: Side
    type: OrderType
    status: OrderStatus
    amount: Decimal
    filled: Decimal
    price: Decimal | None  # None for market orders
    average_price: Decimal | None = None
    created_venue_ms: int | None = None

    @property
    def remaining(self) -> Decimal:
        """What can still be filled."""
        return ZERO if self.status.is_final else self.amount - self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution. `fill_id` is the venue's own id, unique and growing per symbol."""

    symbol: str
    fill_id: str
    venue_order_id: VenueOrderId
    side: Side
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """What one order shall be; its id is fixed before anything is sent.

    `tag` is the strategy's name for the order (`target` for orders that move a position to its
    target). `created_wall_ms` is for people only. `deadline_venue_ms`: the gateway may give the
    venue an earlier deadline, never a later one; it is what the journal said before the send.
    """

    client_order_id: ClientOrderId
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    amount: Decimal
    price: Decimal | None
    tag: str
    epoch: int
    node_id: str
    created_wall_ms: int
    deadline_venue_ms: int | None = None

    def __post_init__(self) -> None:
        """A limit order has a price, a market order has none."""
        if self.amount <= ZERO:
            raise ValueError(f"{self.client_order_id}: amount must be positive")
        if (self.price is None) != (self.type is OrderType.MARKET):
            raise ValueError(f"{self.client_order_id}: price and type {self.type} do not fit")
        if self.price is not None and self.price <= ZERO:
            raise ValueError(f"{self.client_order_id}: price must be positive")


class WriteOutcome(StrEnum):
    """The four outcomes of a write (DESIGN section 4)."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"  # proven, by a code on the venue's allow-list
    UNKNOWN = "unknown"  # it may have been done; only the venue can tell
    NOT_SENT = "not_sent"  # proven: nothing left this process


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What is known about one write after it ended.

    `order` is set only for CONFIRMED placements. `code` is the venue's own code where it gave
    one. `deadline_venue_ms` is the instant after which the venue refuses the request, None when
    nothing was sent.
    """

    outcome: WriteOutcome
    reason: str
    order: VenueOrder | None = None
    code: str | None = None
    deadline_venue_ms: int | None = None
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What the cluster's own fills add up to in one symbol (spot: base asset, may not be < 0).

    `cost_quote` is the signed sum of amount*price plus quote fees of the open amount, so that
    average price = cost_quote / amount. `realised_quote` counts since `day`, an ISO UTC date.
    """

    symbol: str
    amount: Decimal = ZERO
    cost_quote: Decimal = ZERO
    realised_quote: Decimal = ZERO
    day: str = ""

    @property
    def average_price(self) -> Decimal | None:
        """Average entry price, None when flat."""
        return self.cost_quote / self.amount if self.amount else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything one reconcile pass has seen at the venue, for the symbols asked.

    `looked_up` answers single look-ups by client order id: None means that the venue said it
    knows no such order, which is evidence, not proof (the absence rule in reconcile.py).
    `looked_up_by_venue_id` does the same for fills of orders that the journal cannot name.
    `taken_venue_ms` is read *before* the first of these reads.
    """

    symbols: tuple[str, ...]
    taken_venue_ms: int
    open_orders: tuple[VenueOrder, ...]
    looked_up: Mapping[ClientOrderId, VenueOrder | None] = field(default_factory=dict)
    fills: tuple[Fill, ...] = ()
    balances: Mapping[str, Balance] = field(default_factory=dict)
    looked_up_by_venue_id: Mapping[VenueOrderId, VenueOrder | None] = field(default_factory=dict)
