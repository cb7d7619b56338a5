"""What a strategy's worker may not do: print into its answers, take all memory, reach out."""

from pathlib import Path

import pytest

from strategy.model import Decision, SkipKind, Skipped
from strategy.process import worker_environment
from strategy.worker import StrategyWorker
from strategy.worker_main import OUTPUT_CHARS_MAX
from tests.strategy.sources import GOOD, source
from tests.strategy.workers import PATIENT_S, asked, decided, running


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
