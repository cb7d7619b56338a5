"""Shell: walks a plan step by step through the one write path, and stops at any surprise.

Rules of this file: a surprise (anything but a confirmed write) ends the walk and asks for a new
pass, because the rest of the plan was made for another world; the number of writes of one walk
is bounded, so that the work loop looks at the venue again in between.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from exchange.model import WriteOutcome, WriteResult
from exchange.orders import OrderPath
from exchange.steps import Adopt, Block, Cancel, Keep, Place, Plan, Resolve, Skip, Step

# At 1 s for each write at worst, a walk ends within a minute even on a very slow link.
WRITES_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a walk ended.

    `needs_new_pass`: look at the venue again soon; it is also True after a walk without any
    surprise that changed something, because only the venue proves what was done. `rejected`
    names (symbol, tag) of placements that the venue refused with proof: wanting them again
    before the next decision is pointless (`Wanted.spend`). A walk that was stopped may be
    stopped again by the same cause: the caller paces its passes.
    """

    steps_done: int
    needs_new_pass: bool
    stopped_at: Step | None = None
    reason: str = ""
    placed: int = 0
    cancelled: int = 0
    adopted: int = 0
    rejected: tuple[tuple[str, str], ...] = ()


async def execute(
    plan: Plan,
    path: OrderPath,
    *,
    on_step: Callable[[Step, WriteResult | None], None] = lambda _step, _result: None,
    why_stop: Callable[[], str] = str,
    writes_max: int = WRITES_MAX,
) -> Execution:
    """Walk a plan.

    Args:
        plan: what to do.
        path: the one write path.
        on_step: told after each completed step (progress of the work loop).
        why_stop: asked before each write; a reason ends the walk there (a person paused it).
        writes_max: writes of one walk.
    """
    walk = Execution(steps_done=0, needs_new_pass=False)
    for step in plan.steps:
        is_write = isinstance(step, Place | Cancel | Adopt)
        if is_write and walk.placed + walk.cancelled + walk.adopted >= writes_max:
            reason = f"{writes_max} writes in one walk are enough"
            return replace(walk, needs_new_pass=True, stopped_at=step, reason=reason)
        if is_write and (reason := why_stop()):
            return replace(walk, needs_new_pass=True, stopped_at=step, reason=reason)
        result = await _do(step, path)
        on_step(step, result)
        walk = _add(walk, step, result)
        if walk.stopped_at is not None:
            break
    return walk


async def _do(step: Step, path: OrderPath) -> WriteResult | None:
    match step:
        case Place():
            return await path.place(step.intent, step.facts)
        case Cancel():
            return await path.cancel(step.symbol, step.client_order_id)
        case Adopt():
            await path.adopt(step.client_order_id, step.tag)
        case Resolve() | Keep() | Skip() | Block():
            pass
        case _:
            assert_never(step)
    return None


def _add(walk: Execution, step: Step, result: WriteResult | None) -> Execution:
    """Return the walk with one more step done; a surprise sets `stopped_at`."""
    walk = replace(walk, steps_done=walk.steps_done + 1)
    if isinstance(step, Adopt):
        return replace(walk, adopted=walk.adopted + 1)
    if result is None:
        return replace(walk, needs_new_pass=walk.needs_new_pass or isinstance(step, Resolve))
    walk = replace(walk, needs_new_pass=True)
    if result.outcome is not WriteOutcome.CONFIRMED:
        is_refused = isinstance(step, Place) and result.outcome is WriteOutcome.REJECTED
        return replace(
            walk,
            stopped_at=step,
            reason=f"{result.outcome.value}: {result.reason}",
            rejected=((step.intent.symbol, step.intent.tag),)
            if isinstance(step, Place) and is_refused
            else (),
        )
    if isinstance(step, Place):
        return replace(walk, placed=walk.placed + 1)
    return replace(walk, cancelled=walk.cancelled + 1)
