"""The state of the exchange: accounts, orders, fills; changed by events only.

Rules of this file:
- `apply` is the only place that changes orders and balances; it is the same for live events and
  for events replayed from disk, so both lead to the same state.
- Past versions of orders are kept, so that stale reads can be served.
- It decides nothing; see venue.py.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from exchange.paper.account import Balances
from exchange.paper.book import Market
from exchange.paper.refusals import refuse
from exchange.paper.values import (
    AccountOpened,
    Event,
    Fill,
    FillMade,
    Order,
    OrderAccepted,
    OrderEnded,
    Side,
    Status,
    SymbolRules,
)


class VenueState:
    """Accounts, orders and fills; single-threaded, no I/O."""

    def __init__(self, markets: Iterable[Market]) -> None:
        """Start empty, with these symbols."""
        self.markets = {market.rules.symbol: market for market in markets}
        self.accounts: dict[str, Balances] = {}
        self.uids: dict[str, int] = {}
        self.last_order_id = 0
        self._fills: dict[tuple[str, str], list[Fill]] = {}
        self._versions: dict[int, list[Order]] = {}
        self._open: dict[str, dict[int, Order]] = {symbol: {} for symbol in self.markets}
        self._by_client: dict[tuple[str, str, str], list[int]] = {}
        self._by_account: dict[tuple[str, str], list[int]] = {}
        self._trade_ids: dict[str, int] = {}

    # -- looking ---------------------------------------------------------------------------

    def rules(self, symbol: str) -> SymbolRules:
        """Return the filters of a symbol, or refuse (-1121)."""
        if symbol not in self.markets:
            raise refuse("bad_symbol")
        return self.markets[symbol].rules

    def order(self, order_id: int, *, as_of_ms: int | None = None) -> Order | None:
        """Return an order, as it was at `as_of_ms` if given; None when it did not exist."""
        versions = self._versions.get(order_id, [])
        if as_of_ms is not None:
            versions = [version for version in versions if version.updated_ms <= as_of_ms]
        return versions[-1] if versions else None

    def orders(self, account: str, symbol: str, *, as_of_ms: int | None = None) -> list[Order]:
        """Return all orders of an account in a symbol, oldest first."""
        ids = self._by_account.get((account, symbol), [])
        found = (self.order(order_id, as_of_ms=as_of_ms) for order_id in ids)
        return [order for order in found if order is not None]

    def open_orders(
        self, account: str, symbol: str | None, *, as_of_ms: int | None = None
    ) -> list[Order]:
        """Return the open orders of an account, oldest first; of all symbols when None."""
        symbols = [symbol] if symbol is not None else list(self.markets)
        if as_of_ms is not None:
            past = (o for name in symbols for o in self.orders(account, name, as_of_ms=as_of_ms))
            return sorted((o for o in past if o.status.is_open), key=lambda o: o.order_id)
        return sorted(
            (o for name in symbols for o in self._open[name].values() if o.account == account),
            key=lambda o: o.order_id,
        )

    def find(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None,
        client_order_id: str | None,
        as_of_ms: int | None = None,
    ) -> Order | None:
        """Return the order named by either id; of a re-used client id the newest one."""
        if order_id is not None:
            ids = [order_id]
        else:
            ids = self._by_client.get((account, symbol, client_order_id or ""), [])
        for candidate in reversed(ids):
            order = self.order(candidate, as_of_ms=as_of_ms)
            if order is None or (order.account, order.symbol) != (account, symbol):
                continue
            if client_order_id is None or order.client_order_id == client_order_id:
                return order
        return None

    def all_open(self, symbol: str) -> list[Order]:
        """Return the open orders of all accounts in a symbol."""
        return list(self._open[symbol].values())

    def fills(self, account: str, symbol: str, *, as_of_ms: int | None = None) -> list[Fill]:
        """Return the fills of an account in a symbol, oldest first."""
        found = self._fills.get((account, symbol), [])
        return [f for f in found if as_of_ms is None or f.venue_ms <= as_of_ms]

    def next_trade_id(self, symbol: str) -> int:
        """Return the id that the next fill of a symbol gets."""
        return self._trade_ids.get(symbol, 0) + 1

    # -- changing --------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Change the state by one event; the same for live and replayed ones."""
        match event:
            case AccountOpened():
                self.accounts[event.account] = Balances(dict(event.balances))
                self.uids[event.account] = event.uid
            case OrderAccepted(order=order):
                self._apply_accepted(order)
            case FillMade(fill=fill):
                self._apply_fill(fill)
            case OrderEnded():
                order = self._versions[event.order_id][-1]
                self._change(replace(order, status=event.status, updated_ms=event.venue_ms))
            case _:
                assert_never(event)

    def _apply_accepted(self, order: Order) -> None:
        self.last_order_id = max(self.last_order_id, order.order_id)
        self._versions[order.order_id] = [order]
        key = (order.account, order.symbol)
        self._by_account.setdefault(key, []).append(order.order_id)
        self._by_client.setdefault((*key, order.client_order_id), []).append(order.order_id)
        asset, amount = order.locks(self.markets[order.symbol].rules)
        self.accounts[order.account].lock(asset, amount)
        self._open[order.symbol][order.order_id] = order

    def _apply_fill(self, fill: Fill) -> None:
        order = self._versions[fill.order_id][-1]
        rules = self.markets[fill.symbol].rules
        executed = order.executed + fill.quantity
        self._change(
            replace(
                order,
                executed=executed,
                executed_quote=order.executed_quote + fill.quote_quantity,
                status=(Status.FILLED if executed == order.quantity else Status.PARTIALLY_FILLED),
                updated_ms=fill.venue_ms,
            )
        )
        balances = self.accounts[fill.account]
        base, quote = fill.quantity, fill.quote_quantity
        if fill.side is Side.BUY:
            balances.receive(rules.quote, -quote)
            balances.receive(rules.base, base - fill.commission)
        else:
            balances.receive(rules.base, -base)
            balances.receive(rules.quote, quote - fill.commission)
        self._trade_ids[fill.symbol] = max(self._trade_ids.get(fill.symbol, 0), fill.trade_id)
        self._fills.setdefault((fill.account, fill.symbol), []).append(fill)

    def _change(self, order: Order) -> None:
        """Replace an order by its next version and give back what it no longer locks."""
        before = self._versions[order.order_id][-1]
        assert before.status.is_open, f"order {order.order_id} is done"
        assert order.executed <= order.quantity, f"order {order.order_id} is overfilled"
        rules = self.markets[order.symbol].rules
        asset, locked_before = before.locks(rules)
        _, locked_after = order.locks(rules)
        self.accounts[order.account].lock(asset, locked_after - locked_before)
        self._versions[order.order_id].append(order)
        if order.status.is_open:
            self._open[order.symbol][order.order_id] = order
        else:
            del self._open[order.symbol][order.order_id]
