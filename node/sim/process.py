"""One life of a simulated node process: it runs, pauses, hangs, and ends at any point.

Rules of this file: a dead process never acts again, whatever still refers to it; a paused one acts
when it is resumed; a hung one is one whose work loop does nothing while its other threads go on.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from node.sim.loop import SimLoop
from node.sim.world import Action, World

if TYPE_CHECKING:
    from node.sim.box import Box
    from node.sim.cable import Endpoint


class Threads(Protocol):
    """What else runs in a process beside the work loop (the heartbeat's crew)."""

    @property
    def has_work(self) -> bool:
        """True when something could run now."""
        ...

    def drain(self) -> None:
        """Run it."""
        ...


class SimProcess:
    """One process on a box."""

    def __init__(self, world: World, box: "Box", name: str) -> None:
        """Alive, with nothing to do."""
        self.world, self.box, self.name = world, box, name
        self.is_alive = True
        self.paused_until_s = 0.0
        self.hung_until_s = 0.0
        self.journal_stalled_until_s = 0.0  # its connections for the journal lose segments
        self.threads: Threads | None = None
        self.endpoint: Endpoint | None = None  # who takes what the other node asks
        # asyncio's own base class has no abstract methods; its type stubs say otherwise.
        self.loop = SimLoop(self)  # type: ignore[abstract]
        self.on_end: Callable[[str], None] = lambda _why: None
        self._backlog: deque[Action] = deque()
        self._is_running = False
        self.handles_to_live = 0  # steps of its loop until it is killed; 0: nobody counts
        self._disk_jobs: deque[Action] = deque()
        self._is_disk_busy = False
        self.graveyard: list[asyncio.Task[Any]] = []

    # --- running -------------------------------------------------------------------------------

    @property
    def is_paused(self) -> bool:
        """True while the kernel does not run any of its threads."""
        return self.world.now < self.paused_until_s

    def run(self, action: Action) -> None:
        """Run something of this process: now, after its pause, or never when it is dead."""
        if not self.is_alive:
            return
        if self.world.now < self.paused_until_s:
            self._backlog.append(action)
            return
        if self._is_running:
            action()
            return
        self._is_running = True
        self.world.current = self
        try:
            action()
            self._drain()
        finally:
            self._is_running = False
            self.world.current = None

    def run_ready(self) -> None:
        """Run what became ready."""
        self.run(_nothing)

    def _drain(self) -> None:
        loop, threads, now = self.loop, self.threads, self.world.now
        ready = loop.ready
        while self.is_alive and now >= self.paused_until_s:
            if threads is not None and threads.has_work:
                threads.drain()
            elif ready and now >= self.hung_until_s:
                loop.drain()
            else:
                return

    # --- what is done to it --------------------------------------------------------------------

    def pause(self, seconds: float) -> None:
        """Stop all its threads for a while, as SIGSTOP, swapping or a stalled SD card do."""
        self.paused_until_s = max(self.paused_until_s, self.world.now + seconds)
        self.world.at(self.paused_until_s, self._resume)

    def _resume(self) -> None:
        if not self.is_alive or self.is_paused:
            return
        backlog, self._backlog = self._backlog, deque()
        for action in backlog:
            self.run(action)
        self.run_ready()

    def hang(self, seconds: float) -> None:
        """Stop its work loop for a while; its other threads go on."""
        self.hung_until_s = max(self.hung_until_s, self.world.now + seconds)
        self.world.at(self.hung_until_s, self.run_ready)

    def kill(self, why: str) -> None:
        """End it at once; nothing of it acts ever again."""
        if not self.is_alive:
            return
        self.is_alive = False
        self._bury()
        self.on_end(why)

    def kill_soon(self, handles: int) -> None:
        """End it in the middle of what it does next, after so many steps; 0 spares it."""
        self.handles_to_live = handles

    def note_handle(self) -> None:
        """One more step of its loop was done, of those that it may still do."""
        self.handles_to_live -= 1
        if self.handles_to_live == 0:
            self.kill("killed")

    def _bury(self) -> None:
        # Kept until the run's end: a collected coroutine would run its `finally` blocks.
        self.graveyard = [t for t in asyncio.all_tasks(self.loop) if not t.done()]
        self.loop.close()
        self._backlog.clear()

    # --- its threads ---------------------------------------------------------------------------

    def disk_thread(self, job: Action) -> None:
        """Queue a job of the thread that writes alerts to disk."""
        self._disk_jobs.append(job)
        if not self._is_disk_busy:
            self._next_disk_job()

    def _next_disk_job(self) -> None:
        if not self._disk_jobs:
            self._is_disk_busy = False
            return
        self._is_disk_busy = True
        job = self._disk_jobs.popleft()

        def finish() -> None:
            job()
            self._next_disk_job()

        self.world.after(self.box.disk.delay_s(), lambda: self.run(finish))

    def note_loop_error(self, context: dict[str, Any]) -> None:
        """An error was left in a task that nobody awaited."""
        if self.is_alive:
            error = context.get("exception")
            text = f"{context.get('message')}: {type(error).__name__}: {error}"
            self.world.note(self.name, "loop error", error=text)
            self.world.violate("an error was left behind in the event loop", error=text)


def _nothing() -> None:
    """Do nothing: only what is ready shall run."""
