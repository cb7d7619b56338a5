"""One grant after another: take over turn by turn, trade, give up in order (S4, R7, R10)."""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from alerts.model import Kind
from exchange.memory_venue import Fault
from node.latches import PAUSE
from node.role import Role
from node.watch import Member
from tests.support.desk import full_disk
from tests.support.shift_rig import ShiftRig, new_shift_rig
from tests.support.trading_rig import SYMBOL, Rig, buy, wanting

MINUTE_S = 60.0


async def after_a_holder(*orders: str) -> Rig:
    """Return a cluster in which another node placed buys at these prices, and is gone."""
    rig = Rig()
    rig.asked.answer = wanting(*(buy(f"b{price}", price) for price in orders))
    await rig.start(epoch=1, node_id="raspberrypi")
    await rig.watch.put("cluster", {"born_ms": 0, "account": "memory"}, reason="test")
    await rig.turn()
    await rig.turn()
    rig.ear.events.clear()
    return rig


async def taken_over(node: ShiftRig, epoch: int = 2) -> ShiftRig:
    node.grant(epoch)
    await node.turn()
    assert node.role() is Role.ACTIVE
    return node


async def test_a_takeover_adopts_what_is_wanted_and_tells() -> None:
    """S4: reconciled, journalled, told; the strategy sees what works at the venue."""
    node = await new_shift_rig(await after_a_holder("90", "80"))
    node.rig.exchange.move_price(SYMBOL, Decimal(85))
    await taken_over(node)
    assert node.people.told == ["took over 2: buy 1 ETH/USDT at 90"]
    active = node.shift.active
    assert active is not None
    assert active.findings is not None
    assert len(active.findings.working) == 1
    assert node.rig.seat.has_new_fills
    trader = node.shift.trader
    assert trader is not None
    assert trader.journal.takeovers[2].body["orders_kept"] == 1


@pytest.mark.parametrize(
    ("age_s", "measured_after_s"),
    [(None, 0.0), (5.0, 25.0), (45.0, 0.0)],
    ids=["not known", "known for 5 s", "known for 45 s"],
)
async def test_the_venues_clock_is_measured_when_it_is_due(
    age_s: float | None, measured_after_s: float
) -> None:
    """The first order waits for no measurement that the spare has just made."""
    node = await new_shift_rig(await after_a_holder("90"))
    known = None if age_s is None else SimpleNamespace(age_s=age_s)
    node.clock.estimate = lambda: known
    await taken_over(node)
    before = node.rig.venue.clock_calls
    if measured_after_s:
        await node.turn(after_s=measured_after_s - 0.001)
        assert node.rig.venue.clock_calls == before
    await node.turn(after_s=0.001)
    assert node.rig.venue.clock_calls == before + 1


async def test_a_takeover_without_a_venue_is_repeated_and_hears_the_world() -> None:
    """A turn ends with each attempt: stop and pause are seen, nothing is sent."""
    node = await new_shift_rig(await after_a_holder("90"))
    node.rig.on_call = lambda _name: Fault.UNAVAILABLE
    node.grant(2)
    for _ in range(3):
        await node.turn()
    assert node.role() is Role.TAKEOVER
    assert node.rig.health.venue_error
    await node.turn(stop="SIGTERM was received")
    assert node.role() is Role.STANDBY
    assert [reason for _, _, reason in node.lease.released] == ["SIGTERM was received"]


async def test_a_pause_that_comes_during_a_takeover_leaves_every_order() -> None:
    """R7: a paused holder keeps the lease and reconciles, but sends nothing."""
    node = await new_shift_rig(await after_a_holder("90"))
    node.rig.on_call = lambda _name: Fault.UNAVAILABLE
    node.grant(2)
    await node.turn()
    await node.rig.watch.put(PAUSE, {"is_paused": True}, reason="test")
    node.rig.on_call = lambda _name: Fault.NONE
    node.rig.calls.clear()
    await node.turn()
    await node.turn(after_s=MINUTE_S)
    assert node.role() is Role.ACTIVE
    assert not {"place", "cancel"} & set(node.rig.calls)


