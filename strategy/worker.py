"""The node's side of a worker process: asks for decisions and never waits beyond the budget.

Whatever the worker does (blocks, raises, prints, floods, ends) becomes a `Skipped` value; a
worker that overran or ended is killed and a new one is started in the background. This class
belongs to one event loop. It must be started from the loop of the main thread: Linux ends a
child with the *thread* that made it (PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strategy import codec
from strategy.errors import AnswerBroken, WorkerUnusable
from strategy.loading import LoadedStrategy, load_strategy
from strategy.model import Decision, Market, Portfolio, SkipKind, Skipped
from strategy.process import (
    ANSWER_BYTES_MAX,
    MEMORY_LIMIT_MB,
    worker_command,
    worker_environment,
)
from strategy.validation import check_decision

# Below the hang limit of the work loop (5 s) with room for everything else a cycle does.
BUDGET_S = 2.0
# Importing pandas takes several seconds on a Nano with a slow card.
START_TIMEOUT_S = 30.0
STDERR_BYTES_KEPT = 4096
OK_KEY = "ok"


class StrategyWorker:
    """Asks one strategy, in a process of its own, for decisions."""

    def __init__(
        self,
        source: LoadedStrategy | str | Path,
        parameters: Mapping[str, Any] | None = None,
        budget_s: float = BUDGET_S,
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        memory_limit_mb: int = MEMORY_LIMIT_MB,
    ) -> None:
        """Load the strategy; raises StrategyRefused. Nothing is started yet.

        Args:
            source: what `load_strategy` returned, or what it takes (then `parameters` counts).
            parameters: values to use instead of the declared defaults.
            budget_s: longest time one `decide` may take, everything included.
            start_timeout_s: longest time a new worker may take to import and load.
            memory_limit_mb: address space of the worker, MiB.
        """
        loaded = source if isinstance(source, LoadedStrategy) else None
        if loaded is None:
            assert not isinstance(source, LoadedStrategy)
            loaded = load_strategy(source, parameters)
        self.strategy = loaded
        self.budget_s = budget_s
        # What the strategy printed during the last call, bounded; empty when it printed nothing.
        self.output = ""
        self._start_timeout_s = start_timeout_s
        self._memory_limit_mb = memory_limit_mb
        self._turn = asyncio.Lock()
        self._is_closed = False
        self._asked = 0
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stderr = b""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """The process id of the running worker, None while there is none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the worker and load the file; returns when it is ready to decide.

        Does nothing when it is ready already.

        Raises:
            WorkerUnusable: the file cannot be run; the message holds `file:line: what`.
        """
        self._is_closed = False
        if self._process is None or self._process.returncode is not None:
            self._begin_start()
        await self._wait_started(self._start_timeout_s + 1.0)

    async def decide(
        self,
        market: Market,
        portfolio: Portfolio,
        state: Mapping[str, Any],
    ) -> Decision | Skipped:
        """Return the strategy's decision, or why there is none; takes at most the budget.

        Calls wait for each other; the budget of a call begins when it is its turn. Never raises
        for anything that the strategy or its process does.
        """
        async with self._turn:
            self.output = ""
            try:
                async with asyncio.timeout(self.budget_s):
                    return await self._decide(market, portfolio, state)
            except TimeoutError:
                # A worker that is still importing goes on doing so; one that decides is ended.
                if self._starting is not None:
                    return Skipped(kind=SkipKind.OVERRUN, reason="the worker is still starting")
                self._restart()
                reason = f"no decision within {self.budget_s:g} s, the worker was ended"
                return Skipped(kind=SkipKind.OVERRUN, reason=reason, where=self.strategy.file)
            except asyncio.CancelledError:
                # The answer that is under way would be taken for that of the next call.
                self._end()
                raise

    async def close(self) -> None:
        """End the worker and wait until it is gone; `start` begins anew."""
        self._is_closed = True
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, WorkerUnusable):
                await self._starting
            self._starting = None
        self._end()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _decide(
        self,
        market: Market,
        portfolio: Portfolio,
        state: Mapping[str, Any],
    ) -> Decision | Skipped:
        try:
            if self._process is None or self._process.returncode is not None:
                self._begin_start()
            await self._wait_started(self.budget_s)
            request = {
                "op": "decide",
                "market": codec.encode_market(market),
                "portfolio": codec.encode_portfolio(portfolio),
                "state": dict(state),
            }
            answer = await self._ask(request)
        except WorkerUnusable as error:
            return Skipped(kind=SkipKind.CRASH, reason=str(error), where=self.strategy.file)
        except AnswerBroken as error:
            self._restart()
            return Skipped(kind=SkipKind.NONSENSE, reason=str(error), where=self.strategy.file)
        self.output = str(answer.get("output", ""))
        if answer.get("is_spent"):
            self._restart()
        return self._read_answer(answer)

    def _read_answer(self, answer: Mapping[str, Any]) -> Decision | Skipped:
        if OK_KEY not in answer:
            known = {kind.value: kind for kind in SkipKind}
            kind = known.get(str(answer.get("kind")), SkipKind.NONSENSE)
            reason, where = str(answer.get("reason", "")), str(answer.get("where", ""))
            return Skipped(kind=kind, reason=reason, where=where or self.strategy.file)
        try:
            decision = codec.parse_decision(answer[OK_KEY])
        except AnswerBroken as error:
            return Skipped(kind=SkipKind.NONSENSE, reason=str(error), where=self.strategy.file)
        problems = check_decision(decision)
        if problems:
            reason = "; ".join(problems)
            return Skipped(kind=SkipKind.NONSENSE, reason=reason, where=self.strategy.file)
        return decision

    async def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        if process is None:
            raise WorkerUnusable("there is no worker")
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked += 1
        asked = self._asked
        try:
            process.stdin.write(codec.encode_line({**request, "id": asked}))
            await process.stdin.drain()
            line = await process.stdout.readline()
        except ValueError as error:  # StreamReader: a line beyond its limit
            raise AnswerBroken(f"the answer has more than {ANSWER_BYTES_MAX} bytes") from error
        except OSError:
            line = b""  # the pipe is gone, which is as good as its end
        if not line.endswith(b"\n"):
            self._restart()
            raise WorkerUnusable(self._describe_end(process))
        answer = codec.parse_line(line)
        if answer.get("id") != asked:
            raise AnswerBroken("the answer belongs to another question")
        return answer

    def _describe_end(self, process: asyncio.subprocess.Process) -> str:
        code = "" if process.returncode is None else f" with {process.returncode}"
        tail = self._stderr.decode(errors="replace").strip().splitlines()[-1:]
        said = f": {tail[0][:200]}" if tail else ""
        return f"the worker ended{code}{said}"

    def _begin_start(self) -> None:
        # After close() nothing starts by itself: a call that was under way ends without one.
        if self._starting is None and not self._is_closed:
            self._starting = asyncio.get_running_loop().create_task(self._start())

    def _restart(self) -> None:
        """End the worker now and start the next one in the background."""
        self._end()
        self._begin_start()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        self._keep(_reap(process))

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_started(self, timeout_s: float) -> None:
        if self._starting is None:
            return
        task = self._starting
        # wait() leaves the task alone: a decide() that runs out of time does not stop the start.
        async with asyncio.timeout(timeout_s):
            await asyncio.wait({task})
        if self._starting is task:
            self._starting = None
        task.result()

    async def _start(self) -> None:
        self._end()
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._spawn()
                request = {"op": "load", "file": self.strategy.file, "text": self.strategy.text}
                answer = await self._ask(request)
        except TimeoutError as error:
            self._end()
            raise WorkerUnusable(f"not ready within {self._start_timeout_s:g} s") from error
        except (AnswerBroken, OSError) as error:
            self._end()
            raise WorkerUnusable(f"did not start: {error}") from error
        self.output = str(answer.get("output", ""))
        if OK_KEY not in answer:
            self._end()
            where = answer.get("where") or self.strategy.file
            raise WorkerUnusable(f"{where}: {answer.get('reason', 'cannot be loaded')}")

    async def _spawn(self) -> None:
        self._stderr = b""
        self._process = await asyncio.create_subprocess_exec(
            *worker_command(parent_pid=os.getpid(), memory_limit_mb=self._memory_limit_mb),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=worker_environment(),
            cwd="/",
            limit=ANSWER_BYTES_MAX + 1,
            start_new_session=True,
        )
        self._keep(self._drain_stderr(self._process))

    async def _drain_stderr(self, process: asyncio.subprocess.Process) -> None:
        # Always emptied, or a strategy that prints through C would block on a full pipe.
        assert process.stderr is not None
        while chunk := await process.stderr.read(STDERR_BYTES_KEPT):
            if process is self._process:
                self._stderr = (self._stderr + chunk)[-STDERR_BYTES_KEPT:]


async def _reap(process: asyncio.subprocess.Process) -> None:
    await process.wait()
