"""What else a user could pick, side by side on the same hosts, under the same fault at once.

```
 a, b   the two boxes: a bot of each system, keepalived, a Redis and a Sentinel
 c      the third box: the lock's Redis, a Redis and a Sentinel
 venue  counts who sends and when
```

Rules of this file: everything is built anew for each trial; `a` leads every system before the
fault; configurations are the files in rivals/, with addresses filled in. What happened is read
from the venue's log alone (figures.judge_senders).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from tests.bench.figures import Order, Senders, judge_senders
from tests.chaos.lab_clock import HOUR_S, WallClock, build_clocks
from tests.chaos.lab_net import Net

HERE = Path(__file__).with_name("rivals")
ROOT = Path(__file__).parents[2]
LEFT, RIGHT, THIRD, VENUE = "a", "b", "c", "venue"
BOXES = (LEFT, RIGHT, THIRD)
LOCK_PORT, REDIS_PORT, SENTINEL_PORT, VENUE_PORT = 6390, 6400, 26400, 8000
SYSTEMS = ("redis", "sentinel", "keepalived")
# keepalived's silence before it takes over is three advertisements and a skew, whatever the ttl.
ADVERTS: Mapping[int, str] = {6: "1", 3: "0.2"}
WARM_S = 2.0
PATIENCE_S = 60.0
RIVAL_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "redis-server": ("redis-server", "--version"),
    "keepalived": ("keepalived", "--version"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One system under one fault."""

    system: str
    fault: str
    ttl_s: int
    run: int
    load: float
    nobody_ms: float
    both_ms: float
    doubled: int
    is_over: bool


def trial_of(system: str, fault: str, ttl_s: int, run: int, load: float, found: Senders) -> Trial:
    """Return one line of the result."""
    return Trial(
        system=system,
        fault=fault,
        ttl_s=ttl_s,
        run=run,
        load=round(load, 2),
        nobody_ms=found.nobody_ms,
        both_ms=found.both_ms,
        doubled=found.doubled,
        is_over=found.is_over,
    )


def watch_s(ttl_s: int) -> float:
    """How long is looked after a fault: long enough for three lapses."""
    return 3.0 * ttl_s + 6


