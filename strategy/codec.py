"""Exact JSON text of the values that cross the worker's pipe.

Rules: a Decimal is a string, never a float; a candle is an array of six; what is decoded is
checked against the type hints of the value, so that a wrong answer raises AnswerBroken with its
path instead of becoming a wrong order. It decides nothing about sense; see validation.py.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from exchange.model import Candle
from strategy.errors import AnswerBroken
from strategy.model import Decision, Market, ParameterValue, Portfolio

T = TypeVar("T")

# The key that marks a Decimal inside a free mapping (parameters), where no type hint says so.
DECIMAL_KEY = "decimal"
CANDLE_FIELDS = 6
NONE_TYPE = type(None)


def encode_market(market: Market) -> dict[str, Any]:
    """Return the JSON-able form of a market."""
    fields = {f.name: getattr(market, f.name) for f in dataclasses.fields(market)}
    fields["parameters"] = encode_parameters(market.parameters)
    return {name: encode_value(value) for name, value in fields.items()}


def parse_market(raw: object) -> Market:
    """Rebuild a market; raises AnswerBroken."""
    if not isinstance(raw, dict):
        raise AnswerBroken("market: not an object")
    market = parse_value(Market, raw, "market")
    parameters = types.MappingProxyType(parse_parameters(market.parameters))
    return dataclasses.replace(market, parameters=parameters)


def encode_portfolio(portfolio: Portfolio) -> Any:
    """Return the JSON-able form of a portfolio."""
    return encode_value(portfolio)


def parse_portfolio(raw: object) -> Portfolio:
    """Rebuild a portfolio; raises AnswerBroken."""
    return parse_value(Portfolio, raw, "portfolio")


def encode_decision(decision: Decision) -> Any:
    """Return the JSON-able form of a decision that has passed validation."""
    return encode_value(decision)


def parse_decision(raw: object) -> Decision:
    """Rebuild a decision; raises AnswerBroken. Sense is checked by validation.py."""
    return parse_value(Decision, raw, "decision")


def encode_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return resolved parameters with their Decimals marked."""
    return {
        name: {DECIMAL_KEY: str(value)} if isinstance(value, Decimal) else value
        for name, value in parameters.items()
    }


def parse_parameters(raw: Mapping[str, Any]) -> dict[str, ParameterValue]:
    """Rebuild resolved parameters; raises AnswerBroken."""
    parameters: dict[str, ParameterValue] = {}
    for name, value in raw.items():
        if isinstance(value, Mapping):
            parameters[name] = _parse_decimal(value.get(DECIMAL_KEY), f"parameters.{name}")
        elif isinstance(value, str | int):
            parameters[name] = value
        else:
            raise AnswerBroken(f"parameters.{name}: was {type(value).__name__}")
    return parameters


def encode_line(message: Mapping[str, Any]) -> bytes:
    """Return one line for the pipe, newline included."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def parse_line(line: bytes) -> dict[str, Any]:
    """Read one line from the pipe; raises AnswerBroken."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AnswerBroken("a line on the worker's pipe is not JSON") from error
    if not isinstance(message, dict):
        raise AnswerBroken("a line on the worker's pipe is not an object")
    return message


def encode_value(value: object) -> Any:  # noqa: PLR0911  (a table of kinds)
    """Return the JSON-able form of a value of this package or of exchange.model."""
    match value:
        case Candle():
            prices = (value.open, value.high, value.low, value.close, value.volume)
            return [value.open_ms, *(str(price) for price in prices)]
        case Decimal():
            return str(value)
        case StrEnum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case tuple() | list():
            return [encode_value(item) for item in value]
        case Mapping():
            return {str(name): encode_value(item) for name, item in value.items()}
        case _ if dataclasses.is_dataclass(value):
            names = (f.name for f in dataclasses.fields(value))
            return {name: encode_value(getattr(value, name)) for name in names}
        case _:
            raise AnswerBroken(f"a {type(value).__name__} cannot cross the worker's pipe")


