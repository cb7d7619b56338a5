"""One active node over in-memory venue, ledger and boards: production parts, fake edges only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

from alerts.model import AlertEvent, Kind
from election.model import NodeId
from election.redis_control import ControlBoard
from election.redis_members import MemberBoard
from exchange.journal import merge
from exchange.journal_file import JournalFile
from exchange.journal_writer import JournalWriter
from exchange.memory_ledger import MemoryLedger, MemoryStore
from exchange.memory_venue import Fault, MemoryExchange, MemoryVenue
from exchange.model import Candle, Side
from exchange.orders import PathTiming
from exchange.risk import RiskLimits
from node.active import Active
from node.bench import Seat
from node.cluster_watch import ClusterWatch
from node.early_look import EarlyLook
from node.health import Health
from node.reporter import Reporter
from node.teller import Teller
from node.trader import Trader, TraderParts
from strategy.loading import LoadedStrategy
from strategy.model import Decision, DesiredOrder, Market, Portfolio, Skipped
from strategy.worker import StrategyWorker
from tests.support.desk import WIDE_LIMITS, ManualPermit, MemoryDisk
from tests.support.memory_boards import MemoryControl, MemoryMembers

SYMBOL = "ETH/USDT"
PRICE = Decimal(100)


class Cards:
    """The own copy of the latches, in memory; `JournalFile` by shape."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}

    def replace_all(self, texts: Mapping[str, str]) -> bool:
        self.documents = dict(texts)
        return True

    def close(self) -> None:
        """Nothing to close."""


class Ear:
    """Hears every alert; `AlertPath` by shape."""

    def __init__(self) -> None:
        self.events: list[AlertEvent] = []

    async def put_soon(self, event: AlertEvent) -> bool:
        self.events.append(event)
        return True

    def kinds(self) -> list[Kind]:
        return [event.kind for event in self.events]


class Asked:
    """A strategy's worker that answers what the test says and remembers what it was shown."""

    def __init__(self) -> None:
        self.answer: Decision | Skipped = Decision()
        self.shown: list[tuple[Market, Portfolio, Mapping[str, object]]] = []

    async def decide(
        self, market: Market, portfolio: Portfolio, state: Mapping[str, object]
    ) -> Decision | Skipped:
        self.shown.append((market, portfolio, state))
        return self.answer


class HandyVenue(MemoryVenue):
    """A venue whose calls the test can name errors for, and whose candles it can replace."""

    def __init__(self, exchange: MemoryExchange, **options: Callable[[str], Fault]) -> None:
        super().__init__(exchange, **options)
        self.lists: list[tuple[Candle, ...]] = []
        self.candle_calls = self.clock_calls = 0

    async def measure_clock(self) -> float:
        self.clock_calls += 1
        return await super().measure_clock()

    async def candles(self, symbol: str, timeframe: str, limit: int) -> tuple[Candle, ...]:
        self.candle_calls += 1
        found = await super().candles(symbol, timeframe, limit)
        return self.lists.pop(0) if self.lists else found


def buy(tag: str, price: str = "90", amount: str = "1") -> DesiredOrder:
    return DesiredOrder(tag=tag, side=Side.BUY, amount=Decimal(amount), price=Decimal(price))


def wanting(*orders: DesiredOrder, target: Decimal | None = None) -> Decision:
    return Decision(target=target, orders=orders)


