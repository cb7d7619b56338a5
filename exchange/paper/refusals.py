"""How this exchange says no: code, message and HTTP status, as Binance documents them.

One table, so that the documentation and the tests can walk it. Messages matter: ccxt maps some
refusals by their text (Duplicate order, insufficient balance, post-only).

Source: Binance spot documentation, "Error codes" and "HTTP return codes".
"""

from collections.abc import Mapping
from dataclasses import dataclass

BAD_REQUEST = 400
UNAUTHORIZED = 401
TOO_MANY = 429
BANNED = 418


class Refused(Exception):  # noqa: N818  (named by what the venue does)
    """The request was understood and refused; nothing was changed by it."""

    def __init__(
        self, code: int, message: str, *, status: int = BAD_REQUEST, retry_after_s: int = 0
    ) -> None:
        """Keep the venue's code, its message, the HTTP status and a Retry-After in seconds."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRow:
    """One documented refusal; `{}` in the message takes the details."""

    code: int
    message: str
    status: int = BAD_REQUEST


REFUSALS: Mapping[str, RefusalRow] = {
    "too_much_weight": RefusalRow(
        code=-1003,
        message=(
            "Too much request weight used; current limit is {} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        ),
        status=TOO_MANY,
    ),
    "banned": RefusalRow(
        code=-1003,
        message=(
            "Way too much request weight used; IP banned until {}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        ),
        status=BANNED,
    ),
    "filter": RefusalRow(code=-1013, message="Filter failure: {}"),
    "market_closed": RefusalRow(code=-1013, message="Market is closed."),
    "bad_quantity": RefusalRow(code=-1013, message="Invalid quantity."),
    "bad_price": RefusalRow(code=-1013, message="Invalid price."),
    "too_many_orders": RefusalRow(
        code=-1015,
        message="Too many new orders; current limit is {} orders per {}.",
        status=TOO_MANY,
    ),
    "outside_window": RefusalRow(
        code=-1021, message="Timestamp for this request is outside of the recvWindow."
    ),
    "ahead_of_server": RefusalRow(
        code=-1021,
        message="Timestamp for this request was 1000ms ahead of the server's time.",
    ),
    "bad_signature": RefusalRow(
        code=-1022, message="Signature for this request is not valid.", status=BAD_REQUEST
    ),
    "illegal_characters": RefusalRow(
        code=-1100, message="Illegal characters found in parameter '{}'; legal range is '{}'."
    ),
    "duplicate_parameter": RefusalRow(
        code=-1101, message="Duplicate values for parameter '{}' detected."
    ),
    "missing": RefusalRow(
        code=-1102,
        message="Mandatory parameter '{}' was not sent, was empty/null, or malformed.",
    ),
    "one_of": RefusalRow(
        code=-1102, message="Param '{}' or '{}' must be sent, but both were empty/null!"
    ),
    "unread": RefusalRow(
        code=-1104,
        message="Not all sent parameters were read; read '{}' parameter(s) but was sent '{}'.",
    ),
    "empty": RefusalRow(code=-1105, message="Parameter '{}' was empty."),
    "not_required": RefusalRow(code=-1106, message="Parameter '{}' sent when not required."),
    "too_precise": RefusalRow(code=-1111, message="Parameter '{}' has too much precision."),
    "bad_time_in_force": RefusalRow(code=-1115, message="Invalid timeInForce."),
    "bad_order_type": RefusalRow(code=-1116, message="Invalid orderType."),
    "bad_side": RefusalRow(code=-1117, message="Invalid side."),
    "bad_interval": RefusalRow(code=-1120, message="Invalid interval."),
    "bad_symbol": RefusalRow(code=-1121, message="Invalid symbol."),
    "interval_too_big": RefusalRow(
        code=-1127, message="More than {} hours between startTime and endTime."
    ),
    "bad_combination": RefusalRow(
        code=-1128, message="Combination of optional parameters invalid."
    ),
    "bad_data": RefusalRow(code=-1130, message="Data sent for parameter '{}' is not valid."),
    "window_too_big": RefusalRow(code=-1131, message="recvWindow must be less than 60000."),
    "bad_response_type": RefusalRow(code=-1136, message="Invalid newOrderRespType."),
    "duplicate_order": RefusalRow(code=-2010, message="Duplicate order sent."),
    "insufficient_balance": RefusalRow(
        code=-2010, message="Account has insufficient balance for requested action."
    ),
    "would_match": RefusalRow(code=-2010, message="Order would immediately match and take."),
    "type_not_supported": RefusalRow(
        code=-2010, message="{} orders are not supported for this symbol."
    ),
    "no_liquidity": RefusalRow(
        code=-2010,
        message="Order book liquidity is less than `LOT_SIZE` filter minimum quantity.",
    ),
    "unknown_order": RefusalRow(code=-2011, message="Unknown order sent."),
    "no_such_order": RefusalRow(code=-2013, message="Order does not exist."),
    "bad_key_format": RefusalRow(
        code=-2014, message="API-key format invalid.", status=UNAUTHORIZED
    ),
    "rejected_key": RefusalRow(
        code=-2015,
        message="Invalid API-key, IP, or permissions for action.",
        status=UNAUTHORIZED,
    ),
}


def refuse(name: str, *details: object, retry_after_s: int = 0) -> Refused:
    """Build the refusal of a row, with its details filled in; the caller raises it."""
    row = REFUSALS[name]
    return Refused(
        row.code, row.message.format(*details), status=row.status, retry_after_s=retry_after_s
    )
