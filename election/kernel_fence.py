"""The kernel's dead-man timer: SIGKILL at an absolute CLOCK_BOOTTIME instant.

Why not an interval timer: it is relative, blind to suspend and slewed, SIGALRM can be blocked or
ignored, and a process stopped between computing and arming lives its full remainder after
SIGCONT. `timer_create(CLOCK_BOOTTIME)` with SIGKILL kills a stopped process while it is stopped,
and an instant already past fires at once. Timers are not inherited by children: no child process
gets venue keys.

Edge: talks to libc through ctypes, Linux only. It decides nothing.
Source: timer_create(2), timer_settime(2).
"""

import contextlib
import ctypes
import os
import signal
from math import floor, isfinite
from typing import ClassVar

from election.errors import FenceUnavailable

CLOCK_BOOTTIME = 7  # <linux/time.h>; time.CLOCK_BOOTTIME has the same number
TIMER_ABSTIME = 1  # <linux/time.h>
SIGEV_SIGNAL = 0  # <asm-generic/siginfo.h>
_NANOSECONDS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_: ClassVar = [("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_: ClassVar = [("it_interval", _Timespec), ("it_value", _Timespec)]


class _Sigevent(ctypes.Structure):
    # struct sigevent is 64 bytes on every Linux ABI; only the first three fields matter here.
    _fields_: ClassVar = [
        ("sigev_value", ctypes.c_void_p),
        ("sigev_signo", ctypes.c_int),
        ("sigev_notify", ctypes.c_int),
        ("padding", ctypes.c_char * 64),
    ]


def _load_libc() -> ctypes.CDLL:
    # glibc before 2.34 (Ubuntu 18.04 to 20.04 on Jetson images) keeps timers in librt.
    candidates = (None, "librt.so.1")
    for name in candidates:
        try:
            library = ctypes.CDLL(name, use_errno=True)
        except OSError:
            continue
        if hasattr(library, "timer_create") and hasattr(library, "timer_settime"):
            return library
    raise FenceUnavailable("the C library has no timer_create; the kernel fence needs Linux")


class KernelFence:
    """One kernel timer of this process. Not thread-safe: the permit calls it under its lock."""

    def __init__(self) -> None:
        """Create the timer, unarmed.

        Raises:
            FenceUnavailable: the kernel or the C library cannot do it.
        """
        # The process that has the timer. Its id is no sign of that: the first one is 0.
        self._pid = -1
        self._libc = _load_libc()
        self._timer = ctypes.c_void_p()
        event = _Sigevent(sigev_signo=int(signal.SIGKILL), sigev_notify=SIGEV_SIGNAL)
        result = self._libc.timer_create(
            ctypes.c_int(CLOCK_BOOTTIME), ctypes.byref(event), ctypes.byref(self._timer)
        )
        if result != 0:
            raise FenceUnavailable(f"timer_create: {os.strerror(ctypes.get_errno())}")
        self._pid = os.getpid()

    def arm(self, boottime_s: float) -> None:
        """Set or move the instant. A past instant fires at once.

        Raises:
            FenceUnavailable: the kernel refused, or this is a forked child (timers are not
                inherited).
        """
        if not isfinite(boottime_s):
            raise FenceUnavailable(f"the fence instant was {boottime_s}")
        # 0 would disarm instead of firing: an instant at or before boot means "now".
        self._set(max(1, floor(boottime_s * _NANOSECONDS)))

    def disarm(self) -> None:
        """Take the instant away; the timer stays for the next grant."""
        self._set(0)

    def close(self) -> None:
        """Delete the timer."""
        if self._pid == os.getpid():
            self._libc.timer_delete(self._timer)
        self._pid = -1

    def _set(self, nanoseconds: int) -> None:
        if self._pid != os.getpid():
            raise FenceUnavailable("this process has no timer: it is closed, or a forked child")
        value = _Itimerspec()
        value.it_value.tv_sec, value.it_value.tv_nsec = divmod(nanoseconds, _NANOSECONDS)
        result = self._libc.timer_settime(
            self._timer, ctypes.c_int(TIMER_ABSTIME), ctypes.byref(value), None
        )
        if result != 0:
            raise FenceUnavailable(f"timer_settime: {os.strerror(ctypes.get_errno())}")

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # the library was never loaded
            self.close()


class NoFence:
    """No fence, for `dev` only: a breakpoint would otherwise kill the process."""

    def arm(self, boottime_s: float) -> None:
        """Do nothing."""

    def disarm(self) -> None:
        """Do nothing."""
