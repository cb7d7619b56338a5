"""Positions: what the cluster's own fills add up to, one symbol at a time.

Rules of this file: a fill counts exactly once (the cursor is the last fill counted; ids grow);
fills are counted in the order of their ids, and counting stops before the first fill whose order
is not yet known to be ours or foreign, because the cursor must not pass it. A fee in base
reduces the amount, a fee in quote adjusts the cost, a fee in a third asset is not valued. It
does not decide what to trade.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from exchange.model import ZERO, ClientOrderId, Fill, Position, VenueOrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRecord:
    """A position with what is needed to go on counting.

    `after_fill_id` is the last fill that was looked at, None before the first. `baseline_amount`
    is what the account held of the base asset beside this position when counting began; it
    serves the balance report only.
    """

    position: Position
    after_fill_id: str | None = None
    baseline_amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedFill:
    """A fill of ours that changed the position, with the order it belongs to."""

    fill: Fill
    client_order_id: ClientOrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Result of counting: the new record, our fills, and orders that must be looked up first."""

    record: PositionRecord
    counted: tuple[CountedFill, ...]
    unattributed: tuple[VenueOrderId, ...]


def fill_number(fill_id: str) -> int:
    """Return the number by which fills are ordered.

    Raises:
        ValueError: the id is not a number; such a venue needs its own cursor.
    """
    if not fill_id.isascii() or not fill_id.isdigit():
        raise ValueError(f"fill id was {fill_id!r}; a growing number is needed")
    return int(fill_id)


def utc_day(venue_ms: int) -> str:
    """Return the ISO date of an instant, in UTC."""
    return datetime.fromtimestamp(venue_ms / 1000, tz=UTC).date().isoformat()


def assets_of(symbol: str) -> tuple[str, str]:
    """Return base and quote of a unified spot symbol such as ETH/BTC.

    Raises:
        ValueError: the symbol has no slash.
    """
    base, slash, quote = symbol.partition("/")
    if not slash or not base or not quote:
        raise ValueError(f"symbol was {symbol!r}; it must look like ETH/BTC")
    return base, quote.partition(":")[0]


def count_fills(
    record: PositionRecord,
    fills: Iterable[Fill],
    owners: Mapping[VenueOrderId, ClientOrderId | None],
    *,
    born_venue_ms: int = 0,
) -> Counted:
    """Count the fills after the cursor, each once, in the order of their ids.

    Args:
        record: what was counted so far.
        fills: fills of this symbol, in any order, possibly repeated.
        owners: for each known order our client order id, or None when it is foreign.
        born_venue_ms: fills before this instant are older than the cluster, hence foreign.
    """
    after = -1 if record.after_fill_id is None else fill_number(record.after_fill_id)
    fresh = {fill_number(f.fill_id): f for f in fills if fill_number(f.fill_id) > after}
    position, counted, is_stopped = record.position, [], False
    cursor = record.after_fill_id
    unattributed: dict[VenueOrderId, None] = {}  # a dict keeps the order and drops repeats
    for _, fill in sorted(fresh.items()):
        is_foreign_by_age = fill.venue_ms < born_venue_ms
        if fill.venue_order_id not in owners and not is_foreign_by_age:
            unattributed[fill.venue_order_id] = None
            is_stopped = True
        if is_stopped:
            continue
        cursor = fill.fill_id
        owner = None if is_foreign_by_age else owners[fill.venue_order_id]
        if owner is not None:
            position = apply_fill(position, fill)
            counted.append(CountedFill(fill=fill, client_order_id=owner))
    return Counted(
        record=replace(record, position=position, after_fill_id=cursor),
        counted=tuple(counted),
        unattributed=tuple(unattributed),
    )


def apply_fill(position: Position, fill: Fill) -> Position:
    """Return the position after one fill, by the average cost method.

    `realised_quote` starts again at zero with the first fill of a later UTC day.
    """
    base, quote = assets_of(fill.symbol)
    base_fee = fill.fee if fill.fee_asset == base else ZERO
    quote_fee = fill.fee if fill.fee_asset == quote else ZERO
    signed = fill.side.sign * fill.amount - base_fee
    cash = -fill.side.sign * fill.amount * fill.price - quote_fee
    amount = position.amount + signed
    if position.amount * signed >= ZERO:
        # Opens or adds: everything paid is cost, nothing is realised.
        cost, realised = position.cost_quote - cash, ZERO
    elif position.amount * amount > ZERO:
        # Closes a part: its share of the cost leaves with it.
        share = position.cost_quote * -signed / position.amount
        cost, realised = position.cost_quote - share, cash - share
    else:
        # Closes all, and opens the rest (if any) on the other side at the price of this fill.
        cost = amount * fill.price
        realised = cash + cost - position.cost_quote
    day = max(position.day, utc_day(fill.venue_ms))
    before = position.realised_quote if day == position.day else ZERO
    return replace(
        position, amount=amount, cost_quote=cost, realised_quote=before + realised, day=day
    )


def realised_on(position: Position, day: str) -> Decimal:
    """Return what was realised on an ISO UTC day, zero when the position knows another day."""
    return position.realised_quote if position.day == day else ZERO
