"""The one write path: order of things, what stops it, what it leaves in the journal."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.errors import IllegalTransition, VenueUnavailable
from exchange.intents import IntentState
from exchange.journal import merge
from exchange.memory_venue import Fault
from exchange.model import OrderIntent, Side, WriteOutcome
from exchange.orders import OrderEventKind, PathTiming
from tests.support.desk import full_disk
from tests.support.journals import SYMBOL, make_id, make_intent
from tests.support.order_rig import FACTS, Rig, intent


async def test_place_journals_on_stores_and_disk_before_it_sends_and_the_outcome_after() -> None:
    """Journal before send; then the venue; then the outcome."""
    rig = Rig()
    result = await rig.desk.path.place(intent(), FACTS)
    assert result.outcome is WriteOutcome.CONFIRMED
    place = rig.log.index("place")
    before, after = rig.log[:place], rig.log[place + 1 :]
    written = ["disk", "ledger.write 0", "ledger.write 1", "ledger.write 2"]
    assert sorted(before) == sorted(after) == written
    assert rig.states == {make_id(): "open"}
    assert rig.kinds == [OrderEventKind.SENDING, OrderEventKind.CONFIRMED]
    assert f"intent:{make_id()}" in rig.disk.documents


@pytest.mark.parametrize(
    ("fault", "outcome", "states", "is_at_venue"),
    [
        (Fault.NONE, WriteOutcome.CONFIRMED, {make_id(): "open"}, True),
        (Fault.REJECT, WriteOutcome.REJECTED, {}, False),
        (Fault.UNAVAILABLE, WriteOutcome.NOT_SENT, {}, False),
        (Fault.LOST_BEFORE, WriteOutcome.UNKNOWN, {make_id(): "unknown"}, False),
        (Fault.LOST_AFTER, WriteOutcome.UNKNOWN, {make_id(): "unknown"}, True),
        (Fault.RAISE, WriteOutcome.UNKNOWN, {make_id(): "unknown"}, True),
    ],
    ids=[
        "confirmed",
        "rejected: trimmed",
        "not sent: trimmed",
        "unknown, not done",
        "unknown, done",
        "a gateway that raises is a bug, and unknown",
    ],
)
async def test_each_outcome_is_journalled(
    fault: Fault, outcome: WriteOutcome, states: dict[str, str], is_at_venue: bool
) -> None:
    """Four outcomes of a write, and what the next holder would read."""
    rig = Rig()
    rig.fault = fault
    result = await rig.desk.path.place(intent(), FACTS)
    assert result.outcome is outcome
    assert rig.states == states
    assert bool(rig.exchange.orders) is is_at_venue
    assert rig.log.count("place") == 1


def set_permit(**changes: float) -> Callable[[Rig], None]:
    def change(rig: Rig) -> None:
        for name, value in changes.items():
            setattr(rig.desk.permit, name, value)

    return change


def depose(rig: Rig) -> None:
    rig.ledger.grant(2)


def lose_stores(rig: Rig) -> None:
    for store in rig.ledger.stores[:2]:
        store.is_up = False


def stall(seconds: float) -> Callable[[Rig], None]:
    """Let the journal write take venue time."""

    def change(rig: Rig) -> None:
        def slow() -> None:
            rig.exchange.now_ms += int(seconds * 1000)

        rig.disk.before_append = slow

    return change


def end_permit_while_journalling(rig: Rig) -> None:
    def slow() -> None:
        rig.desk.permit.left_s = 0.1

    rig.disk.before_append = slow


@pytest.mark.parametrize(
    "prepare",
    [
        set_permit(left_s=0.69),
        set_permit(left_s=-1),
        set_permit(epoch=2),
        set_permit(epoch=0),
        depose,
        lose_stores,
        stall(3.001),
        end_permit_while_journalling,
    ],
    ids=[
        "permit shorter than 700 ms",
        "permit closed",
        "permit of another epoch",
        "no permit",
        "deposed: the stores know a later epoch",
        "no majority of stores",
        "the disk stalled until the order's window was short",
        "the permit ended while journalling",
    ],
)
async def test_nothing_is_sent_when(prepare: Callable[[Rig], None]) -> None:
    """Proven not sent, said so, and no trace of an intent that may have been sent."""
    rig = Rig()
    prepare(rig)
    result = await rig.desk.path.place(intent(), FACTS)
    assert result.outcome is WriteOutcome.NOT_SENT
    assert result.reason
    assert "place" not in rig.log
    assert not rig.exchange.orders
    assert rig.kinds[-1] is OrderEventKind.WITHHELD
    assert not rig.desk.writer.journal.intents


@pytest.mark.parametrize("prepare", [set_permit(left_s=0.7), stall(3.0)], ids=["permit", "disk"])
async def test_it_is_sent_at_the_boundary(prepare: Callable[[Rig], None]) -> None:
    """The other side of both time boundaries."""
    rig = Rig()
    prepare(rig)
    assert (await rig.desk.path.place(intent(), FACTS)).outcome is WriteOutcome.CONFIRMED


async def test_a_risk_refusal_writes_nothing_at_all() -> None:
    """Risk comes first."""
    rig = Rig()
    facts = replace(FACTS, is_loss_latched=True)
    result = await rig.desk.path.place(intent(), facts)
    assert result.outcome is WriteOutcome.NOT_SENT
    assert result.reason.startswith("risk: daily_loss_limit")
    assert rig.log == []
    assert rig.kinds == [OrderEventKind.REFUSED]
    assert rig.desk.path.next_counter == 0


async def test_the_rate_is_counted_by_the_path_itself() -> None:
    """Whatever a plan believed; and it forgets after a minute."""
    rig = Rig()
    rig.desk.limits = replace(rig.desk.limits, max_orders_per_minute=2)
    rig.desk.take_over()
    outcomes = [(await rig.desk.path.place(intent(n), FACTS)).outcome for n in range(3)]
    assert outcomes == [WriteOutcome.CONFIRMED, WriteOutcome.CONFIRMED, WriteOutcome.NOT_SENT]
    rig.exchange.now_ms += 59_999
    assert rig.desk.path.orders_last_minute == 2
    rig.exchange.now_ms += 1
    assert rig.desk.path.orders_last_minute == 0
    assert (await rig.desk.path.place(intent(3), FACTS)).outcome is WriteOutcome.CONFIRMED


async def test_the_venue_gets_the_deadline_that_the_journal_promises() -> None:
    """Who reads the journal knows from when absence can be proven."""
    rig = Rig()
    rig.fault = Fault.LOST_BEFORE
    sent_ms = rig.exchange.now_ms
    result = await rig.desk.path.place(intent(), FACTS)
    record = rig.desk.writer.journal.intents[make_id()]
    assert result.deadline_venue_ms == record.deadline_venue_ms == sent_ms + PathTiming().window_ms
    journal = merge([("disk", rig.disk.documents)]).journal
    assert journal.drain_ms(now_venue_ms=sent_ms, effect_tail_ms=1000) == 5000


@pytest.mark.parametrize("used", [0, 1], ids=["the same", "an earlier one"])
async def test_an_id_is_never_used_twice(used: int) -> None:
    """Also when the first use was withheld."""
    rig = Rig()
    rig.desk.permit.left_s = 4
    depose(rig)
    await rig.desk.path.place(intent(1), FACTS)
    with pytest.raises(IllegalTransition):
        await rig.desk.path.place(intent(used), FACTS)


async def test_an_id_of_another_grant_is_our_bug() -> None:
    """Epoch and id belong together."""
    rig = Rig()
    with pytest.raises(IllegalTransition):
        await rig.desk.path.place(make_intent(0, epoch=2), FACTS)


# --- disks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stores", "side", "outcome"),
    [
        (3, Side.BUY, WriteOutcome.CONFIRMED),
        (1, Side.BUY, WriteOutcome.NOT_SENT),
        (1, Side.SELL, WriteOutcome.CONFIRMED),
    ],
    ids=["three stores: goes on", "one store: no new risk", "one store: reductions go on"],
)
async def test_a_dead_disk(stores: int, side: Side, outcome: WriteOutcome) -> None:
    """An active node whose disk dies goes on with three stores, else only reduces; it is told."""
    rig = Rig(stores=stores)
    rig.disk.before_append = full_disk
    facts = replace(FACTS, position_amount=Decimal(5))
    result = await rig.desk.path.place(make_intent(side=side), facts)
    assert result.outcome is outcome
    assert OrderEventKind.DISK_FAILED in rig.kinds


async def test_what_the_disk_missed_is_written_when_it_works_again() -> None:
    """Owed, not forgotten."""
    rig = Rig()
    rig.disk.before_append = full_disk
    await rig.desk.path.place(intent(0), FACTS)
    assert rig.disk.documents == {}
    rig.disk.before_append = lambda: None
    await rig.desk.path.place(intent(1), FACTS)
    assert {f"intent:{make_id(0)}", f"intent:{make_id(1)}"} <= set(rig.disk.documents)
    assert not rig.desk.writer.is_owing


async def test_a_store_that_comes_back_empty_gets_everything_again() -> None:
    """After a change of incarnation the holder pushes all documents."""
    rig = Rig()
    await rig.desk.path.place(intent(), FACTS)
    full = dict(rig.ledger.stores[0].documents)
    for store in rig.ledger.stores:
        store.flush()
    rig.desk.writer.owe_everything()
    assert (await rig.desk.writer.flush()).is_accepted
    assert [dict(s.documents) for s in rig.ledger.stores] == [full] * 3


async def test_an_outcome_that_no_majority_took_is_told_and_owed() -> None:
    """Until it gets there readers see an intent that may have been sent."""
    rig = Rig()
    inner = rig.desk.venue.place

    async def place_then_lose_stores(order: OrderIntent) -> object:
        result = await inner(order)
        lose_stores(rig)
        return result

    rig.desk.venue.place = place_then_lose_stores  # type: ignore[method-assign,assignment]
    result = await rig.desk.path.place(intent(), FACTS)
    assert result.outcome is WriteOutcome.CONFIRMED
    assert OrderEventKind.OUTCOME_OWED in rig.kinds
    assert rig.desk.writer.is_owing
    for store in rig.ledger.stores:
        store.is_up = True
    await rig.desk.writer.flush()
    assert rig.states == {make_id(): "open"}


# --- cancel ------------------------------------------------------------------


async def test_cancel_is_fenced_by_the_permit() -> None:
    """R9: every call that changes something."""
    rig = Rig()
    await rig.desk.path.place(intent(), FACTS)
    rig.desk.permit.left_s = 0.19
    result = await rig.desk.path.cancel(SYMBOL, make_id())
    assert result.outcome is WriteOutcome.NOT_SENT
    assert "cancel" not in rig.log
    rig.desk.permit.left_s = 0.2
    result = await rig.desk.path.cancel(SYMBOL, make_id())
    assert result.outcome is WriteOutcome.CONFIRMED
    assert not rig.exchange.open_orders(SYMBOL)


async def test_an_order_whose_cancel_is_confirmed_stays_in_the_journal_until_reconciled() -> None:
    """It may have filled before: only the venue's word and its fills close it."""
    rig = Rig()
    await rig.desk.path.place(intent(), FACTS)
    await rig.desk.path.cancel(SYMBOL, make_id())
    assert rig.desk.writer.journal.intents[make_id()].state is IntentState.OPEN
    findings = await rig.desk.look()
    assert not findings.journal.intents


async def test_a_venue_whose_time_is_unknown_gets_no_order() -> None:
    """Without the venue's time there is no deadline."""
    rig = Rig()

    async def unknown() -> int:
        raise VenueUnavailable("no offset yet")

    rig.desk.venue.venue_now_ms = unknown  # type: ignore[method-assign]
    rig.desk.take_over()
    result = await rig.desk.path.place(intent(), FACTS)
    assert result.outcome is WriteOutcome.NOT_SENT
    assert "place" not in rig.log
