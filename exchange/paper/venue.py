"""The decisions of the exchange: what placing, cancelling and a price point lead to.

Rules of this file: `plan_*` look, refuse (Refused, and then nothing has changed) or return events.
The caller applies the events (state.py) and has them on disk before anybody is told, so what was
answered is what a restart finds. Not covered: HTTP, keys, clocks, where prices come from.
"""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from exchange.paper.book import Market, match_resting
from exchange.paper.filters import check_filters
from exchange.paper.refusals import refuse
from exchange.paper.state import VenueState
from exchange.paper.values import (
    SMALLEST,
    ZERO,
    AccountOpened,
    Event,
    Fill,
    FillMade,
    NewOrder,
    Order,
    OrderAccepted,
    OrderEnded,
    OrderType,
    Side,
    Status,
    SymbolRules,
    TimeInForce,
)


class PaperVenue(VenueState):
    """State plus decisions; fees are fractions of what is received (0.001 = ten basis points)."""

    def __init__(
        self, *, markets: Iterable[Market], maker_fee: Decimal, taker_fee: Decimal
    ) -> None:
        """Start empty, with these symbols and fees."""
        super().__init__(markets)
        self.maker_fee = maker_fee
        self.taker_fee = taker_fee

    def plan_account(
        self, account: str, uid: int, balances: tuple[tuple[str, Decimal], ...], now_ms: int
    ) -> list[Event]:
        """Open an account that is not known yet."""
        if account in self.accounts:
            return []
        return [AccountOpened(account=account, uid=uid, balances=balances, venue_ms=now_ms)]

    def plan_place(self, new: NewOrder, now_ms: int) -> list[Event]:
        """Return what accepting this order leads to, or raise Refused and change nothing."""
        market = self.markets[new.symbol]
        open_here = self.open_orders(new.account, new.symbol)
        check_filters(new, market.rules, last_price=market.last, open_orders=len(open_here))
        if any(order.client_order_id == new.client_order_id for order in open_here):
            raise refuse("duplicate_order")
        taking = self._plan_taking(new, market)
        self._check_balance(new, market.rules, taking)
        order = self._build_order(new, taking, now_ms)
        events: list[Event] = [OrderAccepted(order=order)]
        events += self._plan_fills(order, taking, is_maker=False, now_ms=now_ms)
        executed = sum((amount for _, amount in taking), ZERO)
        if executed < order.quantity and (
            new.type is OrderType.MARKET or new.time_in_force is not TimeInForce.GTC
        ):
            events.append(
                OrderEnded(order_id=order.order_id, status=Status.EXPIRED, venue_ms=now_ms)
            )
        # The displayed market is not part of the persisted state; nothing can refuse any more.
        market.take(new.side, executed)
        return events

    def plan_cancel(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None,
        client_order_id: str | None,
        now_ms: int,
    ) -> list[Event]:
        """Return the end of an open order, or raise Refused (-2011)."""
        order = self.find(account, symbol, order_id=order_id, client_order_id=client_order_id)
        if order is None or not order.status.is_open:
            raise refuse("unknown_order")
        return [OrderEnded(order_id=order.order_id, status=Status.CANCELED, venue_ms=now_ms)]

    def plan_cancel_all(self, account: str, symbol: str, now_ms: int) -> list[Event]:
        """Return the end of all open orders of a symbol, or raise Refused (-2011)."""
        found = self.open_orders(account, symbol)
        if not found:
            raise refuse("unknown_order")
        return [
            OrderEnded(order_id=order.order_id, status=Status.CANCELED, venue_ms=now_ms)
            for order in found
        ]

    def plan_point(
        self, symbol: str, *, price: Decimal, volume: Decimal, now_ms: int
    ) -> list[Event]:
        """Return the fills of resting orders that a price point leads to."""
        rules = self.markets[symbol].rules
        matched = match_resting(self.all_open(symbol), rules=rules, price=price, volume=volume)
        events: list[Event] = []
        for number, (order, amount) in enumerate(matched):
            events += self._plan_fills(
                order, [(order.price, amount)], is_maker=True, now_ms=now_ms, offset=number
            )
        return events

    @staticmethod
    def _plan_taking(new: NewOrder, market: Market) -> list[tuple[Decimal, Decimal]]:
        if new.type is OrderType.LIMIT_MAKER:
            if market.would_match(new.side, new.price):
                raise refuse("would_match")
            return []
        if new.quote_quantity:
            taking = market.walk_quote(new.side, new.quote_quantity)
            if not taking:
                raise refuse("no_liquidity")
            return taking
        limit = None if new.type is OrderType.MARKET else new.price
        taking = market.walk(new.side, quantity=new.quantity, limit=limit)
        is_short = sum((amount for _, amount in taking), ZERO) < new.quantity
        return [] if is_short and new.time_in_force is TimeInForce.FOK else taking

    def _check_balance(
        self, new: NewOrder, rules: SymbolRules, taking: list[tuple[Decimal, Decimal]]
    ) -> None:
        asset = rules.quote if new.side is Side.BUY else rules.base
        if new.type is OrderType.MARKET:
            base = sum((amount for _, amount in taking), ZERO)
            quote = sum((price * amount for price, amount in taking), ZERO)
            # What is not executed expires, so only what is executed must be paid; but a MARKET
            # order by amount must be covered whole, as the real venue demands.
            wanted = max(base, new.quantity) if new.side is Side.SELL else quote
        else:
            wanted = new.quantity * (new.price if new.side is Side.BUY else Decimal(1))
        if self.accounts[new.account].free(asset) < wanted:
            raise refuse("insufficient_balance")

    def _build_order(
        self, new: NewOrder, taking: list[tuple[Decimal, Decimal]], now_ms: int
    ) -> Order:
        executed = sum((amount for _, amount in taking), ZERO)
        return Order(
            order_id=self.last_order_id + 1,
            account=new.account,
            symbol=new.symbol,
            client_order_id=new.client_order_id,
            side=new.side,
            type=new.type,
            time_in_force=new.time_in_force,
            price=new.price,
            quantity=new.quantity or executed,
            quote_quantity=new.quote_quantity,
            status=Status.NEW,
            executed=ZERO,
            executed_quote=ZERO,
            created_ms=now_ms,
            updated_ms=now_ms,
        )

    def _plan_fills(
        self,
        order: Order,
        executions: list[tuple[Decimal, Decimal]],
        *,
        is_maker: bool,
        now_ms: int,
        offset: int = 0,
    ) -> list[Event]:
        rules = self.markets[order.symbol].rules
        rate = self.maker_fee if is_maker else self.taker_fee
        events: list[Event] = []
        first_id = self.next_trade_id(order.symbol) + offset
        for number, (price, amount) in enumerate(executions):
            is_buy = order.side is Side.BUY
            received = amount if is_buy else amount * price
            fill = Fill(
                trade_id=first_id + number,
                order_id=order.order_id,
                account=order.account,
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                side=order.side,
                price=price,
                quantity=amount,
                commission=(received * rate).quantize(SMALLEST, ROUND_DOWN),
                commission_asset=rules.base if is_buy else rules.quote,
                is_maker=is_maker,
                venue_ms=now_ms,
            )
            events.append(FillMade(fill=fill))
        return events
