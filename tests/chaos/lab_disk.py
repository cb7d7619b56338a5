"""Small disks: a memory file system of a few megabytes that a test can fill.

Rules of this file: mounts are made in a mount namespace of this thread and its children, so that
the machine does not see them and they vanish with the process.
"""

import ctypes
import os
import subprocess
import threading
from pathlib import Path

CLONE_NEWNS = 0x20000
MOUNT_S = 20.0
_CHUNK = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)
_private: set[int] = set()


class SmallDisk:
    """A directory with a file system of its own."""

    def __init__(self, directory: Path, *, size_kb: int) -> None:
        """Mount it, empty.

        Raises:
            OSError: the kernel gave no mount namespace.
            CalledProcessError: it could not be mounted.
        """
        be_private()
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._ballast = directory / "ballast"
        _run("mount", "-t", "tmpfs", "-o", f"size={size_kb}k,mode=0700", "chaos", str(directory))

    def fill(self) -> None:
        """Leave not one byte free."""
        for size in (_CHUNK, 512, 1):
            with self._ballast.open("ab", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink()

    def make_read_only(self) -> None:
        """Let every write fail, as a card does that has given up."""
        _run("mount", "-o", "remount,ro", str(self.directory))

    def make_writable(self) -> None:
        """Let it be written again."""
        _run("mount", "-o", "remount,rw", str(self.directory))

    def close(self) -> None:
        """Unmount it, whoever still uses it."""
        _run("umount", "-l", str(self.directory))


def be_private() -> None:
    """Give this thread, and those that it starts from now on, mounts of their own; once."""
    me = threading.get_native_id()
    if me in _private:
        return
    if _libc.unshare(CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _run("mount", "--make-rprivate", "/")
    _private.add(me)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=MOUNT_S)