async def test_a_switchover_asked_for_during_a_takeover_is_done_after_it() -> None:
    """Scenario 33, S4: first everything is accounted for, then the lease goes to who is wanted."""
    node = await new_shift_rig(await after_a_holder("90"))
    node.rig.on_call = lambda _name: Fault.UNAVAILABLE
    node.people.successor_id = "jetson"
    node.grant(2)
    await node.turn()
    assert node.role() is Role.TAKEOVER
    node.rig.on_call = lambda _name: Fault.NONE
    await node.turn()
    assert node.role() is Role.ACTIVE
    assert node.lease.released == []
    await node.turn()
    assert [reserved_for for _, reserved_for, _ in node.lease.released] == ["jetson"]
    assert node.people.told[0].startswith("took over 2")


async def test_a_takeover_needs_the_journal_of_a_majority() -> None:
    """S3: an intent that two stores have may be unknown to the third."""
    node = await new_shift_rig(await after_a_holder("90"))
    node.ledger.silent = {"b", "c"}
    node.grant(2)
    await node.turn()
    assert node.role() is Role.TAKEOVER
    node.ledger.silent = {"c"}
    await node.turn()
    assert node.role() is Role.ACTIVE


async def test_a_stop_during_a_takeover_tells_how_long_to_wait() -> None:
    """R10: what the dead holder may have under way is in the drain time."""
    rig = await after_a_holder()
    rig.asked.answer = wanting(buy("b1"))
    rig.on_call = lambda name: Fault.LATE if name == "place" else Fault.NONE
    await rig.turn(MINUTE_S)
    node = await new_shift_rig(rig)
    rig.on_call = lambda name: Fault.UNAVAILABLE if name == "open_orders" else Fault.NONE
    node.grant(2)
    await node.turn(after_s=0.5)
    await node.turn(after_s=0.5, stop="SIGTERM was received")
    [(drain_ms, _, _)] = node.lease.released
    assert 0 < drain_ms <= 5000


async def test_a_wrong_account_gives_the_grant_up_before_anything_is_sent() -> None:
    """R7: the account that the holder published may become known late."""
    node = await new_shift_rig(await after_a_holder("90"))
    node.rig.health.account = "another"
    node.rig.calls.clear()
    node.grant(2)
    await node.turn()
    assert node.role() is Role.STANDBY
    assert "wrong account" in node.lease.released[0][2]
    assert node.rig.calls == []


@pytest.mark.parametrize(("other", "floor"), [(7, 7), (2, 3)])
async def test_a_later_or_equal_epoch_at_the_venue_ends_the_grant(other: int, floor: int) -> None:
    """Deposed whatever the stores say, also by a stranger under this very epoch."""
    rig = await after_a_holder()
    rig.asked.answer = wanting(buy("b1"))
    stranger = Rig(exchange=rig.exchange)
    stranger.asked.answer = wanting(buy("b9", "70"))
    await stranger.start(epoch=other, node_id="raspberrypi")
    await stranger.turn(MINUTE_S)
    node = await new_shift_rig(rig)
    node.grant(2)
    await node.turn()
    assert node.role() is Role.TAKEOVER
    assert node.lease.floors == [floor]
    await node.shift.lose(2, "the floor was raised")
    assert node.role() is Role.STANDBY


@pytest.mark.parametrize(("granted", "floor"), [(3, 5), (5, 6)])
async def test_a_journal_of_an_epoch_that_is_not_older_ends_the_grant(
    granted: int, floor: int
) -> None:
    """Epochs grow: a grant below one that wrote is none, nor is one under the very same.

    Found by simulation: a single store began empty, the next holder had never seen the last
    epoch, no order of it rested at the venue, and two nodes traded under one epoch in turn.
    """
    rig = await after_a_holder("90")
    await rig.start(epoch=5)
    await rig.trader.save_state(rig.seat)
    node = await new_shift_rig(rig)
    node.grant(granted)
    await node.turn()
    assert node.lease.floors == [floor]
    assert node.role() is Role.TAKEOVER


