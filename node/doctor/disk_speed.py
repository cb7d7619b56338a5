"""How long a durable write takes on this box: measured on request, judged purely.

An order is journalled durably before it is sent, so a card that stalls makes every order late.
"""

import contextlib
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

from node.doctor.findings import Finding, Level

# As an order's journal lines: some kilobytes each. Twenty wear nothing and show a bad card.
WRITES = 20
WRITE_BYTES = 4096
# A fifth of what an order request may take (venue.write_timeout_ms); doubled, a card that eats half
# of it would pass.
SLOW_MS = 200.0
P95 = 0.95


def measure_writes(state_dir: Path) -> tuple[float, ...] | str:
    """Write durably beside the journal, and take it away again; blocks for seconds on a bad card.

    Returns:
        Milliseconds of each write, or why it could not be measured.
    """
    path = state_dir / f".write-speed-{os.getpid()}"
    took_ms: list[float] = []
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(WRITES):
                begun_s = time.monotonic()
                os.write(descriptor, os.urandom(WRITE_BYTES))
                os.fsync(descriptor)
                took_ms.append((time.monotonic() - begun_s) * 1000)
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return tuple(took_ms)


def slowest_usual_ms(took_ms: Sequence[float]) -> float:
    """Return what 95 of 100 writes stay below."""
    ordered = sorted(took_ms)
    return ordered[math.ceil(P95 * len(ordered)) - 1]


def judge_writes(label: str, measured: Sequence[float] | str) -> tuple[Finding, ...]:
    """Return a finding for a disk that is slow; one that could not be measured is a note."""
    if isinstance(measured, str):
        what = f"{label}: durable writes could not be measured: {measured}"
        fix = "run it as the user that runs the node"
        return (Finding(level=Level.GOOD, area="box", what=what, fix=fix),)
    slow_ms = slowest_usual_ms(measured)
    if slow_ms <= SLOW_MS:
        return ()
    return (
        Finding(
            level=Level.LOOK,
            area="box",
            what=f"{label}: a durable write takes up to {slow_ms:.0f} ms (95 of 100), more than "
            f"{SLOW_MS:.0f} ms: every order waits for one",
            fix="another card (A1 or A2, of a good make) or a USB SSD; look at dmesg for errors",
        ),
    )


def render_writes(label: str, measured: Sequence[float] | str) -> str:
    """Return what was measured in one line."""
    if isinstance(measured, str):
        return f"durable writes on {label}: not measured ({measured})"
    return (
        f"durable writes on {label}: {WRITES} of {WRITE_BYTES // 1024} KB, 95 of 100 within "
        f"{slowest_usual_ms(measured):.1f} ms, the slowest {max(measured):.1f} ms"
    )
