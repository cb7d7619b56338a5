"""Trading while active: once a candle, nothing while paused, no calm without a whole pass."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from alerts.model import Kind, Verdict
from alerts.render import render_instant
from exchange.errors import VenueRefused
from exchange.memory_venue import Fault
from exchange.model import Side
from exchange.wanted import TradingMode
from node.bench import money
from node.latches import ACCEPT, LOSS_LIMIT, PAUSE
from strategy.model import SkipKind, Skipped
from tests.support.desk import WIDE_LIMITS
from tests.support.trading_rig import SYMBOL, Rig, buy, wanting

MINUTE_S = 60.0


async def started(**options: object) -> Rig:
    rig = Rig(**options)  # type: ignore[arg-type]
    await rig.start()
    return rig


async def test_a_candle_is_decided_on_once() -> None:
    """A new candle asks the strategy, the same one does not."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"))
    await rig.turn()
    await rig.turn()
    assert len(rig.asked.shown) == 1
    await rig.turn(MINUTE_S)
    assert len(rig.asked.shown) == 2
    assert rig.open_tags() == ["b1"]


async def test_a_stale_list_is_not_decided_on() -> None:
    """The newest candle was seen, the list of candles is older: ask again, decide then."""
    rig = await started()
    await rig.turn()
    old = await rig.venue.candles(SYMBOL, "1m", 3)
    rig.exchange.now_ms += 60_000
    new = await rig.venue.candles(SYMBOL, "1m", 1)
    rig.venue.lists = [new, old]
    await rig.turn()
    assert len(rig.asked.shown) == 1
    await rig.turn()
    assert [m.candles[-1].open_ms for m, _, _ in rig.asked.shown[1:]] == [new[-1].open_ms]


async def test_too_few_candles_skip_and_tell() -> None:
    """A young market is no reason to guess."""
    rig = await started()
    found = await rig.venue.candles(SYMBOL, "1m", 1)
    rig.venue.lists = [found, found]
    await rig.turn()
    assert rig.asked.shown == []
    assert Kind.STRATEGY_SKIPPED in rig.ear.kinds()


async def test_a_skipped_candle_is_told_and_leaves_orders_alone() -> None:
    """An overrun is never a failover, and never a cancel."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"))
    await rig.turn()
    rig.asked.answer = Skipped(kind=SkipKind.OVERRUN, reason="too slow", where="my.py")
    await rig.turn(MINUTE_S)
    assert rig.open_tags() == ["b1"]
    assert rig.ear.kinds().count(Kind.STRATEGY_SKIPPED) == 1
    (event,) = [e for e in rig.ear.events if e.kind is Kind.STRATEGY_SKIPPED]
    assert event.facts["candle"] == render_instant(rig.seat.candle_open_ms)


async def test_a_paused_holder_reconciles_and_sends_nothing() -> None:
    """R7: it keeps the lease, counts fills, and leaves every order as it is."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"), buy("b2", "80"))
    await rig.turn()
    await rig.turn()
    rig.asked.answer = wanting(buy("b3", "70"))
    await rig.watch.put(PAUSE, {"is_paused": True}, reason="test")
    rig.exchange.move_price(SYMBOL, Decimal(85))
    rig.calls.clear()
    await rig.turn(MINUTE_S)
    assert rig.trader.journal.position(SYMBOL).position.amount > 0
    assert not {"place", "cancel"} & set(rig.calls)
    await rig.watch.put(PAUSE, {"is_paused": False}, reason="test")
    for _ in range(4):
        await rig.turn()
    assert rig.open_tags() == ["b3"]


async def test_a_pause_in_the_middle_of_a_plan_ends_it() -> None:
    """What was answered with "nothing new is sent" holds for the next order already."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"), buy("b2", "80"), buy("b3", "70"))

    def pause_at_first(name: str) -> Fault:
        if name == "place":
            latches = rig.watch.latches
            paused = replace(
                latches.records["cluster"], kind=PAUSE, value={"is_paused": True}, version=9
            )
            rig.watch.latches = replace(latches, records={**latches.records, PAUSE: paused})
        return Fault.NONE

    rig.on_call = pause_at_first
    await rig.turn()
    assert rig.calls.count("place") == 1


async def test_an_unaccepted_strategy_only_cancels_and_while_paused_not_even_that() -> None:
    """R7: protect, reconcile, cancel; but a pause is stronger than a difference."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"), buy("b2", "80"))
    await rig.turn()
    rig.seat.spent |= {"b2"}
    await rig.trader.save_state(rig.seat)
    rig.seat.fingerprint = "other"
    await rig.watch.put(PAUSE, {"is_paused": True}, reason="test")
    active = await rig.start(epoch=2)
    assert active.modes() == {}
    rig.calls.clear()
    await rig.turn(MINUTE_S)
    assert not {"place", "cancel"} & set(rig.calls)
    await rig.watch.put(PAUSE, {"is_paused": False}, reason="test")
    assert active.modes() == {SYMBOL: TradingMode.CANCEL_ONLY}
    asked = len(rig.asked.shown)
    await rig.turn(MINUTE_S)
    await rig.turn()
    assert rig.open_tags() == ["b1"]
    assert len(rig.asked.shown) == asked
    await rig.watch.put(ACCEPT, {"fingerprint": "bench"}, reason="test")
    await rig.turn(MINUTE_S)
    assert len(rig.asked.shown) == asked + 1