async def test_a_lost_lease_is_fenced_until_nothing_is_in_flight() -> None:
    """An unfinished write keeps the fence; a grant that comes then is taken when it is over."""
    node = await taken_over(await new_shift_rig())
    node.lease.is_settled = False
    await node.shift.lose(2, "no majority")
    assert node.role() is Role.FENCED
    node.grant(3)
    assert node.role() is Role.FENCED
    assert [reason for _, _, reason in node.lease.released] == ["not standing by"]
    node.lease.is_settled = True
    node.grant(4)
    assert node.role() is Role.TAKEOVER
    assert node.people.told[-1] == "gave up 2: no majority"


async def test_the_end_of_an_older_grant_does_not_end_this_one() -> None:
    """Events are late, epochs are not."""
    node = await taken_over(await new_shift_rig(), epoch=6)
    await node.shift.lose(5, "late news")
    assert node.role() is Role.ACTIVE


async def test_a_switchover_reserves_the_lease_and_hangs_up() -> None:
    """R10: gate closed, nothing in flight, journalled, released for the successor."""
    node = await taken_over(await new_shift_rig())
    node.people.successor_id = "raspberrypi"
    await node.turn()
    assert node.role() is Role.STANDBY
    assert node.lease.released == [(0, "raspberrypi", "switchover was asked for")]
    assert node.lease.closed[0] == "switchover was asked for"
    assert node.hung_up == 1
    assert node.shift.trader is None


async def test_a_grant_while_stopping_is_given_back() -> None:
    """Granted too late: nobody waits for a node that ends."""
    node = await new_shift_rig()
    node.grant(2, is_stopping=True)
    assert node.role() is Role.STANDBY
    assert len(node.lease.released) == 1


async def test_a_broken_invariant_halts_and_lets_the_other_node_try() -> None:
    """Our own bug: nothing more is sent from here until a person looked."""
    node = await taken_over(await new_shift_rig())

    def break_it(name: str) -> Fault:
        assert name != "open_orders", "an invariant"
        return Fault.NONE

    node.rig.on_call = break_it
    await node.turn(after_s=MINUTE_S)
    assert node.role() is Role.HALTED
    assert node.rig.health.fatal
    assert [reason for _, _, reason in node.lease.released] == ["halted"]
    assert Kind.ERROR in node.rig.ear.kinds()
    node.grant(3)
    assert len(node.lease.released) == 2


async def test_a_dead_disk_of_an_active_node_is_known() -> None:
    """It is a reason to hand over, and is told: nothing is silent (S5)."""
    node = await taken_over(await new_shift_rig())
    node.rig.asked.answer = wanting(buy("b1"))
    node.rig.disk.before_append = full_disk
    await node.turn(after_s=MINUTE_S)
    assert "full" in node.rig.health.journal_error
    node.rig.disk.before_append = lambda: None
    await node.turn(after_s=MINUTE_S)
    assert node.rig.health.journal_error == ""


async def test_a_difference_of_strategies_is_told_once() -> None:
    """R7: taken over, protected, but nothing new until a person accepts."""
    rig = await after_a_holder("90")
    rig.seat.fingerprint = "other"
    node = await taken_over(await new_shift_rig(rig))
    assert node.people.told[-1] == f"differs 2: {SYMBOL}"
    assert len(rig.exchange.open_orders(SYMBOL)) == 1


async def test_a_store_that_began_again_gets_everything_again() -> None:
    """R8: journal and latches are pushed after each change of incarnation."""
    node = await taken_over(await new_shift_rig(await after_a_holder("90")))
    store = node.rig.ledger.stores[0]
    store.flush()
    node.rig.control.stores = {name: {} for name in node.rig.control.stores}
    await node.shift.push_again()
    trader = node.shift.trader
    assert trader is not None
    assert store.documents == trader.journal.documents()
    assert all("cluster" in records for records in node.rig.control.stores.values())


