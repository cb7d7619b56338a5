"""An asyncio event loop whose time is a simulated box's, and whose threads are messages.

Rules of this file: it runs what the production code schedules, nothing more; what asyncio offers
beyond that (sockets, signals, processes) is not there and would fail loudly. A blocking call that
takes simulated time returns a `Deferred`; the executor waits for it instead of a thread.
"""
# ruff: noqa: SLF001  (a loop does with handles what asyncio's own loops do)

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from node.sim.process import SimProcess

T = TypeVar("T")

# Handles that one process may run without any time passing; more means that it spins.
SPIN_MAX = 50_000


class Deferred(Generic[T]):
    """The answer of a blocking call that has not come back yet."""

    __slots__ = ("_error", "_is_done", "_then", "_value")

    def __init__(self) -> None:
        """Without an answer, and nobody waits."""
        self._is_done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._then: Callable[[T | None, BaseException | None], None] | None = None

    def resolve(self, value: T) -> None:
        """Answer; a second answer is ignored."""
        self._end(value, None)

    def fail(self, error: BaseException) -> None:
        """Let the call raise; a second answer is ignored."""
        self._end(None, error)

    def then(self, callback: Callable[[T | None, BaseException | None], None]) -> None:
        """Call back with the answer or the error; one callback only."""
        assert self._then is None, "two wait for one answer"
        self._then = callback
        if self._is_done:
            callback(self._value, self._error)

    def _end(self, value: T | None, error: BaseException | None) -> None:
        if self._is_done:
            return
        self._is_done, self._value, self._error = True, value, error
        if self._then is not None:
            self._then(value, error)


class SimHandle(asyncio.Handle):
    """A callback whose turn comes: `asyncio.Handle` without what only debugging looks at."""

    __slots__ = ()
    _context: Context
    _callback: Callable[..., object]

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: "SimLoop",
        context: Context | None,
    ) -> None:
        """Wait in a context, a copy of the present one by default."""
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None


class SimTimer(asyncio.TimerHandle):
    """A callback whose moment comes, in the same way."""

    __slots__ = ()
    _context: Context
    _callback: Callable[..., object]

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: "SimLoop",
        context: Context | None,
    ) -> None:
        """Wait for an instant of the box's own time."""
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None
        self._when, self._scheduled = when, False


class SimLoop(asyncio.AbstractEventLoop):
    """The event loop of one simulated process."""

    def __init__(self, process: "SimProcess") -> None:
        """Begin with nothing to do."""
        self._process = process
        self._world = process.world
        self.ready: deque[SimHandle | SimTimer] = deque()  # what could run now, in this order
        self._is_closed = False
        self._spun = 0
        self._spun_at_s = -1.0

    # --- running -------------------------------------------------------------------------------

    def drain(self) -> None:
        """Run what is ready, until nothing is or the process stops running."""
        ready, process = self.ready, self._process
        if not ready:
            return
        now = self._world.now  # it stands still meanwhile
        if self._spun_at_s != now:
            self._spun, self._spun_at_s = 0, now
        events._set_running_loop(self)
        try:
            while (
                ready
                and process.is_alive
                and now >= process.paused_until_s
                and now >= process.hung_until_s
            ):
                handle = ready.popleft()
                if not handle._cancelled:
                    try:  # what `handle._run()` does, without the call
                        handle._context.run(handle._callback, *handle._args)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as error:  # noqa: BLE001  (told, as a handle does)
                        text = f"Exception in callback {handle._callback}"
                        self.call_exception_handler({"message": text, "exception": error})
                    self._spun += 1
                    if process.handles_to_live:
                        process.note_handle()
                    if self._spun > SPIN_MAX:
                        self._world.violate("a process spins without time passing")
                        process.kill("it spins")
        finally:
            events._set_running_loop(None)

    # --- AbstractEventLoop: what the node uses -------------------------------------------------

    def time(self) -> float:
        """Return the box's CLOCK_MONOTONIC."""
        return self._process.box.clock.monotonic_s()

    def call_soon(  # type: ignore[override]  # the stub's variadic types say no more
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback as soon as the process runs."""
        handle = SimHandle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Do the same: all threads of a simulated process run in turn."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after a while of the box's own time."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback at an instant of the box's own time."""
        handle = SimTimer(when, callback, args, self, context)
        self._await_instant(handle)
        return handle

    def _await_instant(self, handle: SimTimer) -> None:
        true_s = self._process.box.clock.true_s_of_monotonic(handle.when())
        now = self._world.now
        self._world.at(max(now, true_s), lambda: self._fire(handle))

    def _fire(self, handle: SimTimer) -> None:
        if handle.cancelled() or not self._process.is_alive:
            return
        if self._process.is_paused:  # looked at again when it runs: a clock may stand still
            self._world.at(self._process.paused_until_s, lambda: self._fire(handle))
            return
        if self.time() < handle.when() - 1e-6:  # the clock was bent or stood still meanwhile
            self._await_instant(handle)
            return
        self.ready.append(handle)
        self._process.run_ready()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to do: a cancelled timer is skipped when its moment comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        """Start a task."""
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Make a blocking call; in an executor of its own calls wait for the box's disk."""
        future: asyncio.Future[T] = asyncio.Future(loop=self)
        if executor is not None:
            self._process.disk_thread(lambda: self._call(future, func, args))
        else:
            self._call(future, func, args)
        return future

    def _call(self, future: "asyncio.Future[T]", func: Callable[..., T], args: Any) -> None:
        try:
            answer = func(*args)
        except Exception as error:  # noqa: BLE001  (raised to whoever awaits the call)
            self._settle(future, None, error)
            return
        if isinstance(answer, Deferred):
            answer.then(lambda value, error: self._settle(future, value, error))
        else:
            self._settle(future, answer, None)

    def _settle(self, future: "asyncio.Future[T]", value: Any, error: BaseException | None) -> None:
        if future.done() or not self._process.is_alive:
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def get_debug(self) -> bool:
        """Return False: asyncio's own debugging would slow everything down."""
        return False

    def is_running(self) -> bool:
        """Return True: whoever asks runs in it."""
        return True

    def is_closed(self) -> bool:
        """Tell whether the process has ended."""
        return self._is_closed

    def close(self) -> None:
        """Take no more callbacks."""
        self._is_closed = True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell of an error that nobody awaited; what a dead process leaves behind is none."""
        self._process.note_loop_error(context)
