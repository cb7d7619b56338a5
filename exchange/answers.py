"""Parse ccxt's unified structures into our values, or say why they cannot be trusted. Pure.

ccxt fills missing fields with defaults (`filled` becomes 0), passes unknown words through and
drops rows that it does not understand. So each required raw field is checked as well, list
lengths are compared with the raw answer, and every number must be a finite Decimal. Nothing is
guessed: what does not fit raises AnswerUntrusted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, Final, TypeVar

from exchange.errors import AnswerUntrusted
from exchange.model import (
    ZERO,
    Balance,
    Candle,
    ClientOrderId,
    Fill,
    MarketRules,
    OrderStatus,
    OrderType,
    Side,
    Ticker,
    VenueOrder,
    VenueOrderId,
)
from exchange.venues import market_id

T = TypeVar("T")

# Sanity bound on a venue's times: 2010-01-01 to 2100-01-01 in ms. Seconds or microseconds in
# place of milliseconds fall outside.
TIME_MS_MIN: Final = 1_262_304_000_000
TIME_MS_MAX: Final = 4_102_444_800_000
# Fields of one row of candles: time, open, high, low, close, volume.
CANDLE_FIELDS: Final = 6

_TIMEFRAME_UNITS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def timeframe_ms(timeframe: str) -> int:
    """Return a timeframe such as 5m, 1h or 1d in milliseconds.

    Raises:
        ValueError: it is none; weeks and months have no fixed grid here.
    """
    unit = _TIMEFRAME_UNITS_MS.get(timeframe[-1:])
    count = timeframe[:-1]
    if unit is None or not count.isdecimal() or int(count) == 0:
        raise ValueError(f"timeframe {timeframe!r} is not of the form 5m, 1h or 1d")
    return int(count) * unit


def parse_decimal(value: Any, what: str) -> Decimal:
    """Return a finite Decimal; floats are refused, they have lost digits already."""
    if isinstance(value, bool | float) or value is None:
        raise AnswerUntrusted(f"{what} is {type(value).__name__}, not an exact number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise AnswerUntrusted(f"{what} is not a number") from None
    if not number.is_finite():
        raise AnswerUntrusted(f"{what} is not finite")
    return number


def parse_not_negative(value: Any, what: str) -> Decimal:
    """Return a Decimal >= 0."""
    number = parse_decimal(value, what)
    if number < ZERO:
        raise AnswerUntrusted(f"{what} is negative")
    return number


def parse_positive(value: Any, what: str) -> Decimal:
    """Return a Decimal > 0."""
    number = parse_decimal(value, what)
    if number <= ZERO:
        raise AnswerUntrusted(f"{what} is not positive")
    return number


def parse_time_ms(value: Any, what: str) -> int:
    """Return a venue time in ms within a sane range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise AnswerUntrusted(f"{what} is not a time")
    if not TIME_MS_MIN <= value <= TIME_MS_MAX:
        raise AnswerUntrusted(f"{what} is not a time in milliseconds")
    return value


def parse_text(value: Any, what: str) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise AnswerUntrusted(f"{what} is missing")
    return value


def parse_rows(
    rows: Any, row_count: int | None, parse: Callable[[Mapping[str, Any]], T], what: str
) -> tuple[T, ...]:
    """Parse each row of a list; as many must have come through ccxt as the venue sent."""
    if not isinstance(rows, list):
        raise AnswerUntrusted(f"{what}: a list was due")
    if row_count is None or len(rows) != row_count:
        raise AnswerUntrusted(f"{what}: {row_count} rows were sent, {len(rows)} understood")
    return tuple(parse(_mapping(row, what)) for row in rows)


