"""Every documented refusal as a row: what is sent, and what the documentation answers."""

import time
from dataclasses import dataclass, field
from typing import Any

from exchange.paper.process import PaperKey
from tests.support.paper_server import JETSON, READ_ONLY

LIMIT: dict[str, Any] = {
    "symbol": "ETHBTC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "0.04",
}


MARKET: dict[str, Any] = {"symbol": "ETHBTC", "side": "BUY", "type": "MARKET", "quantity": "1"}


MAKER: dict[str, Any] = {"symbol": "ETHBTC", "side": "BUY", "type": "LIMIT_MAKER"} | {
    "quantity": "1",
    "price": "0.04",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One refused request: what is sent, and code, status and message that come back."""

    row: str  # the row of REFUSALS it stands for
    code: int
    message: str
    status: int = 400
    method: str = "POST"
    path: str = "order"
    send: dict[str, Any] = field(default_factory=lambda: dict(LIMIT))
    without: tuple[str, ...] = ()
    change: dict[str, Any] = field(default_factory=dict)
    key: PaperKey = JETSON

    def parameters(self) -> dict[str, Any]:
        """What is sent."""
        kept = {n: v for n, v in self.send.items() if n not in self.without}
        return kept | self.change


def now_ms(shift_ms: int = 0) -> int:
    return int(time.time() * 1000) + shift_ms


NO_KEY = PaperKey(name="none", key="", secret="x")


UNKNOWN_KEY = PaperKey(name="unknown", key="never-registered", secret="x")


WRONG_SECRET = PaperKey(name="jetson", key=JETSON.key, secret="wrong")


LOOK: dict[str, Any] = {"symbol": "ETHBTC", "origClientOrderId": "never-sent"}


RANGE = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"


ID_RANGE = "^[a-zA-Z0-9-_]{1,36}$"


CASES = {
    "a key of wrong format": Case(
        row="bad_key_format", code=-2014, status=401, key=NO_KEY, message="API-key format invalid."
    ),
    "an unknown key": Case(
        row="rejected_key",
        code=-2015,
        status=401,
        key=UNKNOWN_KEY,
        message="Invalid API-key, IP, or permissions for action.",
    ),
    "a key that may not trade": Case(
        row="rejected_key",
        code=-2015,
        status=401,
        key=READ_ONLY,
        message="Invalid API-key, IP, or permissions for action.",
    ),
    "a wrong signature": Case(
        row="bad_signature",
        code=-1022,
        key=WRONG_SECRET,
        message="Signature for this request is not valid.",
    ),
    "a timestamp that is too old": Case(
        row="outside_window",
        code=-1021,
        change={"timestamp": "1500000000000"},
        message="Timestamp for this request is outside of the recvWindow.",
    ),
    "a timestamp ahead of the server": Case(
        row="ahead_of_server",
        code=-1021,
        change={"timestamp": "9500000000000"},
        message="Timestamp for this request was 1000ms ahead of the server's time.",
    ),
    "a window above 60 s": Case(
        row="window_too_big",
        code=-1131,
        change={"recvWindow": 60001},
        message="recvWindow must be less than 60000.",
    ),
    "a timestamp that is no number": Case(
        row="illegal_characters",
        code=-1100,
        change={"timestamp": "now"},
        message=f"Illegal characters found in parameter 'timestamp'; legal range is '{RANGE}'.",
    ),
    "an amount in scientific notation": Case(
        row="illegal_characters",
        code=-1100,
        change={"quantity": "1e-05"},
        message=f"Illegal characters found in parameter 'quantity'; legal range is '{RANGE}'.",
    ),
    "a client order id with a space": Case(
        row="illegal_characters",
        code=-1100,
        change={"newClientOrderId": "a b"},
        message="Illegal characters found in parameter 'newClientOrderId';"
        f" legal range is '{ID_RANGE}'.",
    ),
    "a client order id that is too long": Case(
        row="illegal_characters",
        code=-1100,
        change={"newClientOrderId": "a" * 37},
        message="Illegal characters found in parameter 'newClientOrderId';"
        f" legal range is '{ID_RANGE}'.",
    ),
    "no symbol": Case(
        row="missing",
        code=-1102,
        without=("symbol",),
        message="Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
    ),
    "a limit order without a price": Case(
        row="missing",
        code=-1102,
        without=("price",),
        message="Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
    ),
    "a limit order without time in force": Case(
        row="missing",
        code=-1102,
        without=("timeInForce",),
        message="Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
    ),
    "a market order without any amount": Case(
        row="one_of",
        code=-1102,
        send=MARKET,
        without=("quantity",),
        message="Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
    ),
    "a look-up without any id": Case(
        row="one_of",
        code=-1102,
        method="GET",
        send=LOOK,
        without=("origClientOrderId",),
        message="Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
    ),
    "a parameter nobody reads": Case(
        row="unread",
        code=-1104,
        change={"colour": "red"},
        message="Not all sent parameters were read; read '6' parameter(s) but was sent '7'.",
    ),
    "an empty quote amount": Case(
        row="empty",
        code=-1105,
        send=MARKET,
        without=("quantity",),
        change={"quoteOrderQty": ""},
        message="Parameter 'quoteOrderQty' was empty.",
    ),
    "a market order with a price": Case(
        row="not_required",
        code=-1106,
        send=MARKET,
        change={"price": "0.05"},
        message="Parameter 'price' sent when not required.",
    ),
    "a market order with time in force": Case(
        row="not_required",
        code=-1106,
        send=MARKET,
        change={"timeInForce": "IOC"},
        message="Parameter 'timeInForce' sent when not required.",
    ),
    "a post-only order with time in force": Case(
        row="not_required",
        code=-1106,
        send=MAKER,
        change={"timeInForce": "GTC"},
        message="Parameter 'timeInForce' sent when not required.",
    ),
    "both amounts": Case(
        row="not_required",
        code=-1106,
        send=MARKET,
        change={"quoteOrderQty": "1"},
        message="Parameter 'quoteOrderQty' sent when not required.",
    ),
    "nine decimals": Case(
        row="too_precise",
        code=-1111,
        change={"quantity": "1.000000001"},
        message="Parameter 'quantity' has too much precision.",
    ),
    "an unknown time in force": Case(
        row="bad_time_in_force",
        code=-1115,
        change={"timeInForce": "GTD"},
        message="Invalid timeInForce.",
    ),
    "an unknown order type": Case(
        row="bad_order_type", code=-1116, change={"type": "HOPE"}, message="Invalid orderType."
    ),
    "a stop order": Case(
        row="type_not_supported",
        code=-2010,
        change={"type": "STOP_LOSS_LIMIT"},
        message="Stop loss limit orders are not supported for this symbol.",
    ),
    "an iceberg order": Case(
        row="type_not_supported",
        code=-2010,
        change={"icebergQty": "0.1"},
        message="Iceberg orders are not supported for this symbol.",
    ),
    "an unknown side": Case(
        row="bad_side", code=-1117, change={"side": "HOLD"}, message="Invalid side."
    ),
    "an unknown symbol": Case(
        row="bad_symbol", code=-1121, change={"symbol": "ETHDOGE"}, message="Invalid symbol."
    ),
    "an unknown response type": Case(
        row="bad_response_type",
        code=-1136,
        change={"newOrderRespType": "POEM"},
        message="Invalid newOrderRespType.",
    ),
    "an amount of zero": Case(
        row="bad_quantity", code=-1013, change={"quantity": "0"}, message="Invalid quantity."
    ),
    "a price of zero": Case(
        row="bad_price", code=-1013, change={"price": "0.0"}, message="Invalid price."
    ),
    "a price off the tick": Case(
        row="filter",
        code=-1013,
        change={"price": "0.040001"},
        message="Filter failure: PRICE_FILTER",
    ),
    "a price above the highest": Case(
        row="filter",
        code=-1013,
        change={"price": "1000001"},
        message="Filter failure: PRICE_FILTER",
    ),
    "a price far above the market": Case(
        row="filter",
        code=-1013,
        change={"price": "0.26"},
        message="Filter failure: PERCENT_PRICE_BY_SIDE",
    ),
    "a price far below the market": Case(
        row="filter",
        code=-1013,
        change={"price": "0.009", "side": "SELL"},
        message="Filter failure: PERCENT_PRICE_BY_SIDE",
    ),
    "an amount off the step": Case(
        row="filter",
        code=-1013,
        change={"quantity": "1.0001"},
        message="Filter failure: LOT_SIZE",
    ),
    "an amount above the largest": Case(
        row="filter",
        code=-1013,
        change={"quantity": "100001"},
        message="Filter failure: LOT_SIZE",
    ),
    "a market amount above the largest": Case(
        row="filter",
        code=-1013,
        send=MARKET,
        change={"quantity": "10001"},
        message="Filter failure: MARKET_LOT_SIZE",
    ),
    "an order that is worth too little": Case(
        row="filter",
        code=-1013,
        change={"quantity": "0.001", "price": "0.04"},
        message="Filter failure: NOTIONAL",
    ),
    "a market order that is worth too little": Case(
        row="filter",
        code=-1013,
        send=MARKET,
        change={"quantity": "0.001"},
        message="Filter failure: NOTIONAL",
    ),
    "more quote than the account has": Case(
        row="insufficient_balance",
        code=-2010,
        change={"quantity": "51"},
        message="Account has insufficient balance for requested action.",
    ),
    "more base than the account has": Case(
        row="insufficient_balance",
        code=-2010,
        send=MARKET,
        change={"quantity": "10.001", "side": "SELL"},
        message="Account has insufficient balance for requested action.",
    ),
    "a post-only order that would take": Case(
        row="would_match",
        code=-2010,
        send=MAKER,
        change={"price": "0.051"},
        message="Order would immediately match and take.",
    ),
    "a cancel of an unknown order": Case(
        row="unknown_order",
        code=-2011,
        method="DELETE",
        send=LOOK,
        message="Unknown order sent.",
    ),
    "a cancel of all where none is open": Case(
        row="unknown_order",
        code=-2011,
        method="DELETE",
        path="openOrders",
        send={"symbol": "XRPBTC"},
        message="Unknown order sent.",
    ),
    "a look-up of an unknown order": Case(
        row="no_such_order",
        code=-2013,
        method="GET",
        send=LOOK,
        message="Order does not exist.",
    ),
    "fills over more than a day": Case(
        row="interval_too_big",
        code=-1127,
        method="GET",
        path="myTrades",
        send={"symbol": "ETHBTC", "startTime": 1, "endTime": 86_400_002},
        message="More than 24 hours between startTime and endTime.",
    ),
    "fills from an id and a time": Case(
        row="bad_combination",
        code=-1128,
        method="GET",
        path="myTrades",
        send={"symbol": "ETHBTC", "startTime": 1, "fromId": 1},
        message="Combination of optional parameters invalid.",
    ),
    "klines of an unknown interval": Case(
        row="bad_interval",
        code=-1120,
        method="GET",
        path="klines",
        send={"symbol": "ETHBTC", "interval": "7m"},
        message="Invalid interval.",
    ),
    "a list of symbols that is none": Case(
        row="bad_data",
        code=-1130,
        method="GET",
        path="exchangeInfo",
        send={"symbols": "ETHBTC"},
        message="Data sent for parameter 'symbols' is not valid.",
    ),
}
