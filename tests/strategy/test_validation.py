"""What a decision must satisfy before anyone acts on it."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from exchange.model import Side
from strategy.model import Decision, DesiredOrder, Evidence
from strategy.validation import (
    EVIDENCE_MAX,
    ORDERS_MAX,
    STATE_BYTES_MAX,
    TEXT_CHARS_MAX,
    check_decision,
    check_state,
    shorten,
)

SEEN = Evidence(condition="c", value="1", threshold="2", has_fired=False)
BUY = DesiredOrder(tag="b1", side=Side.BUY, amount=Decimal(1), price=Decimal(10))
SELL = DesiredOrder(tag="s1", side=Side.SELL, amount=Decimal(1), price=Decimal(11))
GOOD = Decision(target=Decimal(1), orders=(BUY, SELL), state={"a": [1]}, evidence=(SEEN,))


def buy(**fields: Any) -> DesiredOrder:
    return replace(BUY, **fields)


def seen(**fields: Any) -> Evidence:
    return replace(SEEN, **fields)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def test_good_decision_passes() -> None:
    """A target, orders on both sides, a state and evidence may all be given together."""
    assert check_decision(GOOD) == ()


BAD_FIELDS: list[tuple[str, Mapping[str, Any]]] = [
    ("a float as target", {"target": 0.5}),
    ("an int as target", {"target": 1}),
    ("a target that is no number", {"target": Decimal("NaN")}),
    ("an endless target", {"target": Decimal("Infinity")}),
    ("a short spot position", {"target": Decimal(-1)}),
    ("orders in a list", {"orders": [BUY]}),
    ("an order that is a dict", {"orders": ({"tag": "b1"},)}),
    (
        "too many orders",
        {"orders": tuple(buy(tag=f"b{i}") for i in range(ORDERS_MAX + 1))},
    ),
    ("a tag twice", {"orders": (BUY, BUY)}),
    ("an empty tag", {"orders": (buy(tag=""),)}),
    ("an upper-case tag", {"orders": (buy(tag="B1"),)}),
    ("a long tag", {"orders": (buy(tag="b" * 17),)}),
    ("a tag with a line break", {"orders": (buy(tag="b1\n"),)}),
    ("the node's own tag", {"orders": (buy(tag="target"),)}),
    ("a side as text", {"orders": (buy(side="buy"),)}),
    ("a time in force as text", {"orders": (buy(time_in_force="GTC"),)}),
    ("no amount", {"orders": (buy(amount=Decimal(0)),)}),
    ("a negative amount", {"orders": (buy(amount=Decimal(-1)),)}),
    ("a float amount", {"orders": (buy(amount=0.1),)}),
    ("a price of zero", {"orders": (buy(price=Decimal(0)),)}),
    ("a price that is no number", {"orders": (buy(price=Decimal("NaN")),)}),
    ("a price of another world", {"orders": (buy(price=Decimal("1E+999999")),)}),
    ("an amount below every step", {"orders": (buy(amount=Decimal("1E-40")),)}),
    ("a buy that meets an own sell", {"orders": (BUY, replace(SELL, price=BUY.price))}),
    ("no evidence", {"evidence": ()}),
    ("evidence in a list", {"evidence": [SEEN]}),
    ("evidence that is text", {"evidence": ("seen",)}),
    ("evidence with a number", {"evidence": (seen(value=Decimal(1)),)}),
    ("evidence without yes or no", {"evidence": (seen(has_fired=1),)}),
    ("too much evidence", {"evidence": (SEEN,) * (EVIDENCE_MAX + 1)}),
    ("a reason that is no text", {"reason": 5}),
    ("a state that is a list", {"state": [1]}),
]


@pytest.mark.parametrize("fields", [f for _, f in BAD_FIELDS], ids=[name for name, _ in BAD_FIELDS])
def test_decision_is_refused_with(fields: Mapping[str, Any]) -> None:
    """One wrong field is enough, and it is named."""
    problems = check_decision(replace(GOOD, **fields))
    assert len(problems) == 1
    assert any(name.removesuffix("s") in problems[0] for name in (*fields, "tag", "meets"))


def test_check_decision_refuses_what_is_no_decision() -> None:
    """None, a dict or a number is not a decision."""
    values: list[Any] = [None, {}, 1, "buy", Decision]
    assert all(check_decision(value) for value in values)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"a": None, "b": [1, 2.5, "x", True], "c": {"d": []}}, id="all kinds"),
        pytest.param({"a": "x" * (STATE_BYTES_MAX - 9)}, id="exactly the limit"),
        pytest.param({"a": (1, 2)}, id="a tuple, which comes back as a list"),
    ],
)
def test_state_is_accepted(state: dict[str, Any]) -> None:
    """A small JSON document."""
    assert check_state(state) == []


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"a": "x" * (STATE_BYTES_MAX - 8)}, id="one byte over the limit"),
        pytest.param({"a": Decimal(1)}, id="a Decimal"),
        pytest.param({"a": {1, 2}}, id="a set"),
        pytest.param({"a": b"x"}, id="bytes"),
        pytest.param({"a": float("nan")}, id="a float that is no number"),
        pytest.param({1: "a"}, id="a key that is no text"),
        pytest.param({"a": [{"b": {2: 3}}]}, id="a deep key that is no text"),
        pytest.param(nested(30), id="nested too deep"),
    ],
)
def test_state_is_refused(state: dict[Any, Any]) -> None:
    """What would not come back as it was is refused at once, not on the other node."""
    assert len(check_state(state)) == 1


def test_shorten_keeps_the_bound() -> None:
    """Texts are cut at the bound, and left alone up to it."""
    exact = "x" * TEXT_CHARS_MAX
    assert shorten(exact) == exact
    assert len(shorten(exact + "y")) == TEXT_CHARS_MAX
