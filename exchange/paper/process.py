"""Starting, killing and steering a paper exchange as a child process (for tests, demo, drills).

Rules of this file: standard library only, blocking calls. The child stops when this process goes,
however it goes: its stdin ends, and when it was started from the main thread the kernel also
kills it (PDEATHSIG follows the starting thread, so it is not used from others).
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from exchange.paper.accounts_file import PaperAccount, PaperKey, write_accounts
from exchange.paper.wal import FILE_NAME

__all__ = ["PaperAccount", "PaperAdminError", "PaperKey", "PaperProcess", "PaperStartError"]

# Importing aiohttp and reading a candle file takes seconds on a busy small board.
READY_S = 60.0
STOP_S = 10.0
REQUEST_S = 10.0


class PaperStartError(Exception):
    """The paper exchange did not start; the message holds what it wrote to stderr."""


class PaperAdminError(Exception):
    """An admin request was refused; the message says why."""


class PaperProcess:
    """One paper exchange process; its directory keeps accounts, configuration, log and stderr."""

    def __init__(
        self,
        directory: Path,
        *,
        accounts: Sequence[PaperAccount],
        symbols: Sequence[Mapping[str, Any]],
        port: int = 0,
        prefix: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        """Write the configuration; nothing runs yet.

        Args:
            directory: created if needed; the state survives in `directory/state`.
            accounts: accounts with their keys.
            symbols: one mapping each, fields as in config.SymbolConfig.
            port: 0 lets the system choose at the first start; later starts use the same.
            prefix: a command that runs the program that follows it, as the same process.
            settings: further fields of config.PaperConfig.
        """
        self.directory = directory
        self.port = port
        self.prefix = tuple(prefix)
        self.reached_at = "127.0.0.1"  # where this process reaches it
        self._config = {
            "accounts": "accounts.json",
            "state_dir": "state",
            "symbols": [dict(symbol) for symbol in symbols],
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        write_accounts(directory / "accounts.json", accounts)

    # -- life ------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it serves, without a path."""
        return f"http://{self.reached_at}:{self.port}"

    @property
    def log_path(self) -> Path:
        """The request log (docs/paper-exchange.md)."""
        return self.directory / "state" / FILE_NAME

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self.pid is not None

    def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            PaperStartError: it ended or was not ready in time.
        """
        if self.is_running:
            return
        config_path = self.directory / "paper.json"
        config_path.write_text(json.dumps(self._config | {"port": self.port}, indent=1))
        command = [*self.prefix, sys.executable, "-m", "exchange.paper"]
        command += ["--config", str(config_path)]
        command.append("--bound-to-stdin")
        if threading.current_thread() is threading.main_thread():
            command += ["--parent", str(os.getpid())]
        with (self.directory / "stderr.log").open("ab") as stderr:
            self._process = subprocess.Popen(  # noqa: S603  (our own module, no shell)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=Path(__file__).parents[2],
                start_new_session=True,  # Ctrl-C is for its parent, who ends it in order
            )
        ready = self._read_ready(self._process)
        self.port = int(ready["port"])

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def stop(self) -> None:
        """End it with SIGTERM, with SIGKILL if it does not follow."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def restart(self) -> None:
        """Start it again on the same port and state, ending it first if it still runs."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop it."""
        self.stop()

    # -- admin requests --------------------------------------------------------------------

    def arm(self, kind: str, **fields: Any) -> int:
        """Arm a fault and return its id; `method`, `path`, `key`, `symbol` say for which requests.

        Other fields: count (None: until cleared), after, seconds, status, is_processed.
        """
        names = ("method", "path", "key", "symbol")
        match = {name: fields.pop(name) for name in names if name in fields}
        return int(self.admin("POST", "faults", {"kind": kind, "match": match, **fields})["id"])

    def clear_faults(self, fault_id: int | None = None) -> None:
        """Remove one fault, or all."""
        self.admin("DELETE", "faults", {} if fault_id is None else {"id": fault_id})

    def faults(self) -> list[dict[str, Any]]:
        """Return all armed faults with their hits."""
        return list(self.admin("GET", "faults")["faults"])

    def set_skew(self, skew_ms: int) -> None:
        """Move the venue's clock away from this machine's."""
        self.admin("POST", "clock", {"skew_ms": skew_ms})

    def pause(self, symbol: str | None = None) -> None:
        """Stop the market of one symbol, or of all."""
        self._feed({"action": "pause"}, symbol)

    def resume(self, symbol: str | None = None) -> None:
        """Let the market go on."""
        self._feed({"action": "resume"}, symbol)

    def halt(self, symbols: Iterable[str]) -> None:
        """Refuse new orders in these symbols until the next restart; cancels go on."""
        for symbol in symbols:
            self.admin("POST", "symbol", {"symbol": symbol, "has_trading": False})

    def jump(self, symbol: str, price: str) -> None:
        """Move the price at once; all later prices keep the same factor."""
        self._feed({"action": "jump", "price": price}, symbol)

    def advance(self, symbol: str | None = None, *, points: int = 0, candles: int = 0) -> None:
        """Walk some price points (four make a candle) now."""
        self._feed({"action": "advance", "points": points, "candles": candles}, symbol)

    def write_balances(self) -> list[dict[str, Any]]:
        """Have a `balances` line written for every account, and return them."""
        return list(self.admin("POST", "balances", {})["accounts"])

    def state(self) -> dict[str, Any]:
        """Return clock, feeds, faults, accounts with balances and open orders."""
        return self.admin("GET", "state")

    def read_log(self) -> list[dict[str, Any]]:
        """Return the lines of the request log written so far."""
        lines = self.log_path.read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def admin(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send one admin request.

        Raises:
            PaperAdminError: refused, with the reason.
            OSError: it does not answer.
        """
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(  # noqa: S310  (our own child on 127.0.0.1)
            f"{self.url}/paper/{path}", data=data, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:  # noqa: S310  (same)
                loaded: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as e:
            raise PaperAdminError(e.read().decode(errors="replace")) from e
        return loaded

    # -- parts -----------------------------------------------------------------------------

    def _feed(self, body: dict[str, Any], symbol: str | None) -> None:
        self.admin("POST", "feed", body | ({"symbol": symbol} if symbol is not None else {}))

    def _read_ready(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        line = _read_line(process.stdout, READY_S)
        if not line:
            process.kill()
            self._reap()
            tail = (self.directory / "stderr.log").read_text(errors="replace")[-2000:]
            raise PaperStartError(f"the paper exchange did not start: {tail}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.wait(STOP_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _read_line(pipe: IO[bytes], within_s: float) -> bytes:
    """Return one line, or nothing when the pipe ends or the time is over."""
    until = time.monotonic() + within_s
    data = b""
    while not data.endswith(b"\n"):
        left_s = until - time.monotonic()
        readable, _, _ = select.select([pipe], [], [], max(0.0, left_s))
        chunk = os.read(pipe.fileno(), 4096) if readable else b""
        if not chunk:
            return b""
        data += chunk
    return data
