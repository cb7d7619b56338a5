"""grid: a ladder that two nodes see alike, within its budget, selling only what is held."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Side
from strategy.grid import decide
from strategy.loading import load_strategy
from strategy.model import Decision, DesiredOrder, Portfolio, WorkingOrder
from strategy.replay import replay
from strategy.replay_account import ReplaySettings
from strategy.sample_candles import sample_candles
from strategy.validation import check_decision
from tests.support.candles import (
    RULES,
    D,
    candle,
    decimals,
    market,
    portfolio,
    property_test,
    real_candles,
)

PARAMETERS: dict[str, Any] = {
    **load_strategy("grid").parameters,
    "levels": 3,
    "step_percent": D(1),
    "quote_budget": D(300),
}
# 300 / 3 levels at 1000: a unit is 0.1, the levels lie at 990, 980, 970.
STATE = {"reference": "1000"}
UNIT = D("0.1")
NOTHING = D(0)


def asked(
    close: Decimal | int | str,
    account: Portfolio,
    state: dict[str, Any] | None = None,
    **parameters: Any,
) -> Decision:
    given_market = market((candle(close),), {**PARAMETERS, **parameters})
    return decide(given_market, account, STATE if state is None else state)


def ladder(decision: Decision) -> dict[str, tuple[Decimal, Decimal]]:
    assert check_decision(decision) == ()
    return {order.tag: (order.amount, order.price) for order in decision.orders}


def working(order: DesiredOrder, filled: Decimal = NOTHING) -> WorkingOrder:
    return WorkingOrder(
        tag=order.tag, side=order.side, amount=order.amount, filled=filled, price=order.price
    )


FULL = {"b1": (UNIT, D(990)), "b2": (UNIT, D(980)), "b3": (UNIT, D(970))}


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        pytest.param(asked(1000, portfolio(), {}), FULL, id="first call: around the close"),
        pytest.param(asked(1005, portfolio()), FULL, id="later: around the old reference"),
        pytest.param(
            asked(985, portfolio(held="0.1", quote="900")),
            {"s1": (UNIT, D(1000)), "b2": FULL["b2"], "b3": FULL["b3"]},
            id="one unit held: sold one step above where it was bought",
        ),
        pytest.param(
            asked(965, portfolio(held="0.3", quote="700")),
            {"s1": (UNIT, D(1000)), "s2": (UNIT, D(990)), "s3": (UNIT, D(980))},
            id="all held: only sells",
        ),
        pytest.param(
            asked(985, portfolio(held="0.0999", quote="900")),
            {"s1": (D("0.0999"), D(1000)), "b2": FULL["b2"], "b3": FULL["b3"]},
            id="a fee was taken from the unit: the rest is offered",
        ),
        pytest.param(
            asked(985, portfolio(held="0.13", quote="900")),
            {"s1": (D("0.065"), D(1000)), "s2": (D("0.065"), D(990)), "b3": FULL["b3"]},
            id="a begun unit takes a whole slot",
        ),
        pytest.param(
            asked(1000, portfolio(held="0.001")), FULL, id="dust that cannot be sold is no unit"
        ),
        pytest.param(
            asked(985, portfolio(held="0.1", base="0.05", quote="900")),
            {"s1": (D("0.05"), D(1000)), "b2": FULL["b2"], "b3": FULL["b3"]},
            id="less on the account than in the books: only that is offered",
        ),
        pytest.param(
            asked(1000, portfolio(quote="200")),
            {"b1": FULL["b1"], "b2": FULL["b2"]},
            id="not enough free quote: the nearest levels only",
        ),
        pytest.param(asked(1000, portfolio(), quote_budget=D(10)), {}, id="units too small: none"),
        pytest.param(
            asked(1021, portfolio()),
            {"b1": (D("0.0979"), D("1010.79")), "b2": (D("0.0979"), D("1000.58")),
             "b3": (D("0.0979"), D("990.37"))},
            id="2.1 % above: the ladder follows",
        ),
        pytest.param(asked(1020, portfolio()), FULL, id="exactly 2 % above: it stays"),
        pytest.param(asked(970, portfolio()), FULL, id="at the lowest level: it stays"),
        pytest.param(
            asked(1100, portfolio(held="0.1", quote="900")),
            {"s1": (UNIT, D(1000)), "b2": FULL["b2"], "b3": FULL["b3"]},
            id="far above with a unit held: it stays until that is sold",
        ),
    ],
)  # fmt: skip
def test_grid_wants(decision: Decision, expected: dict[str, tuple[Decimal, Decimal]]) -> None:
    """Each row is a rule of the strategy's docstring."""
    assert ladder(decision) == expected


def test_grid_below_the_ladder_with_nothing_held_moves_down() -> None:
    """After a gap the ladder starts anew where the market is, instead of buying everything."""
    decision = asked("969.99", portfolio())
    assert decision.state == {"reference": "969.99"}


def test_grid_wants_the_same_orders_while_one_is_partly_filled() -> None:
    """A partial fill must not cancel the very order that is filling, on either side."""
    first = asked(995, portfolio())
    half = UNIT / 2
    orders = tuple(working(order, half if order.tag == "b1" else D(0)) for order in first.orders)
    buying = portfolio(held=half, quote="700", orders=orders)
    assert asked(991, buying).orders == first.orders

    held = asked(985, portfolio(held=UNIT, quote="900"))
    orders = tuple(working(order, half if order.tag == "s1" else D(0)) for order in held.orders)
    selling = portfolio(held=half, base=0, quote="750", orders=orders)
    assert asked(1000, selling).orders == held.orders


