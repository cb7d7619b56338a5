"""The fingerprint is equal exactly when both nodes would decide the same."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy.fingerprint import FINGERPRINT_CHARS, fingerprint
from strategy.loading import load_strategy
from tests.support.candles import property_test

TEXT = "a = 1\n\n\ndef decide():\n    return '''x  \n'''\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(TEXT.replace("\n", "\r"), id="old line ends"),
        pytest.param("\ufeff" + TEXT, id="a byte order mark"),
        pytest.param(TEXT + "\n\n", id="empty lines at the end"),
        pytest.param(TEXT.rstrip("\n"), id="no line end at the end"),
    ],
)
def test_fingerprint_ignores_how_the_text_was_stored(text: str) -> None:
    """What editors and version control change on the way to a box is not a difference."""
    assert fingerprint(text, {}) == fingerprint(TEXT, {})


@pytest.mark.parametrize(
    ("text", "parameters", "limits"),
    [
        pytest.param(TEXT + "b = 2\n", {"a": 1}, {"m": "5"}, id="another line"),
        pytest.param(TEXT.replace("x  ", "x"), {"a": 1}, {"m": "5"}, id="blanks in a text"),
        pytest.param(TEXT, {"a": 2}, {"m": "5"}, id="another value"),
        pytest.param(TEXT, {"a": "1"}, {"m": "5"}, id="text instead of a number"),
        pytest.param(TEXT, {"a": True}, {"m": "5"}, id="yes instead of 1"),
        pytest.param(TEXT, {"b": 1}, {"m": "5"}, id="another parameter"),
        pytest.param(TEXT, {"a": 1}, {"m": "6"}, id="another limit"),
        pytest.param(TEXT, {"a": 1}, {}, id="no limit"),
        pytest.param(TEXT, {"a": 1, "m": "5"}, {}, id="a limit as a parameter"),
    ],
)
def test_fingerprint_tells_apart(
    text: str, parameters: dict[str, Any], limits: dict[str, Any]
) -> None:
    """Every part counts."""
    assert fingerprint(text, parameters, limits) != fingerprint(TEXT, {"a": 1}, {"m": "5"})


@property_test
@given(values=st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()))
def test_fingerprint_does_not_depend_on_order(values: dict[str, Any]) -> None:
    """A mapping has no order."""
    backwards = dict(reversed(values.items()))
    assert fingerprint(TEXT, values, values) == fingerprint(TEXT, backwards, backwards)


@pytest.mark.parametrize("number", [1, 1.0, Decimal(1), Decimal("1.00"), Decimal("1E+0")])
def test_fingerprint_sees_one_number_however_written(number: Any) -> None:
    """Files say 1, 1.0 or "1.00"; the strategy decides the same."""
    assert fingerprint(TEXT, {"a": number}) == fingerprint(TEXT, {"a": 1})


def test_fingerprint_is_the_same_on_every_machine() -> None:
    """A recorded value: a release that changes it makes every mixed pair differ."""
    found = fingerprint(TEXT, {"a": 1, "b": Decimal("0.50"), "c": "x", "d": True}, {"m": ["5"]})
    assert found == "e897f9073079"
    assert len(found) == FINGERPRINT_CHARS


def test_loaded_strategy_fingerprint_counts_defaults_as_values() -> None:
    """A default that is written out is no difference; another value is."""
    plain = load_strategy("trend")
    assert load_strategy("trend", {"fast": "20"}).fingerprint() == plain.fingerprint()
    assert load_strategy("trend", {"fast": 21}).fingerprint() != plain.fingerprint()
    assert load_strategy("grid").fingerprint() != plain.fingerprint()
