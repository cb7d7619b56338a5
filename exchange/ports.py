"""Boundaries of exchange/: what it needs from others, and what it offers to node/.

Everything that crosses a package is satisfied by shape: election/ never imports this file.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from exchange.model import (
    Balance,
    Candle,
    ClientOrderId,
    Fill,
    MarketRules,
    OrderIntent,
    Ticker,
    VenueOrder,
    WriteResult,
)


class Permit(Protocol):
    """The right to send, as the lease gives it; readable from any thread in microseconds."""

    @property
    def epoch(self) -> int:
        """Epoch of the current grant; 0 while there is none."""
        ...

    def remaining_s(self) -> float:
        """Seconds until the gate closes (already less the guard); <= 0 means closed."""
        ...

    def begin_write(self, *, epoch: int, needed_s: float) -> bool:
        """Register a write in flight; False when the permit is of another epoch or too short.

        While a write is registered the kernel fence is not disarmed. Each True must be followed
        by exactly one `end_write`.
        """
        ...

    def end_write(self, *, lingers_s: float = 0.0) -> None:
        """Unregister one write; without an answer it may take effect for `lingers_s` more."""
        ...


class LedgerAnswer(Protocol):
    """How a fenced write to the lease stores ended."""

    @property
    def is_accepted(self) -> bool:
        """True only when a majority of the stores accepted it under this epoch."""
        ...

    @property
    def reason(self) -> str:
        """Why not, in words that name each store; empty when accepted."""
        ...


class Ledger(Protocol):
    """Small JSON documents kept by the lease stores, written only by the holder (blocking calls).

    Each store checks incarnation, nonce, epoch and state=held of the lease record in the same
    script that writes. Calls return within the store request timeout; they never raise for a
    store that is down.
    """

    def write(
        self, *, epoch: int, puts: Mapping[str, str], deletes: Collection[str]
    ) -> LedgerAnswer:
        """Put and delete documents in every store in parallel."""
        ...

    def read(self) -> tuple[Mapping[str, str], ...]:
        """Return the documents of each store that answered, one mapping a store."""
        ...


class Venue(Protocol):
    """Reads. Each retries within its own budget, validates its answer, and raises VenueError."""

    async def venue_now_ms(self) -> int:
        """Return the venue's time, estimated from the measured offset; never ahead of it."""
        ...

    async def measure_clock(self) -> float:
        """Measure the clock offset anew; return its uncertainty in milliseconds."""
        ...

    async def account_id(self) -> str:
        """Return the account's id through a signed call (eligibility, R7)."""
        ...

    async def market_rules(self, symbol: str) -> MarketRules:
        """Return the filters of one symbol."""
        ...

    async def candles(self, symbol: str, timeframe: str, limit: int) -> tuple[Candle, ...]:
        """Return the newest *closed* candles, oldest first (the forming one is left out)."""
        ...

    async def ticker(self, symbol: str) -> Ticker:
        """Return the best prices."""
        ...

    async def open_orders(self, symbol: str) -> tuple[VenueOrder, ...]:
        """Return all open orders of the account in the symbol."""
        ...

    async def order_by_client_id(
        self, symbol: str, client_order_id: ClientOrderId
    ) -> VenueOrder | None:
        """Look one order up; None means exactly: the venue says it knows no such order."""
        ...

    async def order_by_venue_id(self, symbol: str, venue_order_id: str) -> VenueOrder | None:
        """Look one order up by the venue's own id; None as above."""
        ...

    async def fills(self, symbol: str, after_fill_id: str | None) -> tuple[Fill, ...]:
        """Return the account's fills after the given one, oldest first, all pages."""
        ...

    async def balances(self) -> Mapping[str, Balance]:
        """Return all non-zero balances of the account."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class JournalDisk(Protocol):
    """This node's durable copy of some documents (journal_file.JournalFile); calls block."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with it when it was opened, in words."""
        ...

    @property
    def documents(self) -> Mapping[str, str]:
        """A copy of what it holds now; never waits."""
        ...

    def append(self, *, puts: Mapping[str, str], deletes: Collection[str] = ()) -> None:
        """Write one change durably. Raises JournalError: nothing was kept."""
        ...

    def replace_all(self, documents: Mapping[str, str]) -> bool:
        """Hold exactly these; return whether anything was written. Raises JournalError."""
        ...

    def close(self) -> None:
        """Close the file; safe to call twice."""
        ...


class Gateway(Protocol):
    """Writes. They never raise for what the venue or the network does: they have an outcome.

    The permit and the deadline are checked inside the last hop, after throttling and signing.
    Nothing is ever re-sent.
    """

    async def place(self, intent: OrderIntent) -> WriteResult:
        """Send one order."""
        ...

    async def cancel(
        self, symbol: str, client_order_id: ClientOrderId, *, epoch: int
    ) -> WriteResult:
        """Cancel one order. CONFIRMED when it is cancelled; REJECTED when the venue knows no
        open order of that id (it may have filled: look).
        """
        ...


class WarmGateway(Gateway, Protocol):
    """A gateway that can open its connection beforehand."""

    async def warm(self) -> bool:
        """Open a connection, so that the next write need not; tell whether it stands."""
        ...
