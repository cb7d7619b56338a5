"""trend: enters when the averages say up and the market is calm, leaves when they say down."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy.loading import load_strategy
from strategy.model import Decision
from strategy.trend import decide
from strategy.validation import check_decision
from tests.support.candles import RULES, D, decimals, flat_candles, market, portfolio, property_test

DEFAULTS = dict(load_strategy("trend").parameters)
SMALL: dict[str, Any] = {
    **DEFAULTS,
    "fast": 2,
    "slow": 4,
    "volatility_window": 4,
    "quote_value": D(100),
}
UP, DOWN, LEVEL = (100, 100, 101, 102), (102, 101, 100, 100), (100, 100, 100, 100)


def asked(
    closes: tuple[int, ...],
    state: dict[str, Any] | None = None,
    *,
    held: str = "0",
    quote: str = "1000",
    **parameters: Any,
) -> Decision:
    return decide(
        market(flat_candles(closes), {**SMALL, **parameters}),
        portfolio(held=held, quote=quote),
        state or {},
    )


@pytest.mark.parametrize(
    ("decision", "target"),
    [
        pytest.param(asked(LEVEL), None, id="no trend and nothing decided: left alone"),
        pytest.param(asked(UP), D("0.9803"), id="up: 100 USDT at 102, rounded down"),
        pytest.param(asked(DOWN), D(0), id="down: nothing is held"),
        pytest.param(asked(LEVEL, {"target": "0.5"}), D("0.5"), id="no trend: what was decided"),
        pytest.param(asked(UP, {"target": "0.5"}), D("0.5"), id="up and entered: not resized"),
        pytest.param(asked(UP, {"target": "0"}), D("0.9803"), id="up after an exit: entered again"),
        pytest.param(asked(DOWN, {"target": "0.5"}), D(0), id="down: left"),
        pytest.param(asked(UP, volatility_max_percent=D("0.5")), None, id="up but wild: waits"),
        pytest.param(
            asked(DOWN, {"target": "0.5"}, volatility_max_percent=D(0)),
            D(0),
            id="down and wild: leaves all the same",
        ),
        pytest.param(asked(UP, band_percent=D(2)), None, id="up by less than the band: waits"),
        pytest.param(asked(UP, quote="50"), D("0.4852"), id="up and short of quote: what it buys"),
        pytest.param(asked(UP, quote="1"), None, id="up and out of quote: waits"),
        pytest.param(asked(UP, quote="0", held="0.9"), D("0.9"), id="up and all in: counted in"),
        pytest.param(asked(UP, fast=4, slow=4), None, id="averages of one length: never"),
    ],
)
def test_trend_wants(decision: Decision, target: Decimal | None) -> None:
    """Each row is a rule of the strategy's docstring."""
    assert decision.target == target
    assert check_decision(decision) == ()


def test_trend_lists_every_condition_also_when_nothing_is_done() -> None:
    """The decision log says what was looked at, not only what fired."""
    idle, entering = asked(LEVEL), asked(UP)
    assert [item.condition for item in idle.evidence] == [
        item.condition for item in entering.evidence
    ]
    fired = {item.condition for item in idle.evidence if item.has_fired}
    assert not any("average" in condition for condition in fired)


def test_trend_completes_a_half_filled_entry_on_the_other_node() -> None:
    """The target is in the state, so the next holder wants the same amount at another price."""
    first = asked(UP)
    later = asked((101, 102, 103, 104), dict(first.state), held="0.4", quote="900")
    assert later.target == first.target


CLOSES = st.lists(decimals("1", "1000", places=2), min_size=2, max_size=30)


@property_test
@given(
    closes=CLOSES,
    held=decimals("0", "5"),
    quote=decimals("0", "5000"),
    before=st.none() | decimals("0", "5"),
)
def test_trend_is_pure_valid_and_within_its_means(
    closes: list[Decimal], held: Decimal, quote: Decimal, before: Decimal | None
) -> None:
    """Same input, same answer; on the amount step; never more than quote_value or the account."""
    given_market = market(flat_candles(closes), SMALL)
    account = portfolio(held=held, quote=quote)
    state = {} if before is None else {"target": str(before)}
    kept = dict(state)
    decision = decide(given_market, account, state)
    assert decision == decide(given_market, account, state)
    assert state == kept
    assert check_decision(decision) == ()
    is_new = decision.target not in (None, before)
    if is_new and decision.target is not None:
        assert decision.target % RULES.amount_step == 0
        assert decision.target * closes[-1] <= SMALL["quote_value"]
        assert decision.target * closes[-1] <= quote + held * closes[-1]
