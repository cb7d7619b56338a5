"""Stops one thread of a child process and nothing else, as a hang in its work loop would.

Uses ptrace through libc: a process may trace its own children without further rights (yama scope
1 and less). The stop ends with the traced process; there is no way back, a hang has none either.
"""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

PTRACE_CONT = 7
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
WALL = 0x40000000  # wait for a thread whatever kind of clone it is
TRIES = 20
PULSE_S = 2.0


class PtraceRefusedError(Exception):
    """This system does not let a process trace its child; the message says why."""


class Waiter(Protocol):
    """Waits for a condition with a deadline."""

    def __call__(self, condition: Callable[[], Any], what: str) -> Any:
        """Return what the condition gave."""
        ...


def freeze_main_thread(pid: int, *, pulse: Callable[[], object], wait: Waiter) -> None:
    """Stop the main thread of a child at a moment when its other threads can go on.

    A thread that is stopped while it holds the interpreter's lock stops the others too: then it
    is let go and stopped again at another moment.

    Args:
        pid: a child of this process; its main thread has the same number.
        pulse: something that the other threads change all the time; looked at for PULSE_S.
        wait: waits for a condition.

    Raises:
        PtraceRefusedError: the kernel does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ask(request: int) -> None:
        if libc.ptrace(request, pid, None, None) != 0:
            number = ctypes.get_errno()
            raise PtraceRefusedError(f"ptrace is refused here: {os.strerror(number)}")

    ask(PTRACE_SEIZE)
    for _ in range(TRIES):
        wait(lambda: _waits_for_input(pid), "the work loop to wait for its next turn")
        ask(PTRACE_INTERRUPT)
        os.waitpid(pid, WALL)  # taken here, so that nobody takes the stop for an exit
        if _beats(pulse):
            return
        ask(PTRACE_CONT)
    raise AssertionError("the main thread was never stopped outside the interpreter")


def _beats(pulse: Callable[[], object]) -> bool:
    """Tell whether the pulse changes within PULSE_S."""
    at_stop = pulse()
    until_s = time.monotonic() + PULSE_S
    while time.monotonic() < until_s:
        if pulse() != at_stop:
            return True
    return False


def _waits_for_input(pid: int) -> bool:
    """Tell whether the main thread waits in epoll, where the interpreter's lock is released."""
    return "poll" in Path(f"/proc/{pid}/task/{pid}/wchan").read_text("ascii")
