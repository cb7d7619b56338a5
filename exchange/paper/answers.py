"""Answers in Binance's JSON: orders, fills, balances, symbols.

Rules of this file: rendering only. Eight decimals as on the wire. Spot order answers never carry
`closePosition` or `positionSide`: ccxt would take them for swaps and drop them from lists.
"""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from exchange.paper.account import Balances
from exchange.paper.book import Market
from exchange.paper.config import KeyConfig
from exchange.paper.feed import Kline
from exchange.paper.filters import filter_list
from exchange.paper.values import SMALLEST, ZERO, Fill, Order, OrderType, SymbolRules


def number(value: Decimal) -> str:
    """Return an amount or price with eight decimals, cut, not rounded."""
    return f"{value.quantize(SMALLEST, ROUND_DOWN):.8f}"


def symbol_info(rules: SymbolRules) -> dict[str, Any]:
    """Return a symbol as exchangeInfo shows it."""
    return {
        "symbol": rules.symbol,
        "status": "TRADING" if rules.has_trading else "BREAK",
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [str(order_type) for order_type in OrderType],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filter_list(rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def order_info(order: Order) -> dict[str, Any]:
    """Return an order as GET order, openOrders and allOrders show it."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "price": number(order.price),
        "origQty": number(order.quantity),
        "executedQty": number(order.executed),
        "cummulativeQuoteQty": number(order.executed_quote),
        "status": str(order.status),
        "timeInForce": str(order.time_in_force),
        "type": str(order.type),
        "side": str(order.side),
        "stopPrice": number(ZERO),
        "icebergQty": number(ZERO),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "origQuoteOrderQty": number(order.quote_quantity),
        "selfTradePreventionMode": "NONE",
    }


def placed_answer(order: Order, fills: list[Fill], response_type: str) -> dict[str, Any]:
    """Return the answer to POST order: ACK, RESULT or FULL."""
    answer: dict[str, Any] = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": order.created_ms,
    }
    if response_type == "ACK":
        return answer
    shown = order_info(order)
    answer |= {
        name: shown[name]
        for name in (
            "price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty",
            "status", "timeInForce", "type", "side", "workingTime", "selfTradePreventionMode",
        )
    }  # fmt: skip
    if response_type == "FULL":
        answer["fills"] = [
            {
                "price": number(fill.price),
                "qty": number(fill.quantity),
                "commission": number(fill.commission),
                "commissionAsset": fill.commission_asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    return answer


def cancelled_answer(order: Order, cancel_id: str) -> dict[str, Any]:
    """Return the answer to DELETE order; `cancel_id` names the cancel itself."""
    shown = order_info(order)
    dropped = ("stopPrice", "icebergQty", "time", "updateTime", "isWorking", "workingTime")
    return {name: value for name, value in shown.items() if name not in dropped} | {
        "origClientOrderId": order.client_order_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
    }


def fill_info(fill: Fill) -> dict[str, Any]:
    """Return a fill as myTrades shows it."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": number(fill.price),
        "qty": number(fill.quantity),
        "quoteQty": number(fill.quote_quantity),
        "commission": number(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.venue_ms,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account_info(
    balances: Balances, *, uid: int, fees: tuple[Decimal, Decimal], can_trade: bool, now_ms: int
) -> dict[str, Any]:
    """Return GET account; `fees` are the maker's and the taker's as fractions."""
    maker, taker = fees
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": number(maker),
            "taker": number(taker),
            "buyer": number(ZERO),
            "seller": number(ZERO),
        },
        "canTrade": can_trade,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": [
            {
                "asset": asset,
                "free": number(balances.free(asset)),
                "locked": number(balances.locked(asset)),
            }
            for asset in balances.assets()
        ],
        "permissions": ["SPOT"],
        "uid": uid,
    }


def restrictions_info(key: KeyConfig, *, now_ms: int) -> dict[str, Any]:
    """Return GET /sapi/v1/account/apiRestrictions."""
    return {
        "ipRestrict": True,
        "createTime": now_ms,
        "enableReading": True,
        "enableWithdrawals": key.can_withdraw,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableSpotAndMarginTrading": key.can_trade,
    }


def kline_row(kline: Kline) -> list[Any]:
    """Return a kline as the list the wire wants."""
    half = kline.volume / 2
    return [
        kline.open_ms,
        number(kline.open),
        number(kline.high),
        number(kline.low),
        number(kline.close),
        number(kline.volume),
        kline.close_ms,
        number(kline.quote_volume),
        kline.points,
        number(half),
        number(kline.quote_volume / 2),
        "0",
    ]


def book_ticker(market: Market) -> dict[str, Any]:
    """Return the best bid and ask; a taker who sells meets the bid."""
    asks, bids = market.levels_of_sides()
    return {
        "symbol": market.rules.symbol,
        "bidPrice": number(bids[0][0] if bids else ZERO),
        "bidQty": number(bids[0][1] if bids else ZERO),
        "askPrice": number(asks[0][0] if asks else ZERO),
        "askQty": number(asks[0][1] if asks else ZERO),
    }
