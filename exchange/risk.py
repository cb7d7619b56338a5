"""Risk limits: what an order may not do, whatever a strategy wants.

Rules of this file: all limits are in the quote currency of the order's symbol; each refusal
names the limit, the value and the threshold; the worst case counts (every working and every
unclear buy is taken as filled). An order that only reduces the position is judged more softly:
it is exempt from order value, position value, number of open orders and the loss latch, because
holding it back would keep the risk; it has twice the rate, so that it is not starved by orders
that came before it; the price band holds for it too, because a bad price is a loss either way.

On spot a sell is a reduction or it is refused: it may not exceed what the cluster's own fills
hold, less what other sells may still take; the owner's other holdings are not ours to sell.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from exchange.model import ZERO, Position, Side
from exchange.positions import assets_of, realised_on

REDUCING_RATE_FACTOR: Final = 2
PERCENT: Final = Decimal(100)
_DISTANCE_MAX: Final = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """Limits in quote currency, except for counts and percent.

    The defaults suit an account of about a thousand USDT; a pair quoted in BTC needs its own.
    `max_open_orders` counts all symbols. `daily_loss_limit` is compared with the realised loss
    of the UTC day over all symbols of the same quote currency.
    """

    max_order_value: Decimal = Decimal(100)
    max_position_value: Decimal = Decimal(300)
    max_open_orders: int = 20
    max_orders_per_minute: int = 30
    price_band_percent: Decimal = Decimal(5)
    daily_loss_limit: Decimal = Decimal(30)

    def __post_init__(self) -> None:
        """Refuse limits that mean nothing."""
        for name in ("max_order_value", "max_position_value", "daily_loss_limit"):
            if getattr(self, name) <= ZERO:
                raise ValueError(f"risk.{name} was {getattr(self, name)}; it must be positive")
        for name in ("max_open_orders", "max_orders_per_minute"):
            if getattr(self, name) < 1:
                raise ValueError(f"risk.{name} was {getattr(self, name)}; at least 1 is needed")
        if not ZERO < self.price_band_percent < PERCENT:
            raise ValueError(
                f"risk.price_band_percent was {self.price_band_percent}; "
                "it must be above 0 and below 100"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFacts:
    """What one order is judged against, worst case.

    `position_amount` is the cluster's own position. `buys_amount` and `sells_amount` are what
    working and unclear orders of the symbol may still buy and sell. `open_orders` counts all
    symbols. `reference_price` is the middle of the best prices, None when there is no ticker.
    """

    position_amount: Decimal
    buys_amount: Decimal
    sells_amount: Decimal
    open_orders: int
    orders_last_minute: int
    reference_price: Decimal | None
    is_loss_latched: bool = False

    @property
    def sellable(self) -> Decimal:
        """What may still be sold without ever selling more than the position."""
        return max(ZERO, self.position_amount - self.sells_amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRefusal:
    """Why an order is not sent: which limit, what it would have been, what is allowed."""

    limit: str
    value: str
    threshold: str

    def __str__(self) -> str:
        """Return the refusal as one sentence part."""
        return f"{self.limit} was {self.value}, allowed {self.threshold}"


def is_reducing(*, side: Side, amount: Decimal, facts: RiskFacts) -> bool:
    """Say whether the order can only make the position smaller, in the worst case."""
    if side is Side.SELL:
        return amount <= facts.sellable
    # A short position exists on spot only after a mistake; buying it back reduces.
    return amount <= max(ZERO, -facts.position_amount - facts.buys_amount)


def check_order(
    *, side: Side, amount: Decimal, price: Decimal | None, facts: RiskFacts, limits: RiskLimits
) -> RiskRefusal | None:
    """Return why the order is refused, None when it may be sent.

    Args:
        side: of the order.
        amount: of the order, base units.
        price: limit price; None for a market order, which is valued at the reference price.
        facts: what it is judged against.
        limits: the configured limits.
    """
    is_softer = is_reducing(side=side, amount=amount, facts=facts)
    reference = facts.reference_price
    if reference is None:
        return RiskRefusal(
            limit="price_band_percent", value="unknown (no ticker)", threshold="a known price"
        )
    rate = limits.max_orders_per_minute * (REDUCING_RATE_FACTOR if is_softer else 1)
    checks = [
        _check("max_orders_per_minute", facts.orders_last_minute + 1, rate),
        _check_price(price, reference, limits),
    ]
    if not is_softer:
        worth = amount * (price or reference)
        worst = (facts.position_amount + facts.buys_amount) * reference + worth
        checks += [
            _check("own_position", amount, facts.sellable) if side is Side.SELL else None,
            _check_latch(facts),
            _check("max_order_value", worth, limits.max_order_value),
            _check("max_position_value", worst, limits.max_position_value),
            _check("max_open_orders", facts.open_orders + 1, limits.max_open_orders),
        ]
    return next((refusal for refusal in checks if refusal is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLatch:
    """The daily loss limit was reached: latched for the cluster until a person lifts it."""

    day: str
    quote: str
    loss: Decimal
    threshold: Decimal


def check_daily_loss(
    positions: Iterable[Position], *, day: str, limits: RiskLimits
) -> LossLatch | None:
    """Return the latch to set when the realised loss of an ISO UTC day reached the limit."""
    realised: dict[str, Decimal] = {}
    for position in positions:
        _, quote = assets_of(position.symbol)
        realised[quote] = realised.get(quote, ZERO) + realised_on(position, day)
    for quote, result in sorted(realised.items()):
        if -result >= limits.daily_loss_limit:
            return LossLatch(day=day, quote=quote, loss=-result, threshold=limits.daily_loss_limit)
    return None


def _check(limit: str, value: Decimal | int, threshold: Decimal | int) -> RiskRefusal | None:
    if value <= threshold:
        return None
    return RiskRefusal(limit=limit, value=_plain(value), threshold=_plain(threshold))


def _check_price(
    price: Decimal | None, reference: Decimal, limits: RiskLimits
) -> RiskRefusal | None:
    if price is None:
        return None
    # Bounded, because a price that is absurd has more digits than rounding can keep.
    distance = round(min(abs(price / reference - 1) * PERCENT, _DISTANCE_MAX), 4)
    return _check("price_band_percent", distance, limits.price_band_percent)


def _check_latch(facts: RiskFacts) -> RiskRefusal | None:
    if not facts.is_loss_latched:
        return None
    return RiskRefusal(
        limit="daily_loss_limit", value="latched", threshold="a person lifts the latch"
    )


def _plain(number: Decimal | int) -> str:
    return f"{number:f}" if isinstance(number, Decimal) else str(number)
