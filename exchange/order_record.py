"""The venue's own record of orders in a time: what a drill's verdict is checked against.

A read like the others (reader.py): validated, with a budget, on an instance that cannot send. It
is whole or it is no answer: a verdict on a part of the orders would be worth nothing.
"""

from typing import Any, Final

from exchange import answers
from exchange.ccxt_strict import ReadCall
from exchange.errors import AnswerUntrusted
from exchange.model import VenueOrder, VenueOrderId
from exchange.reader import CcxtVenue

PAGE: Final = 500
# Ten thousand orders in the minutes of a drill: far beyond what `max_orders_per_minute` allows.
PAGES_MAX: Final = 20


class OrderRecord(CcxtVenue):
    """Adds to the reads of a venue: orders by when they were accepted, done or not."""

    async def accepted_since(self, symbol: str, since_venue_ms: int) -> tuple[VenueOrder, ...]:
        """Return all the account's orders in the symbol from an instant on, oldest first.

        Raises:
            VenueError: there is no trusted answer, or not all of them could be had.
        """
        known = await self._market(symbol)
        await self._ensure_clock()
        # A page begins with the instant at which the one before ended: what both show counts once.
        found: dict[VenueOrderId, VenueOrder] = {}
        since_ms = since_venue_ms
        for _ in range(PAGES_MAX):
            page = await self._page(known, symbol, since_ms)
            found.update((order.venue_order_id, order) for order in page)
            if len(page) < PAGE:
                return tuple(found.values())
            last_ms = max(order.created_venue_ms or 0 for order in page)
            if last_ms <= since_ms:
                raise AnswerUntrusted(f"{symbol}: a page of {PAGE} orders does not go on in time")
            since_ms = last_ms
        raise AnswerUntrusted(f"{symbol}: more than {len(found)} orders, too many to judge")

    async def _page(self, known: Any, symbol: str, since_ms: int) -> tuple[VenueOrder, ...]:
        async def attempt(call: ReadCall) -> tuple[VenueOrder, ...]:
            rows = await self._exchange.fetch_orders(known, since_ms, PAGE)
            return answers.parse_rows(
                rows, call.row_count, lambda row: self._order(row, symbol), "orders"
            )

        return await self._read("orders", attempt, shape=list)