def parse_order(
    unified: Any,
    *,
    symbol: str,
    required: Sequence[str],
    more_statuses: Mapping[str, OrderStatus],
) -> VenueOrder:
    """Parse one order in `symbol`.

    Args:
        unified: ccxt's order.
        symbol: that it must be in.
        required: raw fields that must be there.
        more_statuses: words for the status that ccxt passes through, and what they mean.

    Raises:
        AnswerUntrusted: something is missing, unknown or impossible.
    """
    order = _mapping(unified, "order")
    _check_fields(order, required, "order")
    _check_symbol(order, symbol, "order")
    kind = _member(OrderType, order.get("type"), "order type")
    word = order.get("status")
    status = more_statuses.get(str(word)) or _member(OrderStatus, word, "order status")
    amount = parse_positive(order.get("amount"), "order amount")
    filled = parse_not_negative(order.get("filled"), "filled amount")
    if filled > amount:
        raise AnswerUntrusted("an order is filled beyond its amount")
    if status is OrderStatus.CLOSED and filled != amount:
        raise AnswerUntrusted("an order is called filled and is not")
    price = None
    if kind is OrderType.LIMIT:
        price = parse_positive(order.get("price"), "limit price")
    average = None
    if filled > ZERO and order.get("average") is not None:
        average = parse_not_negative(order.get("average"), "average price")
    client_order_id = order.get("clientOrderId")
    created = order.get("timestamp")
    return VenueOrder(
        symbol=symbol,
        venue_order_id=VenueOrderId(parse_text(order.get("id"), "venue order id")),
        client_order_id=ClientOrderId(client_order_id) if client_order_id else None,
        side=_member(Side, order.get("side"), "side"),
        type=kind,
        status=status,
        amount=amount,
        filled=filled,
        price=price,
        average_price=average,
        created_venue_ms=None if created is None else parse_time_ms(created, "order time"),
    )


def parse_fill(unified: Any, *, symbol: str, required: Sequence[str]) -> Fill:
    """Parse one execution in `symbol`. The fee may be negative (a rebate)."""
    trade = _mapping(unified, "fill")
    _check_fields(trade, required, "fill")
    _check_symbol(trade, symbol, "fill")
    fee = _mapping(trade.get("fee"), "fee")
    fill_id = parse_text(trade.get("id"), "fill id")
    if not fill_id.isdecimal():
        raise AnswerUntrusted("a fill id is not a number, fills cannot be ordered")
    return Fill(
        symbol=symbol,
        fill_id=fill_id,
        venue_order_id=VenueOrderId(parse_text(trade.get("order"), "order id of a fill")),
        side=_member(Side, trade.get("side"), "side"),
        amount=parse_positive(trade.get("amount"), "fill amount"),
        price=parse_positive(trade.get("price"), "fill price"),
        fee=parse_decimal(fee.get("cost"), "fee"),
        fee_asset=parse_text(fee.get("currency"), "fee asset"),
        venue_ms=parse_time_ms(trade.get("timestamp"), "fill time"),
    )


def check_fills(fills: Iterable[Fill], after_fill_id: str | None) -> tuple[Fill, ...]:
    """Return one page of fills in order; ids must be unique and after the one asked for."""
    ordered = tuple(sorted(fills, key=lambda fill: int(fill.fill_id)))
    if len({fill.fill_id for fill in ordered}) != len(ordered):
        raise AnswerUntrusted("a fill id came twice")
    if ordered and after_fill_id is not None and int(ordered[0].fill_id) <= int(after_fill_id):
        raise AnswerUntrusted("the venue sent fills from before the one asked for")
    return ordered


def parse_candles(rows: Any, *, timeframe: str) -> tuple[Candle, ...]:
    """Parse rows of candles: on the timeframe's grid, each once, oldest first.

    The last one is still forming; leaving it out is the caller's business.
    """
    if not isinstance(rows, list) or not rows:
        raise AnswerUntrusted("candles were due")
    step_ms = timeframe_ms(timeframe)
    candles = tuple(_parse_candle(row) for row in rows)
    for candle in candles:
        if candle.open_ms % step_ms:
            raise AnswerUntrusted(f"a candle is not on the grid of {timeframe}")
    for earlier, later in pairwise(candles):
        if later.open_ms <= earlier.open_ms:
            raise AnswerUntrusted("candles are not in order or not unique")
    return candles


def _parse_candle(row: Any) -> Candle:
    if not isinstance(row, list) or len(row) != CANDLE_FIELDS:
        raise AnswerUntrusted("a candle has not six fields")
    open_ms = parse_time_ms(row[0], "candle time")
    values = [parse_not_negative(value, "candle value") for value in row[1:]]
    try:
        return Candle(
            open_ms=open_ms,
            open=values[0],
            high=values[1],
            low=values[2],
            close=values[3],
            volume=values[4],
        )
    except ValueError as problem:
        raise AnswerUntrusted(str(problem)) from None