@dataclass(slots=True)
class RivalLab:
    """Hosts and processes of one trial; a context manager that ends all of them."""

    directory: Path
    ttl_s: int
    net: Net = field(init=False)
    clocks: Mapping[str, WallClock] = field(init=False)
    _started: dict[str, "subprocess.Popen[bytes]"] = field(init=False, default_factory=dict)
    _stack: contextlib.ExitStack = field(init=False, default_factory=contextlib.ExitStack)

    def __enter__(self) -> Self:
        """Start servers and venue, then the bots of `a`, then those of the others."""
        self.directory.mkdir(parents=True)
        self.net = self._stack.enter_context(Net((*BOXES, VENUE)))
        self._stack.enter_context(self.net.hub.entered())
        self._stack.callback(self._end_all)
        self.clocks = build_clocks(self.directory / "clocks", BOXES)
        try:
            self._start_servers()
            self._start_bots(LEFT)
            self.wait(lambda: self.senders() == set(SYSTEMS), f"{LEFT} to lead every system")
            self._start_bots(RIGHT)
            time.sleep(WARM_S)  # part of what is measured: every system has renewed before it
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._stack.close()

    # --- faults ------------------------------------------------------------------------------

    def plug(self) -> None:
        """Cut the power of the leading box."""
        self.net.pull(LEFT, self._pids(LEFT))

    def cut(self) -> None:
        """Cut the leading box from the other boxes, not from the venue."""
        self.net.part([LEFT], [RIGHT, THIRD])

    def stop(self) -> None:
        """Stop the leading bots, as a frozen machine would, for twice the ttl."""
        pids = [
            *self._family(f"redis-{LEFT}"),
            *self._family(f"sentinel-{LEFT}"),
            *self._family(f"keepalived-{LEFT}"),
            *self._plain_bot(LEFT),
        ]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2 * self.ttl_s)  # the pause itself is what is measured
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def clock(self) -> None:
        """Step the wall clock of every box with a Redis by one hour."""
        for host in BOXES:
            self.clocks[host].set(HOUR_S)

    def restart(self) -> None:
        """Kill the servers that hold the locks, and start them again at once."""
        for name in (f"lock-server-{THIRD}", f"server-{LEFT}"):
            process = self._started[name]
            for pid in self._family(name):
                os.kill(pid, signal.SIGKILL)
            process.wait(10)
            self._server(name)

    # --- looking -----------------------------------------------------------------------------

    def orders(self, system: str) -> list[Order]:
        """Return what the venue saw of one system."""
        return [
            Order(sender=str(line["node"]), at_ms=float(line["at_ms"]))
            for line in self._lines()
            if line["system"] == system
        ]

    def senders(self) -> set[str]:
        """Return the systems that have sent."""
        return {str(line["system"]) for line in self._lines()}

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, a bounded time."""
        until_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < until_s, f"waited {PATIENCE_S:.0f} s for {what}"
            time.sleep(0.1)

    def _lines(self) -> list[dict[str, Any]]:
        path = self.directory / "orders.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    # --- parts -------------------------------------------------------------------------------

    def _start_servers(self) -> None:
        counting = ("-m", "tests.bench.rivals.counting_venue", str(VENUE_PORT))
        self._run("venue", VENUE, sys.executable, *counting, str(self.directory / "orders.jsonl"))
        self._server(f"lock-server-{THIRD}")
        for host in BOXES:
            self._server(f"server-{host}")
        self.wait(lambda: self._ask(LEFT, "PING") == "PONG", "the first server")
        for host in (RIGHT, THIRD):
            self.wait(lambda host=host: self._ask(host, "PING") == "PONG", "a server")  # type: ignore[misc]
            self._ask(host, "REPLICAOF", self.net[LEFT].address, str(REDIS_PORT))
        self.wait(
            lambda: "connected_slaves:2" in self._ask(LEFT, "INFO", "replication"),
            "two replicas",
        )
        for host in BOXES:
            self._run(
                f"sentinel-server-{host}",
                host,
                *("redis-sentinel", str(self._written("sentinel.conf", f"sentinel-{host}"))),
                environ=self.clocks[host].environ,
            )
        self.wait(self._is_watched, "the Sentinels to know each other and both replicas")

    def _server(self, name: str) -> None:
        host = name.rpartition("-")[2]
        is_lock = name.startswith("lock")
        form = "redis.conf" if is_lock else "redis-replicated.conf"
        port = LOCK_PORT if is_lock else REDIS_PORT
        path = self._written(form, name, PORT=port)
        environ = self.clocks[host].environ
        self._run(name, host, "redis-server", str(path), environ=environ)

    def _is_watched(self) -> bool:
        for host in BOXES:
            said = self._ask(host, "INFO", "sentinel", port=SENTINEL_PORT)
            if "status=ok" not in said or "slaves=2,sentinels=3" not in said:
                return False
        return True

    def _start_bots(self, host: str) -> None:
        venue = (self.net[VENUE].address, str(VENUE_PORT))
        sentinels = ",".join(f"{self.net[h].address}:{SENTINEL_PORT}" for h in BOXES)
        places = {"redis": f"{self.net[THIRD].address}:{LOCK_PORT}", "sentinel": sentinels}
        for kind, place in places.items():
            bot = (sys.executable, "-m", "tests.bench.rivals.lock_bot", host, str(self.ttl_s))
            self._run(f"{kind}-{host}", host, *bot, *venue, kind, place)
        if host in (LEFT, RIGHT):
            path = self._written("keepalived.conf", f"keepalived-{host}", NODE=host)
            files = [
                *("-p", str(path.parent / "main.pid")),
                *("-r", str(path.parent / "vrrp.pid")),
            ]
            command = ("keepalived", "--vrrp", "-n", "-l", "-f", str(path), *files)
            self._run(f"keepalived-{host}", host, *command)

    def _written(self, form: str, name: str, **values: object) -> Path:
        """Fill in a configuration and write it into a directory of its own."""
        folder = self.directory / name
        folder.mkdir(exist_ok=True)
        text = (HERE / form).read_text()
        node = str(values.pop("NODE", LEFT))
        for key, value in {**self._values(folder, node), **values}.items():
            text = text.replace(f"@{key}@", str(value))
        path = folder / form
        path.write_text(text)
        return path

    def _values(self, folder: Path, node: str) -> dict[str, object]:
        peer = RIGHT if node == LEFT else LEFT
        venue = (self.net[VENUE].address, str(VENUE_PORT))
        bot = ("-m", "tests.bench.rivals.plain_bot", node, *venue)
        return {
            "DIR": folder,
            "PORT": SENTINEL_PORT,
            "REDIS_PORT": REDIS_PORT,
            "MASTER": self.net[LEFT].address,
            "TTL_MS": self.ttl_s * 1000,
            "FAILOVER_MS": self.ttl_s * 1000,
            "NODE": node,
            "PRIORITY": 110 if node == LEFT else 100,
            "ADVERT": ADVERTS[self.ttl_s],
            "OWN": self.net[node].address,
            "PEER": self.net[peer].address,
            "NOTIFY": HERE / "notify.sh",
            "PIDFILE": self.directory / f"plain-{node}.pid",
            "COMMAND": " ".join(("/usr/bin/env", f"PYTHONPATH={ROOT}", sys.executable, *bot)),
        }

    def _ask(self, host: str, *words: str, port: int = REDIS_PORT) -> str:
        address = self.net[host].desk_address
        done = subprocess.run(
            ["redis-cli", "-h", address, "-p", str(port), *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout.strip()

    def _run(
        self, name: str, host: str, *command: str, environ: Mapping[str, str] | None = None
    ) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                [*self.net[host].space.prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )

    def _family(self, name: str) -> list[int]:
        """Return the process that was started under a name, and its children."""
        process = self._started[name]
        if process.poll() is not None:
            return []
        children = psutil.Process(process.pid).children(recursive=True)
        return [process.pid, *(child.pid for child in children)]

    def _plain_bot(self, host: str) -> list[int]:
        path = self.directory / f"plain-{host}.pid"
        return [int(path.read_text())] if path.exists() else []

    def _pids(self, host: str) -> list[int]:
        names = [n for n in self._started if n.endswith(f"-{host}")]
        return [pid for n in names for pid in self._family(n)] + self._plain_bot(host)

    def _end_all(self) -> None:
        pids = [pid for name in self._started for pid in self._family(name)]
        pids += [pid for host in (LEFT, RIGHT) for pid in self._plain_bot(host)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started.values():
            process.wait(10)


FAULTS: Mapping[str, Callable[[RivalLab], None]] = {
    "plug": RivalLab.plug,
    "cut": RivalLab.cut,
    "stop": RivalLab.stop,
    "clock": RivalLab.clock,
    "restart": RivalLab.restart,
}


def run_rivals(
    directory: Path,
    runs: int,
    *,
    faults: Sequence[str] = tuple(FAULTS),
    ttls_s: Sequence[int] = tuple(ADVERTS),
) -> Iterator[Trial]:
    """Yield what each system did under each fault."""
    for ttl_s in ttls_s:
        for fault in faults:
            for run in range(runs):
                with RivalLab(directory / f"{fault}-{ttl_s}-{run}", ttl_s) as lab:
                    load, fault_ms = os.getloadavg()[0], time.time() * 1000
                    FAULTS[fault](lab)
                    time.sleep(max(0.0, fault_ms / 1000 + watch_s(ttl_s) - time.time()))
                    end_ms = time.time() * 1000
                    for system in SYSTEMS:
                        found = judge_senders(lab.orders(system), fault_ms=fault_ms, end_ms=end_ms)
                        yield trial_of(system, fault, ttl_s, run, load, found)
