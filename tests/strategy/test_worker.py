"""Real worker processes: whatever a strategy does becomes a decision or a skipped candle."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

from strategy.errors import StrategyRefused, WorkerUnusable
from strategy.model import Decision, SkipKind, Skipped
from strategy.worker import StrategyWorker
from tests.strategy.sources import GOOD, body_line, source, write
from tests.strategy.workers import (
    ACCOUNT,
    DEADLINE_S,
    PATIENT_S,
    asked,
    decided,
    running,
    until_gone,
)
from tests.support.candles import flat_candles, market


@pytest.mark.parametrize("name", ["hold", "trend", "grid"])
async def test_worker_runs_a_shipped_strategy(name: str) -> None:
    """The real thing: decisions of shipped strategies through a real process."""
    worker = StrategyWorker(name, budget_s=PATIENT_S)
    await worker.start()
    try:
        history = worker.strategy.declaration.history
        asked_market = market(flat_candles([100] * history), worker.strategy.parameters)
        decision = await worker.decide(asked_market, ACCOUNT, {})
        assert isinstance(decision, Decision)
        assert decision.evidence
    finally:
        await worker.close()


async def test_worker_carries_state_from_call_to_call(tmp_path: Path) -> None:
    """State goes out and comes back as JSON; the worker itself remembers nothing."""
    body = "return Decision(evidence=SEEN, state={'n': state.get('n', 0) + 1})"
    async with running(tmp_path, body) as worker:
        first = await decided(worker)
        second = await decided(worker, **first.state)
        assert (first.state, second.state) == ({"n": 1}, {"n": 2})


async def test_strategy_that_blocks_is_skipped_and_the_next_decide_works(tmp_path: Path) -> None:
    """An overrun ends the worker and never the budget; a new worker goes on."""
    body = f"""
if state.get("block"):
    while True:
        pass
{GOOD}
"""
    async with running(tmp_path, body, budget_s=1.0) as worker:
        await decided(worker)
        old = worker.pid
        assert old is not None
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        answer = await asked(worker, block=True)
        assert isinstance(answer, Skipped)
        assert answer.kind is SkipKind.OVERRUN
        # The loop blocks for a minute otherwise; the margin is for a busy machine.
        assert loop.time() - started_s < 20.0
        assert isinstance(await decided(worker), Decision)
        assert worker.pid != old
        await until_gone(old)


async def test_stopped_worker_is_skipped_and_replaced(tmp_path: Path) -> None:
    """A worker that is frozen (swapped out, SIGSTOP) is an overrun like any other."""
    async with running(tmp_path, GOOD, budget_s=1.0) as worker:
        await decided(worker)
        assert worker.pid is not None
        os.kill(worker.pid, 19)
        answer = await asked(worker)
        assert isinstance(answer, Skipped)
        assert answer.kind is SkipKind.OVERRUN
        assert isinstance(await decided(worker), Decision)


async def test_event_loop_goes_on_while_a_strategy_blocks(tmp_path: Path) -> None:
    """The work loop is never blocked, only this call waits."""
    async with running(tmp_path, "while True: pass", budget_s=1.0) as worker:
        call = asyncio.ensure_future(asked(worker))
        turns = 0
        while not call.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 5


@pytest.mark.parametrize(
    ("body", "kind", "line", "says"),
    [
        pytest.param("x = 1\nreturn 1 / 0", SkipKind.EXCEPTION, 2, "ZeroDivisionError",
                     id="an exception"),
        pytest.param("raise SystemExit(3)", SkipKind.EXCEPTION, 1, "SystemExit", id="an exit"),
        pytest.param("raise KeyboardInterrupt", SkipKind.EXCEPTION, 1, "Keyboard",
                     id="an interrupt"),
        pytest.param("def f(): return f()\nreturn f()", SkipKind.EXCEPTION, 1, "RecursionError",
                     id="endless recursion"),
        pytest.param("x = [0] * 10**9\nreturn x", SkipKind.EXCEPTION, 1, "MemoryError",
                     id="all the memory"),
        pytest.param("given = market.parameters\ngiven['a'] = 1", SkipKind.EXCEPTION, 2,
                     "TypeError", id="a change of the parameters"),
        pytest.param("return None", SkipKind.NONSENSE, 0, "NoneType", id="no answer"),
        pytest.param("return Decision()", SkipKind.NONSENSE, 0, "evidence", id="no evidence"),
        pytest.param("return Decision(evidence=SEEN, target=0.5)", SkipKind.NONSENSE, 0, "float",
                     id="a float"),
        pytest.param("return Decision(evidence=SEEN, state={'a': 'x' * 20000})",
                     SkipKind.NONSENSE, 0, "state", id="a huge state"),
        pytest.param("return Decision(evidence=SEEN, reason='x' * 10**6, state={'a': {1}})",
                     SkipKind.NONSENSE, 0, "set", id="a set in the state"),
    ],
)  # fmt: skip
async def test_failing_strategy_is_skipped_with_its_line(
    tmp_path: Path, body: str, kind: SkipKind, line: int, says: str
) -> None:
    """`file:line` of what failed (of decide() itself for nonsense), and the next call works."""
    text = "if state.get('good'):\n    " + GOOD + "\n" + body
    async with running(tmp_path, text) as worker:
        answer = await asked(worker)
        assert isinstance(answer, Skipped)
        assert answer.kind is kind
        assert says in answer.reason
        where = body_line(line + 2) if line else body_line(0)
        assert answer.where == f"{tmp_path / 'mine.py'}:{where}"
        assert isinstance(await decided(worker, good=True), Decision)


async def test_worker_that_ends_is_a_crash_and_is_replaced(tmp_path: Path) -> None:
    """A segmentation fault in a library ends the worker, never the node."""
    body = f"""
