"""Walking a plan: stop at surprises, bounded, never the same step twice."""

import pytest

from exchange.errors import IllegalTransition
from exchange.executor import execute
from exchange.journal import merge
from exchange.memory_venue import Fault
from exchange.steps import Adopt, Cancel, Keep, Place, Plan, Resolve, Step
from tests.support.journals import SYMBOL, make_id
from tests.support.order_rig import FACTS, Rig, intent


def place_step(counter: int) -> Place:
    return Place(intent=intent(counter), facts=FACTS)


@pytest.mark.parametrize(
    ("fault", "steps_done", "placed"),
    [
        (Fault.NONE, 3, 2),
        (Fault.REJECT, 1, 0),
        (Fault.LOST_AFTER, 1, 0),
        (Fault.UNAVAILABLE, 1, 0),
    ],
    ids=["no surprise", "rejected", "unknown", "not sent"],
)
async def test_execute_stops_at_the_first_surprise_and_asks_for_a_new_pass(
    fault: Fault, steps_done: int, placed: int
) -> None:
    """The rest of the plan was made for another world."""
    rig = Rig()
    rig.fault = fault
    seen: list[Step] = []
    keep = Keep(symbol=SYMBOL, client_order_id=make_id(7), tag="x")
    plan = Plan(epoch=1, steps=(place_step(0), keep, place_step(1)))
    done = await execute(plan, rig.desk.path, on_step=lambda step, _result: seen.append(step))
    assert (done.steps_done, done.placed) == (steps_done, placed)
    assert done.needs_new_pass
    assert seen == list(plan.steps[:steps_done])
    assert bool(done.stopped_at) is (fault is not Fault.NONE)
    assert done.rejected == (((SYMBOL, "grid-1"),) if fault is Fault.REJECT else ())


async def test_execute_writes_no_more_than_its_bound() -> None:
    """The work loop looks at the venue again in between."""
    rig = Rig()
    plan = Plan(epoch=1, steps=tuple(place_step(n) for n in range(5)))
    done = await execute(plan, rig.desk.path, writes_max=3)
    assert done.placed == 3
    assert done.stopped_at == plan.steps[3]
    assert done.needs_new_pass


async def test_execute_cancels_adopts_and_says_when_to_look_again() -> None:
    """One step of each kind that remains."""
    rig = Rig()
    await rig.desk.path.place(intent(0), FACTS)
    await rig.desk.path.place(intent(1), FACTS)
    adopt = Adopt(symbol=SYMBOL, client_order_id=make_id(0), tag="b9")
    cancel = Cancel(symbol=SYMBOL, client_order_id=make_id(1), tag="b", reason="x")
    done = await execute(Plan(epoch=1, steps=(adopt, cancel)), rig.desk.path)
    assert (done.adopted, done.cancelled) == (1, 1)
    record = merge([("disk", rig.disk.documents)]).journal.intents[make_id(0)]
    assert (record.intent.tag, record.adopted_epoch) == ("b9", 1)
    resolve = Resolve(symbol=SYMBOL, client_order_id=make_id(0), reason="x")
    assert (await execute(Plan(epoch=1, steps=(resolve,)), rig.desk.path)).needs_new_pass
    assert not (await execute(Plan(epoch=1), rig.desk.path)).needs_new_pass


async def test_a_plan_executed_twice_sends_nothing_twice() -> None:
    """Run every step twice: the ids are used up, and a cancelled order is no longer there."""
    rig = Rig()
    plan = Plan(epoch=1, steps=(place_step(0),))
    await execute(plan, rig.desk.path)
    with pytest.raises(IllegalTransition):
        await execute(plan, rig.desk.path)
    assert len(rig.exchange.accepted) == 1
    cancel = Cancel(symbol=SYMBOL, client_order_id=make_id(0), tag="b", reason="x")
    first = await execute(Plan(epoch=1, steps=(cancel,)), rig.desk.path)
    second = await execute(Plan(epoch=1, steps=(cancel,)), rig.desk.path)
    assert (first.cancelled, second.cancelled) == (1, 0)
