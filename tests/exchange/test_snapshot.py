"""Snapshots: what is read, in which order, and that half of one is none."""

from decimal import Decimal

import pytest

from exchange.errors import AnswerUntrusted, VenueUnavailable
from exchange.journal import Journal
from exchange.memory_venue import Fault, MemoryExchange, MemoryVenue
from exchange.model import Fill, OrderIntent, Position, Side, VenueOrderId
from exchange.positions import PositionRecord
from exchange.snapshot import take_snapshot
from tests.support.journals import SYMBOL, make_id, make_intent, make_record


def make_journal(*counters: int) -> Journal:
    journal, _ = Journal().edit(epoch=1, intents=[make_record(n) for n in counters])
    return journal


@pytest.fixture
def exchange() -> MemoryExchange:
    return MemoryExchange({SYMBOL: Decimal(100)})


def accept(exchange: MemoryExchange, intent: OrderIntent) -> None:
    assert not isinstance(exchange.accept(intent), str)


async def test_only_expected_orders_that_are_not_listed_are_looked_up(
    exchange: MemoryExchange,
) -> None:
    """A look-up each for what the list does not show; None where the venue knows no such order."""
    accept(exchange, make_intent(0, price="90"))
    accept(exchange, make_intent(1, price="110"))
    snapshot = await take_snapshot(MemoryVenue(exchange), make_journal(0, 1, 2), [SYMBOL])
    assert [o.client_order_id for o in snapshot.open_orders] == [make_id(0)]
    assert set(snapshot.looked_up) == {make_id(1), make_id(2)}
    assert snapshot.looked_up[make_id(2)] is None
    assert len(snapshot.fills) == 1
    assert not snapshot.looked_up_by_venue_id


async def test_orders_of_nameless_fills_are_looked_up_oldest_first_within_a_bound(
    exchange: MemoryExchange,
) -> None:
    """A long foreign history is worked off over several passes."""
    for number in range(5):
        exchange.place_foreign(make_intent(number, price="110"), None)
    snapshot = await take_snapshot(MemoryVenue(exchange), Journal(), [SYMBOL], look_ups_max=3)
    assert list(snapshot.looked_up_by_venue_id) == ["1", "2", "3"]
    born = await take_snapshot(
        MemoryVenue(exchange), Journal(), [SYMBOL], born_venue_ms=exchange.now_ms + 1
    )
    assert not born.looked_up_by_venue_id


async def test_fills_are_read_after_the_cursor(exchange: MemoryExchange) -> None:
    """Counted fills are not fetched again."""
    accept(exchange, make_intent(0, price="110"))
    record = PositionRecord(position=Position(symbol=SYMBOL), after_fill_id="1")
    journal, _ = Journal().edit(epoch=1, positions=[record])
    assert not (await take_snapshot(MemoryVenue(exchange), journal, [SYMBOL])).fills


async def test_a_symbol_that_nobody_trades_and_that_has_no_orders_is_not_read(
    exchange: MemoryExchange,
) -> None:
    """The venue may have delisted it; its position stays in the journal."""
    record = PositionRecord(position=Position(symbol="OLD/USDT", amount=Decimal(1)))
    journal, _ = make_journal(0).edit(epoch=1, positions=[record])
    snapshot = await take_snapshot(MemoryVenue(exchange), journal, [])
    assert snapshot.symbols == (SYMBOL,)


async def test_any_failed_read_means_no_snapshot(exchange: MemoryExchange) -> None:
    """S4: nothing may be traded on half an answer; every read fails in turn."""
    accept(exchange, make_intent(0, price="90"))
    exchange.place_foreign(make_intent(7, price="110"), None)
    number = 0
    while True:
        number += 1
        calls: list[str] = []

        def fail_one(name: str, calls: list[str] = calls, number: int = number) -> Fault:
            calls.append(name)
            return Fault.UNAVAILABLE if len(calls) == number else Fault.NONE

        venue = MemoryVenue(exchange, on_call=fail_one)
        try:
            await take_snapshot(venue, make_journal(0, 1), [SYMBOL])
        except VenueUnavailable:
            continue
        assert set(calls) == {
            "open_orders",
            "order_by_client_id",
            "order_by_venue_id",
            "fills",
            "balances",
        }
        assert number == len(calls) + 1
        break


async def test_fill_ids_that_are_no_numbers_are_not_trusted(exchange: MemoryExchange) -> None:
    """The cursor compares numbers."""
    fill = Fill(
        symbol=SYMBOL,
        fill_id="TX-1",
        venue_order_id=VenueOrderId("1"),
        side=Side.BUY,
        amount=Decimal(1),
        price=Decimal(1),
        fee=Decimal(0),
        fee_asset="USDT",
        venue_ms=0,
    )

    class Odd(MemoryVenue):
        async def fills(self, symbol: str, after_fill_id: str | None) -> tuple[Fill, ...]:
            del symbol, after_fill_id
            return (fill,)

    with pytest.raises(AnswerUntrusted):
        await take_snapshot(Odd(exchange), Journal(), [SYMBOL])
