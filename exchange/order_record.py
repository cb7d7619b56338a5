"""The venue's own record of orders in a time: what a drill's verdict is checked against.

A read like the others (reader.py): validated, with a budget, on an instance that cannot send.
"""

from exchange import answers
from exchange.ccxt_strict import ReadCall
from exchange.errors import AnswerUntrusted
from exchange.model import VenueOrder
from exchange.reader import CcxtVenue

# One page; a drill lasts minutes, and a node sends at most some hundreds of orders in one.
ORDERS_MAX = 500


class OrderRecord(CcxtVenue):
    """Adds to the reads of a venue: orders by when they were accepted, done or not."""

    async def accepted_since(self, symbol: str, since_venue_ms: int) -> tuple[VenueOrder, ...]:
        """Return the account's orders in the symbol from an instant on, oldest first.

        Raises:
            VenueError: there is no trusted answer.
        """
        known = await self._market(symbol)
        await self._ensure_clock()

        async def attempt(call: ReadCall) -> tuple[VenueOrder, ...]:
            rows = await self._exchange.fetch_orders(known, since_venue_ms, ORDERS_MAX)
            orders = answers.parse_rows(
                rows, call.row_count, lambda row: self._order(row, symbol), "orders"
            )
            if len(orders) >= ORDERS_MAX:
                raise AnswerUntrusted(f"{symbol}: {len(orders)} orders and more, too many to judge")
            return orders

        return await self._read("orders", attempt, shape=list)
