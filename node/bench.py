"""The strategies of this node at work: one worker a strategy, one seat a symbol.

Rules of this file: a decision is made once for each newly closed candle; what it wants stays
wanted until the next decision; a skipped candle changes nothing. What a seat wants and its
strategy's state are one document, so that the next holder goes on from the same wish.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from exchange.model import Balance, Candle, MarketRules, Position
from exchange.positions import assets_of
from exchange.wanted import Wanted, WantedOrder
from node.config_model import Config, StrategyConfig
from strategy.codec import encode_decision, parse_decision
from strategy.errors import StrategyError
from strategy.loading import LoadedStrategy, load_strategy
from strategy.model import Decision, Market, Portfolio, Skipped, WorkingOrder
from strategy.ports import Worker

# Given a strategy and the longest time of one decision in seconds.
BuildWorker = Callable[[LoadedStrategy, float], Worker]


class LoadStrategy(Protocol):
    """Reads a strategy and refuses it with every problem (strategy.loading.load_strategy)."""

    def __call__(self, source: str, parameters: Mapping[str, Any], *, base: Path) -> LoadedStrategy:
        """Return it. Raises StrategyRefused."""
        ...


@dataclass(slots=True, kw_only=True)
class Seat:
    """One symbol of one strategy, with what it wants now.

    `candle_open_ms` is the opening time of the last candle that was decided on, 0 for none.
    `is_unaccepted`: the last holder ran another fingerprint; until a person accepts this one it
    is not asked, and only cancels are sent (lease rules, R7).
    """

    symbol: str
    strategy: LoadedStrategy
    worker: Worker
    fingerprint: str
    timeframe: str
    state: Mapping[str, Any] = field(default_factory=dict)
    decision: Decision | None = None
    spent: frozenset[str] = frozenset()
    candle_open_ms: int = 0
    is_unaccepted: bool = False
    has_new_fills: bool = False
    _inherited: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wanted(self) -> Wanted | None:
        """What the plan is made from; None before the first decision."""
        return None if self.decision is None else to_wanted(self.symbol, self.decision, self.spent)

    def to_body(self) -> dict[str, Any]:
        """Render the seat's document for the journal.

        Until its fingerprint is accepted the last holder's document stays, but for what was
        spent since: the next start must find the difference again.
        """
        if self.is_unaccepted:
            return {**self._inherited, "spent": sorted(self.spent)}
        decision = None if self.decision is None else encode_decision(self.decision)
        return {
            "strategy": self.strategy.declaration.name,
            "fingerprint": self.fingerprint,
            "candle_open_ms": self.candle_open_ms,
            "state": dict(self.state),
            "decision": decision,
            "spent": sorted(self.spent),
        }

    def load_body(self, body: Mapping[str, Any] | None) -> str:
        """Take over what another holder wanted; return why it could not be, empty when taken.

        Another fingerprint keeps the wish (it protects what is there) but not the state.
        """
        self.decision, self.spent, self.state = None, frozenset(), {}
        self.candle_open_ms, self.is_unaccepted, self._inherited = 0, False, {}
        if body is None:
            return ""
        try:
            raw = body.get("decision")
            decision = None if raw is None else parse_decision(raw)
            state = dict(body.get("state") or {})
            candle_open_ms = int(body.get("candle_open_ms", 0))
            spent = frozenset(str(tag) for tag in body.get("spent") or ())
            if decision is not None:
                to_wanted(self.symbol, decision, spent)  # what cannot be wanted ends here
        except (StrategyError, TypeError, ValueError) as error:
            return f"the state of {self.symbol} is unreadable: {error}"
        self.decision, self.spent = decision, spent
        self.is_unaccepted = body.get("fingerprint") != self.fingerprint
        self._inherited = dict(body)
        if not self.is_unaccepted:
            self.state, self.candle_open_ms = state, candle_open_ms
        return ""

    def accept(self) -> None:
        """A person accepted this fingerprint: begin with a fresh state at the next candle."""
        self.is_unaccepted = False
        self.state, self.candle_open_ms = {}, 0

    def is_asked_about(self, newest: Candle) -> bool:
        """Tell whether the strategy is to be asked now: a new candle, or fills if it wants them."""
        has_fills = self.has_new_fills and self.strategy.declaration.wants_fills
        return has_fills or newest.open_ms > self.candle_open_ms

    def note_fills(self, symbols: Iterable[str]) -> None:
        """Note the symbols in which fills were counted in a pass."""
        self.has_new_fills |= self.symbol in symbols

    def portfolio(
        self,
        *,
        position: Position,
        orders: tuple[WorkingOrder, ...],
        balances: Mapping[str, Balance],
    ) -> Portfolio:
        """Build what the strategy is shown."""
        base, quote = assets_of(self.symbol)
        return Portfolio(
            position=position,
            orders=orders,
            quote_free=balances.get(quote, Balance()).free,
            base_free=balances.get(base, Balance()).free,
        )

    async def decide(
        self, *, candles: tuple[Candle, ...], rules: MarketRules, portfolio: Portfolio
    ) -> Decision | Skipped:
        """Ask the worker about the newest candle and remember what it wants.

        A skipped candle counts as decided: it is not asked about again.
        """
        market = Market(
            symbol=self.symbol,
            timeframe=self.timeframe,
            candles=candles,
            rules=rules,
            parameters=self.strategy.parameters,
        )
        answer = await self.worker.decide(market, portfolio, self.state)
        self.candle_open_ms, self.has_new_fills = candles[-1].open_ms, False
        if isinstance(answer, Decision):
            self.decision, self.state, self.spent = answer, answer.state, frozenset()
        return answer


def to_wanted(symbol: str, decision: Decision, spent: frozenset[str]) -> Wanted:
    """Translate a strategy's decision into what the plan compares with the venue."""
    return Wanted(
        symbol=symbol,
        target=decision.target,
        orders=tuple(
            WantedOrder(
                tag=o.tag,
                side=o.side,
                amount=o.amount,
                price=o.price,
                time_in_force=o.time_in_force,
            )
            for o in decision.orders
        ),
        spent=spent,
    )


def build_bench(
    config: Config, build_worker: BuildWorker, load: LoadStrategy = load_strategy
) -> tuple[Seat, ...]:
    """Load every strategy of the configuration; nothing is started yet.

    Raises:
        StrategyRefused: with every problem of the first file that has some.
    """
    seats: list[Seat] = []
    base = Path(config.directory)
    for entry in config.strategies:
        loaded = load(entry.use, entry.parameters, base=base)
        worker = build_worker(loaded, entry.budget_ms / 1000)
        seats += [_seat(entry, symbol, loaded, worker, config) for symbol in entry.symbols]
    return tuple(seats)


def _seat(
    entry: StrategyConfig,
    symbol: str,
    loaded: LoadedStrategy,
    worker: Worker,
    config: Config,
) -> Seat:
    timeframe = entry.timeframe or loaded.declaration.timeframe
    limits = {"symbol": symbol, "timeframe": timeframe, **config.risk.model_dump()}
    return Seat(
        symbol=symbol,
        strategy=loaded,
        worker=worker,
        fingerprint=loaded.fingerprint(limits),
        timeframe=timeframe,
    )


def bench_fingerprint(seats: tuple[Seat, ...]) -> str:
    """Return one fingerprint of all seats: what two nodes compare before they trust each other."""
    text = "\n".join(f"{seat.symbol} {seat.fingerprint}" for seat in seats)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def money(number: Decimal) -> str:
    """Render an amount for people: plain, without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text
