"""Real worker processes for tests: started, asked, and seen to be gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from strategy.model import Decision, SkipKind, Skipped
from strategy.worker import StrategyWorker
from tests.strategy.sources import write
from tests.support.candles import flat_candles, market, portfolio

DEADLINE_S = 60.0


# Long enough for a child on a busy machine to answer, far shorter than what blocks below.
PATIENT_S = 30.0


MARKET = market(flat_candles([100]))


ACCOUNT = portfolio()


@asynccontextmanager
async def running(
    directory: Path, body: str, budget_s: float = PATIENT_S, **options: Any
) -> AsyncIterator[StrategyWorker]:
    worker = StrategyWorker(write(directory, body), budget_s=budget_s, **options)
    try:
        await worker.start()
        yield worker
    finally:
        await worker.close()


async def asked(worker: StrategyWorker, **state: Any) -> Decision | Skipped:
    return await worker.decide(MARKET, ACCOUNT, state)


async def decided(worker: StrategyWorker, **state: Any) -> Decision:
    """Ask until there is a decision: a worker that is starting anew may skip some candles."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = await asked(worker, **state)
            if isinstance(answer, Decision):
                return answer
            assert answer.kind in (SkipKind.OVERRUN, SkipKind.CRASH)


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # ended; whoever inherited it has not collected it yet


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_gone(pid):  # noqa: ASYNC110  (another process gives no event)
            await asyncio.sleep(0.01)
