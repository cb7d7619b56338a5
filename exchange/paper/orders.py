"""From the parameters of POST /api/v3/order to a checked NewOrder.

Rules of this file: shape only (presence, characters, precision, combination). Filters, balances
and the book are looked at later (filters.py, venue.py). Source: Binance spot documentation,
"New order" and "Error codes".
"""

import re
from collections.abc import Mapping
from decimal import Decimal

from exchange.paper.refusals import refuse
from exchange.paper.values import (
    ZERO,
    NewOrder,
    OrderType,
    Side,
    SymbolRules,
    TimeInForce,
)

DECIMAL_RANGE = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
CLIENT_ORDER_ID_RANGE = r"^[a-zA-Z0-9-_]{1,36}$"
INTEGER_RANGE = r"^[0-9]{1,20}$"
PRECISION = 8

# Types the real venue knows and this one does not, with the words of its refusal.
FOREIGN_TYPES: Mapping[str, str] = {
    "STOP_LOSS": "Stop loss",
    "STOP_LOSS_LIMIT": "Stop loss limit",
    "TAKE_PROFIT": "Take profit",
    "TAKE_PROFIT_LIMIT": "Take profit limit",
}
ORDER_PARAMETERS = frozenset(
    {
        "symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price",
        "newClientOrderId", "newOrderRespType", "stopPrice", "icebergQty", "strategyId",
        "strategyType", "selfTradePreventionMode", "trailingDelta",
    }
)  # fmt: skip
# What each type must have, and what it must not have.
REQUIRED: Mapping[OrderType, tuple[str, ...]] = {
    OrderType.LIMIT: ("timeInForce", "quantity", "price"),
    OrderType.LIMIT_MAKER: ("quantity", "price"),
    OrderType.MARKET: (),
}
SUPERFLUOUS: Mapping[OrderType, tuple[str, ...]] = {
    OrderType.LIMIT: ("quoteOrderQty", "stopPrice", "trailingDelta"),
    OrderType.LIMIT_MAKER: ("quoteOrderQty", "stopPrice", "trailingDelta", "timeInForce"),
    OrderType.MARKET: ("price", "stopPrice", "trailingDelta", "timeInForce", "icebergQty"),
}


def parse_new_order(
    parameters: Mapping[str, str], *, account: str, rules: SymbolRules, fallback_id: str
) -> NewOrder:
    """Return the order asked for, or raise Refused.

    Args:
        parameters: what was sent, less timestamp, recvWindow and signature.
        account: name of the account that the key belongs to.
        rules: the symbol, already looked up.
        fallback_id: client order id for a request that brings none.
    """
    side = _parse_side(parameters)
    order_type = _parse_type(parameters)
    for name in SUPERFLUOUS[order_type]:
        if name in parameters:
            raise refuse("not_required", name)
    for name in REQUIRED[order_type]:
        require(parameters, name)
    if order_type is OrderType.MARKET and not ({"quantity", "quoteOrderQty"} & set(parameters)):
        raise refuse("one_of", "quantity", "quoteOrderQty")
    if {"quantity", "quoteOrderQty"} <= set(parameters):
        raise refuse("not_required", "quoteOrderQty")
    quantity = _parse_money(parameters, "quantity", "bad_quantity")
    quote_quantity = _parse_money(parameters, "quoteOrderQty", "bad_quantity")
    price = _parse_money(parameters, "price", "bad_price")
    return NewOrder(
        account=account,
        symbol=rules.symbol,
        client_order_id=_parse_client_order_id(parameters, fallback_id),
        side=side,
        type=order_type,
        time_in_force=_parse_time_in_force(parameters),
        price=price,
        quantity=quantity,
        quote_quantity=quote_quantity,
    )


def require(parameters: Mapping[str, str], name: str) -> str:
    """Return a parameter that must be there and not be empty."""
    value = parameters.get(name, "")
    if not value:
        raise refuse("missing", name)
    return value


def parse_integer(parameters: Mapping[str, str], name: str) -> int | None:
    """Return an optional whole number, None when it was not sent."""
    if name not in parameters:
        return None
    if not re.match(INTEGER_RANGE, parameters[name]):
        raise refuse("illegal_characters", name, INTEGER_RANGE)
    return int(parameters[name])


def _parse_side(parameters: Mapping[str, str]) -> Side:
    value = require(parameters, "side")
    if value not in Side.__members__:
        raise refuse("bad_side")
    return Side(value)


def _parse_type(parameters: Mapping[str, str]) -> OrderType:
    value = require(parameters, "type")
    if value in FOREIGN_TYPES:
        raise refuse("type_not_supported", FOREIGN_TYPES[value])
    if value not in OrderType.__members__:
        raise refuse("bad_order_type")
    if "icebergQty" in parameters and value != OrderType.MARKET:
        raise refuse("type_not_supported", "Iceberg")
    return OrderType(value)


def _parse_time_in_force(parameters: Mapping[str, str]) -> TimeInForce:
    value = parameters.get("timeInForce", TimeInForce.GTC)
    if value not in TimeInForce.__members__:
        raise refuse("bad_time_in_force")
    return TimeInForce(value)


def _parse_money(parameters: Mapping[str, str], name: str, when_zero: str) -> Decimal:
    if name not in parameters:
        return ZERO
    text = parameters[name]
    if not text:
        raise refuse("empty", name)
    if not re.match(DECIMAL_RANGE, text):
        raise refuse("illegal_characters", name, DECIMAL_RANGE)
    if len(text.partition(".")[2].rstrip("0")) > PRECISION:
        raise refuse("too_precise", name)
    value = Decimal(text)
    if value == ZERO:
        raise refuse(when_zero)
    return value


def _parse_client_order_id(parameters: Mapping[str, str], fallback: str) -> str:
    value = parameters.get("newClientOrderId", fallback)
    if not re.match(CLIENT_ORDER_ID_RANGE, value):
        raise refuse("illegal_characters", "newClientOrderId", CLIENT_ORDER_ID_RANGE)
    return value
