"""Events as lines of the log, and back. Money is text without exponent.

Rules of this file: a line carries `type` and the event's own fields; seq and batch marks are
added by wal.py. The format is documented in docs/paper-exchange.md.
"""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, assert_never

from exchange.paper.account import Balances
from exchange.paper.values import (
    AccountOpened,
    Event,
    Fill,
    FillMade,
    Order,
    OrderAccepted,
    OrderEnded,
    OrderType,
    Side,
    Status,
    TimeInForce,
)

Line = dict[str, Any]
ORDER_MONEY = ("price", "quantity", "quote_quantity", "executed", "executed_quote")
FILL_MONEY = ("price", "quantity", "commission")


def money(value: Decimal) -> str:
    """Return an exact amount as text, without exponent."""
    return format(value, "f")


def render_event(event: Event) -> Line:
    """Return the line of an event."""
    match event:
        case AccountOpened():
            line = asdict(event) | {"balances": {a: money(v) for a, v in event.balances}}
            return {"type": "account"} | line
        case OrderAccepted(order=order):
            line = _with_money(asdict(order), ORDER_MONEY)
            order_type = line.pop("type")
            return {"type": "order", "order_type": order_type} | line
        case FillMade(fill=fill):
            line = _with_money(asdict(fill), FILL_MONEY)
            return {"type": "fill"} | line | {"quote_quantity": money(fill.quote_quantity)}
        case OrderEnded():
            return {"type": "end"} | asdict(event)
        case _:
            assert_never(event)


def parse_event(line: Mapping[str, Any]) -> Event | None:
    """Return the event of a line, None for lines that change no orders or balances.

    Raises:
        KeyError, ValueError: the line is not one of ours.
    """
    match line["type"]:
        case "account":
            return AccountOpened(
                account=line["account"],
                uid=int(line["uid"]),
                balances=tuple((a, Decimal(v)) for a, v in line["balances"].items()),
                venue_ms=int(line["venue_ms"]),
            )
        case "order":
            return OrderAccepted(order=_parse_order(line))
        case "fill":
            return FillMade(fill=_parse_fill(line))
        case "end":
            return OrderEnded(
                order_id=int(line["order_id"]),
                status=Status(line["status"]),
                venue_ms=int(line["venue_ms"]),
            )
        case _:
            return None


def render_balances(account: str, balances: Balances, venue_ms: int) -> Line:
    """Return the `balances` line of one account: what it has now, free and locked."""
    return {
        "type": "balances",
        "account": account,
        "venue_ms": venue_ms,
        "balances": {
            asset: {"free": money(balances.free(asset)), "locked": money(balances.locked(asset))}
            for asset in balances.assets()
        },
    }


def _with_money(line: Line, names: tuple[str, ...]) -> Line:
    return line | {name: money(line[name]) for name in names}


def _parse_order(line: Mapping[str, Any]) -> Order:
    return Order(
        order_id=int(line["order_id"]),
        account=line["account"],
        symbol=line["symbol"],
        client_order_id=line["client_order_id"],
        side=Side(line["side"]),
        type=OrderType(line["order_type"]),
        time_in_force=TimeInForce(line["time_in_force"]),
        price=Decimal(line["price"]),
        quantity=Decimal(line["quantity"]),
        quote_quantity=Decimal(line["quote_quantity"]),
        status=Status(line["status"]),
        executed=Decimal(line["executed"]),
        executed_quote=Decimal(line["executed_quote"]),
        created_ms=int(line["created_ms"]),
        updated_ms=int(line["updated_ms"]),
    )


def _parse_fill(line: Mapping[str, Any]) -> Fill:
    return Fill(
        trade_id=int(line["trade_id"]),
        order_id=int(line["order_id"]),
        account=line["account"],
        symbol=line["symbol"],
        client_order_id=line["client_order_id"],
        side=Side(line["side"]),
        price=Decimal(line["price"]),
        quantity=Decimal(line["quantity"]),
        commission=Decimal(line["commission"]),
        commission_asset=line["commission_asset"],
        is_maker=bool(line["is_maker"]),
        venue_ms=int(line["venue_ms"]),
    )
