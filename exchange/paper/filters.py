"""The symbol filters that every new order must pass before it reaches the book.

Source: Binance spot documentation, "Filters". Average prices use the last price (avgPriceMins 0).
"""

from decimal import Decimal

from exchange.paper.refusals import refuse
from exchange.paper.values import ZERO, NewOrder, OrderType, SymbolRules


def check_filters(
    order: NewOrder, rules: SymbolRules, *, last_price: Decimal, open_orders: int
) -> None:
    """Raise Refused with the first filter that fails, in the order exchangeInfo lists them."""
    if not rules.has_trading:
        raise refuse("market_closed")
    if order.type is not OrderType.MARKET:
        _check_price(order, rules, last_price)
    _check_quantity(order, rules)
    _check_notional(order, rules, last_price)
    if order.type is not OrderType.MARKET and open_orders >= rules.open_orders_max:
        raise refuse("filter", "MAX_NUM_ORDERS")


def _check_price(order: NewOrder, rules: SymbolRules, last_price: Decimal) -> None:
    if not rules.price_min <= order.price <= rules.price_max or order.price % rules.price_step:
        raise refuse("filter", "PRICE_FILTER")
    low, high = last_price * rules.price_factor_down, last_price * rules.price_factor_up
    if not low <= order.price <= high:
        raise refuse("filter", "PERCENT_PRICE_BY_SIDE")


def _check_quantity(order: NewOrder, rules: SymbolRules) -> None:
    if order.quote_quantity:
        return  # the executed amount is cut to whole steps, so LOT_SIZE cannot be broken
    amount = order.quantity
    if not rules.amount_min <= amount <= rules.amount_max or amount % rules.amount_step:
        raise refuse("filter", "LOT_SIZE")
    if order.type is OrderType.MARKET and amount > rules.market_amount_max:
        raise refuse("filter", "MARKET_LOT_SIZE")


def _check_notional(order: NewOrder, rules: SymbolRules, last_price: Decimal) -> None:
    price = last_price if order.type is OrderType.MARKET else order.price
    notional = order.quote_quantity or order.quantity * price
    if notional < rules.notional_min:
        raise refuse("filter", rules.notional_filter)


def filter_list(rules: SymbolRules) -> list[dict[str, object]]:
    """Return the filters as exchangeInfo shows them."""
    notional: dict[str, object] = {
        "filterType": rules.notional_filter,
        "minNotional": _text(rules.notional_min),
        "avgPriceMins": 0,
    }
    if rules.notional_filter == "NOTIONAL":
        notional |= {
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
        }
    else:
        notional |= {"applyToMarket": True}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": _text(rules.price_min),
            "maxPrice": _text(rules.price_max),
            "tickSize": _text(rules.price_step),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": _text(rules.amount_min),
            "maxQty": _text(rules.amount_max),
            "stepSize": _text(rules.amount_step),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": _text(ZERO),
            "maxQty": _text(rules.market_amount_max),
            "stepSize": _text(ZERO),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": str(rules.price_factor_up),
            "bidMultiplierDown": str(rules.price_factor_down),
            "askMultiplierUp": str(rules.price_factor_up),
            "askMultiplierDown": str(rules.price_factor_down),
            "avgPriceMins": 0,
        },
        notional,
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.open_orders_max},
    ]


def _text(value: Decimal) -> str:
    return f"{value:.8f}"
