"""What a strategy is given and what it answers: plain immutable values.

A strategy is one Python file with a module-level `STRATEGY = Declaration(...)` and a function
`decide(market, portfolio, state) -> Decision`. It has no clock and does no I/O; the same input
gives the same output. See docs/strategies.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from exchange.model import Candle, MarketRules, Position, Side, TimeInForce

ParameterValue = Decimal | int | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One typed parameter of a strategy; the type is that of `default`."""

    default: ParameterValue
    doc: str
    minimum: Decimal | int | None = None
    maximum: Decimal | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a strategy needs; read once when the file is loaded.

    `symbols` are defaults, configuration may name others. `history` is the number of closed
    candles given to each call.
    """

    name: str
    version: str
    symbols: tuple[str, ...]
    timeframe: str
    history: int
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    wants_fills: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The closed candles of one symbol, oldest first, with its rules and the parameters."""

    symbol: str
    timeframe: str
    candles: tuple[Candle, ...]
    rules: MarketRules
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingOrder:
    """An order of this strategy that works at the venue."""

    tag: str
    side: Side
    amount: Decimal
    filled: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """What the cluster holds in this symbol and what it may still spend."""

    position: Position
    orders: tuple[WorkingOrder, ...]
    quote_free: Decimal
    base_free: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredOrder:
    """An order to keep working under a tag; the node places, keeps, or replaces it."""

    tag: str
    side: Side
    amount: Decimal
    price: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One condition that was evaluated, also when it did not fire."""

    condition: str
    value: str
    threshold: str
    has_fired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is wanted from now on, and why.

    `target` is the position wanted in base units, None for "leave the position alone".
    `orders` is the complete set of resting orders wanted: one that is not listed is cancelled.
    `state` is a small JSON-able mapping, given back on the next call and to the next holder.
    """

    target: Decimal | None = None
    orders: tuple[DesiredOrder, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""


class SkipKind(StrEnum):
    """Why a candle was skipped."""

    OVERRUN = "overrun"  # no answer within the budget; the worker was ended
    EXCEPTION = "exception"  # decide() raised
    NONSENSE = "nonsense"  # decide() answered something that cannot be wanted
    CRASH = "crash"  # the worker process ended, or does not start


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """No decision for this candle: everything stays as it is, and a person is told.

    `where` is `file:line` of the strategy where that is known, else empty.
    """

    kind: SkipKind
    reason: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to change in a strategy file; reads `file:line: what, use this instead`."""

    file: str
    line: int
    what: str
    instead: str = ""

    def __str__(self) -> str:
        tail = f", {self.instead}" if self.instead else ""
        return f"{self.file}:{self.line}: {self.what}{tail}"
