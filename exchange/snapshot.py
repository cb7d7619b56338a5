"""Shell: gathers one snapshot from the venue for a reconcile pass.

The order of the reads matters: open orders first, then look-ups of what the journal expects and
the list does not show, then fills, then the orders of fills without a name, then balances. An
order that fills in between is then seen too open rather than too closed, and its fill is counted
in this pass or the next one; never twice, because of the cursor.
"""

from collections.abc import Iterable
from typing import Final

from exchange.errors import AnswerUntrusted
from exchange.journal import Journal
from exchange.model import ClientOrderId, Fill, Snapshot, VenueOrder, VenueOrderId
from exchange.ports import Venue
from exchange.positions import fill_number

# Look-ups of nameless fills in one pass: an account with a long foreign history is worked off
# over several passes, oldest first, instead of holding one pass for minutes.
LOOK_UPS_MAX: Final = 50


async def take_snapshot(
    venue: Venue,
    journal: Journal,
    symbols: Iterable[str],
    *,
    born_venue_ms: int = 0,
    look_ups_max: int = LOOK_UPS_MAX,
) -> Snapshot:
    """Read everything that a reconcile pass needs; each call of the venue is a bounded step.

    Args:
        venue: reads, with retries and validation of their own.
        journal: what is expected; symbols of its intents are read too.
        symbols: of the strategies.
        born_venue_ms: fills before it are foreign and need no look-up.
        look_ups_max: nameless orders to look up in this pass.

    Raises:
        VenueUnavailable: some answer is missing or not trusted: there is no snapshot, nothing
            may be traded on half of one.
        VenueRefused: a person must act.
    """
    # A position left in a symbol that nobody trades any more needs no reading: without an
    # order there it cannot change, and the venue may have delisted it.
    unfinished = {record.intent.symbol for record in journal.intents.values()}
    names = tuple(sorted({*symbols, *unfinished}))
    taken_venue_ms = await venue.venue_now_ms()
    open_orders: list[VenueOrder] = []
    for symbol in names:
        open_orders += await venue.open_orders(symbol)
    shown = {order.client_order_id for order in open_orders}
    looked_up: dict[ClientOrderId, VenueOrder | None] = {}
    for client_order_id, record in journal.intents.items():
        if client_order_id not in shown:
            looked_up[client_order_id] = await venue.order_by_client_id(
                record.intent.symbol, client_order_id
            )
    fills: list[Fill] = []
    for symbol in names:
        fills += await _fills(venue, symbol, journal.position(symbol).after_fill_id)
    known = _known_orders(journal, (*open_orders, *looked_up.values()))
    by_venue_id: dict[VenueOrderId, VenueOrder | None] = {}
    for fill in fills:
        venue_order_id = fill.venue_order_id
        if venue_order_id in known or fill.venue_ms < born_venue_ms:
            continue
        if len(by_venue_id) >= look_ups_max:
            break
        known.add(venue_order_id)
        by_venue_id[venue_order_id] = await venue.order_by_venue_id(fill.symbol, venue_order_id)
    return Snapshot(
        symbols=names,
        taken_venue_ms=taken_venue_ms,
        open_orders=tuple(open_orders),
        looked_up=looked_up,
        fills=tuple(fills),
        balances=await venue.balances(),
        looked_up_by_venue_id=by_venue_id,
    )


async def _fills(venue: Venue, symbol: str, after_fill_id: str | None) -> list[Fill]:
    fills = await venue.fills(symbol, after_fill_id)
    try:
        return sorted(fills, key=lambda fill: fill_number(fill.fill_id))
    except ValueError as error:
        raise AnswerUntrusted(f"{symbol}: {error}") from error


def _known_orders(journal: Journal, orders: Iterable[VenueOrder | None]) -> set[VenueOrderId]:
    """Return the venue ids whose owner needs no look-up."""
    known = {order.venue_order_id for order in orders if order is not None}
    known |= {
        record.venue_order_id
        for record in journal.intents.values()
        if record.venue_order_id is not None
    }
    return known
