"""Typed parameters: the given values against what the strategy declares.

The type of a parameter is that of its default. Text is accepted for numbers and booleans, since
environment variables have no other type; a float is read by its shortest decimal text.
"""

import difflib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from strategy.errors import StrategyRefused
from strategy.model import Declaration, Parameter, ParameterValue, Problem

BOOLEANS = {"true": True, "false": False}


def resolve_parameters(
    declaration: Declaration,
    given: Mapping[str, Any],
    *,
    file: str = "",
    line: int = 1,
) -> dict[str, ParameterValue]:
    """Return every declared parameter with its value, defaults filled in, in declared order.

    Raises:
        StrategyRefused: unknown names (with the nearest known one), wrong types, out of bounds;
            all of them at once.
    """
    problems = [
        Problem(
            file=file or declaration.name,
            line=line,
            what=f"{declaration.name} has no parameter {name!r}",
            instead=suggest(name, declaration.parameters),
        )
        for name in given
        if name not in declaration.parameters
    ]
    resolved: dict[str, ParameterValue] = {}
    for name, parameter in declaration.parameters.items():
        try:
            value = parse_parameter(parameter, given.get(name, parameter.default))
        except ValueError as error:
            what = f"parameter {name} {error}"
            problems.append(Problem(file=file or declaration.name, line=line, what=what))
        else:
            resolved[name] = value
    if problems:
        raise StrategyRefused(problems)
    return resolved


def suggest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Return "did you mean ..." with the nearest known name, or the list of all."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"known are: {', '.join(known)}" if known else "it has none"


def parse_parameter(parameter: Parameter, value: Any) -> ParameterValue:
    """Return `value` in the type of the parameter's default; raises ValueError in words."""
    parsed = _parse_type(parameter.default, value)
    if isinstance(parsed, bool | str):
        return parsed
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and parsed < low) or (high is not None and parsed > high):
        raise ValueError(f"is {parsed}, must be {_bounds(low, high)}")
    return parsed


def _bounds(low: Decimal | int | None, high: Decimal | int | None) -> str:
    if low is not None and high is not None:
        return f"from {low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}"


def _parse_type(default: ParameterValue, value: Any) -> ParameterValue:
    # bool before int: True is an int in Python, and not one here.
    if isinstance(default, bool):
        parsed = BOOLEANS.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(parsed, bool):
            raise ValueError(f"is {value!r}, must be true or false")  # noqa: TRY004  (one kind)
        return parsed
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError(f"is {value!r}, must be text")  # noqa: TRY004  (one kind)
        return value
    number = _parse_number(value)
    if isinstance(default, Decimal):
        return number
    if number != number.to_integral_value():
        raise ValueError(f"is {value!r}, must be a whole number")
    return int(number)


def _parse_number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str | float):
        raise ValueError(f"is {value!r}, must be a number")  # noqa: TRY004  (one kind)
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"is {value!r}, must be a number") from error
    if not number.is_finite():
        raise ValueError(f"is {value!r}, must be a finite number")
    return number
