"""A trading desk for tests: one grant of one node over in-memory stores, disk and venue.

It does what the node's work loop does with exchange/, in the same order and with the production
parts: merge, reconcile, write, plan, execute. Nothing here decides anything of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from exchange.errors import JournalError
from exchange.executor import Execution, execute
from exchange.findings import Findings, Resolved
from exchange.identity import cluster_tag, node_tag
from exchange.journal import Merged, merge
from exchange.journal_writer import JournalWriter
from exchange.memory_ledger import MemoryLedger
from exchange.memory_venue import MemoryExchange, MemoryVenue
from exchange.orders import OrderEvent, OrderPath, ignore_event
from exchange.plan import make_plan
from exchange.reconcile import ReconcileInput, reconcile
from exchange.risk import RiskLimits
from exchange.snapshot import take_snapshot
from exchange.steps import Plan
from exchange.wanted import PlanInput, TradingMode, Wanted

CLUSTER = cluster_tag("test-desk")
EFFECT_TAIL_MS = 2000
WIDE_LIMITS = RiskLimits(
    max_order_value=Decimal(100_000),
    max_position_value=Decimal(1_000_000),
    max_open_orders=1000,
    max_orders_per_minute=10_000,
    price_band_percent=Decimal(50),
    daily_loss_limit=Decimal(1_000_000),
)


class MemoryDisk:
    """A node's own copy; `before_append` may raise JournalError."""

    def __init__(self, before_append: Callable[[], None] = lambda: None) -> None:
        self.documents: dict[str, str] = {}
        self.before_append = before_append

    def append(self, *, puts: Mapping[str, str], deletes: tuple[str, ...]) -> None:
        self.before_append()
        self.documents.update(puts)
        for key in deletes:
            self.documents.pop(key, None)


def full_disk() -> None:
    raise JournalError("the disk is full: free space")


@dataclass(slots=True)
class ManualPermit:
    """A permit that ends when the test says so; satisfies exchange.ports.Permit."""

    epoch: int
    left_s: float = 4.0
    writes: int = 0

    def remaining_s(self) -> float:
        return self.left_s

    def begin_write(self, *, epoch: int, needed_s: float) -> bool:
        is_open = epoch == self.epoch and self.left_s >= needed_s
        self.writes += is_open
        return is_open

    def end_write(self, *, lingers_s: float = 0.0) -> None:
        self.writes -= 1


@dataclass(slots=True)
class Desk:
    """One grant of one node."""

    exchange: MemoryExchange
    venue: MemoryVenue
    ledger: MemoryLedger
    disk: MemoryDisk
    epoch: int
    node_id: str
    limits: RiskLimits = WIDE_LIMITS
    is_disk_optional: bool = True
    observe: Callable[[OrderEvent], None] = ignore_event
    permit: ManualPermit = field(init=False)
    writer: JournalWriter = field(init=False)
    path: OrderPath = field(init=False)
    merged: Merged = field(init=False)
    absences: dict[str, int] = field(default_factory=dict)
    spent: dict[str, frozenset[str]] = field(default_factory=dict)

    def take_over(self, *copies: tuple[str, Mapping[str, str]]) -> None:
        """Merge stores, own disk and further copies; bind the write path."""
        stores = [(f"store {n}", d) for n, d in enumerate(self.ledger.read())]
        self.merged = merge([*stores, ("own disk", self.disk.documents), *copies])
        self.permit = ManualPermit(epoch=self.epoch)
        self.writer = JournalWriter(
            self.merged.journal,
            epoch=self.epoch,
            ledger=self.ledger,
            disk=self.disk,
            stale_keys=[f"intent:{i}" for i in self.merged.dropped],
        )
        self.path = OrderPath(
            writer=self.writer,
            permit=self.permit,
            gateway=self.venue,
            limits=self.limits,
            venue_now_ms=self.venue.venue_now_ms,
            clock_s=lambda: self.exchange.now_ms / 1000,
            is_disk_optional=self.is_disk_optional,
            observe=self.observe,
        )

    async def look(self) -> Findings:
        """Snapshot, reconcile, write."""
        snapshot = await take_snapshot(self.venue, self.writer.journal, self.exchange.prices)
        findings = reconcile(
            ReconcileInput(
                journal=self.writer.journal,
                snapshot=snapshot,
                cluster_tag=CLUSTER,
                node_tag=node_tag(self.node_id),
                my_epoch=self.epoch,
                effect_tail_ms=EFFECT_TAIL_MS,
                absences=self.absences,  # type: ignore[arg-type]
            )
        )
        self.absences = dict(findings.absences)  # type: ignore[arg-type]
        await self.writer.write(findings.journal, findings.change)
        for item in findings.resolved:
            if item.outcome in {Resolved.FILLED, Resolved.REJECTED} and item.tag != "target":
                held = self.spent.get(item.symbol, frozenset())
                self.spent[item.symbol] = held | {item.tag}
        return findings

    async def plan(
        self,
        findings: Findings,
        wanted: Mapping[str, Wanted],
        mode: TradingMode = TradingMode.NORMAL,
    ) -> Plan:
        """Make the plan of one pass."""
        return make_plan(
            PlanInput(
                wanted={
                    s: replace(w, spent=w.spent | self.spent.get(s, frozenset()))
                    for s, w in wanted.items()
                },
                findings=findings,
                rules={s: self.exchange.rules(s) for s in self.exchange.prices},
                tickers={s: await self.venue.ticker(s) for s in self.exchange.prices},
                limits=self.limits,
                cluster_tag=CLUSTER,
                node_tag=node_tag(self.node_id),
                node_id=self.node_id,
                epoch=self.epoch,
                first_counter=self.path.next_counter,
                now_wall_ms=self.exchange.now_ms,
                orders_last_minute=self.path.orders_last_minute,
                mode=mode,
            )
        )

    async def pass_once(self, wanted: Mapping[str, Wanted]) -> tuple[Findings, Plan, Execution]:
        """Do one whole pass of the work loop."""
        findings = await self.look()
        plan = await self.plan(findings, wanted)
        return findings, plan, await execute(plan, self.path)

    async def settle(self, wanted: Mapping[str, Wanted], *, passes_max: int = 30) -> Findings:
        """Pass until nothing is left to do; two seconds of venue time go by in between.

        Raises:
            AssertionError: it never comes to rest.
        """
        for _ in range(passes_max):
            findings, plan, done = await self.pass_once(wanted)
            self.exchange.now_ms += 2000
            if findings.is_clear and not plan.writes and not done.needs_new_pass:
                return findings
        raise AssertionError(f"did not settle: {plan.render()}")


def new_desk(
    exchange: MemoryExchange,
    ledger: MemoryLedger,
    *,
    epoch: int = 1,
    node_id: str = "jetson",
    venue: MemoryVenue | None = None,
    disk: MemoryDisk | None = None,
    observe: Callable[[OrderEvent], None] = ignore_event,
) -> Desk:
    """Grant an epoch to a node; `take_over` comes next."""
    ledger.grant(epoch)
    return Desk(
        exchange=exchange,
        venue=venue or MemoryVenue(exchange),
        ledger=ledger,
        disk=disk or MemoryDisk(),
        epoch=epoch,
        node_id=node_id,
        observe=observe,
    )
