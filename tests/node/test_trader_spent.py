"""A filled order is spent in the same write that closes it: the next holder must not repeat it."""

from decimal import Decimal
from types import SimpleNamespace
from typing import cast

from exchange.journal import merge
from exchange.journal_writer import JournalWriter
from exchange.memory_ledger import MemoryLedger, MemoryStore
from exchange.memory_venue import MemoryExchange, MemoryVenue
from exchange.model import Side
from exchange.orders import PathTiming
from exchange.wanted import TradingMode
from node.bench import Seat
from node.reporter import Reporter
from node.trader import Trader, TraderParts
from strategy.loading import LoadedStrategy
from strategy.model import Decision, DesiredOrder
from strategy.worker import StrategyWorker
from tests.support.desk import WIDE_LIMITS, ManualPermit, MemoryDisk

SYMBOL = "ETH/USDT"


async def nothing_to_warm() -> bool:
    return True


def make_trader(
    exchange: MemoryExchange, ledger: MemoryLedger, *, epoch: int, node_id: str
) -> tuple[Trader, Seat]:
    ledger.grant(epoch)
    link = MemoryVenue(exchange)
    declaration = SimpleNamespace(name="grid")
    seat = Seat(
        symbol=SYMBOL,
        strategy=cast("LoadedStrategy", SimpleNamespace(declaration=declaration)),
        worker=cast("StrategyWorker", None),
        fingerprint="f",
        timeframe="1m",
    )
    quiet = SimpleNamespace(
        order_event=lambda _event: None, findings=lambda _findings, epoch: epoch
    )
    parts = TraderParts(
        venue=link,
        gateway=link,
        warm=nothing_to_warm,
        permit=ManualPermit(epoch=epoch),
        seats=(seat,),
        limits=WIDE_LIMITS,
        timing=PathTiming(),
        cluster_id="test-desk",
        node_id=node_id,
        effect_tail_ms=0,
        is_disk_optional=True,
        reporter=cast("Reporter", quiet),
        on_step=lambda _step: None,
        wall_ms=lambda: exchange.now_ms,
        monotonic_s=lambda: exchange.now_ms / 1000,
    )
    merged = merge([(store.name, store.documents) for store in ledger.stores])
    writer = JournalWriter(merged.journal, epoch=epoch, ledger=ledger, disk=MemoryDisk())
    trader = Trader(parts, writer=writer)
    seat.load_body(trader.journal.state(SYMBOL))
    return trader, seat


async def one_pass(trader: Trader) -> None:
    findings = await trader.look(born_ms=0)
    await trader.act(findings, mode=TradingMode.NORMAL, modes={}, is_loss_latched=False)


async def test_a_filled_order_is_not_placed_again_by_the_next_holder() -> None:
    """Wanted until the next decision, but filled: only a new decision may want it again (S3)."""
    exchange = MemoryExchange({SYMBOL: Decimal(100)})
    ledger = MemoryLedger([MemoryStore(name) for name in "abc"])
    trader, seat = make_trader(exchange, ledger, epoch=1, node_id="jetson")
    order = DesiredOrder(tag="b1", side=Side.BUY, amount=Decimal(1), price=Decimal(99))
    seat.decision = Decision(orders=(order,))
    await trader.save_state(seat)
    await one_pass(trader)
    exchange.move_price(SYMBOL, Decimal(98))
    await trader.look(born_ms=0)  # sees the fill, closes the order, and dies
    successor, _ = make_trader(exchange, ledger, epoch=2, node_id="raspberrypi")
    for _ in range(3):
        exchange.now_ms += 2000
        await one_pass(successor)
    assert len(exchange.accepted) == 1
    assert successor.journal.position(SYMBOL).position.amount == Decimal("0.999")
