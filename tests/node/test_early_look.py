"""The spare's read before the grant: a lost order of the dead leader blocks nobody for a second."""

from collections.abc import Callable

from exchange.memory_venue import Fault
from exchange.orders import PathTiming
from node.early_look import EarlyLook
from node.role import Role
from tests.node.test_standby import Bench
from tests.support.shift_rig import ShiftRig, new_shift_rig
from tests.support.trading_rig import SYMBOL, Rig, buy, wanting

OVER_MS = PathTiming().window_ms + 1


def failing(name: str, fault: Fault) -> Callable[[str], Fault]:
    return lambda called: fault if called == name else Fault.NONE


async def after_a_lost_order(fault: Fault = Fault.LOST_BEFORE) -> Rig:
    """Return a cluster whose leader ended before it knew what became of its order."""
    rig = Rig()
    rig.asked.answer = wanting(buy("b1"))
    await rig.start(epoch=1, node_id="raspberrypi")
    await rig.watch.put("cluster", {"born_ms": 0, "account": "memory"}, reason="test")
    rig.on_call = failing("place", fault)
    await rig.turn()
    rig.on_call = failing("", Fault.NONE)
    rig.calls.clear()
    assert len(rig.trader.journal.unknown_intents()) == 1
    return rig


async def spare_of(rig: Rig) -> tuple[ShiftRig, EarlyLook]:
    node = await new_shift_rig(rig)
    return node, node.standby.early


async def look(node: ShiftRig) -> None:
    """Read the journals and look, as a standby's turn does."""
    merged = await node.standby.gather()
    assert merged is not None
    await node.standby.early.step(merged.journal)


def working(rig: Rig) -> list[str]:
    return [o.client_order_id or "" for o in rig.exchange.open_orders(SYMBOL)]


async def test_a_lost_order_is_settled_by_the_takeovers_first_look() -> None:
    """S3: two reads a second apart, and only the second one is made after the grant."""
    rig = await after_a_lost_order()
    node, early = await spare_of(rig)
    rig.exchange.now_ms += OVER_MS
    await look(node)
    assert len(early.absences) == 1
    node.grant(2)
    await node.turn(after_s=1.0)
    assert node.role() is Role.ACTIVE
    assert node.shift.active is not None
    assert node.shift.active.findings is not None
    assert node.shift.active.findings.is_clear
    await node.turn()
    assert len(working(rig)) == 1


async def test_a_turn_of_the_spare_looks_when_the_outcome_is_overdue() -> None:
    """And not before: until the deadline is over the turn asks the venue nothing for it."""
    rig = await after_a_lost_order()
    node = Bench(rig)
    await node.standby.cycle()
    assert not node.standby.early.absences
    rig.exchange.now_ms += OVER_MS
    await node.standby.cycle()
    assert list(node.standby.early.absences.values()) == [rig.exchange.now_ms]


async def test_a_second_that_is_not_over_is_waited_for() -> None:
    """The absence rule is the same: 999 ms are too few."""
    rig = await after_a_lost_order()
    node, _ = await spare_of(rig)
    rig.exchange.now_ms += OVER_MS
    await look(node)
    node.grant(2)
    await node.turn(after_s=0.999)
    assert node.shift.active is not None
    assert node.shift.active.findings is not None
    assert not node.shift.active.findings.is_clear
    assert working(rig) == []
    await node.turn(after_s=0.001)
    assert len(working(rig)) == 1


async def test_an_order_that_arrived_is_found_and_adopted() -> None:
    """It was only the answer that was lost."""
    rig = await after_a_lost_order(Fault.LOST_AFTER)
    node, early = await spare_of(rig)
    rig.exchange.now_ms += OVER_MS
    await look(node)
    assert not early.absences
    node.grant(2)
    await node.turn(after_s=1.0)
    assert node.shift.trader is not None
    assert list(node.shift.trader.journal.open_intents()) != []
    assert len(working(rig)) == 1


async def test_an_order_that_arrives_after_the_look_is_found_by_the_takeover() -> None:
    """The early read alone proves nothing."""
    rig = await after_a_lost_order(Fault.LATE)
    node, early = await spare_of(rig)
    rig.exchange.now_ms += OVER_MS
    await look(node)
    assert len(early.absences) == 1
    rig.exchange.deliver_late()
    node.grant(2)
    await node.turn(after_s=1.0)
    await node.turn()
    assert len(working(rig)) == 1


async def test_before_the_deadline_nobody_looks() -> None:
    """It may still arrive: a read now would count for nothing."""
    rig = await after_a_lost_order()
    node, early = await spare_of(rig)
    (record,) = rig.trader.journal.unknown_intents()
    rig.exchange.now_ms = record.deadline_venue_ms
    await look(node)
    assert (early.absences, rig.calls) == ({}, [])


async def test_one_look_for_each_order_also_when_the_venue_is_away() -> None:
    """The spare's request weight has a bound, whatever the leader leaves unresolved."""
    rig = await after_a_lost_order()
    node, early = await spare_of(rig)
    rig.exchange.now_ms += OVER_MS
    rig.on_call = failing("open_orders", Fault.UNAVAILABLE)
    await look(node)
    assert rig.calls
    rig.on_call = failing("", Fault.NONE)
    rig.calls.clear()
    for _ in range(5):
        rig.exchange.now_ms += 1000
        await look(node)
    assert (early.absences, rig.calls) == ({}, [])


async def test_what_the_leader_resolves_is_forgotten() -> None:
    """A leader that lives needs no help, and an old read must not count for a later order."""
    rig = await after_a_lost_order()
    node, early = await spare_of(rig)
    rig.exchange.now_ms += OVER_MS
    await look(node)
    assert early.absences
    for _ in range(3):
        await rig.turn()
    assert not rig.trader.journal.unknown_intents()
    await look(node)
    assert not early.absences
