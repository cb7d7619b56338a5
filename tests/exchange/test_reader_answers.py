"""Single rules of answer validation that a whole read cannot show alone."""

from decimal import Decimal
from typing import Any

import pytest

from exchange.answers import parse_candles, parse_decimal, parse_rows, timeframe_ms
from exchange.errors import AnswerUntrusted

OPEN_MS = 1_700_000_100_000


def row(open_ms: int) -> list[Any]:
    return [open_ms, "1", "2", "0.5", "1.5", "3"]


@pytest.mark.parametrize("row_count", [None, 0, 2], ids=["not a list", "fewer", "more"])
def test_rows_lost_or_invented_on_the_way_are_untrusted(row_count: int | None) -> None:
    """ccxt drops rows that it does not understand: as many must arrive as were sent."""
    with pytest.raises(AnswerUntrusted):
        parse_rows([{"a": 1}], row_count, dict, "rows")


@pytest.mark.parametrize(
    "times",
    [(OPEN_MS, OPEN_MS), (OPEN_MS + 300_000, OPEN_MS)],
    ids=["a candle twice", "newest first"],
)
def test_candles_must_be_in_order_and_unique(times: tuple[int, int]) -> None:
    """A strategy must never see a candle twice or time running backwards."""
    with pytest.raises(AnswerUntrusted):
        parse_candles([row(t) for t in times], timeframe="5m")


def test_gap_between_candles_is_allowed() -> None:
    """A venue that was down has no candles for that time; that is not a bad answer."""
    candles = parse_candles([row(OPEN_MS), row(OPEN_MS + 900_000)], timeframe="5m")
    assert [c.open_ms for c in candles] == [OPEN_MS, OPEN_MS + 900_000]


@pytest.mark.parametrize("value", [None, True, 1.5, "", "nan", "inf", "1,5", [], {}])
def test_only_exact_finite_numbers_are_numbers(value: Any) -> None:
    """Floats have lost digits already; NaN compares as nothing."""
    with pytest.raises(AnswerUntrusted):
        parse_decimal(value, "amount")


def test_exact_numbers_keep_every_digit() -> None:
    """Texts and integers are taken as they are."""
    assert parse_decimal("0.30000000000000004", "amount") == Decimal("0.30000000000000004")
    assert parse_decimal(7, "amount") == Decimal(7)


@pytest.mark.parametrize("timeframe", ["", "m", "0m", "5", "1w", "1M", "-5m", "5 m"])
def test_timeframes_without_a_fixed_grid_are_refused(timeframe: str) -> None:
    """Weeks and months have no grid here; a mistyped timeframe is told at once."""
    with pytest.raises(ValueError, match="timeframe"):
        timeframe_ms(timeframe)