@pytest.mark.parametrize(
    ("reason", "role", "gap_s"),
    [
        ("released after a crash: it was ended by signal KILL", "active", 5.2),
        ("released after a crash: it was ended by signal KILL", "starting", 2.0),
        ("switchover was asked for", "active", 2.0),
    ],
    ids=["dead since its last beat", "it runs again already", "handed over"],
)
async def test_a_crash_tells_how_long_nobody_traded(
    reason: str, role: str, gap_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S5: a stop hook frees the lease when it has got round to it, not when the process died."""
    node = await new_shift_rig(await after_a_holder("90"))
    other = Member(node_id="raspberrypi", age_s=5.2, role=role, reasons=())
    monkeypatch.setattr(node.rig.watch, "peers", lambda: {other.node_id: other})
    node.grant(2, was_released=True, reason=reason)
    await node.turn(after_s=2.0)
    assert node.role() is Role.ACTIVE
    trader = node.shift.trader
    assert trader is not None
    assert trader.journal.takeovers[2].body["gap_s"] == gap_s


async def test_a_crashing_process_gives_its_lease_back_in_order() -> None:
    """R10, R16: nothing under way, so nothing to wait for; the reason names the crash."""
    node = await taken_over(await new_shift_rig(await after_a_holder("90")))
    await node.shift.give_back("released after a crash: KeyError at node/x.py:f")
    assert node.lease.released == [(0, "", "released after a crash: KeyError at node/x.py:f")]
    assert node.lease.permit.epoch == 0


async def test_a_write_under_way_makes_the_successor_wait_after_a_crash() -> None:
    """A request that does not end is told as the whole window, and waited for a bounded time."""
    node = await taken_over(await new_shift_rig(await after_a_holder("90")))
    node.lease.permit.in_flight = 1
    await asyncio.wait_for(_let_time_pass(node, node.shift.give_back("crash")), 20)
    [(drain_ms, _, _)] = node.lease.released
    timing = node.parts.trader_parts.timing
    assert drain_ms == timing.window_ms + node.parts.trader_parts.effect_tail_ms


@pytest.mark.parametrize("way", ["give_back", "drain", "halt"])
async def test_a_cancel_without_an_answer_makes_the_successor_wait(way: str) -> None:
    """R10: no journal has it, and giving up here stops nothing at the venue."""
    node = await taken_over(await new_shift_rig(await after_a_holder("90")))
    node.lease.permit.lingers_s = 0.7301
    match way:
        case "give_back":
            await node.shift.give_back("crash")
        case "drain":
            await node.shift.drain("switchover", reserved_for="")
        case _:
            await node.shift.halt(ValueError("broken"))
    assert [drain_ms for drain_ms, _, _ in node.lease.released] == [731]


async def test_an_outcome_unknown_makes_the_successor_wait_after_a_crash() -> None:
    """Its deadline has not passed: what was sent may still be accepted."""
    node = await taken_over(await new_shift_rig(await after_a_holder("90")))
    node.rig.on_call = lambda name: Fault.LOST_AFTER if name == "place" else Fault.NONE
    node.rig.asked.answer = wanting(buy("b70", "70"))
    await node.turn(after_s=MINUTE_S)
    await node.shift.give_back("crash")
    [(drain_ms, _, _)] = node.lease.released
    assert 0 < drain_ms <= node.parts.trader_parts.timing.window_ms


async def _let_time_pass(node: ShiftRig, work: Coroutine[Any, Any, None]) -> None:
    """Let the venue's time, which is the rig's monotonic time, go on while something waits."""
    task = asyncio.create_task(work)
    while not task.done():
        node.rig.exchange.now_ms += 100
        await asyncio.sleep(0)
    await task
