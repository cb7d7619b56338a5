"""Real worker processes: whatever a strategy does becomes a decision or a skipped candle."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from strategy.errors import StrategyRefused, WorkerUnusable
from strategy.model import Decision, SkipKind, Skipped
from strategy.process import worker_environment
from strategy.worker import StrategyWorker
from strategy.worker_main import OUTPUT_CHARS_MAX
from tests.strategy.sources import GOOD, body_line, source, write
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


async def test_prints_are_captured_and_bounded(tmp_path: Path) -> None:
    """A strategy may print, also much, also in the shape of an answer; nothing is confused."""
    body = "print('{\"ok\":1}')\nprint('x' * 10_000_000)\n" + GOOD
    async with running(tmp_path, body) as worker:
        assert isinstance(await asked(worker), Decision)
        assert worker.output.startswith('{"ok":1}\n')
        assert len(worker.output) < OUTPUT_CHARS_MAX + 100


async def test_native_prints_do_not_reach_the_answers(tmp_path: Path) -> None:
    """Writing to file descriptor 1 from below Python (as C code does) goes to stderr."""
    body = "from faulthandler import dump_traceback\n"
    body += "for _ in range(2000):\n    dump_traceback(file=1)\n" + GOOD
    async with running(tmp_path, body) as worker:
        assert isinstance(await asked(worker), Decision)
        assert isinstance(await asked(worker), Decision)


async def test_huge_answer_is_nonsense(tmp_path: Path) -> None:
    """Within all single limits and still too large: refused in the worker, not on the loop."""
    body = """
long = "x" * 200
evidence = tuple(
    Evidence(condition=chr(1) * 200, value=chr(1) * 200, threshold=long, has_fired=True)
    for _ in range(200)
)
return Decision(evidence=evidence)
"""
    async with running(tmp_path, body) as worker:
        answer = await asked(worker)
        assert isinstance(answer, Skipped)
        assert answer.kind is SkipKind.NONSENSE
        assert "bytes" in answer.reason


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


async def test_memory_is_bounded(tmp_path: Path) -> None:
    """A leak ends in MemoryError inside the worker, and the worker after it is fresh."""
    body = f"""
if state.get("good"):
    {GOOD}
hog = []
while True:
    hog.append(bytes(10_000_000))
"""
    async with running(tmp_path, body, memory_limit_mb=256) as worker:
        old = worker.pid
        answer = await asked(worker)
        assert isinstance(answer, Skipped)
        assert (answer.kind, answer.reason) == (SkipKind.EXCEPTION, "MemoryError")
        assert isinstance(await decided(worker, good=True), Decision)
        assert worker.pid != old


REACH = {
    "a socket": "from builtins import __import__ as load\nload('socket').socket()",
    "a connection": "load('socket').create_connection(('127.0.0.1', 9))",
    "a name look-up": "load('socket').getaddrinfo('example.org', 80)",
    "a process": "load('subprocess').run(['/bin/true'])",
    "a shell": "load('os').system('true')",
    "a fork": "load('os').fork()",
    "another program": "load('os').execv('/bin/true', ['true'])",
    "a signal to the node": "load('os').kill(load('os').getppid(), 9)",
    "a secret file": "load('io').open('/etc/hostname')",
    "the node's environment": "load('io').open(f'/proc/{load(\"os\").getppid()}/environ')",
    "the way round": "load('io').open('/proc/self/../../etc/hostname')",
    "a file to write": "load('io').open('/proc/self/comm', 'w')",
    "a file to remove": "load('os').remove('/etc/hostname')",
}


@pytest.mark.parametrize("body", REACH.values(), ids=REACH)
async def test_worker_refuses_to_reach_out(tmp_path: Path, body: str) -> None:
    """Past the lint, the process itself refuses: no network, processes, signals or files."""
    # Names from a mapping, so that the lint, which is not tested here, finds nothing.
    text = (
        "load = __builtins__['__im' + 'port__']\n" + body.rpartition("as load\n")[2] + "\n" + GOOD
    )
    async with running(tmp_path, text) as worker:
        answer = await asked(worker)
        assert isinstance(answer, Skipped)
        assert answer.kind is SkipKind.EXCEPTION
        assert "PermissionError: a strategy may not" in answer.reason


def look_inside(pid: int | None) -> tuple[bytes, bytes, list[str]]:
    process = Path(f"/proc/{pid}")
    opened = [str(entry.readlink()) for entry in (process / "fd").iterdir()]
    return (process / "environ").read_bytes(), (process / "cmdline").read_bytes(), opened


async def test_worker_has_none_of_the_nodes_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys in the node's environment never reach the process that runs foreign code."""
    monkeypatch.setenv("HOTSPARE__VENUE__SECRET", "do-not-leak")
    async with running(tmp_path, GOOD) as worker:
        environment, command, opened = look_inside(worker.pid)
    names = {line.partition(b"=")[0].decode() for line in environment.split(b"\0") if line}
    assert names == set(worker_environment())
    assert b"do-not-leak" not in environment + command
    # Its three pipes, the copy of one, and perhaps the random source: nothing was inherited.
    assert {target.partition(":")[0] for target in opened} <= {"pipe", "/dev/urandom"}


async def test_prints_in_the_strategy_file_itself_are_captured(tmp_path: Path) -> None:
    """Code at the top of the file runs at load, with the same rules."""
    path = tmp_path / "mine.py"
    path.write_text("print('loading')\n" + source(GOOD), encoding="utf-8")
    worker = StrategyWorker(path, budget_s=PATIENT_S)
    await worker.start()
    assert worker.output == "loading\n"
    await worker.close()


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


async def test_answer_that_was_forged_is_not_taken(tmp_path: Path) -> None:
    """A strategy that found the answers' pipe and wrote into it does not get its line accepted."""
    body = """
if state.get("forge"):
    load = __builtins__["__im" + "port__"]
    os = load("os")
    for number in range(3, 10):
        try:
            os.write(number, b'{"ok":{},"id":0}' + bytes([10]))
        except OSError:
            pass
return Decision(evidence=SEEN)
"""
    async with running(tmp_path, body) as worker:
        answer = await asked(worker, forge=True)
        assert isinstance(answer, Skipped)
        assert answer.kind is SkipKind.NONSENSE
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