if state.get("crash"):
    from faulthandler import _sigsegv
    _sigsegv()
{GOOD}
"""
    async with running(tmp_path, body) as worker:
        answer = await asked(worker, crash=True)
        assert isinstance(answer, Skipped)
        assert answer.kind is SkipKind.CRASH
        assert isinstance(await decided(worker), Decision)


async def test_worker_killed_between_calls_is_replaced(tmp_path: Path) -> None:
    """The out-of-memory killer takes the worker first; the next candles are decided again."""
    async with running(tmp_path, GOOD) as worker:
        assert worker.pid is not None
        os.kill(worker.pid, 9)
        assert isinstance(await decided(worker), Decision)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        pytest.param("x = 1 / 0\n", "mine.py:1: ZeroDivisionError", id="an error at the top"),
        pytest.param("import not_installed\n", "mine.py:1: ModuleNotFoundError", id="no library"),
    ],
)
async def test_start_says_why_a_file_does_not_load(tmp_path: Path, head: str, says: str) -> None:
    """`file:line: what`; a later decide skips with the same words and never raises."""
    path = tmp_path / "mine.py"
    path.write_text(head + source(GOOD), encoding="utf-8")
    worker = StrategyWorker(path, budget_s=PATIENT_S)
    with pytest.raises(WorkerUnusable, match=says):
        await worker.start()
    answer = await asked(worker)
    assert isinstance(answer, Skipped)
    assert answer.kind is SkipKind.CRASH
    assert says in answer.reason
    await worker.close()


async def test_file_that_blocks_while_loading_does_not_hold_up_decide(tmp_path: Path) -> None:
    """Loading has its own time; until it is over every candle is skipped within the budget."""
    path = tmp_path / "mine.py"
    path.write_text("while True:\n    pass\n" + source(GOOD), encoding="utf-8")
    worker = StrategyWorker(path, budget_s=0.2, start_timeout_s=1.0)
    answer = await asked(worker)
    assert isinstance(answer, Skipped)
    assert answer.kind is SkipKind.OVERRUN
    with pytest.raises(WorkerUnusable):
        await worker.start()
    await worker.close()


async def test_cancelled_call_does_not_give_its_answer_to_the_next(tmp_path: Path) -> None:
    """An answer that is still under way must not be taken for another question's."""
    body = """
if state["n"] == 1:
    for _ in range(10**7):
        pass
return Decision(evidence=SEEN, state=state)
"""
    async with running(tmp_path, body) as worker:
        call = asyncio.ensure_future(asked(worker, n=1))
        await asyncio.sleep(0)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        assert (await decided(worker, n=2)).state == {"n": 2}


async def test_calls_at_once_are_answered_one_by_one(tmp_path: Path) -> None:
    """Several symbols may ask the same worker at the same time."""
    async with running(tmp_path, "return Decision(evidence=SEEN, state=state)") as worker:
        answers = await asyncio.gather(*(decided(worker, n=n) for n in range(20)))
        assert [answer.state["n"] for answer in answers] == list(range(20))


async def test_close_leaves_no_process(tmp_path: Path) -> None:
    """Also when it was deciding."""
    async with running(tmp_path, GOOD) as worker:
        pid = worker.pid
        assert pid is not None
    await until_gone(pid)


async def test_close_ends_a_call_that_is_under_way(tmp_path: Path) -> None:
    """Nothing starts again behind a close, and the caller is not left waiting."""
    async with running(tmp_path, "while True: pass") as worker:
        pid = worker.pid
        assert pid is not None
        call = asyncio.ensure_future(asked(worker))
        await asyncio.sleep(0)
        await worker.close()
        answer = await call
        assert isinstance(answer, Skipped)
        assert answer.kind is SkipKind.CRASH
        assert worker.pid is None
        await until_gone(pid)


async def test_start_after_close_begins_anew_and_start_twice_keeps_the_worker(
    tmp_path: Path,
) -> None:
    """A node that was active, and is again, uses the same object."""
    async with running(tmp_path, GOOD) as worker:
        pid = worker.pid
        await worker.start()
        assert worker.pid == pid
        await worker.close()
        await worker.start()
        assert isinstance(await decided(worker), Decision)


def test_worker_refuses_a_bad_file_before_anything_is_started(tmp_path: Path) -> None:
    """The constructor reads and checks; no process is needed to say no."""
    with pytest.raises(StrategyRefused):
        StrategyWorker(write(tmp_path, "open('x')"))


PARENT = """
import asyncio, sys
from pathlib import Path
from strategy.worker import StrategyWorker
from tests.support.candles import flat_candles, market, portfolio

async def main():
    worker = StrategyWorker(Path(sys.argv[1]), budget_s=600.0)
    await worker.start()
    print(worker.pid, flush=True)
    await worker.decide(market(flat_candles([1])), portfolio(), {})

asyncio.run(main())
"""


@pytest.mark.parametrize("body", ["while True: pass", GOOD], ids=["deciding", "idle or ended"])
async def test_worker_ends_with_its_killed_parent(tmp_path: Path, body: str) -> None:
    """SIGKILL of the node leaves no worker behind, not even one that never looks at its stdin."""
    path = write(tmp_path, body)
    root = str(Path(__file__).parents[2])
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert parent.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        pid = int(await parent.stdout.readline())
    with contextlib.suppress(ProcessLookupError):
        parent.kill()
    await parent.wait()
    await until_gone(pid)
