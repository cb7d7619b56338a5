"""Processor hogs: one busy process a core, for as long as a block lasts and no longer."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

# Ends by itself when its stdin does, so that no hog outlives the test; SIGKILL ends it too.
_HOG = """
import os, select
x = 0
while not select.select([0], [], [], 0)[0]:
    for i in range(200_000):
        x += i * i
"""
END_S = 20.0


@contextlib.contextmanager
def hogs(count: int | None = None) -> Iterator[int]:
    """Keep every core busy (or run `count` hogs); gives how many there are."""
    number = count or os.cpu_count() or 1
    running = [
        subprocess.Popen([sys.executable, "-c", _HOG], stdin=subprocess.PIPE) for _ in range(number)
    ]
    try:
        yield number
    finally:
        for hog in running:
            assert hog.stdin is not None
            hog.stdin.close()
        for hog in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                hog.wait(END_S)
            hog.kill()
            hog.wait(END_S)
