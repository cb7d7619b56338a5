"""One node of a stage: a process of its own, started as a user would start it, and its log.

Rules of this file: a process is known by its pid and signalled by it; the kernel ends it together
with the process that started it. It waits for exits only, never for events (stage.py).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

# As in a configuration that does not say.
STATE_DIR = "state"

# Starts a program that the kernel ends together with this process, however that one ends.
_BOUND = """
import ctypes, os, signal, sys
parent = int(sys.argv[1])
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != parent:
    sys.exit(1)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class NodeProcess:
    """One node as its own process, started as a user would start it."""

    def __init__(
        self,
        config: Path,
        node_id: str,
        *,
        state_dir: str = STATE_DIR,
        prefix: Sequence[str] = (),
    ) -> None:
        """Know what to start; nothing runs yet.

        Args:
            config: the configuration file; its directory is where everything lies.
            node_id: which node it is.
            state_dir: beside the configuration; another than the usual makes a copy of the node.
            prefix: a command that runs the program that follows it, as the same process.
        """
        self.node_id = node_id
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix = tuple(prefix)
        self._config = config
        self._state_dir = state_dir
        prefix = "" if state_dir == STATE_DIR else f"{state_dir}."
        self.console = config.parent / f"{prefix}{node_id}.console.log"

    @property
    def pid(self) -> int:
        """Process id of the running node."""
        assert self.process is not None, "started before"
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """True until the process has ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return None if self.process is None else self.process.poll()

    @property
    def has_failed(self) -> bool:
        """True when it has ended by itself with a failure, not by a signal and not in order."""
        return (self.exit_code or 0) > 0

    def start(
        self, environ: Mapping[str, str] | None = None, *, config: Path | None = None
    ) -> Self:
        """Start `nodectl run` for this node, with another configuration file if one is named."""
        assert not self.is_running, "one process a node"
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(  # noqa: S603  (our own program)
                [
                    *self.prefix,
                    sys.executable,
                    "-c",
                    _BOUND,
                    str(os.getpid()),
                    "-m",
                    "node.cli.main",
                    "run",
                    "--config",
                    str(config or self._config),
                    "--node",
                    self.node_id,
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=self._config.parent,
                env={
                    **os.environ,
                    "HOTSPARE__STATE_DIR": self._state_dir,
                    **(environ or {}),
                },
                start_new_session=True,
            )
        return self

    def send(self, number: signal.Signals) -> None:
        """Send a signal to exactly this process."""
        assert self.process is not None, "started before"
        self.process.send_signal(number)

    def kill(self) -> float:
        """SIGKILL it; return the monotonic second at which that was."""
        self.send(signal.SIGKILL)
        at_s = time.monotonic()
        self.wait()
        return at_s

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait until it has ended; return its exit code."""
        assert self.process is not None, "started before"
        return self.process.wait(timeout_s)

    def stop(self, timeout_s: float = 20.0) -> int:
        """Ask it to end (SIGTERM), insist after a while, return its exit code."""
        if self.process is None:
            return 0
        if self.is_running:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout_s)
            self.process.kill()
        return self.process.wait(timeout_s)

    @property
    def log_path(self) -> Path:
        """The node's JSON lines."""
        return self._config.parent / self._state_dir / self.node_id / "log" / "node.jsonl"

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the node's logged events, all or those of one name, oldest first."""
        return [e for e in read_lines(self.log_path) if name is None or e.get("event") == name]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a log that may still be written (a cut last line is left out)."""
    return list(_parsed(path))


def _parsed(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)
