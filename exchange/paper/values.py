"""Values of the paper exchange in Binance's own words (BUY, LIMIT_MAKER, PARTIALLY_FILLED).

Rules of this file: values only, money is Decimal, `venue_ms` is this exchange's own clock. What
an order locks follows from its fields, so that "locked = sum of open orders" holds by
construction.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

ZERO = Decimal(0)
# Binance keeps eight decimals of every asset; commissions are cut to that.
SMALLEST = Decimal("0.00000001")


class Side(StrEnum):
    """Direction, as on the wire."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """Order types this exchange supports."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    """How long a LIMIT order works."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Status(StrEnum):
    """State of an order, as on the wire."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        """True while the order can still fill."""
        return self in (Status.NEW, Status.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRules:
    """Filters and names of one symbol. `symbol` is the wire form (ETHBTC)."""

    symbol: str
    base: str
    quote: str
    price_step: Decimal
    amount_step: Decimal
    amount_min: Decimal
    amount_max: Decimal
    market_amount_max: Decimal
    price_min: Decimal
    price_max: Decimal
    notional_min: Decimal
    price_factor_up: Decimal = Decimal(5)
    price_factor_down: Decimal = Decimal("0.2")
    open_orders_max: int = 200
    notional_filter: str = "NOTIONAL"
    has_trading: bool = True

    def __post_init__(self) -> None:
        """Refuse rules that no order can meet."""
        if self.price_step <= ZERO or self.amount_step <= ZERO:
            raise ValueError(f"{self.symbol}: steps must be positive")
        if self.notional_filter not in ("NOTIONAL", "MIN_NOTIONAL"):
            raise ValueError(f"{self.symbol}: notional_filter is NOTIONAL or MIN_NOTIONAL")

    def floor_amount(self, amount: Decimal) -> Decimal:
        """Round an amount down to a whole number of steps."""
        return (amount / self.amount_step).to_integral_value(ROUND_DOWN) * self.amount_step


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """A checked request for an order. `quantity` is zero when `quote_quantity` is given."""

    account: str
    symbol: str
    client_order_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One accepted order in one of its states; `price` is zero for MARKET."""

    order_id: int
    account: str
    symbol: str
    client_order_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    status: Status
    executed: Decimal
    executed_quote: Decimal
    created_ms: int
    updated_ms: int

    @property
    def remaining(self) -> Decimal:
        """What could still be filled if the order is open."""
        return self.quantity - self.executed

    def locks(self, rules: SymbolRules) -> tuple[str, Decimal]:
        """Return the asset and amount this order keeps locked on its account now."""
        asset = rules.quote if self.side is Side.BUY else rules.base
        if not self.status.is_open or self.type is OrderType.MARKET:
            return asset, ZERO
        price = self.price if self.side is Side.BUY else Decimal(1)
        return asset, self.remaining * price


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution. `trade_id` is unique and growing within its symbol."""

    trade_id: int
    order_id: int
    account: str
    symbol: str
    client_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    venue_ms: int

    @property
    def quote_quantity(self) -> Decimal:
        """Amount times price."""
        return self.price * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """An account exists from here on, with these balances."""

    account: str
    uid: int
    balances: tuple[tuple[str, Decimal], ...]
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted:
    """An order was accepted by the matching engine (status NEW, nothing executed yet)."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class FillMade:
    """An order was executed in part or whole."""

    fill: Fill


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded:
    """An order ended without being filled completely."""

    order_id: int
    status: Status
    venue_ms: int


Event = AccountOpened | OrderAccepted | FillMade | OrderEnded
