"""The venue table and the settings: what is supported, and that nothing else is accepted."""

import re

import pytest

from exchange.errors import ConfigurationRefused
from exchange.venues import BINANCE, ROWS, DeadlineCheck, Rejection, market_id, venue_row


def test_exchange_without_a_row_is_refused_with_those_that_have_one() -> None:
    """Guessing how a venue refuses is how orders are doubled."""
    with pytest.raises(ConfigurationRefused) as caught:
        venue_row("kraken")
    assert all(exchange_id in str(caught.value) for exchange_id in ROWS)


@pytest.mark.parametrize("exchange_id", list(ROWS))
def test_row_is_whole(exchange_id: str) -> None:
    """Each row carries what the write path, the read path and a person need."""
    row = venue_row(exchange_id)
    assert row.exchange_id == exchange_id
    assert row.deadline is DeadlineCheck.RECEIPT_AND_ENGINE or row.effect_tail_ms > 0
    assert set(row.weights) == {
        *("markets", "time", "account", "candles", "ticker"),
        *("open_orders", "order", "orders", "fills", "rights", "place", "cancel"),
    }
    assert row.place_rejected
    assert row.cancel_rejected
    assert row.unknown_order
    assert "withdrawal" in row.key_advice


@pytest.mark.parametrize("exchange_id", list(ROWS))
def test_client_order_ids_fit_the_venue(exchange_id: str) -> None:
    """The 18 lower-case characters that identity.py makes are accepted everywhere."""
    pattern = venue_row(exchange_id).client_order_id_pattern
    assert re.fullmatch(pattern, "a" + "z9" * 8 + "0")


def test_duplicate_is_on_no_allow_list() -> None:
    """A duplicate id means that an order exists: the opposite of rejected."""
    for row in ROWS.values():
        for code, texts in row.place_duplicates.items():
            listed = row.place_rejected[code]
            for text in texts:
                assert not any(listed.allows(error=e, message=text) for e in listed.errors)


@pytest.mark.parametrize(
    ("error", "message", "is_allowed"),
    [
        ("InvalidOrder", "Market is closed.", True),
        ("InvalidOrder", "market is closed", True),
        ("InvalidOrder", "Market is closed. Or not.", False),
        ("InvalidOrder", "", False),
        ("ExchangeError", "Market is closed.", False),
    ],
)
def test_rejection_needs_class_and_text(error: str, message: str, is_allowed: bool) -> None:
    """Both the class and, where given, the exact text must be on the list."""
    listed = Rejection(errors=frozenset({"InvalidOrder"}), messages=frozenset({"market is closed"}))
    assert listed.allows(error=error, message=message) is is_allowed


def test_market_id_is_the_venues_own_name() -> None:
    """Needed before the markets are loaded."""
    assert market_id("BTC/USDT") == "BTCUSDT"


def test_binance_knows_no_unproven_code_as_refused() -> None:
    """A person is only called for what a person can mend."""
    assert not {"-1000", "-1001", "-1003", "-1006", "-1007", "-1021"} & BINANCE.refused.keys()
