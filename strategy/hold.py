"""hold: wants nothing. The safe default: positions and orders stay as they are, none is added."""

from collections.abc import Mapping
from typing import Any

from strategy.model import Decision, Declaration, Evidence, Market, Portfolio

STRATEGY = Declaration(
    name="hold",
    version="1",
    symbols=("BTC/USDT",),
    timeframe="1m",
    history=1,
    doc="Wants nothing. The safe default.",
)


def decide(market: Market, portfolio: Portfolio, state: Mapping[str, Any]) -> Decision:
    """Leave the position alone; no order is wanted."""
    close = market.candles[-1].close
    held = portfolio.position.amount
    evidence = (
        Evidence(
            condition="hold never trades",
            value=f"close {close}, position {held}",
            threshold="never",
            has_fired=False,
        ),
    )
    return Decision(state=dict(state), evidence=evidence, reason="hold wants nothing")