@cache
def _hints(value_type: type) -> dict[str, Any]:
    return typing.get_type_hints(value_type)


def parse_value(value_type: type[T], raw: object, path: str) -> T:
    """Rebuild a value of `value_type` from its JSON form; raises AnswerBroken with the path."""
    parsed: T = _parse(value_type, raw, path)
    return parsed


def _parse(hint: Any, raw: Any, path: str) -> Any:  # noqa: PLR0911  (a table of kinds)
    if hint is Candle:
        return _parse_candle(raw, path)
    if hint is Decimal:
        return _parse_decimal(raw, path)
    if dataclasses.is_dataclass(hint):
        return _parse_dataclass(hint, raw, path)
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        return _parse_union(typing.get_args(hint), raw, path)
    if origin is tuple:
        return _parse_tuple(typing.get_args(hint)[0], raw, path)
    if origin is not None:
        return _parse_mapping(typing.get_args(hint)[1], raw, path)
    return _parse_plain(hint, raw, path)


def _parse_plain(hint: Any, raw: Any, path: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        if raw not in set(hint):
            raise AnswerBroken(f"{path}: {str(raw)[:40]!r} is not one of {', '.join(hint)}")
        return hint(raw)
    # type() and not isinstance(): True must not pass as a number.
    if hint is not Any and type(raw) is not hint:
        raise AnswerBroken(f"{path}: was {type(raw).__name__}, must be {hint.__name__}")
    return raw


def _parse_tuple(item_hint: Any, raw: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(raw, list):
        raise AnswerBroken(f"{path}: not an array")
    return tuple(_parse(item_hint, item, f"{path}[{i}]") for i, item in enumerate(raw))


def _parse_union(members: tuple[Any, ...], raw: Any, path: str) -> Any:
    if raw is None and NONE_TYPE in members:
        return None
    (hint,) = (member for member in members if member is not NONE_TYPE)
    return _parse(hint, raw, path)


def _parse_mapping(item_hint: Any, raw: Any, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise AnswerBroken(f"{path}: not an object")
    return {name: _parse(item_hint, item, f"{path}.{name}") for name, item in raw.items()}


def _parse_dataclass(value_type: Any, raw: Any, path: str) -> Any:
    if not isinstance(raw, dict):
        raise AnswerBroken(f"{path}: not an object")
    hints = _hints(value_type)
    names = [f.name for f in dataclasses.fields(value_type)]
    if set(raw) != set(names):
        raise AnswerBroken(f"{path}: fields differ: {sorted(set(raw) ^ set(names))}")
    fields = {name: _parse(hints[name], raw[name], f"{path}.{name}") for name in names}
    try:
        return value_type(**fields)
    except ValueError as error:
        raise AnswerBroken(f"{path}: {error}") from error


def _parse_candle(raw: Any, path: str) -> Candle:
    if not isinstance(raw, list) or len(raw) != CANDLE_FIELDS or type(raw[0]) is not int:
        raise AnswerBroken(f"{path}: not a candle")
    prices = [_parse_decimal(item, path) for item in raw[1:]]
    try:
        return Candle(
            open_ms=raw[0],
            open=prices[0],
            high=prices[1],
            low=prices[2],
            close=prices[3],
            volume=prices[4],
        )
    except ValueError as error:
        raise AnswerBroken(f"{path}: {error}") from error


def _parse_decimal(raw: Any, path: str) -> Decimal:
    if not isinstance(raw, str):
        raise AnswerBroken(f"{path}: was {type(raw).__name__}, must be a number as text")
    try:
        number = Decimal(raw)
    except InvalidOperation as error:
        raise AnswerBroken(f"{path}: {raw[:40]!r} is not a number") from error
    if not number.is_finite():
        raise AnswerBroken(f"{path}: {raw[:40]!r} is not a finite number")
    return number
