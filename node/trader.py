"""One grant's hands: look (snapshot → reconcile → journal) and act (plan → execute).

Takeover and steady state use the same two calls; only the mode differs. A trader belongs to one
epoch; a new grant needs a new one. It decides neither when to look nor what is wanted.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from exchange.executor import Execution, execute
from exchange.findings import Findings, Resolved
from exchange.identity import cluster_tag, node_tag
from exchange.intents import TARGET_TAG
from exchange.journal import Journal
from exchange.journal_writer import JournalWriter
from exchange.model import (
    ClientOrderId,
    MarketRules,
    Snapshot,
    Ticker,
    WriteOutcome,
    WriteResult,
)
from exchange.orders import OrderPath, PathTiming
from exchange.plan import make_plan
from exchange.ports import Gateway, Permit, Venue
from exchange.reconcile import ReconcileInput, reconcile
from exchange.risk import RiskLimits
from exchange.snapshot import take_snapshot
from exchange.steps import Place, Plan, Skip, Step
from exchange.wanted import PlanInput, TradingMode
from node.bench import Seat
from node.logs import log_event
from node.reporter import Reporter

# The cluster's birth was stamped by a board's wall clock, which may be off by hours at boot.
BIRTH_SLACK_MS = 86_400_000
# Bound of the memory of steps that were logged; clearing it only repeats some lines.
TOLD_STEPS_MAX = 1000
# aiohttp closes connections that were idle for 15 s; home routers forget them later.
IDLE_S = 15.0
# The venue changes steps and smallest orders now and then, and tells it days before.
RULES_S = 3600.0
# How plan steps begin the reason when a risk limit keeps an order back.
RISK = "risk: "
# The latch itself was told, with what lifts it.
TOLD_ELSEWHERE = frozenset({"daily_loss_limit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderParts:
    """What every grant of this node trades with."""

    venue: Venue
    gateway: Gateway
    warm: Callable[[], Awaitable[bool]]
    permit: Permit
    seats: tuple[Seat, ...]
    limits: RiskLimits
    timing: PathTiming
    cluster_id: str
    node_id: str
    effect_tail_ms: int
    is_disk_optional: bool
    reporter: Reporter
    on_step: Callable[[str], None]
    wall_ms: Callable[[], int]
    monotonic_s: Callable[[], float]


class Trader:
    """Looks at the venue and acts there, under one epoch."""

    def __init__(
        self,
        parts: TraderParts,
        *,
        writer: JournalWriter,
        absences: Mapping[ClientOrderId, int] | None = None,
    ) -> None:
        """Begin with the merged journal of a new grant.

        Args:
            parts: of this node.
            writer: of this grant.
            absences: what a look before the grant had missed (early_look.py).
        """
        self.parts = parts
        self.writer = writer
        self.epoch = writer.epoch
        self.snapshot: Snapshot | None = None
        self.rules: dict[str, MarketRules] = {}
        self._rules_at_s: dict[str, float] = {}
        self._absences: Mapping[ClientOrderId, int] = absences or {}
        self._told_steps: set[str] = set()
        self._wrote_at_s = float("-inf")
        self.last_order_ms = 0  # wall time of the last placement that was sent, for people
        self._cluster_tag = cluster_tag(parts.cluster_id)
        self._node_tag = node_tag(parts.node_id)
        self.path = OrderPath(
            writer=writer,
            permit=parts.permit,
            gateway=parts.gateway,
            limits=parts.limits,
            venue_now_ms=parts.venue.venue_now_ms,
            clock_s=parts.monotonic_s,
            is_disk_optional=parts.is_disk_optional,
            timing=parts.timing,
            observe=parts.reporter.order_event,
        )

    @property
    def journal(self) -> Journal:
        """The journal as this process knows it."""
        return self.writer.journal

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the configured strategies."""
        return tuple(seat.symbol for seat in self.parts.seats)

    async def look(self, *, born_ms: int) -> Findings:
        """Make one reconcile pass and journal what it found.

        Args:
            born_ms: wall time of the cluster's first start, 0 when unknown.

        Raises:
            VenueUnavailable: there is no trusted picture; nothing may be done on half of one.
            VenueRefused: a person must act.
        """
        born_venue_ms = max(0, born_ms - BIRTH_SLACK_MS)
        snapshot = await take_snapshot(
            self.parts.venue, self.journal, self.symbols, born_venue_ms=born_venue_ms
        )
        self.snapshot = snapshot
        findings = reconcile(
            ReconcileInput(
                journal=self.journal,
                snapshot=snapshot,
                cluster_tag=self._cluster_tag,
                node_tag=self._node_tag,
                my_epoch=self.epoch,
                effect_tail_ms=self.parts.effect_tail_ms,
                absences=self._absences,
                born_venue_ms=born_venue_ms,
            )
        )
        self._absences = findings.absences
        if findings.deposed_by is not None:
            return findings
        self.writer.adopt(findings.journal, findings.change)
        # In the same write as the closed orders: between two writes a crash would leave a filled
        # order wanted, and the next holder would place it again.
        for seat in self._spend_filled(findings):
            edited = self.journal.edit(epoch=self.epoch, states={seat.symbol: seat.to_body()})
            self.writer.adopt(*edited)
        if self.writer.is_owing:
            await self.flush()
        self.parts.reporter.findings(findings, epoch=self.epoch)
        return findings

    async def act(
        self,
        findings: Findings,
        *,
        mode: TradingMode,
        modes: Mapping[str, TradingMode],
        is_loss_latched: bool,
        why_stop: Callable[[], str] = str,
    ) -> tuple[Plan, Execution]:
        """Plan and execute what is wanted now; a reason of `why_stop` ends it before a write.

        Raises:
            VenueUnavailable, VenueRefused: prices or rules could not be read; nothing was sent.
        """
        tickers: dict[str, Ticker] = {}
        for seat in self.parts.seats:
            if seat.wanted is not None:
                await self.rules_of(seat.symbol)
                tickers[seat.symbol] = await self.parts.venue.ticker(seat.symbol)
        plan = make_plan(
            PlanInput(
                wanted={s.symbol: s.wanted for s in self.parts.seats if s.wanted is not None},
                findings=findings,
                rules=self.rules,
                tickers=tickers,
                limits=self.parts.limits,
                cluster_tag=self._cluster_tag,
                node_tag=self._node_tag,
                node_id=self.parts.node_id,
                epoch=self.epoch,
                first_counter=self.path.next_counter,
                now_wall_ms=self.parts.wall_ms(),
                orders_last_minute=self.path.orders_last_minute,
                mode=mode,
                modes=modes,
                is_loss_latched=is_loss_latched,
            )
        )
        if plan.writes and self.parts.monotonic_s() - self._wrote_at_s > IDLE_S:
            # A kept connection may have died; a TLS handshake would eat the write's one second.
            await self.parts.warm()
        execution = await execute(plan, self.path, on_step=self._note_step, why_stop=why_stop)
        for symbol, tag in execution.rejected:
            self._spend(symbol, tag)
            # Perhaps a filter changed: the next order is made by the present ones.
            self._rules_at_s.pop(symbol, None)
        return plan, execution

    async def rules_of(self, symbol: str) -> MarketRules:
        """Return a symbol's market rules: read once an hour, and after an order was refused."""
        now_s = self.parts.monotonic_s()
        if now_s - self._rules_at_s.get(symbol, float("-inf")) > RULES_S:
            self.rules[symbol] = await self.parts.venue.market_rules(symbol)
            self._rules_at_s[symbol] = now_s
        return self.rules[symbol]

    async def save_state(self, seat: Seat) -> None:
        """Journal what a seat wants and its strategy's state."""
        edited = self.journal.edit(epoch=self.epoch, states={seat.symbol: seat.to_body()})
        self.writer.adopt(*edited)
        await self.flush()

    async def flush(self) -> None:
        """Write what is owed to stores and disk; what is not taken stays owed and is logged."""
        written = await self.writer.flush()
        if not written.is_accepted:
            log_event("ledger.refused", reason=written.ledger_reason)
        if not written.is_on_disk:
            log_event("journal.failed", reason=written.disk_reason)

    def _spend_filled(self, findings: Findings) -> list[Seat]:
        """Spend the tags that were filled; return the seats that changed."""
        before = [(seat, seat.spent) for seat in self.parts.seats]
        for found in findings.resolved:
            if found.outcome is Resolved.FILLED and found.tag != TARGET_TAG:
                self._spend(found.symbol, found.tag)
        return [seat for seat, spent in before if seat.spent != spent]

    def _spend(self, symbol: str, tag: str) -> None:
        # A symbol that is no longer configured has orders left but no seat.
        for seat in self.parts.seats:
            if seat.symbol == symbol:
                seat.spent |= {tag}

    def _note_step(self, step: Step, result: WriteResult | None) -> None:
        self.parts.on_step(f"plan step {type(step).__name__.lower()}")
        if result is not None:
            self._wrote_at_s = self.parts.monotonic_s()
            if isinstance(step, Place) and result.outcome is not WriteOutcome.NOT_SENT:
                self.last_order_ms = self.parts.wall_ms()
        text = step.render()
        if isinstance(step, Skip):
            self._tell_refused(step)
        # What is only noted (keep, skip, block, resolve) says the same in every pass: once.
        if result is None and text in self._told_steps:
            return
        outcome = "" if result is None else result.outcome.value
        log_event("plan.step", step=text, outcome=outcome)
        if result is None:
            self._told_steps.add(text)
            if len(self._told_steps) > TOLD_STEPS_MAX:
                self._told_steps.clear()

    def _tell_refused(self, step: Skip) -> None:
        if not step.reason.startswith(RISK):
            return
        why = step.reason.removeprefix(RISK)
        limit = why.partition(" ")[0]
        if limit not in TOLD_ELSEWHERE:
            self.parts.reporter.refused(step, limit=limit, why=why, epoch=self.epoch)
