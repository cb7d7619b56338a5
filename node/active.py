"""Trading while active: new candles → decisions → plan → execution, and a look at the venue.

Rules of this file: one cycle is a chain of bounded steps, each of which counts as progress; what
the venue does badly ends a cycle, never the process; nothing is decided on candles that were
already decided on. It is called by the work loop at its pace and keeps no task of its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from alerts.model import Kind, Verdict
from alerts.render import render_instant
from exchange.errors import VenueError, VenueRefused
from exchange.findings import Findings
from exchange.model import ZERO, Candle, Position
from exchange.positions import assets_of, utc_day
from exchange.risk import LossLatch, check_daily_loss
from exchange.wanted import TradingMode
from node.bench import Seat, money
from node.cluster_watch import ClusterWatch
from node.health import Health
from node.latches import LOSS_LIMIT
from node.logs import log_event
from node.picture import positions_in
from node.reporter import Reporter
from node.trader import Trader
from strategy.model import Decision, Skipped, WorkingOrder

# While something is unclear the venue is asked this often: the absence rule needs two reads at
# least a second apart.
UNCLEAR_PASS_S = 1.0
# Crystals drift by tens of milliseconds an hour; the error bound grows faster than that.
CLOCK_S = 30.0
# Asking for the newest candle costs two units of weight a symbol; once a second is 120 a minute.
CANDLES_S = 1.0


@dataclass(slots=True, kw_only=True)
class Active:
    """One grant's trading.

    `deposed_by` is set when a later epoch was seen at the venue. `quiet_until_s`: no new risk
    before it, because orders of a holder that did not release may still take effect (R9).
    `clock_due_s`: when the venue's clock is to be measured next; 0 for at once.
    """

    trader: Trader
    watch: ClusterWatch
    health: Health
    reporter: Reporter
    fingerprint: str
    pass_interval_s: float
    monotonic_s: Callable[[], float]
    quiet_until_s: float = 0.0
    clock_due_s: float = 0.0
    findings: Findings | None = None
    deposed_by: int | None = None
    _pass_due_s: float = 0.0
    _candles_due_s: float = 0.0
    _venue_trouble: str = ""
    _venue_trouble_since_s: float = 0.0

    async def cycle(self) -> None:
        """Do one turn: decide on new candles, then look and act when it is due."""
        asked_s = self.monotonic_s()
        try:
            await self._measure_clock()
            has_decided = await self._decide_on_new_candles()
            if not has_decided and self.monotonic_s() < self._pass_due_s:
                return  # nothing was asked that would prove the signed link
            await self._look_and_act()
        except VenueError as error:
            self._note_trouble(error)
            return
        self.health.venue_proven_s = asked_s
        self._note_calm()

    def mode(self) -> TradingMode:
        """Return what may be done now, from the latches."""
        if self.watch.latches.is_paused:
            return TradingMode.HANDS_OFF
        if self.monotonic_s() < self.quiet_until_s:
            return TradingMode.REDUCE_ONLY
        return TradingMode.NORMAL

    def why_stop(self) -> str:
        """Return why not even the next write may be sent, empty when it may."""
        return "the cluster was paused meanwhile" if self.watch.latches.is_paused else ""

    def modes(self) -> dict[str, TradingMode]:
        """Return the symbols where less may be done: their strategy differs from the accepted.

        A pause is stronger: it leaves every order as it is.
        """
        if self.watch.latches.is_paused:
            return {}
        return {
            seat.symbol: TradingMode.CANCEL_ONLY
            for seat in self.trader.parts.seats
            if seat.is_unaccepted
        }

    def accept_strategies(self) -> None:
        """Let seats go on whose fingerprint a person accepted."""
        if self.watch.latches.accepted_fingerprint != self.fingerprint:
            self.note_unaccepted()
            return
        for seat in self.trader.parts.seats:
            if seat.is_unaccepted:
                seat.accept()
                log_event("latch.accepted", symbol=seat.symbol, fingerprint=seat.fingerprint)
        self.note_unaccepted()

    def note_unaccepted(self) -> None:
        """Let status say which symbols wait for a person's word."""
        waiting = (seat.symbol for seat in self.trader.parts.seats if seat.is_unaccepted)
        self.health.unaccepted = tuple(waiting)

    async def _measure_clock(self) -> None:
        if self.monotonic_s() < self.clock_due_s:
            return
        self.clock_due_s = self.monotonic_s() + CLOCK_S
        await self.trader.parts.venue.measure_clock()

    async def _decide_on_new_candles(self) -> bool:
        has_decided = False
        self.accept_strategies()
        if self.monotonic_s() < self._candles_due_s:
            return False
        self._candles_due_s = self.monotonic_s() + CANDLES_S
        for seat in self.trader.parts.seats:
            if self.watch.latches.is_paused or seat.is_unaccepted:
                continue
            newest = await self.trader.parts.venue.candles(seat.symbol, seat.timeframe, 1)
            if not newest or not seat.is_asked_about(newest[-1]):
                continue
            history = seat.strategy.declaration.history
            candles = await self.trader.parts.venue.candles(seat.symbol, seat.timeframe, history)
            if len(candles) < history:
                seat.candle_open_ms = candles[-1].open_ms if candles else 0
                self._tell_skipped(
                    seat, candles, f"{len(candles)} closed candles, {history} are needed", ""
                )
                continue
            if candles[-1].open_ms < newest[-1].open_ms:
                continue  # a stale list: asked again in a moment
            has_decided |= await self._decide(seat, candles)
        return has_decided

    async def _decide(self, seat: Seat, candles: tuple[Candle, ...]) -> bool:
        """Ask about a candle; tell whether something else is wanted than before.

        A wish that stays needs no look of its own: looks cost request weight, and the regular
        ones see what happened to the orders.
        """
        trader, before = self.trader, seat.wanted
        snapshot = trader.snapshot
        rules = await trader.rules_of(seat.symbol)
        portfolio = seat.portfolio(
            position=trader.journal.position(seat.symbol).position,
            orders=self._working(seat),
            balances={} if snapshot is None else snapshot.balances,
        )
        answer = await seat.decide(candles=candles, rules=rules, portfolio=portfolio)
        trader.parts.on_step("decision")
        if isinstance(answer, Skipped):
            self._tell_skipped(seat, candles, f"{answer.kind.value}: {answer.reason}", answer.where)
            return False
        self._log_decision(seat, answer, candles[-1])
        await trader.save_state(seat)
        return seat.wanted != before

    def _log_decision(self, seat: Seat, decision: Decision, candle: Candle) -> None:
        log_event(
            "strategy.decided",
            strategy=seat.strategy.declaration.name,
            symbol=seat.symbol,
            candle_open_ms=candle.open_ms,
            close=str(candle.close),
            reason=decision.reason,
            target=None if decision.target is None else str(decision.target),
            orders=[f"{o.tag} {o.side.value} {o.amount:f} @ {o.price:f}" for o in decision.orders],
            evidence=[
                f"{e.condition}: {e.value} vs {e.threshold} {'fired' if e.has_fired else 'no'}"
                for e in decision.evidence
            ],
        )

    def _tell_skipped(
        self, seat: Seat, candles: tuple[Candle, ...], reason: str, where: str
    ) -> None:
        name = seat.strategy.declaration.name
        candle_ms = candles[-1].open_ms if candles else 0
        log_event(
            "strategy.skipped",
            strategy=name,
            symbol=seat.symbol,
            candle_open_ms=candle_ms,
            reason=reason,
            where=where,
        )
        self.reporter.later(
            Kind.STRATEGY_SKIPPED,
            f"{seat.symbol}:{candle_ms}:{self.trader.epoch}",
            {
                "strategy": name,
                "symbol": seat.symbol,
                "reason": reason,
                "candle": render_instant(candle_ms) if candle_ms else "",
                "where": where,
            },
            epoch=self.trader.epoch,
        )

    async def _look_and_act(self) -> None:
        # Due again in any case; sooner when this pass leaves something open.
        self._pass_due_s = self.monotonic_s() + self.pass_interval_s
        findings = await self.trader.look(born_ms=self.watch.latches.born_ms)
        self.findings = findings
        if findings.deposed_by is not None:
            self.deposed_by = findings.deposed_by
            return
        for seat in self.trader.parts.seats:
            seat.note_fills(c.fill.symbol for c in findings.fills)
        await self._latch_daily_loss(findings)
        _, execution = await self.trader.act(
            findings,
            mode=self.mode(),
            modes=self.modes(),
            is_loss_latched=self.watch.latches.is_loss_latched,
            why_stop=self.why_stop,
        )
        if execution.stopped_at is not None:
            log_event("reconcile.finished", reason=execution.reason, steps=execution.steps_done)
        # A cancel makes room for a replacement; confirmed placements can wait for the regular look.
        is_open = execution.stopped_at is not None or execution.cancelled > 0
        if is_open or not findings.is_clear:
            wait_s = min(UNCLEAR_PASS_S, self.pass_interval_s)
            self._pass_due_s = self.monotonic_s() + wait_s

    async def _latch_daily_loss(self, findings: Findings) -> None:
        trader = self.trader
        if self.watch.latches.is_loss_latched or trader.snapshot is None:
            return
        latch = self._loss_to_latch(
            (e.record.position for e in findings.journal.positions.values()),
            day=utc_day(trader.snapshot.taken_venue_ms),
        )
        if latch is None:
            return
        result = f"-{money(latch.loss)} {latch.quote}"
        limit = f"{money(latch.threshold)} {latch.quote}"
        await self.watch.put(
            LOSS_LIMIT,
            {
                "is_latched": True,
                "day": latch.day,
                "quote": latch.quote,
                "loss": str(latch.loss),
            },
            reason=f"result {result} reached the limit {limit}",
        )
        trader.parts.on_step("latch written")
        log_event("latch.loss_limit", result=result, limit=limit)
        self.reporter.later(
            Kind.LOSS_LIMIT,
            f"{latch.day}:{trader.epoch}",
            {
                "result_today": result,
                "limit": limit,
                "position": positions_in(findings.journal),
                "orders_left": str(len(findings.working)),
            },
            epoch=trader.epoch,
        )

    def _loss_to_latch(self, positions: Iterable[Position], *, day: str) -> LossLatch | None:
        """Return the loss that reached its limit; after a person lifted it, one more limit."""
        by_quote: dict[str, list[Position]] = {}
        for position in positions:
            by_quote.setdefault(assets_of(position.symbol)[1], []).append(position)
        limits = self.trader.parts.limits
        for quote, held in sorted(by_quote.items()):
            latch = check_daily_loss(held, day=day, limits=limits)
            lifted = self._lifted_loss(day, quote)
            if latch is not None and latch.loss >= lifted + limits.daily_loss_limit:
                return latch
        return None

    def _lifted_loss(self, day: str, quote: str) -> Decimal:
        """Return the loss of the day that a person has lifted the latch over."""
        record = self.watch.latches.records.get(LOSS_LIMIT)
        value = {} if record is None else record.value
        if (value.get("day"), value.get("quote")) != (day, quote):
            return ZERO
        try:
            loss = Decimal(str(value.get("loss", 0)))
        except InvalidOperation:
            return ZERO
        return loss if loss.is_finite() else ZERO

    def _working(self, seat: Seat) -> tuple[WorkingOrder, ...]:
        if self.findings is None:
            return ()
        return tuple(
            WorkingOrder(
                tag=w.record.intent.tag,
                side=w.order.side,
                amount=w.order.amount,
                filled=w.order.filled,
                price=w.order.price,
            )
            for w in self.findings.working
            if w.order.symbol == seat.symbol
        )

    def _note_trouble(self, error: VenueError) -> None:
        text = f"{type(error).__name__}: {error}"
        is_refused = isinstance(error, VenueRefused)
        if not is_refused:
            # Only a whole pass proves that it is over; what was refused is not asked in a hurry.
            retry_at_s = self.monotonic_s() + UNCLEAR_PASS_S
            self._pass_due_s = min(self._pass_due_s, retry_at_s)
        if not self._venue_trouble:
            self._venue_trouble_since_s = self.monotonic_s()
            log_event("venue.refused" if is_refused else "venue.unreachable", reason=text)
            self.reporter.later(
                Kind.ERROR,
                f"venue:{self.trader.epoch}:{int(self._venue_trouble_since_s * 1000)}",
                {
                    "what": "the venue refuses this node"
                    if is_refused
                    else "the venue gives no usable answer",
                    "error": text,
                    "meaning": "nothing new is sent; resting orders stay at the venue",
                },
                epoch=self.trader.epoch,
                verdict=Verdict.ACT if is_refused else Verdict.LOOK,
            )
        self._venue_trouble = text
        self.health.venue_error = text

    def _note_calm(self) -> None:
        if self._venue_trouble:
            away_s = self.monotonic_s() - self._venue_trouble_since_s
            log_event("venue.reachable", away_s=round(away_s, 1))
        self._venue_trouble = ""
        self.health.venue_error = ""