def test_grid_is_adopted_as_it_is_after_a_takeover() -> None:
    """Orders and state that one holder left are exactly what the next one wants."""
    first = asked(1000, portfolio(), {})
    account = portfolio(quote="706", orders=tuple(working(order) for order in first.orders))
    second = asked(1001, account, dict(first.state))
    assert second.orders == first.orders
    assert second.state == first.state


def test_grid_lists_every_condition_also_when_nothing_is_wanted() -> None:
    """The decision log says what was looked at."""
    busy, idle = asked(1000, portfolio()), asked(1000, portfolio(), quote_budget=D(0))
    assert [item.condition for item in busy.evidence] == [item.condition for item in idle.evidence]
    assert idle.orders == ()


@st.composite
def accounts(draw: st.DrawFn) -> Portfolio:
    """Any account, with part of an own ladder at work."""
    held = draw(decimals("0", "0.5"))
    tags = draw(st.lists(st.sampled_from(["b1", "b2", "b3", "s1", "s2", "s3"]), unique=True))
    orders = []
    for tag in tags:
        amount = draw(decimals("0.0001", "0.2"))
        side = Side.BUY if tag[0] == "b" else Side.SELL
        filled = draw(st.sampled_from([D(0), amount / 2]))
        price = draw(decimals("900", "1100", places=2))
        orders.append(WorkingOrder(tag=tag, side=side, amount=amount, filled=filled, price=price))
    return portfolio(
        held=held,
        base=draw(decimals("0", "0.5")),
        quote=draw(decimals("0", "2000", places=2)),
        orders=tuple(orders),
    )


@property_test
@given(
    account=accounts(),
    close=decimals("500", "1500", places=2),
    levels=st.integers(1, 15),
    step=decimals("0.01", "5", places=2),
    budget=decimals("0", "5000", places=2),
    reference=st.none() | decimals("500", "1500", places=2),
)
def test_grid_is_pure_valid_and_never_wants_more_than_its_budget(
    account: Portfolio,
    close: Decimal,
    levels: int,
    step: Decimal,
    budget: Decimal,
    reference: Decimal | None,
) -> None:
    """Same input, same answer; bids within budget and account; offers within what is held."""
    parameters = {"levels": levels, "step_percent": step, "quote_budget": budget}
    state = {} if reference is None else {"reference": str(reference)}
    decision = asked(close, account, state, **parameters)
    assert decision == asked(close, account, state, **parameters)
    assert check_decision(decision) == ()

    buys = [order for order in decision.orders if order.side is Side.BUY]
    sells = [order for order in decision.orders if order.side is Side.SELL]
    centre = Decimal(decision.state["reference"])
    begun = sum((o.side.sign * o.filled for o in account.orders), D(0))
    settled = max(D(0), account.position.amount - begun)
    # What is held was paid at most at the reference; each order is on the venue's steps.
    committed = sum((order.amount * order.price for order in buys), D(0))
    if buys and settled * close >= RULES.cost_min:
        committed += settled * centre
    assert committed <= budget
    own_bids = sum(
        (o.amount * o.price for o in account.orders if o.side is Side.BUY and o.price), D(0)
    )
    assert sum((o.amount * o.price for o in buys), D(0)) <= account.quote_free + own_bids
    own_offers = sum((o.amount for o in account.orders if o.side is Side.SELL), D(0))
    offers = sum((o.amount for o in sells), D(0))
    assert offers <= min(settled, account.base_free + own_offers)
    assert all(o.amount % RULES.amount_step == 0 for o in decision.orders)
    assert all(o.price % RULES.price_step == 0 for o in decision.orders)
    assert all(o.amount * o.price >= RULES.cost_min for o in decision.orders)


def replayed(name: str | None, budget: Decimal) -> None:
    candles = sample_candles(1200, timeframe="1m") if name is None else real_candles(name)[:1500]
    rules = replace(RULES, price_step=D("0.00000001"), cost_min=D("0.0001"))
    rules = RULES if name is None else rules
    most = [D(0)]

    def watched(given_market: Any, account: Portfolio, state: Any) -> Decision:
        decision = decide(given_market, account, state)
        bids = sum((o.amount * o.price for o in decision.orders if o.side is Side.BUY), D(0))
        most.append(bids + account.position.cost_quote)
        return decision

    given_market = market(
        candles[:1], {**PARAMETERS, "quote_budget": budget, "step_percent": D("0.3")}, rules
    )
    report = replay(watched, candles, given_market, ReplaySettings(), history=1)
    assert report.fills > 4
    # Fees are paid on top; dust below the venue's minimum is not counted as held.
    assert max(most) <= budget * D("1.003") + rules.cost_min
    assert not report.refused


@pytest.mark.parametrize(
    "name", [None, "ETHBTC-5m.csv", "XRPETH-1m.csv", "XRPUSDT-perp-5m.csv"], ids=str
)
def test_grid_over_candles_stays_within_its_budget(name: str | None) -> None:
    """What it holds at cost and what it bids for never exceed the budget; nothing is refused."""
    replayed(name, D(300))
