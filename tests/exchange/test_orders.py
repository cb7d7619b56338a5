"""The one write path: order of things, what stops it, what it leaves in the journal."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.errors import IllegalTransition, VenueUnavailable
from exchange.executor import execute
from exchange.intents import IntentState
from exchange.journal import merge
from exchange.memory_ledger import MemoryLedger, MemoryStore
from exchange.memory_venue import Fault, MemoryExchange, MemoryVenue
from exchange.model import OrderIntent, Side, WriteOutcome
from exchange.orders import OrderEvent, OrderEventKind
from exchange.risk import RiskFacts
from exchange.steps import Adopt, Cancel, Keep, Place, Plan, Resolve, Step
from tests.support.desk import Desk, MemoryDisk, full_disk, new_desk
from tests.support.journals import SYMBOL, make_id, make_intent

FACTS = RiskFacts(
    position_amount=Decimal(0),
    buys_amount=Decimal(0),
    sells_amount=Decimal(0),
    open_orders=0,
    orders_last_minute=0,
    reference_price=Decimal(100),
)


class Rig:
    """A desk with its exchange, and a log of everything that happened, in order."""

    def __init__(self, *, stores: int = 3) -> None:
        self.log: list[str] = []
        self.events: list[OrderEvent] = []
        self.fault = Fault.NONE
        self.exchange = MemoryExchange({SYMBOL: Decimal(100)})
        self.ledger = MemoryLedger(
            [MemoryStore(str(n)) for n in range(stores)], before_call=self.log.append
        )
        self.disk = MemoryDisk(lambda: self.log.append("disk"))
        self.desk: Desk = new_desk(
            self.exchange,
            self.ledger,
            venue=MemoryVenue(self.exchange, on_call=self.on_call),
            disk=self.disk,
            observe=self.events.append,
        )
        self.desk.is_disk_optional = stores == 3
        self.desk.take_over()

    def on_call(self, name: str) -> Fault:
        self.log.append(name)
        return self.fault

    @property
    def kinds(self) -> list[OrderEventKind]:
        return [event.kind for event in self.events]

    @property
    def states(self) -> dict[str, str]:
        """State of each intent, as a node that merged the stores would read it."""
        merged = merge([(s.name, s.documents) for s in self.ledger.stores])
        return {cid: record.state.value for cid, record in merged.journal.intents.items()}


def intent(counter: int = 0, *, price: str = "99", amount: str = "1") -> OrderIntent:
    return make_intent(counter, price=price, amount=amount)


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
        stall(4.001),
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


@pytest.mark.parametrize("prepare", [set_permit(left_s=0.7), stall(4.0)], ids=["permit", "disk"])
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
    assert result.deadline_venue_ms == record.deadline_venue_ms == sent_ms + 5000
    journal = merge([("disk", rig.disk.documents)]).journal
    assert journal.drain_ms(now_venue_ms=sent_ms, effect_tail_ms=1000) == 6000


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


# --- cancel, adopt, execute ------------------------------------------------------------------


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


def place_step(counter: int) -> Place:
    return Place(intent=intent(counter), facts=FACTS)


@pytest.mark.parametrize(
    ("fault", "steps_done", "placed"),
    [
        (Fault.NONE, 3, 2),
        (Fault.REJECT, 1, 0),
        (Fault.LOST_AFTER, 1, 0),
        (Fault.UNAVAILABLE, 1, 0),
    ],
    ids=["no surprise", "rejected", "unknown", "not sent"],
)
async def test_execute_stops_at_the_first_surprise_and_asks_for_a_new_pass(
    fault: Fault, steps_done: int, placed: int
) -> None:
    """The rest of the plan was made for another world."""
    rig = Rig()
    rig.fault = fault
    seen: list[Step] = []
    keep = Keep(symbol=SYMBOL, client_order_id=make_id(7), tag="x")
    plan = Plan(epoch=1, steps=(place_step(0), keep, place_step(1)))
    done = await execute(plan, rig.desk.path, on_step=lambda step, _result: seen.append(step))
    assert (done.steps_done, done.placed) == (steps_done, placed)
    assert done.needs_new_pass
    assert seen == list(plan.steps[:steps_done])
    assert bool(done.stopped_at) is (fault is not Fault.NONE)
    assert done.rejected == (((SYMBOL, "grid-1"),) if fault is Fault.REJECT else ())


async def test_execute_writes_no_more_than_its_bound() -> None:
    """The work loop looks at the venue again in between."""
    rig = Rig()
    plan = Plan(epoch=1, steps=tuple(place_step(n) for n in range(5)))
    done = await execute(plan, rig.desk.path, writes_max=3)
    assert done.placed == 3
    assert done.stopped_at == plan.steps[3]
    assert done.needs_new_pass


async def test_execute_cancels_adopts_and_says_when_to_look_again() -> None:
    """One step of each kind that remains."""
    rig = Rig()
    await rig.desk.path.place(intent(0), FACTS)
    await rig.desk.path.place(intent(1), FACTS)
    adopt = Adopt(symbol=SYMBOL, client_order_id=make_id(0), tag="b9")
    cancel = Cancel(symbol=SYMBOL, client_order_id=make_id(1), tag="b", reason="x")
    done = await execute(Plan(epoch=1, steps=(adopt, cancel)), rig.desk.path)
    assert (done.adopted, done.cancelled) == (1, 1)
    record = merge([("disk", rig.disk.documents)]).journal.intents[make_id(0)]
    assert (record.intent.tag, record.adopted_epoch) == ("b9", 1)
    resolve = Resolve(symbol=SYMBOL, client_order_id=make_id(0), reason="x")
    assert (await execute(Plan(epoch=1, steps=(resolve,)), rig.desk.path)).needs_new_pass
    assert not (await execute(Plan(epoch=1), rig.desk.path)).needs_new_pass


async def test_a_plan_executed_twice_sends_nothing_twice() -> None:
    """Run every step twice: the ids are used up, and a cancelled order is no longer there."""
    rig = Rig()
    plan = Plan(epoch=1, steps=(place_step(0),))
    await execute(plan, rig.desk.path)
    with pytest.raises(IllegalTransition):
        await execute(plan, rig.desk.path)
    assert len(rig.exchange.accepted) == 1
    cancel = Cancel(symbol=SYMBOL, client_order_id=make_id(0), tag="b", reason="x")
    first = await execute(Plan(epoch=1, steps=(cancel,)), rig.desk.path)
    second = await execute(Plan(epoch=1, steps=(cancel,)), rig.desk.path)
    assert (first.cancelled, second.cancelled) == (1, 0)


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
