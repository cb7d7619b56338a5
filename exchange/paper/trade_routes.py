"""Signed endpoints: account, orders, fills."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exchange.paper.answers import (
    account_info,
    cancelled_answer,
    fill_info,
    order_info,
    placed_answer,
    restrictions_info,
)
from exchange.paper.calls import Caller
from exchange.paper.orders import ORDER_PARAMETERS, parse_integer, parse_new_order, require
from exchange.paper.refusals import refuse
from exchange.paper.runtime import PaperRuntime
from exchange.paper.values import Event, FillMade, Order, OrderAccepted, OrderEnded, OrderType

LIMIT_MAX = 1000
LIMIT_DEFAULT = 500
DAY_MS = 86_400_000
RESPONSE_TYPES = ("ACK", "RESULT", "FULL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A checked signed call. `as_of_ms` is set when reads shall be stale."""

    caller: Caller
    parameters: Mapping[str, str]
    arrival: int
    now_ms: int
    as_of_ms: int | None = None

    @property
    def account(self) -> str:
        """Name of the account the key belongs to."""
        return self.caller.account.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a write leads to: events to commit, and how to answer once they are applied."""

    events: tuple[Event, ...]
    order_id: int | None
    client_order_id: str | None


class TradeRoutes:
    """Reads answer at once; writes are planned here, committed by the server, then answered."""

    def __init__(self, runtime: PaperRuntime) -> None:
        """Serve a runtime."""
        self._runtime = runtime
        self._venue = runtime.venue

    # -- reads -----------------------------------------------------------------------------

    def account(self, call: Signed) -> Any:
        """Return balances and the account's id."""
        balances = self._venue.accounts[call.account]
        answer = account_info(
            balances,
            uid=self._venue.uids[call.account],
            fees=(self._venue.maker_fee, self._venue.taker_fee),
            can_trade=call.caller.key.can_trade,
            now_ms=call.now_ms,
        )
        if call.parameters.get("omitZeroBalances") == "true":
            answer["balances"] = [
                row for row in answer["balances"] if float(row["free"]) or float(row["locked"])
            ]
        return answer

    def restrictions(self, call: Signed) -> Any:
        """Return what the key may do."""
        return restrictions_info(call.caller.key, now_ms=call.now_ms)

    def order(self, call: Signed) -> Any:
        """Return one order by either id, or refuse (-2013)."""
        order_id, client_order_id = _ids(call.parameters)
        order = self._venue.find(
            call.account,
            self._symbol(call),
            order_id=order_id,
            client_order_id=client_order_id,
            as_of_ms=call.as_of_ms,
        )
        if order is None:
            raise refuse("no_such_order")
        return order_info(order)

    def open_orders(self, call: Signed) -> Any:
        """Return the open orders of one or all symbols."""
        symbol = self._symbol(call) if "symbol" in call.parameters else None
        orders = self._venue.open_orders(call.account, symbol, as_of_ms=call.as_of_ms)
        return [order_info(order) for order in orders]

    def all_orders(self, call: Signed) -> Any:
        """Return orders of a symbol, done or not, oldest first."""
        orders = self._venue.orders(call.account, self._symbol(call), as_of_ms=call.as_of_ms)
        first_id = parse_integer(call.parameters, "orderId")
        start_ms, end_ms = _span(call.parameters)
        found = [
            order
            for order in orders
            if (first_id is None or order.order_id >= first_id)
            and (start_ms is None or order.created_ms >= start_ms)
            and (end_ms is None or order.created_ms <= end_ms)
        ]
        limit = _limit(call.parameters)
        is_forward = first_id is not None or start_ms is not None
        return [order_info(order) for order in (found[:limit] if is_forward else found[-limit:])]

    def my_trades(self, call: Signed) -> Any:
        """Return the account's fills of a symbol, oldest first."""
        fills = self._venue.fills(call.account, self._symbol(call), as_of_ms=call.as_of_ms)
        first_id = parse_integer(call.parameters, "fromId")
        order_id = parse_integer(call.parameters, "orderId")
        start_ms, end_ms = _span(call.parameters)
        if first_id is not None and (start_ms is not None or end_ms is not None):
            raise refuse("bad_combination")
        found = [
            fill
            for fill in fills
            if (first_id is None or fill.trade_id >= first_id)
            and (order_id is None or fill.order_id == order_id)
            and (start_ms is None or fill.venue_ms >= start_ms)
            and (end_ms is None or fill.venue_ms <= end_ms)
        ]
        limit = _limit(call.parameters)
        is_forward = first_id is not None or start_ms is not None
        return [fill_info(fill) for fill in (found[:limit] if is_forward else found[-limit:])]

    # -- writes ----------------------------------------------------------------------------

    def plan_place(self, call: Signed) -> Change:
        """Plan a new order, or raise Refused."""
        unread = set(call.parameters) - ORDER_PARAMETERS
        if unread:
            total = len(call.parameters)
            raise refuse("unread", total - len(unread), total)
        if call.parameters.get("newOrderRespType", "FULL") not in RESPONSE_TYPES:
            raise refuse("bad_response_type")
        new = parse_new_order(
            call.parameters,
            account=call.account,
            rules=self._venue.rules(require(call.parameters, "symbol")),
            fallback_id=f"paper-{call.arrival}",
        )
        events = self._venue.plan_place(new, call.now_ms)
        first = events[0]
        assert isinstance(first, OrderAccepted)
        return Change(
            events=tuple(events),
            order_id=first.order.order_id,
            client_order_id=new.client_order_id,
        )

    def answer_place(self, call: Signed, change: Change) -> Any:
        """Answer a committed placement."""
        order = self._order(change.order_id)
        default = "ACK" if order.type is OrderType.LIMIT_MAKER else "FULL"
        fills = [event.fill for event in change.events if isinstance(event, FillMade)]
        return placed_answer(order, fills, call.parameters.get("newOrderRespType", default))

    def plan_cancel(self, call: Signed) -> Change:
        """Plan the cancel of one order, or raise Refused (-2011)."""
        symbol = self._symbol(call)
        order_id, client_order_id = _ids(call.parameters)
        events = self._venue.plan_cancel(
            call.account,
            symbol,
            order_id=order_id,
            client_order_id=client_order_id,
            now_ms=call.now_ms,
        )
        ended = events[0]
        assert isinstance(ended, OrderEnded)
        order = self._order(ended.order_id)
        return Change(
            events=tuple(events), order_id=order.order_id, client_order_id=order.client_order_id
        )

    def answer_cancel(self, call: Signed, change: Change) -> Any:
        """Answer a committed cancel."""
        return cancelled_answer(self._order(change.order_id), self._cancel_id(call))

    def plan_cancel_all(self, call: Signed) -> Change:
        """Plan the cancel of all open orders of a symbol, or raise Refused (-2011)."""
        events = self._venue.plan_cancel_all(call.account, self._symbol(call), call.now_ms)
        return Change(events=tuple(events), order_id=None, client_order_id=None)

    def answer_cancel_all(self, call: Signed, change: Change) -> Any:
        """Answer a committed cancel of all."""
        return [
            cancelled_answer(self._order(event.order_id), self._cancel_id(call))
            for event in change.events
            if isinstance(event, OrderEnded)
        ]

    def _cancel_id(self, call: Signed) -> str:
        return call.parameters.get("newClientOrderId", f"cancel-{call.arrival}")

    def _order(self, order_id: int | None) -> Order:
        order = self._venue.order(order_id) if order_id is not None else None
        assert order is not None
        return order

    def _symbol(self, call: Signed) -> str:
        return self._venue.rules(require(call.parameters, "symbol")).symbol


def _ids(parameters: Mapping[str, str]) -> tuple[int | None, str | None]:
    order_id = parse_integer(parameters, "orderId")
    client_order_id = parameters.get("origClientOrderId") or None
    if order_id is None and client_order_id is None:
        raise refuse("one_of", "origClientOrderId", "orderId")
    return order_id, client_order_id


def _span(parameters: Mapping[str, str]) -> tuple[int | None, int | None]:
    start_ms = parse_integer(parameters, "startTime")
    end_ms = parse_integer(parameters, "endTime")
    if start_ms is not None and end_ms is not None and end_ms - start_ms > DAY_MS:
        raise refuse("interval_too_big", 24)
    return start_ms, end_ms


def _limit(parameters: Mapping[str, str]) -> int:
    wanted = parse_integer(parameters, "limit")
    return min(LIMIT_MAX, max(1, wanted if wanted is not None else LIMIT_DEFAULT))