async def test_a_refused_key_stays_trouble_until_a_whole_pass_worked() -> None:
    """Public candles prove nothing about the signed link; one episode is one message."""
    rig = await started()
    await rig.turn()

    def refuse(name: str) -> Fault:
        if name == "open_orders":
            raise VenueRefused("invalid API key", code="-2015")
        return Fault.NONE

    rig.on_call = refuse
    await rig.turn(20)
    for _ in range(40):
        await rig.turn()
        assert rig.health.venue_error
    told = [event for event in rig.ear.events if event.kind is Kind.ERROR]
    assert [event.verdict for event in told] == [Verdict.ACT]
    assert rig.calls.count("open_orders") < 10, "what was refused is not asked in a hurry"
    rig.on_call = lambda _name: Fault.NONE
    await rig.turn(20)
    assert rig.health.venue_error == ""


async def test_a_paused_holder_without_a_venue_tells_once() -> None:
    """A cycle that asks nothing is no proof that the venue is back."""
    rig = await started()
    await rig.watch.put(PAUSE, {"is_paused": True}, reason="test")
    await rig.turn()
    rig.on_call = lambda _name: Fault.UNAVAILABLE
    for _ in range(60):
        await rig.turn(1)
    assert rig.ear.kinds().count(Kind.ERROR) == 1
    assert rig.health.venue_error


def loss_of(rig: Rig, amount: str) -> None:
    """Let the cluster's own fills realise a loss."""
    position = rig.trader.journal.position(SYMBOL)
    day = "2023-11-14"
    assert rig.exchange.now_ms // 1000 < 1_700_006_400, "still that day"
    lost = replace(position.position, realised_quote=-Decimal(amount), day=day)
    edited = rig.trader.journal.edit(
        epoch=rig.trader.epoch, positions=[replace(position, position=lost)]
    )
    rig.trader.writer.adopt(*edited)


async def test_the_loss_limit_latches_and_a_person_lifts_it_for_one_more_limit() -> None:
    """S6: never lifted by a node; lifted by a person it does not latch again at once."""
    rig = await started()
    rig.trader.parts = replace(
        rig.trader.parts, limits=replace(rig.limits, daily_loss_limit=Decimal(30))
    )
    loss_of(rig, "31")
    rig.asked.answer = wanting(buy("b1"))
    await rig.turn()
    assert rig.watch.latches.is_loss_latched
    assert rig.exchange.accepted == []
    assert rig.ear.kinds().count(Kind.LOSS_LIMIT) == 1
    (event,) = [e for e in rig.ear.events if e.kind is Kind.LOSS_LIMIT]
    position = rig.trader.journal.position(SYMBOL).position
    assert event.facts["position"] == f"{money(position.amount)} {SYMBOL}"
    assert event.facts["orders_left"] == "0"
    value: Mapping[str, object] = rig.watch.latches.records[LOSS_LIMIT].value
    await rig.watch.put(LOSS_LIMIT, {**value, "is_latched": False}, reason="a person")
    await rig.turn(20)
    assert rig.watch.latches.records[LOSS_LIMIT].value["is_latched"] is False
    assert len(rig.exchange.accepted) == 1
    loss_of(rig, "61")
    await rig.turn(20)
    assert rig.watch.latches.is_loss_latched
    assert rig.ear.kinds().count(Kind.LOSS_LIMIT) == 2


async def test_no_new_risk_before_a_lost_holders_orders_can_no_longer_act() -> None:
    """R9: after an unclean takeover new risk waits for the venue's effect tail."""
    rig = await started()
    rig.active.quiet_until_s = rig.now_s() + 10
    rig.asked.answer = wanting(buy("b1"))
    await rig.turn()
    assert rig.exchange.accepted == []
    await rig.turn(20)
    assert [o.side for o in rig.exchange.orders.values()] == [Side.BUY]


async def test_a_later_epoch_at_the_venue_ends_the_pass() -> None:
    """Deposed, whatever the stores say: nothing is sent."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"))
    await rig.turn()
    other = Rig(exchange=rig.exchange, ledger=rig.ledger)
    await other.start(epoch=5, node_id="raspberrypi")
    other.asked.answer = wanting(buy("b9", "70"))
    await other.turn(MINUTE_S)
    await other.turn()
    rig.calls.clear()
    await rig.turn(20)
    assert rig.active.deposed_by == 5
    assert not {"place", "cancel"} & set(rig.calls)


async def test_the_strategy_is_shown_what_works_at_the_venue() -> None:
    """Position, orders and balances are those of the last pass."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"))
    await rig.turn()
    await rig.turn(20)
    await rig.turn(MINUTE_S)
    _, portfolio, _ = rig.asked.shown[-1]
    assert [order.tag for order in portfolio.orders] == ["b1"]
    assert portfolio.quote_free > 0


async def test_an_order_that_stays_unclear_is_told_once() -> None:
    """It blocks its symbol: a person must hear of it, also when it was never lost (S5)."""
    rig = await started()
    rig.asked.answer = wanting(buy("b1"))
    await rig.turn()
    rig.exchange.move_price(SYMBOL, Decimal(80))
    rig.on_call = lambda name: Fault.STALE if name == "fills" else Fault.NONE
    for _ in range(60):
        await rig.turn()
    assert rig.ear.kinds().count(Kind.ORDER_UNKNOWN) == 1


async def test_an_order_that_a_risk_limit_keeps_back_is_told_once() -> None:
    """Not in the log alone: the strategy wants it, nothing is sent, and a person hears why."""
    rig = Rig(limits=replace(WIDE_LIMITS, max_order_value=Decimal(50)))
    rig.asked.answer = wanting(buy("b1"))
    await rig.start()
    for _ in range(3):
        await rig.turn(after_s=20)
    assert rig.open_tags() == []
    (event,) = [e for e in rig.ear.events if e.kind is Kind.ORDER_REJECTED]
    assert event.facts["refused_by"] == "the risk limits"
    assert "max_order_value was 90" in event.facts["reason"]
    assert (event.facts["strategy"], event.facts["tag"]) == ("grid", "b1")
