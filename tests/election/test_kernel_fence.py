"""The kernel fence with real processes: it must kill what cannot help itself."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from election.kernel_fence import KernelFence

# The child arms as told, says "ready", then does as told. Times are CLOCK_BOOTTIME.
CHILD = """
import sys, time
import tests.support.edited  # a rule that is broken on purpose is broken in this process too
from election.kernel_fence import KernelFence
boot = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
fence = KernelFence()
{body}
print("ready", flush=True)
{then}
"""
SLEEP = "time.sleep(120)"


class Child:
    """A child process that is surely gone after the test."""

    def __init__(self, body: str, then: str = SLEEP) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(body=body, then=then)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self) -> int:
        return self.process.wait(timeout=60)

    def discard(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.discard()


def start(children: list[Child], body: str, then: str = SLEEP) -> Child:
    children.append(Child(body, then))
    return children[-1]


def test_fence_kills_at_its_instant(children: list[Child]) -> None:
    """A process that outlives its instant is killed."""
    child = start(children, "fence.arm(boot() + 1.0)")
    child.wait_ready()
    assert child.end() == -signal.SIGKILL


def test_fence_kills_a_stopped_process(children: list[Child]) -> None:
    """A stopped process is killed while it is stopped: SIGCONT never comes."""
    child = start(children, "fence.arm(boot() + 1.5)")
    child.wait_ready()
    os.kill(child.process.pid, signal.SIGSTOP)
    assert child.end() == -signal.SIGKILL


def test_fence_kills_a_process_that_ignores_signals(children: list[Child]) -> None:
    """SIGKILL can neither be blocked nor ignored nor handled."""
    body = (
        "import signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "fence.arm(boot() + 0.5)"
    )
    assert start(children, body, "while True: pass").end() == -signal.SIGKILL


@pytest.mark.parametrize("instant", ["boot() - 1.0", "0.0", "-5.0"])
def test_past_instant_fires_at_once(children: list[Child], instant: str) -> None:
    """An instant already past fires at once; zero must not mean "disarm"."""
    child = start(children, f"fence.arm({instant})", "time.sleep(5); sys.exit(7)")
    assert child.end() == -signal.SIGKILL


def test_disarmed_fence_does_not_fire(children: list[Child]) -> None:
    """After disarming the process lives on past the instant."""
    then = "time.sleep(max(0, until + 0.3 - boot())); sys.exit(7)"
    child = start(children, "until = boot() + 1.0; fence.arm(until); fence.disarm()", then)
    assert child.end() == 7


def test_rearming_moves_the_instant(children: list[Child]) -> None:
    """Each renewal moves the fence: the older instant no longer counts."""
    body = "first = boot() + 1.0; fence.arm(first); fence.arm(boot() + 100)"
    then = "time.sleep(max(0, first + 0.3 - boot())); sys.exit(7)"
    assert start(children, body, then).end() == 7


def test_instant_moved_nearer_fires_earlier(children: list[Child]) -> None:
    """The last arming counts, whichever direction it moves."""
    begun = time.monotonic()
    child = start(children, "fence.arm(boot() + 100); fence.arm(boot() + 0.5)")
    assert child.end() == -signal.SIGKILL
    assert time.monotonic() - begun < 60


def test_forked_child_has_no_timer(children: list[Child]) -> None:
    """Timers are not inherited: arming in a fork is refused instead of silently doing nothing."""
    body = (
        "import os\n"
        "from election.errors import FenceUnavailable\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    try:\n"
        "        fence.arm(boot() + 100)\n"
        "    except FenceUnavailable:\n"
        "        os._exit(9)\n"
        "    os._exit(0)\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    )
    assert start(children, body, "sys.exit(code)").end() == 9


def shown_timers() -> str:
    """Return what the kernel shows of this process's timers."""
    timers = Path("/proc/self/timers")
    if not timers.exists():
        pytest.skip("this kernel does not show timers (CONFIG_CHECKPOINT_RESTORE)")
    return timers.read_text("ascii")


def test_closed_fence_leaves_nothing_behind() -> None:
    """In this very process: armed far away, disarmed, deleted; also a process's first timer."""
    before = shown_timers()
    fence = KernelFence()
    fence.arm(time.clock_gettime(time.CLOCK_BOOTTIME) + 3600)
    fence.disarm()
    fence.close()
    fence.close()
    assert shown_timers() == before


def test_timer_is_of_the_boot_clock_and_kills() -> None:
    """It counts suspended time too, and sends what nobody can block or ignore."""
    with contextlib.closing(KernelFence()) as fence:
        fence.arm(time.clock_gettime(time.CLOCK_BOOTTIME) + 3600.0)
        shown = shown_timers()
        fence.disarm()
    assert shown.count("ClockID: ") == 1, "a fence of another test was left"
    assert f"ClockID: {time.CLOCK_BOOTTIME}\n" in shown
    assert f"signal: {int(signal.SIGKILL)}/" in shown
