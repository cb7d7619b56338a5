"""Network namespaces without names: each is an open file of this process and dies with it.

Rules of this file: nothing is written under /run/netns and the machine's own network is never
touched. However this process ends, the kernel removes its namespaces and all that is in them;
there are no leftovers to clean up. Entering is for one thread, for the length of a block.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000
TOOLS = ("ip", "nft", "nsenter", "tc")
COMMAND_S = 20.0
_OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """Return why no lab can be built here; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: iproute2, nftables, util-linux)"
    try:
        Namespace().close()
    except OSError as error:
        return f"this system gives no network namespace: {error.strerror}"
    return ""


class Namespace:
    """One network namespace, empty at first but for its loopback interface."""

    def __init__(self) -> None:
        """Make it.

        Raises:
            OSError: the kernel refused.
        """
        made: list[int] = []
        failed: list[OSError] = []

        def make() -> None:
            # A thread of its own: unshare moves the thread, and this one ends.
            if _libc.unshare(CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                failed.append(OSError(number, os.strerror(number)))
                return
            made.append(os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        self._descriptor = made[0]
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")

    @property
    def path(self) -> str:
        """A path that names it for `ip ... netns` and `nsenter`, as long as this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command so that it runs inside; it keeps its process id."""
        return ("nsenter", f"--net={self.path}", "--")

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a command inside and return what it printed.

        Raises:
            AssertionError: it failed; with what it said.
        """
        done = subprocess.run(
            [*self.prefix, *command],
            input=text,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}\n{text or ''}"
        return done.stdout

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread, and whatever it starts meanwhile, be inside."""
        before = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self._descriptor)
            yield
        finally:
            _enter(before)
            os.close(before)

    def close(self) -> None:
        """Let go of it; it vanishes with the last process and socket inside."""
        os.close(self._descriptor)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
