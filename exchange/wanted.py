"""What strategies want, what a plan may do about it, and everything a plan is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from exchange.findings import Findings
from exchange.intents import ORPHAN_TAG, TARGET_TAG
from exchange.model import ZERO, MarketRules, Side, Ticker, TimeInForce
from exchange.risk import RiskLimits


class TradingMode(StrEnum):
    """What a plan may do in a symbol."""

    NORMAL = "normal"
    REDUCE_ONLY = "reduce_only"  # cancels and pure reductions
    CANCEL_ONLY = "cancel_only"  # cancels what is not wanted, places nothing
    HANDS_OFF = "hands_off"  # leaves everything as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedOrder:
    """A resting order that a strategy wants to have under a tag."""

    tag: str
    side: Side
    amount: Decimal
    price: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC

    def __post_init__(self) -> None:
        """Refuse what can never be an order."""
        if self.amount <= ZERO or self.price <= ZERO:
            raise ValueError(f"order {self.tag!r}: amount and price must be positive")
        if self.tag in {"", TARGET_TAG, ORPHAN_TAG}:
            raise ValueError(f"order tag {self.tag!r} is reserved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one strategy wants in one symbol since its last decision.

    `target` is a position in base units, None to leave it alone. `spent` names the tags that
    were filled or refused since that decision (they are not placed again); a new decision
    starts with none.
    """

    symbol: str
    target: Decimal | None = None
    orders: tuple[WantedOrder, ...] = ()
    spent: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse two orders under one tag, and a short position (spot)."""
        tags = [order.tag for order in self.orders]
        if len(tags) != len(set(tags)):
            raise ValueError(f"{self.symbol}: a tag is used twice")
        if self.target is not None and self.target < ZERO:
            raise ValueError(f"{self.symbol}: target was {self.target}; spot cannot go short")

    def spend(self, *tags: str) -> "Wanted":
        """Return the same with more tags spent."""
        return replace(self, spent=self.spent | set(tags))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInput:
    """Everything a plan is made from.

    `wanted` by symbol; a symbol of ours that is not in it has no decision yet and is left as it
    is. `modes` overrides `mode` for single symbols. `first_counter` is the order path's
    `next_counter`. `is_loss_latched` is the cluster's daily loss latch. `max_slippage_percent`
    bounds how far from the best price a move to a target may fill.
    """

    wanted: Mapping[str, Wanted]
    findings: Findings
    rules: Mapping[str, MarketRules]
    tickers: Mapping[str, Ticker]
    limits: RiskLimits
    cluster_tag: str
    node_tag: str
    node_id: str
    epoch: int
    first_counter: int
    now_wall_ms: int
    orders_last_minute: int = 0
    mode: TradingMode = TradingMode.NORMAL
    modes: Mapping[str, TradingMode] = field(default_factory=dict)
    is_loss_latched: bool = False
    max_slippage_percent: Decimal = Decimal("0.5")

    def mode_of(self, symbol: str) -> TradingMode:
        """Return what may be done in a symbol."""
        return self.modes.get(symbol, self.mode)