def parse_ticker(unified: Any, *, symbol: str) -> Ticker:
    """Parse best prices; a book with an empty side is no price."""
    ticker = _mapping(unified, "ticker")
    _check_symbol(ticker, symbol, "ticker")
    bid = parse_positive(ticker.get("bid"), "bid")
    ask = parse_positive(ticker.get("ask"), "ask")
    if bid > ask:
        raise AnswerUntrusted("the bid is above the ask")
    at = ticker.get("timestamp")
    return Ticker(
        symbol=symbol,
        bid=bid,
        ask=ask,
        last=parse_positive(ticker.get("last"), "last price"),
        venue_ms=None if at is None else parse_time_ms(at, "ticker time"),
    )


def parse_account_id(unified: Any) -> str:
    """Return the account's id from a balance answer."""
    raw = _mapping(_mapping(unified, "account").get("info"), "account")
    uid = raw.get("uid")
    if isinstance(uid, bool) or not isinstance(uid, int | str) or not str(uid).strip():
        raise AnswerUntrusted("the account's id is missing")
    return str(uid)


def parse_balances(unified: Any) -> dict[str, Balance]:
    """Return the non-zero balances; the raw list of assets must be there."""
    account = _mapping(unified, "account")
    raw = _mapping(account.get("info"), "account").get("balances")
    if not isinstance(raw, list):
        raise AnswerUntrusted("the account has no list of balances")
    free, used = _mapping(account.get("free"), "free"), _mapping(account.get("used"), "used")
    balances: dict[str, Balance] = {}
    for asset in {*free, *used}:
        balance = Balance(
            free=parse_not_negative(free.get(asset), f"free {asset}"),
            locked=parse_not_negative(used.get(asset), f"locked {asset}"),
        )
        if balance.total > ZERO:
            balances[str(asset)] = balance
    sent = [row for row in raw if isinstance(row, dict) and _is_non_zero(row)]
    if len(sent) != len(balances):
        raise AnswerUntrusted(f"{len(sent)} balances were sent, {len(balances)} understood")
    return balances


def _is_non_zero(row: Mapping[str, Any]) -> bool:
    free = parse_not_negative(row.get("free"), "free balance")
    return free + parse_not_negative(row.get("locked"), "locked balance") > ZERO


def parse_market(unified: Any, *, symbol: str) -> MarketRules:
    """Parse the filters of one symbol."""
    market = _mapping(unified, "market")
    precision = _mapping(market.get("precision"), "precision")
    limits = _mapping(market.get("limits"), "limits")
    amount_limits = _mapping(limits.get("amount"), "amount limits")
    cost_limits = _mapping(limits.get("cost"), "cost limits")
    return MarketRules(
        symbol=symbol,
        base=parse_text(market.get("base"), "base asset"),
        quote=parse_text(market.get("quote"), "quote asset"),
        amount_step=parse_positive(precision.get("amount"), "amount step"),
        price_step=parse_positive(precision.get("price"), "price step"),
        amount_min=parse_not_negative(amount_limits.get("min"), "smallest amount"),
        cost_min=parse_not_negative(cost_limits.get("min") or "0", "smallest cost"),
        is_active=market.get("active") is True,
    )


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise AnswerUntrusted(f"{what} is missing")
    return value


def _check_symbol(unified: Mapping[str, Any], symbol: str, what: str) -> None:
    # ccxt believes the symbol that was asked for, so the raw answer has to say it itself.
    raw = _mapping(unified.get("info"), what)
    if unified.get("symbol") != symbol or raw.get("symbol") != market_id(symbol):
        raise AnswerUntrusted(f"{what}: {symbol} was due, it is of another symbol")


def _check_fields(unified: Mapping[str, Any], required: Sequence[str], what: str) -> None:
    raw = _mapping(unified.get("info"), what)
    missing = [name for name in required if raw.get(name) is None]
    if missing:
        raise AnswerUntrusted(f"{what} without {', '.join(missing)}")


def _member(kind: type[T], value: Any, what: str) -> T:
    make: Any = kind
    try:
        member: T = make(value)
    except ValueError:
        raise AnswerUntrusted(f"{what} is unknown") from None
    return member
