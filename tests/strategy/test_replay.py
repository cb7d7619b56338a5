"""The fill model of the replay, rule by rule."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from exchange.model import Candle, Side, TimeInForce
from strategy.model import Decision, DesiredOrder, Evidence, Market, Portfolio
from strategy.replay import ReplayReport, replay
from strategy.replay_account import ReplaySettings
from strategy.sample_candles import sample_candles
from tests.support.candles import D, candle, flat_candles, market

SEEN = (Evidence(condition="seen", value="1", threshold="1", has_fired=True),)
FREE = ReplaySettings(maker_fee_rate=D(0), taker_fee_rate=D(0))
FEES = ReplaySettings(maker_fee_rate=D("0.01"), taker_fee_rate=D("0.02"))


def wants(*decisions: Decision) -> Callable[[Market, Portfolio, Mapping[str, Any]], Decision]:
    """A strategy that gives these decisions in turn; the last one again and again."""

    def decide(given: Market, account: Portfolio, state: Mapping[str, Any]) -> Decision:
        index = min(given.candles[-1].open_ms // 60_000, len(decisions) - 1)
        return replace(decisions[index], evidence=SEEN)

    return decide


def order(side: Side, price: Any, amount: Any = 1, **fields: Any) -> DesiredOrder:
    return DesiredOrder(tag=side.value, side=side, amount=D(amount), price=D(price), **fields)


def run(
    candles: tuple[Candle, ...], *decisions: Decision, settings: ReplaySettings = FREE
) -> ReplayReport:
    return replay(wants(*decisions), candles, market(candles[:1]), settings, history=1)


def fills(report: ReplayReport) -> list[tuple[str, Side, Decimal, Decimal]]:
    return [(fill.tag, fill.side, fill.amount, fill.price) for fill in report.last_fills]


BUY, SELL = Side.BUY, Side.SELL
NEXT = candle(100, index=1, open=100, low=90, high=110)
START = candle(100, index=0)
BUY_90 = Decision(orders=(order(BUY, 90),))
BUY_91 = Decision(orders=(order(BUY, 91),))
TARGET = Decision(target=D(2))


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        pytest.param(Decision(), [], id="nothing wanted"),
        pytest.param(BUY_91, [("buy", BUY, D(1), D(91))], id="the low is below the price"),
        pytest.param(BUY_90, [], id="the low touches the price"),
        pytest.param(
            Decision(orders=(order(BUY, 120),)), [("buy", BUY, D(1), D(100))],
            id="crossed at the open: at the open",
        ),
        pytest.param(
            Decision(orders=(order(BUY, 120, time_in_force=TimeInForce.POST_ONLY),)), [],
            id="POST_ONLY that would take",
        ),
        pytest.param(
            Decision(orders=(order(BUY, 95, time_in_force=TimeInForce.IOC),)), [],
            id="IOC that does not cross is gone",
        ),
        pytest.param(
            Decision(orders=(order(BUY, 100, time_in_force=TimeInForce.FOK),)),
            [("buy", BUY, D(1), D(100))],
            id="FOK that crosses fills",
        ),
        pytest.param(TARGET, [("target", BUY, D(2), D(100))], id="a target moves at the open"),
        pytest.param(Decision(orders=(order(SELL, 105),)), [], id="a sell of what is not held"),
        pytest.param(Decision(orders=(order(BUY, 95, 100),)), [], id="more than the quote pays"),
        pytest.param(Decision(orders=(order(BUY, 95, "0.01"),)), [], id="a value too small"),
        pytest.param(
            Decision(orders=(order(BUY, "95.019", "1.00019"),)),
            [("buy", BUY, D("1.0001"), D("95.01"))],
            id="off the steps: amount and price rounded down",
        ),
        pytest.param(Decision(target=D("0.00001")), [], id="a target smaller than a step"),
    ],
)  # fmt: skip
def test_replay_fills(
    decision: Decision, expected: list[tuple[str, Side, Decimal, Decimal]]
) -> None:
    """What is wanted after candle 0 meets candle 1: open 100, low 90, high 110."""
    report = run((START, NEXT), decision)
    assert fills(report) == expected


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        pytest.param(Decision(orders=(order(SELL, 105),)), "not enough ETH", id="base"),
        pytest.param(Decision(orders=(order(BUY, 95, 100),)), "not enough USDT", id="quote"),
        pytest.param(Decision(orders=(order(BUY, 95, "0.01"),)), "minimum of 5 USDT", id="value"),
        pytest.param(Decision(orders=(order(BUY, 95, "0.00001"),)), "minimum of 0.0001", id="step"),
        pytest.param(Decision(target=D(50)), "not enough USDT", id="target"),
    ],
)
def test_replay_counts_what_it_refused(decision: Decision, says: str) -> None:
    """An order that the venue would refuse is shown with its reason, not dropped."""
    report = run((START, NEXT), decision)
    assert len(report.refused) == 1
    assert says in report.refused[0][1]


def test_replay_pays_maker_and_taker_fees_in_quote() -> None:
    """2 at 100 as taker (2 %) and 1 sold at 105 as maker (1 %)."""
    candles = (START, NEXT, candle(100, index=2, high=106, low=99, open=100))
    sell = Decision(target=None, orders=(order(SELL, 105),))
    report = run(candles, TARGET, sell, settings=FEES)
    assert report.fees == D(2) * 100 * D("0.02") + D(105) * D("0.01")
    assert report.position == D(1)
    assert report.result == D(5) - report.fees


def test_replay_keeps_an_equal_order_and_replaces_a_changed_one() -> None:
    """Orders are known by tag: the same one is not sent again."""
    candles = flat_candles([100, 100, 100, 100, 100])
    other = Decision(orders=(order(BUY, 89),))
    assert run(candles, BUY_90).orders == 1
    assert run(candles, BUY_90, BUY_90, other).orders == 2


def test_replay_cancels_what_is_no_longer_listed() -> None:
    """`orders` is the complete set wanted."""
    deep = candle(100, index=2, open=100, low=50, high=100)
    assert run((START, candle(100, index=1), deep), BUY_91, Decision()).fills == 0
    assert run((START, candle(100, index=1), deep), BUY_91, BUY_91).fills == 1


def test_replay_rounds_a_sell_away_from_the_market() -> None:
    """A sell never goes out cheaper than asked."""
    candles = (START, NEXT, candle(100, index=2, high=106, low=99, open=100))
    sell = Decision(orders=(order(SELL, "105.001"),))
    assert fills(run(candles, TARGET, sell))[-1] == ("sell", SELL, D(1), D("105.01"))


def test_replay_does_not_sell_what_it_bought_in_the_same_candle() -> None:
    """Within a candle nobody knows what came first, so the better order of events is not used."""
    wild = candle(100, index=1, open=100, low=80, high=120)
    both = Decision(orders=(order(BUY, 90), order(SELL, 110)))
    report = run((START, wild), both)
    assert fills(report) == [("buy", BUY, D(1), D(90))]


def test_replay_reports_result_drawdown_and_buy_and_keep() -> None:
    """1 ETH from 100 up to 150, down to 120: +20; the deepest fall is 30; keeping is +20 %."""
    candles = tuple(
        candle(close, index=index, open=start)
        for index, (start, close) in enumerate([(100, 100), (100, 100), (100, 150), (150, 120)])
    )
    report = run(candles, Decision(target=D(1)))
    assert (report.result, report.drawdown, report.hold_result) == (D(20), D(30), D(200))


def test_replay_never_creates_money() -> None:
    """Equity is what was there, plus what the price did, minus fees: recomputed from the fills."""
    candles = sample_candles(120)
    buys = Decision(orders=(order(BUY, 1990, "0.05"), order(SELL, 2010, "0.05")))
    report = run(candles, buys, settings=FEES)
    assert 0 < report.fills <= 20  # all of them are in last_fills
    quote = sum(
        (-fill.side.sign * fill.amount * fill.price - fill.fee for fill in report.last_fills), D(0)
    )
    base = sum((fill.side.sign * fill.amount for fill in report.last_fills), D(0))
    assert report.position == base
    assert report.result == quote + base * candles[-1].close


def test_replay_gives_the_state_through_json() -> None:
    """What a node would give back after a restart is what the replay gives: a tuple is a list."""
    seen: list[Any] = []

    def decide(given: Market, account: Portfolio, state: Mapping[str, Any]) -> Decision:
        seen.append(state.get("a"))
        return Decision(state={"a": (1, 2)}, evidence=SEEN)

    replay(decide, flat_candles([1, 1]), market(flat_candles([1])), FREE, history=1)
    assert seen == [None, [1, 2]]


def test_replay_notices_answers_that_change_and_state_that_was_changed() -> None:
    """Asked twice about one candle, a strategy with memory gives itself away."""
    calls = [0]

    def decide(given: Market, account: Portfolio, state: Mapping[str, Any]) -> Decision:
        calls[0] += 1
        assert isinstance(state, dict)
        state["n"] = 1
        return Decision(evidence=SEEN, reason=str(calls[0]))

    twice = replace(FREE, calls_per_candle=2)
    candles = flat_candles([1, 1, 1])
    report = replay(decide, candles, market(candles), twice, history=2)
    assert report.unstable_ms == candles[1].open_ms
    assert report.has_changed_state


def test_replay_gives_only_closed_candles_of_the_asked_history() -> None:
    """No look-ahead: the last candle given is the one that has just closed."""
    seen: list[tuple[int, ...]] = []

    def decide(given: Market, account: Portfolio, state: Mapping[str, Any]) -> Decision:
        seen.append(tuple(int(c.close) for c in given.candles))
        return Decision(evidence=SEEN)

    candles = flat_candles([1, 2, 3, 4])
    replay(decide, candles, market(candles), FREE, history=2)
    assert seen == [(1, 2), (2, 3), (3, 4)]


def test_replay_refuses_fewer_candles_than_history() -> None:
    """There would be nothing to decide on."""
    with pytest.raises(ValueError, match="2"):
        replay(wants(Decision()), flat_candles([1]), market(()), FREE, history=2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sample_candles_are_the_same_every_time(seed: int) -> None:
    """Made-up candles are valid, without gaps, and equal for equal seeds."""
    first = sample_candles(200, timeframe="1h", seed=seed)
    assert first == sample_candles(200, timeframe="1h", seed=seed)
    steps = {after.open_ms - before.open_ms for before, after in itertools.pairwise(first)}
    assert steps == {3_600_000}
    assert all(a.close == b.open for a, b in itertools.pairwise(first))
