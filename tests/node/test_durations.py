"""Durations as people write them."""

import pytest

from node.durations import parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h", 3600), ("250ms", 0.25), ("1.5m", 90), (" 5M ", 300)],
)
def test_what_people_write_is_understood(text: str, seconds: float) -> None:
    assert parse_duration(text, at_least_s=0.1, at_most_s=7200) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 minutes", "1d", "5m30s", "nan"])
def test_what_is_no_duration_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="such as 5m"):
        parse_duration(text, at_least_s=1, at_most_s=7200)


def test_bounds_are_named() -> None:
    with pytest.raises(ValueError, match="between 5 s and 6 h"):
        parse_duration("1s", at_least_s=5, at_most_s=6 * 3600)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.83, "0.8 s"), (6, "6 s"), (45.4, "45 s"), (60, "1 min"), (90, "90 s"), (300, "5 min"),
     (3600, "1 h"), (5400, "1.5 h")],
)  # fmt: skip
def test_durations_are_shown_short(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text
