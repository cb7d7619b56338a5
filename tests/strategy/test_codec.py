"""The text on the worker's pipe loses nothing and hides nothing."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Candle, Position, Side, TimeInForce
from strategy import codec
from strategy.errors import AnswerBroken
from strategy.model import Decision, DesiredOrder, Evidence, Portfolio, WorkingOrder
from tests.support.candles import (
    SYMBOL,
    candle,
    candle_values,
    decimals,
    market,
    portfolio,
    property_test,
    working_orders,
)

TAGS = st.from_regex(r"[a-z0-9_-]{1,16}", fullmatch=True)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
STATES = st.dictionaries(st.text(), JSON_VALUES, max_size=4)
PARAMETERS = st.dictionaries(
    st.from_regex(r"[a-z_]{1,10}", fullmatch=True),
    st.booleans() | st.integers() | st.text() | decimals("-1000", "1000"),
    max_size=5,
)
EVIDENCE = st.builds(
    Evidence, condition=st.text(), value=st.text(), threshold=st.text(), has_fired=st.booleans()
)
ORDERS = st.builds(
    DesiredOrder,
    tag=TAGS,
    side=st.sampled_from(Side),
    amount=decimals("0.0001", "1000"),
    price=decimals("0.0001", "1000"),
    time_in_force=st.sampled_from(TimeInForce),
)
DECISIONS = st.builds(
    Decision,
    target=st.none() | decimals("0", "1000"),
    orders=st.lists(ORDERS, max_size=3).map(tuple),
    state=STATES,
    evidence=st.lists(EVIDENCE, max_size=3).map(tuple),
    reason=st.text(),
)


def over_the_pipe(value: Any) -> Any:
    return codec.parse_line(codec.encode_line({"value": value}))["value"]


@property_test
@given(candles=st.lists(candle_values(), max_size=3).map(tuple), parameters=PARAMETERS)
def test_market_crosses_the_pipe_unchanged(
    candles: tuple[Candle, ...], parameters: dict[str, Any]
) -> None:
    """Round trip: every price keeps its exact digits, every parameter its type."""
    sent = market(candles, parameters)
    arrived = codec.parse_market(over_the_pipe(codec.encode_market(sent)))
    assert replace(arrived, parameters={}) == replace(sent, parameters={})
    assert {k: (type(v), v) for k, v in arrived.parameters.items()} == {
        k: (type(v), v) for k, v in parameters.items()
    }


@property_test
@given(
    orders=st.tuples(working_orders("a"), working_orders("b")),
    amounts=st.tuples(*[decimals("0", "1000", places=8)] * 4),
)
def test_portfolio_crosses_the_pipe_unchanged(
    orders: tuple[WorkingOrder, ...], amounts: tuple[Decimal, ...]
) -> None:
    """Round trip."""
    position = Position(symbol=SYMBOL, amount=amounts[0], cost_quote=amounts[1], day="2024-01-01")
    sent = Portfolio(position=position, orders=orders, quote_free=amounts[2], base_free=amounts[3])
    assert codec.parse_portfolio(over_the_pipe(codec.encode_portfolio(sent))) == sent


@property_test
@given(decision=DECISIONS)
def test_decision_crosses_the_pipe_unchanged(decision: Decision) -> None:
    """Round trip, free texts and state included."""
    assert codec.parse_decision(over_the_pipe(codec.encode_decision(decision))) == decision


def test_market_parameters_cannot_be_changed_after_the_pipe() -> None:
    """A strategy cannot change its parameters for later calls."""
    arrived = codec.parse_market(codec.encode_market(market((candle(1),), {"fast": 3})))
    with pytest.raises(TypeError):
        arrived.parameters["fast"] = 4  # type: ignore[index]


def changed(**fields: Any) -> dict[str, Any]:
    raw: dict[str, Any] = codec.encode_decision(Decision(reason="x"))
    return {**raw, **fields}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="an array instead of an object"),
        pytest.param({}, id="all fields missing"),
        pytest.param(changed(extra=1), id="an unknown field"),
        pytest.param(changed(target=1.5), id="a float for money"),
        pytest.param(changed(target="NaN"), id="a number that is none"),
        pytest.param(changed(target="Infinity"), id="an endless number"),
        pytest.param(changed(target="twelve"), id="words for money"),
        pytest.param(changed(reason=None), id="no reason"),
        pytest.param(changed(orders={}), id="orders that are no array"),
        pytest.param(changed(orders=[{"tag": "a"}]), id="half an order"),
        pytest.param(changed(state=[]), id="state that is no object"),
        pytest.param(
            changed(
                orders=[
                    {"tag": "a", "side": "up", "amount": "1", "price": "1", "time_in_force": "GTC"}
                ]
            ),
            id="an unknown side",
        ),
    ],
)
def test_parse_decision_refuses(raw: Any) -> None:
    """What is not exactly a decision raises AnswerBroken; nothing is guessed."""
    with pytest.raises(AnswerBroken):
        codec.parse_decision(raw)


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"{", b"[1]\n", b'"text"\n', b"\xff\xfe\n", b"[" * 100_000],
    ids=["nothing", "empty", "cut", "an array", "text", "not UTF-8", "very deep"],
)
def test_parse_line_refuses(line: bytes) -> None:
    """A line that is no JSON object raises AnswerBroken."""
    with pytest.raises(AnswerBroken):
        codec.parse_line(line)


def test_parse_market_refuses_an_impossible_candle() -> None:
    """Values that the model refuses are refused with their path."""
    raw = codec.encode_market(market((candle(10),)))
    raw["candles"][0][2] = "5"  # a high below the low
    with pytest.raises(AnswerBroken, match=r"candles\[0\]"):
        codec.parse_market(raw)


def test_encode_refuses_what_has_no_exact_text() -> None:
    """An object of another kind never crosses silently."""
    with pytest.raises(AnswerBroken):
        codec.encode_value(object())


def test_portfolio_helper_defaults_to_what_is_held() -> None:
    """The helper's free base follows the position, as at a venue without orders."""
    assert portfolio(held="1.5").base_free == Decimal("1.5")
