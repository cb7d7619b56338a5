"""Given parameters against declared ones."""

from decimal import Decimal
from typing import Any

import pytest

from strategy.errors import StrategyRefused
from strategy.model import Declaration, Parameter
from strategy.parameters import resolve_parameters

DECLARATION = Declaration(
    name="mine",
    version="1",
    symbols=("ETH/USDT",),
    timeframe="1m",
    history=1,
    parameters={
        "fast": Parameter(default=3, minimum=1, maximum=10, doc=""),
        "share": Parameter(default=Decimal("0.5"), minimum=Decimal(0), doc=""),
        "mode": Parameter(default="calm", doc=""),
        "is_loud": Parameter(default=False, doc=""),
    },
)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        pytest.param({}, "fast", 3, id="the default"),
        pytest.param({"fast": 10}, "fast", 10, id="the upper bound"),
        pytest.param({"fast": "7"}, "fast", 7, id="a number as text"),
        pytest.param({"fast": Decimal("7.0")}, "fast", 7, id="a whole Decimal"),
        pytest.param({"share": 1}, "share", Decimal(1), id="an int for a Decimal"),
        pytest.param({"share": 0.1}, "share", Decimal("0.1"), id="a float by its text"),
        pytest.param({"share": "0"}, "share", Decimal(0), id="the lower bound"),
        pytest.param({"mode": "wild"}, "mode", "wild", id="text"),
        pytest.param({"is_loud": "True"}, "is_loud", True, id="yes as text"),
    ],
)
def test_parameter_takes_its_type(given: dict[str, Any], name: str, value: Any) -> None:
    """The type is that of the default, whatever the configuration's source."""
    resolved = resolve_parameters(DECLARATION, given)
    assert (type(resolved[name]), resolved[name]) == (type(value), value)
    assert list(resolved) == list(DECLARATION.parameters)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"fats": 3}, "'fast'", id="a misspelt name names the nearest"),
        pytest.param({"zzz": 3}, "share", id="an unknown name lists all"),
        pytest.param({"fast": 0}, "from 1 to 10", id="below the bound"),
        pytest.param({"fast": 11}, "from 1 to 10", id="above the bound"),
        pytest.param({"share": "-0.1"}, "at least 0", id="below the only bound"),
        pytest.param({"fast": 1.5}, "whole", id="half an int"),
        pytest.param({"fast": True}, "number", id="yes for a number"),
        pytest.param({"fast": "many"}, "number", id="words for a number"),
        pytest.param({"share": "NaN"}, "finite", id="no number"),
        pytest.param({"share": [1]}, "number", id="a list"),
        pytest.param({"mode": 1}, "text", id="a number for text"),
        pytest.param({"is_loud": 1}, "true or false", id="1 for yes"),
    ],
)
def test_parameter_is_refused(given: dict[str, Any], says: str) -> None:
    """The message names the file, the parameter and what would be right."""
    with pytest.raises(StrategyRefused) as refused:
        resolve_parameters(DECLARATION, given, file="mine.py", line=7)
    (problem,) = refused.value.problems
    assert str(problem).startswith("mine.py:7: ")
    assert says in str(problem)
    assert next(iter(given)) in str(problem)


def test_every_wrong_parameter_is_reported_at_once() -> None:
    """Nobody mends one error per start."""
    with pytest.raises(StrategyRefused) as refused:
        resolve_parameters(DECLARATION, {"fats": 1, "fast": 99, "mode": 3})
    assert len(refused.value.problems) == 3
