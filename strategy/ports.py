"""Boundary of strategy/: who is asked for decisions."""

from collections.abc import Mapping
from typing import Any, Protocol

from strategy.loading import LoadedStrategy
from strategy.model import Decision, Market, Portfolio, Skipped


class Worker(Protocol):
    """Runs one strategy at arm's length (worker.StrategyWorker: in a process of its own)."""

    @property
    def strategy(self) -> LoadedStrategy:
        """What it runs."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process id, None while there is none."""
        ...

    async def start(self) -> None:
        """Make it ready to decide. Raises WorkerUnusable."""
        ...

    async def decide(
        self, market: Market, portfolio: Portfolio, state: Mapping[str, Any]
    ) -> Decision | Skipped:
        """Return the decision, or why there is none, within the budget; never raises."""
        ...

    async def close(self) -> None:
        """End it."""
        ...