@dataclass(slots=True)
class Rig:
    """What outlives a grant, and the parts of the present one. Time is the exchange's."""

    exchange: MemoryExchange = field(default_factory=lambda: MemoryExchange({SYMBOL: PRICE}))
    control: MemoryControl = field(default_factory=MemoryControl)
    ledger: MemoryLedger = field(
        default_factory=lambda: MemoryLedger([MemoryStore(name) for name in "abc"])
    )
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    ear: Ear = field(default_factory=Ear)
    asked: Asked = field(default_factory=Asked)
    health: Health = field(default_factory=Health)
    limits: RiskLimits = WIDE_LIMITS
    on_call: Callable[[str], Fault] = lambda _name: Fault.NONE
    watch: ClusterWatch = field(init=False)
    reporter: Reporter = field(init=False)
    venue: HandyVenue = field(init=False)
    seat: Seat = field(init=False)
    permit: ManualPermit = field(init=False)
    trader: Trader = field(init=False)
    active: Active = field(init=False)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = ClusterWatch(
            control=cast("ControlBoard", self.control),
            board=cast("MemberBoard", MemoryMembers()),
            disk=cast("JournalFile", Cards()),
            is_marked_new=lambda: False,
            node_id=NodeId("jetson"),
            nonce="n1",
            body=dict,
            wall_ms=lambda: self.exchange.now_ms,
            monotonic_s=self.now_s,
        )
        teller = Teller(
            self.ear,
            cluster="test",
            node_id="jetson",
            epoch=lambda: 1,
            wall_ms=lambda: self.exchange.now_ms,
        )
        self.reporter = Reporter(teller, strategies={SYMBOL: "grid"})
        self.venue = HandyVenue(self.exchange, on_call=self._on_call)
        declaration = SimpleNamespace(name="grid", wants_fills=False, history=3)
        strategy = SimpleNamespace(declaration=declaration, parameters={})
        self.seat = Seat(
            symbol=SYMBOL,
            strategy=cast("LoadedStrategy", strategy),
            worker=cast("StrategyWorker", self.asked),
            fingerprint="mine",
            timeframe="1m",
        )

    def now_s(self) -> float:
        return self.exchange.now_ms / 1000

    def _on_call(self, name: str) -> Fault:
        self.calls.append(name)
        return self.on_call(name)

    async def start(self, *, epoch: int = 1, node_id: str = "jetson") -> Active:
        """Grant an epoch; the cluster has a control record, so it is not paused."""
        if not self.watch.latches.records:
            await self.watch.put("cluster", {"born_ms": 0}, reason="test")
        self.ledger.grant(epoch)
        self.permit = ManualPermit(epoch=epoch)
        merged = merge([(store.name, store.documents) for store in self.ledger.stores])
        writer = JournalWriter(merged.journal, epoch=epoch, ledger=self.ledger, disk=self.disk)
        self.trader = Trader(self.trader_parts(node_id), writer=writer)
        self.seat.load_body(self.trader.journal.state(SYMBOL))
        self.active = Active(
            trader=self.trader,
            watch=self.watch,
            health=self.health,
            reporter=self.reporter,
            fingerprint="bench",
            pass_interval_s=15.0,
            monotonic_s=self.now_s,
        )
        return self.active

    def trader_parts(self, node_id: str = "jetson") -> TraderParts:
        async def warm() -> bool:
            return True

        return TraderParts(
            venue=self.venue,
            gateway=self.venue,
            warm=warm,
            permit=self.permit,
            seats=(self.seat,),
            limits=self.limits,
            timing=PathTiming(),
            cluster_id="test-desk",
            node_id=node_id,
            effect_tail_ms=0,
            is_disk_optional=True,
            reporter=self.reporter,
            on_step=lambda _label: None,
            wall_ms=lambda: self.exchange.now_ms,
            monotonic_s=self.now_s,
        )

    def early_look(self) -> EarlyLook:
        """Return what a spare looks with."""
        return EarlyLook(
            self.trader_parts("raspberrypi"),
            born_ms=lambda: 0,
            venue_now_ms=lambda: self.exchange.now_ms,
        )

    async def turn(self, after_s: float = 2.0) -> None:
        """Let time pass, do one cycle, hand alerts on."""
        self.exchange.now_ms += int(after_s * 1000)
        await self.active.cycle()
        await self.reporter.flush()

    def open_tags(self) -> list[str]:
        """Return the tags of the orders that work at the venue."""
        ids = {o.client_order_id for o in self.exchange.open_orders(SYMBOL)}
        intents = self.trader.journal.intents.values()
        return sorted(r.intent.tag for r in intents if r.client_order_id in ids)
