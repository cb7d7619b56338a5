"""Runs `decide()` over candles with a simple account, to see what a strategy would have done.

The fill model stands in replay_account.py, on purpose simple and rather against the strategy.
It knows no order book, no slippage, no latency: a good result here proves nothing, a bad one
does. It is pure.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from exchange.model import ZERO, Candle
from strategy import codec
from strategy.model import Decision, Market, Portfolio
from strategy.replay_account import Account, ReplayFill, ReplaySettings, play_candle

Decide = Callable[[Market, Portfolio, Mapping[str, Any]], Decision]

# What the report keeps of long lists: the last ones, which people look at.
FILLS_KEPT = 20
REASONS_KEPT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What the strategy would have done; money in quote units.

    `orders` counts those the venue would have taken; `reasons` and `refused` count by text, most
    frequent first. `digest` names all decisions in order: two runs agree exactly when it is equal.
    `hold_result` is what buying at the first decided candle and keeping would have brought. `last`
    is the last decision. `unstable_ms` is the first candle at which the same input got two answers,
    `has_changed_state` says that the state given was changed in place.
    """

    candles: int
    decisions: int
    orders: int
    fills: int
    fees: Decimal
    result: Decimal
    hold_result: Decimal
    drawdown: Decimal
    position: Decimal
    first_ms: int
    last_ms: int
    reasons: tuple[tuple[str, ...], ...]
    refused: tuple[tuple[str, ...], ...]
    last_fills: tuple[ReplayFill, ...]
    last: Decision
    digest: str
    unstable_ms: int | None
    has_changed_state: bool


def replay(
    decide: Decide,
    candles: tuple[Candle, ...],
    market: Market,
    settings: ReplaySettings | None = None,
    *,
    history: int,
) -> ReplayReport:
    """Run `decide` over the candles.

    Args:
        decide: the strategy's function.
        candles: all candles, oldest first; the first decision comes after `history` of them.
        market: symbol, timeframe, rules and parameters; its candles are replaced.
        settings: account and fees.
        history: candles given to each call.

    Raises:
        ValueError: fewer candles than `history`.
    """
    if len(candles) < history:
        raise ValueError(f"{len(candles)} candles, the strategy asks for {history}")
    settings = settings or ReplaySettings()
    account = Account(settings=settings, rules=market.rules, quote=settings.initial_quote)
    reasons: Counter[str] = Counter()
    digest = hashlib.sha256()
    state: Mapping[str, Any] = {}
    decision: Decision | None = None
    peak = drawdown = ZERO
    has_changed_state = False
    unstable_ms: int | None = None
    for end in range(history, len(candles) + 1):
        candle = candles[end - 1]
        if decision is not None:
            play_candle(account, decision, candle)
        window = replace(market, candles=candles[end - history : end])
        # Through JSON, as in a node: what does not survive that must not work here either.
        state_text = json.dumps(dict(state))
        answers = []
        for _ in range(settings.calls_per_candle):
            given = json.loads(state_text)
            answers.append(decide(window, account.portfolio(), given))
            has_changed_state |= given != json.loads(state_text)
        decision = answers[-1]
        if unstable_ms is None and any(answer != decision for answer in answers):
            unstable_ms = candle.open_ms
        digest.update(codec.encode_line(codec.encode_decision(decision)))
        state = decision.state
        reasons[decision.reason or "(no reason)"] += 1
        equity = account.equity(candle.close)
        peak = max(peak, equity)
        drawdown = max(drawdown, peak - equity)
    assert decision is not None
    start, final = candles[history - 1], candles[-1]
    initial = account.settings.initial_quote
    return ReplayReport(
        candles=len(candles),
        decisions=len(candles) - history + 1,
        orders=account.sent,
        fills=len(account.fills),
        fees=account.fees,
        result=account.equity(final.close) - initial,
        hold_result=initial * (final.close / start.close - 1),
        drawdown=drawdown,
        position=account.base,
        first_ms=start.open_ms,
        last_ms=final.open_ms,
        reasons=_most_frequent(reasons),
        refused=_most_frequent(account.refused),
        last_fills=tuple(account.fills[-FILLS_KEPT:]),
        last=decision,
        digest=digest.hexdigest(),
        unstable_ms=unstable_ms,
        has_changed_state=has_changed_state,
    )


def _most_frequent(counted: Counter[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((str(count), text) for text, count in counted.most_common(REASONS_KEPT))


def answer_replay(decide: Decide, request: Mapping[str, Any]) -> Any:
    """Run a replay asked for over the worker's pipe; see `encode_request`."""
    market = codec.parse_market(request["market"])
    settings = codec.parse_value(ReplaySettings, request["settings"], "settings")
    history = codec.parse_value(int, request["history"], "history")
    report = replay(decide, market.candles, market, settings, history=history)
    return codec.encode_value(report)


def encode_request(market: Market, settings: ReplaySettings, history: int) -> dict[str, Any]:
    """Return the request that runs a replay over the market's candles in a worker."""
    return {
        "op": "replay",
        "market": codec.encode_market(market),
        "settings": codec.encode_value(settings),
        "history": history,
    }
