"""Positions are the sum of the cluster's own fills, each counted once."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import ClientOrderId, Fill, Position, Side, VenueOrderId
from exchange.positions import PositionRecord, apply_fill, count_fills, fill_number, realised_on

SYMBOL = "ETH/USDT"
OURS = ClientOrderId("ours")
FLAT = PositionRecord(position=Position(symbol=SYMBOL))
DAY_MS = 86_400_000


def make_fill(
    number: int,
    side: Side = Side.BUY,
    amount: str = "1",
    price: str = "100",
    fee: str = "0",
    fee_asset: str = "USDT",
    order: str = "1",
    venue_ms: int = 0,
) -> Fill:
    return Fill(
        symbol=SYMBOL,
        fill_id=str(number),
        venue_order_id=VenueOrderId(order),
        side=side,
        amount=Decimal(amount),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_asset=fee_asset,
        venue_ms=venue_ms,
    )


MONEY = st.decimals(min_value="0.001", max_value=1000, places=3)
FILLS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        MONEY,
        MONEY,
        st.decimals(min_value=0, max_value="0.001", places=6),
        st.sampled_from(["ETH", "USDT", "BNB"]),
        st.integers(0, 5),
    ),
    max_size=30,
).map(
    lambda rows: [
        make_fill(n, side, str(amount), str(price), str(fee), asset, venue_ms=n * DAY_MS // 9)
        for n, (side, amount, price, fee, asset, _) in enumerate(rows, 1)
    ]
)


@given(FILLS)
def test_amount_is_the_sum_of_fills_less_base_fees(fills: list[Fill]) -> None:
    """Positions = sum of fills, exactly."""
    record = count_fills(FLAT, fills, {VenueOrderId("1"): OURS}).record
    expected = sum(
        (f.side.sign * f.amount - (f.fee if f.fee_asset == "ETH" else 0) for f in fills),
        Decimal(0),
    )
    assert record.position.amount == expected


@given(FILLS)
def test_realised_and_cost_add_up_to_the_cash_that_moved(fills: list[Fill]) -> None:
    """No money appears or vanishes: realised over all days less open cost is the cash flow."""
    position, realised, cash = Position(symbol=SYMBOL), Decimal(0), Decimal(0)
    for fill in fills:
        before = position
        position = apply_fill(position, fill)
        is_new_day = position.day != before.day
        realised += position.realised_quote - (0 if is_new_day else before.realised_quote)
        cash -= fill.side.sign * fill.amount * fill.price
        cash -= fill.fee if fill.fee_asset == "USDT" else 0
    assert abs(realised - position.cost_quote - cash) < Decimal("1e-15")


@given(FILLS, st.randoms(use_true_random=False), st.data())
def test_each_fill_counts_once_however_often_and_in_whatever_order_it_comes(
    fills: list[Fill],
    random: Random,
    data: st.DataObject,
) -> None:
    """The cursor makes counting idempotent: shuffled, repeated, and in two portions."""
    owners = {VenueOrderId("1"): OURS}
    whole = count_fills(FLAT, fills, owners).record
    cut = data.draw(st.integers(0, len(fills)))
    first = count_fills(FLAT, fills[:cut], owners).record
    again = [*fills, *fills]
    random.shuffle(again)
    assert count_fills(first, again, owners).record == whole
    assert count_fills(whole, again, owners).record == whole


def test_buy_then_sell_realises_by_average_cost() -> None:
    """Two buys at 100 and 200, one sold at 180 with a fee in quote."""
    fills = [
        make_fill(1, Side.BUY, "1", "100"),
        make_fill(2, Side.BUY, "1", "200"),
        make_fill(3, Side.SELL, "1", "180", fee="1"),
    ]
    position = count_fills(FLAT, fills, {VenueOrderId("1"): OURS}).record.position
    assert position.amount == 1
    assert position.average_price == 150
    assert position.realised_quote == 29


def test_fee_in_quote_raises_the_cost_and_fee_in_base_takes_from_the_amount() -> None:
    """What each fee does to a buy."""
    quote = apply_fill(Position(symbol=SYMBOL), make_fill(1, fee="0.5", fee_asset="USDT"))
    base = apply_fill(Position(symbol=SYMBOL), make_fill(1, fee="0.1", fee_asset="ETH"))
    other = apply_fill(Position(symbol=SYMBOL), make_fill(1, fee="0.1", fee_asset="BNB"))
    assert [quote.amount, quote.cost_quote] == [1, Decimal("100.5")]
    assert [base.amount, base.cost_quote] == [Decimal("0.9"), 100]
    assert [other.amount, other.cost_quote] == [1, 100]


def test_selling_through_zero_opens_the_rest_at_the_price_of_the_fill() -> None:
    """It must not happen on spot; if it does the figures still add up."""
    long = apply_fill(Position(symbol=SYMBOL), make_fill(1, amount="1", price="100"))
    short = apply_fill(long, make_fill(2, Side.SELL, "3", "110"))
    assert short.amount == -2
    assert short.average_price == 110
    assert short.realised_quote == 10


def test_realised_starts_again_with_the_first_fill_of_the_next_utc_day() -> None:
    """The daily loss limit looks at one UTC day."""
    position = apply_fill(Position(symbol=SYMBOL), make_fill(1, amount="2", price="100"))
    position = apply_fill(position, make_fill(2, Side.SELL, "1", "90", venue_ms=1))
    assert realised_on(position, "1970-01-01") == -10
    position = apply_fill(position, make_fill(3, Side.SELL, "1", "95", venue_ms=DAY_MS))
    assert realised_on(position, "1970-01-02") == -5
    assert realised_on(position, "1970-01-01") == 0


def test_counting_stops_before_the_first_fill_whose_order_is_not_known() -> None:
    """The cursor must not pass a fill that may be ours."""
    fills = [make_fill(1), make_fill(2, order="2"), make_fill(3), make_fill(4, order="3")]
    counted = count_fills(FLAT, fills, {VenueOrderId("1"): OURS})
    assert counted.record.after_fill_id == "1"
    assert counted.unattributed == ("2", "3")
    known = {VenueOrderId("1"): OURS, VenueOrderId("2"): None, VenueOrderId("3"): OURS}
    done = count_fills(counted.record, fills, known)
    assert done.record.after_fill_id == "4"
    assert done.record.position.amount == 3


def test_fills_older_than_the_cluster_are_foreign() -> None:
    """An account's history before the cluster needs no look-up."""
    fills = [make_fill(1, order="9", venue_ms=10), make_fill(2, venue_ms=20)]
    counted = count_fills(FLAT, fills, {VenueOrderId("1"): OURS}, born_venue_ms=20)
    assert counted.record.position.amount == 1
    assert counted.unattributed == ()


def test_fill_ids_are_compared_as_numbers() -> None:
    """10 comes after 9."""
    record = count_fills(FLAT, [make_fill(9), make_fill(10)], {VenueOrderId("1"): OURS}).record
    assert record.after_fill_id == "10"


@pytest.mark.parametrize("fill_id", ["", "a1", "-1", "1.5", "１"], ids=str)
def test_a_fill_id_that_is_no_number_is_refused(fill_id: str) -> None:
    """Such a venue needs a cursor of its own."""
    with pytest.raises(ValueError, match="fill id"):
        fill_number(fill_id)
