"""Takes from the worker process what a strategy must not have: sockets, processes, files, time.

Runs inside the worker, before the strategy's file is loaded. Python's audit events see what
honest code does by mistake or by a library's habit; native code written to evade them is not
stopped. The worker has no keys to lose: its environment is empty (see process.py).
"""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
OPEN_FILES_MAX = 128
# Lower priority than the node: its heartbeat thread must win a full core.
NICE = 5
# The kernel's out-of-memory killer takes the worker first, never the node (range -1000..1000).
OOM_SCORE = "800"

SOCKETS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname")
REFUSED = {
    **dict.fromkeys((*SOCKETS, "socket.__new__", "socket.sendto"), "use the network"),
    **dict.fromkeys(
        (
            *("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"),
            *("os.fork", "os.forkpty", "pty.spawn"),
        ),
        "start a process",
    ),
    **dict.fromkeys(("os.kill", "os.killpg", "signal.pthread_kill"), "send signals"),
    **dict.fromkeys(
        (
            *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
            *("os.truncate", "os.chmod", "os.chown", "shutil.rmtree", "shutil.move"),
        ),
        "change files",
    ),
}
# What libraries read when they are imported or first used (numpy: CPU features, pandas: zones).
READABLE = (
    *("/usr/lib", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/localtime"),
    *("/dev/null", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"),
    *("/sys/devices/system", "/etc/ld.so.cache"),
)
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
WRITABLE = frozenset({"/dev/null"})


def follow_parent(parent_pid: int) -> None:
    """End this process when its parent ends, however that happens.

    The signal is asked for first and the parent checked after, so that a parent that died in
    between is noticed too.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(0)


def limit_resources(memory_limit_mb: int) -> None:
    """Bound address space, files and priority; no core dumps, no file may grow."""
    memory = memory_limit_mb * 1024 * 1024
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (value, value))
    os.nice(NICE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Ctrl-C at a terminal is for the node, which ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def give_way_when_memory_ends() -> None:
    """Ask the kernel to take this process first when the machine runs out of memory."""
    # Where /proc is read-only (some containers) the worker still runs, only less politely.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")


def install_guard() -> None:
    """Refuse sockets, processes and files from here on; cannot be undone in this process."""
    prefixes = _readable_prefixes()

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in REFUSED:
            raise PermissionError(f"a strategy may not {REFUSED[event]} ({event})")
        if event == "open":
            _check_open(arguments, prefixes)

    sys.addaudithook(guard)


def _readable_prefixes() -> tuple[str, ...]:
    own = {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path)}
    return tuple({os.path.realpath(path) for path in own} | set(READABLE))


def _check_open(arguments: tuple[Any, ...], prefixes: tuple[str, ...]) -> None:
    path, mode, flags = arguments
    if isinstance(path, int):
        return  # a descriptor that is open already: nothing new comes in
    name = os.path.realpath(os.fsdecode(path))
    is_write = bool(flags & WRITE_FLAGS) if isinstance(flags, int) else False
    is_write = is_write or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))
    if is_write and name not in WRITABLE:
        raise PermissionError(f"a strategy may not write files ({name})")
    own_process = f"/proc/{os.getpid()}"
    is_readable = any(_is_below(name, prefix) for prefix in (*prefixes, own_process))
    if not is_readable:
        raise PermissionError(f"a strategy may not read files ({name})")


def _is_below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix.rstrip("/") + "/")
