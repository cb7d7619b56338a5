"""What is configured in the simulated cluster: default timings, and one of two shipped strategies.

The grid rests orders all the time and sells nothing below what it paid. The trend buys into each
rise and sells into each fall, so it loses, and the daily loss limit has something to do.
"""

from typing import Any

from node.config_model import Config
from node.sim.market import SYMBOL

JETSON, PI = "jetson", "raspberrypi"
GRID, TREND = "grid", "trend"
TREND_EVERY = 4  # of so many seeds one trades the trend
THREE = 3

_GRID: dict[str, Any] = {
    "use": GRID,
    "symbols": [SYMBOL],
    "parameters": {
        "levels": 4,
        "step_percent": "0.2",
        "recentre_percent": "0.4",
        "quote_budget": 160,
    },
}
# The shortest averages that there are: it enters after each candle that rose, and leaves after
# each that fell, for fees and half a spread each time.
_TREND: dict[str, Any] = {
    "use": TREND,
    "symbols": [SYMBOL],
    "timeframe": "1m",
    "parameters": {
        "fast": 1,
        "slow": 2,
        "band_percent": 0,
        "volatility_max_percent": 100,
        "quote_value": 100,
    },
}
_RISK: dict[str, dict[str, str]] = {
    GRID: {"daily_loss_limit": "4"},
    # A few bad round trips, or one fall of the price.
    TREND: {"daily_loss_limit": "2", "max_order_value": "120"},
}


def strategy_of(seed: int) -> str:
    """Return the strategy of a seed that names none."""
    return TREND if seed % TREND_EVERY == TREND_EVERY - 1 else GRID


def make_config(stores: int, strategy: str) -> Config:
    """Return the configuration: one store on the Pi, or one on each box and on a witness."""
    three = [(JETSON, "10.0.0.1"), (PI, "10.0.0.2"), ("witness", "10.0.0.3")]
    named = three if stores == THREE else three[1:2]
    return Config.model_validate(
        {
            "cluster": {
                "name": "sim",
                "profile": "test",
                "topology": "three-stores" if stores == THREE else "two-boxes",
                "preferred_node": JETSON,
            },
            "nodes": {
                JETSON: {"index": 0, "host": "10.0.0.1"},
                PI: {"index": 1, "host": "10.0.0.2"},
            },
            "stores": [{"name": name, "host": host} for name, host in named],
            "strategies": [_TREND if strategy == TREND else _GRID],
            "risk": _RISK[strategy],
        }
    )
