"""Seats: decided once a candle, wishes that outlive nodes, and strategies not accepted yet."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exchange.model import Candle, MarketRules, Position, Side
from node.bench import Seat, bench_fingerprint, money
from strategy.codec import encode_decision
from strategy.loading import LoadedStrategy
from strategy.model import Decision, DesiredOrder, Portfolio, SkipKind, Skipped
from strategy.worker import StrategyWorker

SYMBOL = "ETH/USDT"
ORDER = DesiredOrder(tag="b1", side=Side.BUY, amount=Decimal(1), price=Decimal(99))
RULES = MarketRules(
    symbol=SYMBOL,
    base="ETH",
    quote="USDT",
    amount_step=Decimal("0.001"),
    price_step=Decimal("0.01"),
    amount_min=Decimal("0.001"),
    cost_min=Decimal(1),
)


class FixedWorker:
    """Answers what it was given."""

    def __init__(self, answer: Decision | Skipped) -> None:
        self.answer = answer

    async def decide(self, *_: object) -> Decision | Skipped:
        return self.answer


def make_seat(
    fingerprint: str = "new", *, wants_fills: bool = False, answer: Decision | Skipped | None = None
) -> Seat:
    declaration = SimpleNamespace(name="grid", wants_fills=wants_fills)
    strategy = SimpleNamespace(declaration=declaration, parameters={})
    return Seat(
        symbol=SYMBOL,
        strategy=cast("LoadedStrategy", strategy),
        worker=cast("StrategyWorker", FixedWorker(answer or Decision())),
        fingerprint=fingerprint,
        timeframe="1m",
    )


def candle(open_ms: int) -> Candle:
    one = Decimal(1)
    return Candle(open_ms=open_ms, open=one, high=one, low=one, close=one, volume=one)


def body(**changes: Any) -> dict[str, Any]:
    return {
        "strategy": "grid",
        "fingerprint": "old",
        "candle_open_ms": 60_000,
        "state": {"n": 3},
        "decision": encode_decision(Decision(orders=(ORDER,))),
        "spent": ["b0"],
    } | changes


def test_a_body_read_back_is_the_same_seat() -> None:
    """The next holder goes on from the same wish and state."""
    seat, other = make_seat("old"), make_seat("old")
    assert seat.load_body(body()) == ""
    assert other.load_body(seat.to_body()) == ""
    assert (other.decision, other.state, other.spent, other.candle_open_ms) == (
        seat.decision,
        {"n": 3},
        frozenset({"b0"}),
        60_000,
    )
    assert not other.is_unaccepted


def test_a_fill_under_an_unaccepted_strategy_keeps_the_old_document() -> None:
    """Another fingerprint is never adopted in silence: only what was spent is new (R7)."""
    seat = make_seat("new")
    seat.load_body(body())
    assert seat.is_unaccepted
    seat.spent |= {"b1"}
    assert seat.to_body() == body(spent=["b0", "b1"])
    again = make_seat("new")
    again.load_body(seat.to_body())
    assert again.is_unaccepted


def test_accepted_means_a_fresh_state_at_the_next_candle() -> None:
    """The wish stays until then; the document is the new strategy's."""
    seat = make_seat("new")
    seat.load_body(body())
    seat.accept()
    assert seat.wanted is not None
    assert seat.is_asked_about(candle(60_000))
    assert seat.to_body()["fingerprint"] == "new"


@pytest.mark.parametrize(
    "broken",
    [
        body(decision=encode_decision(Decision(target=Decimal(-1)))),
        body(decision=encode_decision(Decision(orders=(ORDER, ORDER)))),
        body(decision="nonsense"),
        body(candle_open_ms="never"),
        body(spent=7),
    ],
)
def test_a_body_that_cannot_be_wanted_is_reported_and_left_out(broken: dict[str, Any]) -> None:
    """A damaged document must not end the node that reads it, nor the next one."""
    seat = make_seat("old")
    assert SYMBOL in seat.load_body(broken)
    assert seat.wanted is None


def test_only_a_later_candle_asks_again() -> None:
    """A stale read shows an older candle: nothing is decided twice."""
    seat = make_seat("old")
    seat.candle_open_ms = 120_000
    assert [seat.is_asked_about(candle(ms)) for ms in (60_000, 120_000, 180_000)] == [
        False,
        False,
        True,
    ]


def test_fills_ask_again_only_where_they_are_wanted() -> None:
    """A declaration says whether fills are news."""
    for wants_fills in (True, False):
        seat = make_seat("old", wants_fills=wants_fills)
        seat.candle_open_ms = 60_000
        seat.note_fills(iter([SYMBOL]))
        assert seat.is_asked_about(candle(60_000)) is wants_fills


@pytest.mark.parametrize("is_skipped", [True, False])
async def test_a_skipped_candle_counts_as_decided_and_changes_nothing(*, is_skipped: bool) -> None:
    """The wish stays; the same candle is not asked about again."""
    skipped = Skipped(kind=SkipKind.OVERRUN, reason="slow")
    seat = make_seat("old", answer=skipped if is_skipped else Decision(state={"n": 4}))
    seat.load_body(body())
    portfolio = Portfolio(
        position=Position(symbol=SYMBOL), orders=(), quote_free=Decimal(0), base_free=Decimal(0)
    )
    await seat.decide(candles=(candle(120_000),), rules=RULES, portfolio=portfolio)
    assert seat.candle_open_ms == 120_000
    assert seat.state == ({"n": 3} if is_skipped else {"n": 4})
    assert seat.spent == (frozenset({"b0"}) if is_skipped else frozenset())


def test_the_fingerprint_names_every_seat() -> None:
    """Two nodes compare one mark before they trust each other."""
    assert bench_fingerprint((make_seat("a"),)) != bench_fingerprint((make_seat("b"),))


def test_money_is_plain() -> None:
    """No exponent, no trailing zeros."""
    assert [money(Decimal(t)) for t in ("1.500", "1E+3", "0.00")] == ["1.5", "1000", "0"]
