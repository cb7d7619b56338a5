"""Plans: what is proposed for what is wanted and found."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.findings import Working
from exchange.intents import ORPHAN_TAG, TARGET_TAG
from exchange.model import (
    MarketRules,
    Side,
)
from exchange.placements import round_amount, round_price
from exchange.steps import Adopt, Block, Cancel, Keep, Place, Plan, Resolve, Skip
from exchange.wanted import TradingMode, Wanted, WantedOrder
from tests.support.journals import SYMBOL, make_id
from tests.support.plans import RULES, at_work, buy, kinds, propose, sell, unclear, want

# --- resting orders --------------------------------------------------------------------------


ONE_BUY: list[tuple[list[Working], list[Any]]] = [
    ([], [Place]),
    ([at_work()], [Keep]),
    ([at_work(filled="0.5")], [Keep]),
    ([at_work(price="98.9")], [Cancel]),
    ([at_work(amount="1.01")], [Cancel]),
    ([at_work(side=Side.SELL)], [Cancel]),
    ([at_work(tag="other")], [Cancel, Place]),
    ([at_work(0), at_work(1)], [Cancel, Keep]),
    ([at_work(epoch=1)], [Adopt]),
    ([at_work(epoch=1, adopted_epoch=2)], [Keep]),
    ([at_work(epoch=1, price="98.9")], [Adopt]),
    ([at_work(epoch=1, price="98.8")], [Cancel]),
    ([at_work(epoch=1, amount="1.01")], [Adopt]),
    ([at_work(epoch=1, amount="1.02")], [Cancel]),
    ([at_work(epoch=1, tag=ORPHAN_TAG)], [Adopt]),
    ([at_work(epoch=1, tag=ORPHAN_TAG, price="98")], [Cancel]),
    ([at_work(0, epoch=1), at_work(1)], [Cancel, Keep]),
    ([at_work(tag=TARGET_TAG)], [Cancel, Place]),
]


@pytest.mark.parametrize(
    ("working", "expected"),
    ONE_BUY,
    ids=[
        "missing: placed",
        "mine and equal: kept",
        "partly filled: kept",
        "mine, one tick off: replaced later",
        "mine, one step off: replaced later",
        "other side: cancelled",
        "not wanted: cancelled, the wanted one placed",
        "two under one tag: one goes",
        "older epoch, equal: adopted",
        "already adopted: kept",
        "older epoch, one tick off: adopted",
        "older epoch, two ticks off: cancelled",
        "older epoch, one step off: adopted",
        "older epoch, two steps off: cancelled",
        "orphan that fits: adopted under the wanted tag",
        "orphan that does not fit: cancelled, nothing placed before that is proven",
        "of two epochs the later one stays",
        "a target order that rests: cancelled",
    ],
)
def test_one_wanted_buy(working: list[Working], expected: list[Any]) -> None:
    """Buy 1 at 99 under tag b1 is wanted."""
    assert kinds(propose(want(buy()), working=working)) == expected


def test_a_replacement_comes_only_after_the_old_order_is_proven_gone() -> None:
    """Never both in one plan: the cancel may come too late, and both would fill."""
    first = propose(want(buy(price="98")), working=[at_work()])
    assert kinds(first) == [Cancel]
    second = propose(want(buy(price="98")))
    assert kinds(second) == [Place]


def test_a_spent_tag_is_not_placed_again() -> None:
    """It was filled or refused since the decision; only a new decision may want it again."""
    assert not propose(want(buy()).spend("b1")).steps
    assert kinds(propose(want(buy()).spend("b1"), working=[at_work()])) == [Cancel]


def test_a_symbol_without_a_decision_is_left_as_it_is() -> None:
    """After a takeover the strategy speaks first."""
    assert kinds(propose(None, working=[at_work(epoch=1), at_work(1)])) == [Keep, Keep]


def test_an_adopted_orphan_takes_the_wanted_tag() -> None:
    """The journal lost its tag; side, price and amount identify it."""
    plan = propose(want(buy("b7")), working=[at_work(epoch=1, tag=ORPHAN_TAG)])
    (step,) = plan.steps
    assert isinstance(step, Adopt)
    assert step.tag == "b7"


def test_each_wanted_order_is_served_once() -> None:
    """Two equal orphans: one is adopted, one cancelled."""
    orphans = [at_work(n, epoch=1, tag=ORPHAN_TAG) for n in (0, 1)]
    assert sorted(type(s).__name__ for s in propose(want(buy()), working=orphans).steps) == [
        "Adopt",
        "Cancel",
    ]


# --- what is unclear -------------------------------------------------------------------------


def test_an_unclear_order_blocks_new_risk_but_not_cancels_and_reductions() -> None:
    """S4: listed as unknown, its symbol blocked for new risk."""
    plan = propose(
        want(buy("b2"), sell("s1", amount="0.5")),
        working=[at_work(0, tag="old")],
        unclears=[unclear()],
        position="1",
    )
    assert kinds(plan) == [Resolve, Block, Cancel, Skip, Place]
    (place,) = [s for s in plan.steps if isinstance(s, Place)]
    assert place.intent.side is Side.SELL


def test_an_order_whose_tag_is_unclear_is_not_placed_again() -> None:
    """It may be working at the venue: a second one could double it."""
    plan = propose(
        want(sell("s1", amount="0.5")), unclears=[unclear("s1", Side.SELL, "0.5")], position="1"
    )
    assert Place not in kinds(plan)


def test_an_unclear_sell_is_taken_off_what_may_still_be_sold() -> None:
    """Worst case: it filled."""
    plan = propose(want(target="0"), unclears=[unclear("s9", Side.SELL, "0.7")], position="1")
    (place,) = [s for s in plan.steps if isinstance(s, Place)]
    assert place.intent.amount == Decimal("0.3")


def test_an_unclear_orphan_holds_back_every_new_order_of_the_symbol() -> None:
    """Its tag is lost, so it may stand for any of them."""
    plan = propose(
        want(sell("s1", amount="0.2")),
        unclears=[unclear(ORPHAN_TAG, Side.SELL, "0.2")],
        position="1",
    )
    assert Place not in kinds(plan)


def test_a_deposed_node_plans_nothing() -> None:
    """A later epoch was seen at the venue."""
    plan = propose(want(buy(), target="1"), working=[at_work(tag="x")], deposed_by=3)
    assert kinds(plan) == [Block]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (TradingMode.NORMAL, [Cancel, Place, Place]),
        (TradingMode.REDUCE_ONLY, [Cancel, Skip, Place]),
        (TradingMode.CANCEL_ONLY, [Cancel]),
        (TradingMode.HANDS_OFF, [Keep]),
    ],
    ids=str,
)
def test_modes(mode: TradingMode, expected: list[Any]) -> None:
    """A new buy, a sell of what is held, and an order nobody wants."""
    plan = propose(want(buy("b2"), sell()), working=[at_work(tag="old")], position="1", mode=mode)
    assert kinds(plan) == expected
    override = propose(
        want(buy("b2"), sell()), working=[at_work(tag="old")], position="1", modes={SYMBOL: mode}
    )
    assert kinds(override) == expected


@pytest.mark.parametrize(
    "rules", [{}, {SYMBOL: replace(RULES, is_active=False)}], ids=["unknown", "closed market"]
)
def test_a_market_without_usable_rules_is_blocked(rules: dict[str, MarketRules]) -> None:
    """Nothing can be rounded, so nothing is sent; what works stays."""
    assert kinds(propose(want(buy("b2")), working=[at_work()], rules=rules)) == [Keep, Block]


# --- properties and rendering ----------------------------------------------------------------

AMOUNTS = st.decimals(min_value="0.01", max_value=5, places=3)
PRICES = st.decimals(min_value=90, max_value=110, places=2)


@given(AMOUNTS, PRICES, st.sampled_from(Side))
def test_rounding_never_pays(amount: Decimal, price: Decimal, side: Side) -> None:
    """Amounts down, a buy price down, a sell price up, by less than one step."""
    rounded = round_price(price, side, RULES)
    assert 0 <= (price - rounded) * side.sign < RULES.price_step
    assert rounded % RULES.price_step == 0
    assert 0 <= amount - round_amount(amount, RULES) < RULES.amount_step


WANTED_ORDERS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(Side), AMOUNTS, PRICES),
    max_size=3,
    unique_by=lambda row: row[0],
)
WORK = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", ORPHAN_TAG, TARGET_TAG]),
        st.sampled_from(Side),
        AMOUNTS,
        PRICES,
        st.sampled_from([1, 2]),
    ),
    max_size=5,
)


@given(WANTED_ORDERS, WORK, st.none() | AMOUNTS, AMOUNTS)
def test_a_plan_is_safe_whatever_is_wanted(
    orders: list[Any], work: list[Any], target: Decimal | None, position: Decimal
) -> None:
    """No tag twice; no oversell; every working order is decided exactly once."""
    working = [
        at_work(n, tag=tag, side=side, amount=str(amount), price=str(price), epoch=epoch)
        for n, (tag, side, amount, price, epoch) in enumerate(work)
    ]
    wanted = Wanted(
        symbol=SYMBOL,
        target=target,
        orders=tuple(
            WantedOrder(tag=tag, side=side, amount=amount, price=price)
            for tag, side, amount, price in orders
        ),
    )
    plan = propose(wanted, working=working, position=str(position))
    places = [s for s in plan.steps if isinstance(s, Place)]
    tags = {w.record.intent.tag for w in working}
    assert not {p.intent.tag for p in places} & tags
    assert len({p.intent.tag for p in places}) == len(places)
    selling = sum(w.order.remaining for w in working if w.order.side is Side.SELL)
    placing = sum(p.intent.amount for p in places if p.intent.side is Side.SELL)
    assert placing <= max(Decimal(0), position - selling)
    decided = [s.client_order_id for s in plan.steps if isinstance(s, Keep | Cancel | Adopt)]
    assert sorted(decided) == sorted(w.record.client_order_id for w in working)


def test_render_is_for_people() -> None:
    """Printed by `nodectl plan`, line by line."""
    plan = propose(
        want(buy(), sell("s1"), target="2"),
        working=[at_work(0, epoch=1), at_work(1, tag="old")],
        position="1",
    )
    assert plan.render() == (
        "epoch 2: 4 of 4 steps write\n"
        f"  1. cancel  ETH/USDT [old] {make_id(1, epoch=2)}: is not wanted\n"
        f"  2. adopt   ETH/USDT [b1] {make_id(0)}\n"
        "  3. place   ETH/USDT buy 1 @ 100.6 IOC [target] "
        f"{plan_id(plan, 2)}\n"
        f"  4. place   ETH/USDT sell 1 @ 101 GTC [s1] {plan_id(plan, 3)}"
    )
    assert propose(want()).render() == "epoch 2: nothing to do"


def plan_id(plan: Plan, index: int) -> str:
    step = plan.steps[index]
    assert isinstance(step, Place)
    return step.intent.client_order_id


@pytest.mark.parametrize(
    "build",
    [
        lambda: want(buy("a"), buy("a")),
        lambda: want(target="-1"),
        lambda: buy(TARGET_TAG),
        lambda: buy(ORPHAN_TAG),
        lambda: buy(""),
        lambda: buy(amount="0"),
        lambda: buy(price="-1"),
    ],
    ids=[
        "a tag twice",
        "a short target",
        "the target tag",
        "the orphan tag",
        "no tag",
        "no amount",
        "a negative price",
    ],
)
def test_what_can_never_be_wanted_is_refused(build: Any) -> None:
    """Construct = valid."""
    with pytest.raises(ValueError, match=r"tag|target|positive"):
        build()
