"""Values of the status: what one look at the stores means. They decide nothing."""

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum


class Verdict(IntEnum):
    """The exit code of `nodectl status`."""

    TRADING = 0  # with a spare
    TRADING_ALONE = 1
    NOBODY = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node. `role` is the people's word; None stands for what could not be seen.

    `reasons`: why it cannot lead; `warnings`: what its box warns of, which keeps it from nothing.
    """

    node_id: str
    label: str
    role: str
    is_spare: bool = False
    seen_s: float | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_venue_ok: bool | None = None
    venue_error: str = ""
    clock_error_ms: float | None = None
    temperature_c: float | None = None
    memory_mb: float | None = None
    disk_free_mb: float | None = None
    cpu_percent: float | None = None
    uptime_s: float | None = None
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLine:
    """One store and who it names."""

    name: str
    address: str
    error: str
    names: str  # node id; empty for nobody or unknown
    epoch: int | None
    state: str
    age_s: float | None
    server: str
    is_needed: bool = False  # in every decision, while the pair grows from it


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLine:
    """What the cluster holds in one symbol."""

    symbol: str
    amount: Decimal
    average_price: Decimal | None
    realised_today: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One order that is not over. `is_unclear`: its outcome is unknown, its symbol is blocked."""

    client_order_id: str
    symbol: str
    side: str
    amount: Decimal
    filled: Decimal
    price: Decimal | None
    tag: str
    state: str
    is_unclear: bool
    age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyLine:
    """One strategy as configured."""

    name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverLine:
    """The last takeover that is on record."""

    epoch: int
    node_id: str
    at_wall_ms: int
    gap_s: float | None
    reason: str
    orders_kept: int
    orders_cancelled: int
    orders_unclear: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """Everything the status shows; `remarks` say what could not be seen or does not fit."""

    taken_wall_ms: int
    cluster_id: str
    verdict: Verdict
    headline: str
    holder: str | None
    epoch: int | None
    since_wall_ms: int | None
    silent_s: float | None
    takeover_in_s: float | None
    is_paused: bool | None
    pause_reason: str
    is_loss_latched: bool
    spares: tuple[str, ...]
    nodes: tuple[NodeView, ...]
    stores: tuple[StoreLine, ...]
    strategies: tuple[StrategyLine, ...]
    fingerprint: str
    positions: tuple[PositionLine, ...]
    orders: tuple[OrderLine, ...]
    realised_today: Decimal | None
    daily_loss_limit: Decimal
    quote: str
    last_takeover: TakeoverLine | None
    topology: str
    remarks: tuple[str, ...]

    @property
    def unclear(self) -> tuple[OrderLine, ...]:
        """Orders whose outcome is unknown."""
        return tuple(order for order in self.orders if order.is_unclear)
