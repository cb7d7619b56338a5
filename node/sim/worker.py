"""A strategy asked in place: the shipped file's own decide(), without a process around it."""

import asyncio
import sys
import types
from collections.abc import Mapping
from functools import cache
from typing import Any

from node.sim.process import SimProcess
from strategy.loading import LoadedStrategy
from strategy.model import Decision, Market, Portfolio, SkipKind, Skipped
from strategy.worker_main import ask

OVERRUN = 0.003  # share of candles on which the strategy takes too long
TOOK_S = (0.002, 0.03)


@cache
def load_decide(text: str, file: str) -> Any:
    """Return the function decide() of a strategy's text, as the worker process loads it."""
    module = types.ModuleType(f"sim_strategy_{file.removesuffix('.py')}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102  (as the worker does)
    return module.decide


class SimWorker:
    """`strategy.ports.Worker`."""

    pid: int | None = 1

    def __init__(self, process: SimProcess, loaded: LoadedStrategy, budget_s: float) -> None:
        """Bind the strategy."""
        self._process, self._budget_s = process, budget_s
        self.strategy = loaded
        self._decide = load_decide(loaded.text, loaded.file)

    async def start(self) -> None:
        """Take a moment, as loading does."""
        await asyncio.sleep(self._process.world.rng.uniform(0.1, 0.5))

    async def decide(
        self, market: Market, portfolio: Portfolio, state: Mapping[str, Any]
    ) -> Decision | Skipped:
        """Return the decision, now and then too late."""
        rng = self._process.world.rng
        if rng.random() < OVERRUN:
            self._process.world.count("strategy overrun")
            await asyncio.sleep(self._budget_s)
            return Skipped(kind=SkipKind.OVERRUN, reason="no decision in time")
        await asyncio.sleep(rng.uniform(*TOOK_S))
        return ask(self._decide, market, portfolio, state)

    async def close(self) -> None:
        """Nothing to end."""
