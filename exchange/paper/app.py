"""Puts runtime, HTTP server and the price task together, and runs them until told to stop."""

import asyncio
import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from exchange.paper.admin_routes import AdminRoutes
from exchange.paper.config import PaperConfig
from exchange.paper.runtime import PaperRuntime
from exchange.paper.server import PaperServer

# Points walked before other requests get a turn.
POINTS_AT_ONCE = 100
# The price task looks again at least this often: admin requests may have changed the timeline.
LOOK_AGAIN_S = 0.1
SHUTDOWN_S = 0.5
PR_SET_PDEATHSIG = 1


def build_app(runtime: PaperRuntime, config: PaperConfig) -> web.Application:
    """Return the application; its price task starts and ends with it."""
    server = PaperServer(runtime, config)
    admin = AdminRoutes(runtime, server, is_remote=config.has_remote_admin)

    async def walk_prices(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(_walk(runtime))
        task.add_done_callback(_end_if_broken)
        yield
        task.cancel()

    app = web.Application()
    app.router.add_route("*", "/api/v3/{path:.*}", server.handle)
    app.router.add_route("GET", "/sapi/v1/{path:account/apiRestrictions}", server.handle)
    app.router.add_route("*", "/paper/{path:.*}", admin.handle)
    app.cleanup_ctx.append(walk_prices)
    return app


def _end_if_broken(task: asyncio.Task[None]) -> None:
    """End the process when the price task failed: a market that silently stands still misleads."""
    if not task.cancelled() and task.exception() is not None:
        traceback.print_exception(task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


async def _walk(runtime: PaperRuntime) -> None:
    while True:
        walked, next_ms = runtime.advance_due(POINTS_AT_ONCE)
        if walked >= POINTS_AT_ONCE:
            await asyncio.sleep(0)
            continue
        wait_s = LOOK_AGAIN_S
        if next_ms is not None:
            wait_s = min(wait_s, max(0.0, (next_ms - runtime.clock.wall_ms()) / 1000))
        await asyncio.sleep(wait_s)


async def serve(config: PaperConfig, *, is_bound_to_stdin: bool) -> None:
    """Serve until SIGTERM or SIGINT (or, if asked, until stdin ends: the parent has gone)."""
    runtime = PaperRuntime(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if is_bound_to_stdin:
        _watch_stdin(loop, stop.set)
    runner = web.AppRunner(build_app(runtime, config), access_log=None)
    await runner.setup()
    site = web.TCPSite(
        runner, config.host, config.port, reuse_address=True, shutdown_timeout=SHUTDOWN_S
    )
    try:
        await site.start()
        port = runner.addresses[0][1]
        ready = {"port": port, "pid": os.getpid(), "log": str(runtime.log.path)}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()
        runtime.close()


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the thread that started us ends; exit if it already has."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit(0)


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    def read() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop()

    loop.add_reader(0, read)
