"""The stage: a cluster on this machine, of real processes, in one directory.

Rules of this file: everything listens on loopback; every process is started here, known by its
pid, and ended here; secrets are made for the run and lie in files that only this user can read.
It plays no story (story.py) and judges nothing (checker.py). The end-to-end tests use it too.
"""

import json
import os
import secrets as random_secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from election.address import StoreAddress
from election.model import StoreName
from election.peek import ClusterPeek, peek
from exchange.paper.process import PaperAccount, PaperKey, PaperProcess
from node.demo.node_process import NodeProcess, read_lines
from node.demo.stores import ServerProgram, StoreServer, find_server, free_port

NODES = ("jetson", "raspberrypi")
CLUSTER = "demo"
PEEK_TIMEOUT_S = 1.0
POLL_S = 0.02


class StageTimeout(Exception):  # noqa: N818  (named by what happened)
    """A condition did not come true in time; the message says which and shows the last log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyPart:
    """One strategy of the cluster and where its prices come from."""

    use: str
    symbol: str
    timeframe: str = "1m"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget_ms: int | None = None
    paper: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What to build. `stores` is 1 or 3; timings are those of the lease section."""

    stores: int = 3
    parts: tuple[StrategyPart, ...]
    balances: Mapping[str, str]
    lease: Mapping[str, int] = field(
        default_factory=lambda: {
            "ttl_ms": 3000,
            "renew_ms": 500,
            "request_timeout_ms": 500,
            "observe_ms": 250,
            "guard_ms": 1000,
        }
    )
    risk: Mapping[str, str | int] = field(default_factory=dict)
    venue: Mapping[str, Any] = field(
        default_factory=lambda: {"cycle_ms": 250, "reconcile_interval_ms": 5000}
    )
    profile: str = "dev"
    topology: str = "single-host"
    extra_toml: str = ""
    secrets_toml: Mapping[str, str] = field(default_factory=dict)
    keys_of: Mapping[str, str] = field(default_factory=dict)  # node -> account name
    paper_options: Mapping[str, Any] = field(default_factory=dict)
    has_peers: bool = False  # the nodes speak directly


class Stage:
    """Stores, paper exchange and two nodes in one directory; a context manager that ends all."""

    def __init__(self, directory: Path, plan: StagePlan) -> None:
        """Write the configuration; nothing runs yet."""
        self.directory = directory
        self.plan = plan
        self.config_path = directory / "cluster.toml"
        directory.mkdir(parents=True, exist_ok=True)
        self.store_password = random_secrets.token_hex(12)
        names = ("raspberrypi",) if plan.stores == 1 else ("jetson", "raspberrypi", "witness")
        program = find_server()
        self.stores = tuple(self.build_store(name, program) for name in names)
        self.paper = self._build_paper()
        self.nodes = {node: self.build_node(node) for node in NODES}

    def __enter__(self) -> Self:
        """Start stores and paper exchange, and write what the nodes need."""
        try:
            for store in self.stores:
                store.start()
            self.paper.start()
            self._write_cluster()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End everything that was started."""
        self.close()

    def close(self) -> None:
        """End every process of the stage; harmless twice."""
        running = [n for n in self.nodes.values() if n.is_running]
        for node in running:
            node.send(signal.SIGCONT)
            node.send(signal.SIGTERM)
        for node in running:
            node.stop()
        self.paper.stop()
        for store in self.stores:
            store.close()

    # --- where things run: a stage of several hosts has its own answers -----------------------

    def build_store(self, name: str, program: ServerProgram) -> StoreServer:
        """Return a store server, not started yet."""
        return StoreServer(name, program=program, password=self.store_password)

    def build_node(self, node_id: str) -> NodeProcess:
        """Return a node, not started yet."""
        return NodeProcess(self.config_path, node_id)

    def paper_options(self) -> dict[str, Any]:
        """Return further settings of the paper exchange."""
        return dict(self.plan.paper_options)

    def store_host(self, store: StoreServer) -> str:
        """Return the address at which nodes reach a store."""
        return store.host

    def venue_url(self) -> str:
        """Return the address at which nodes reach the paper exchange."""
        return self.paper.url

    def shell(self) -> Sequence[str]:
        """Return what stands before a command that a person types."""
        return ()

    # --- looking ---------------------------------------------------------------------------

    @property
    def cluster_id(self) -> str:
        """The cluster's name in the stores and in client order ids."""
        return f"{self.plan.profile}-{CLUSTER}"

    def peek(self) -> ClusterPeek:
        """Look into the stores, as `nodectl status` does."""
        addresses = [
            StoreAddress(
                name=StoreName(s.name), host=s.host, port=s.port, password=self.store_password
            )
            for s in self.stores
        ]
        return peek(addresses, cluster_id=self.cluster_id, timeout_s=PEEK_TIMEOUT_S)

    def nodectl(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a `nodectl` verb as a user would; return what it said."""
        return subprocess.run(  # noqa: S603  (our own program)
            [
                *self.shell(),
                *(sys.executable, "-m", "node.cli.main", *arguments),
                *("--config", str(self.config_path)),
            ],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=self.directory,
            env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
            check=False,
        )

    def requests(self) -> list[dict[str, Any]]:
        """Return the paper exchange's log lines."""
        return read_lines(self.paper.log_path)

    def wait_for(self, condition: Callable[[], Any], what: str, *, timeout_s: float = 60.0) -> Any:
        """Wait until the condition gives something true, and return it.

        Raises:
            StageTimeout: with what was awaited and the last words of each node; at once when a
                node that ran has ended by itself with a failure.
        """
        deadline_s = time.monotonic() + timeout_s
        running = [node for node in self.nodes.values() if node.is_running]
        while True:
            # Looked at before the condition, which the last words of a node may just have met.
            ended = [node for node in running if node.has_failed]
            found = condition()
            if found:
                return found
            if ended:
                names = ", ".join(f"{n.node_id} (exit code {n.exit_code})" for n in ended)
                raise StageTimeout(f"while waiting for {what}: {names} ended\n{self.last_words()}")
            if time.monotonic() > deadline_s:
                raise StageTimeout(f"waited {timeout_s:.0f} s for {what}\n{self.last_words()}")
            time.sleep(POLL_S)

    def wait_role(self, node_id: str, role: str, *, since: int = 0, timeout_s: float = 60.0) -> Any:
        """Wait until a node logs that it took a role (after its first `since` role changes)."""

        def reached() -> dict[str, Any] | None:
            changes = self.nodes[node_id].events("role.changed")[since:]
            return next((e for e in reversed(changes) if e.get("to") == role), None)

        return self.wait_for(reached, f"{node_id} to be {role}", timeout_s=timeout_s)

    def role_changes(self, node_id: str) -> int:
        """Count the role changes a node has logged so far."""
        return len(self.nodes[node_id].events("role.changed"))

    def last_words(self) -> str:
        """Return the last console lines of each node."""
        parts = []
        for node in self.nodes.values():
            lines = node.console.read_text("utf-8", "replace") if node.console.exists() else ""
            tail = "\n".join(lines.splitlines()[-15:])
            parts.append(f"--- {node.node_id} ---\n{tail}")
        return "\n".join(parts)

    # --- writing ---------------------------------------------------------------------------

    def _build_paper(self) -> PaperProcess:
        accounts = [
            PaperAccount(
                name=account,
                uid=uid,
                balances=dict(self.plan.balances),
                keys=[
                    PaperKey(
                        name=node if account == "main" else f"{node}-{account}",
                        key=self._key(node, account),
                        secret=self._key(node, "secret"),
                    )
                    for node in NODES
                ],
            )
            for account, uid in (("main", 1001), ("other", 1002))
        ]
        return PaperProcess(
            self.directory / "paper",
            accounts=accounts,
            symbols=[
                {"symbol": p.symbol, "timeframe": p.timeframe, **p.paper} for p in self.plan.parts
            ],
            **self.paper_options(),
        )

    def _key(self, node: str, what: str) -> str:
        seeds = self.__dict__.setdefault("_keys", {})
        return str(seeds.setdefault((node, what), random_secrets.token_hex(16)))

    def peer_host(self, node_id: str) -> str:
        """Return the address at which a node listens for the other one."""
        del node_id
        return "127.0.0.1"

    def _peer_address(self, node_id: str) -> list[str]:
        if not self.plan.has_peers:
            return []
        return [f'host = "{self.peer_host(node_id)}"', f"peer_port = {free_port()}"]

    def _write_cluster(self) -> None:
        lines = [
            "[cluster]",
            f'name = "{CLUSTER}"',
            f'profile = "{self.plan.profile}"',
            f'topology = "{self.plan.topology}"',
            'preferred_node = "jetson"',
            "[nodes.jetson]",
            'label = "Jetson Nano"',
            "index = 0",
            *self._peer_address("jetson"),
            "[nodes.raspberrypi]",
            'label = "Raspberry Pi"',
            "index = 1",
            *self._peer_address("raspberrypi"),
        ]
        for store in self.stores:
            host = self.store_host(store)
            lines += ["[[stores]]", f'name = "{store.name}"', f'host = "{host}"']
            lines += [f"port = {store.port}"]
        lines += ["[lease]", *_pairs(self.plan.lease)]
        lines += ["[venue]", f'base_url = "{self.venue_url()}"', *_pairs(self.plan.venue)]
        if self.plan.risk:
            lines += ["[risk]", *_pairs(self.plan.risk)]
        for part in self.plan.parts:
            lines += ["[[strategies]]", f'use = "{part.use}"', f'symbols = ["{part.symbol}"]']
            lines += [f'timeframe = "{part.timeframe}"']
            if part.budget_ms is not None:
                lines += [f"budget_ms = {part.budget_ms}"]
            if part.parameters:
                inner = ", ".join(_pairs(part.parameters))
                lines += [f"parameters = {{ {inner} }}"]
        lines += [self.plan.extra_toml]
        self.config_path.write_text("\n".join(lines) + "\n")
        (self.directory / "secrets").mkdir(mode=0o700, exist_ok=True)
        for node in NODES:
            account = self.plan.keys_of.get(node, "main")
            text = (
                f'[venue]\napi_key = "{self._key(node, account)}"\n'
                f'api_secret = "{self._key(node, "secret")}"\n'
                f'[stores.default]\npassword = "{self.store_password}"\n'
            )
            if self.plan.has_peers:
                text += f'[peer]\nkey = "{self._key("both", "peer")}"\n'
            text += self.plan.secrets_toml.get(node, "")
            _write_private(self.directory / "secrets" / f"{node}.toml", text)
        (self.directory / "new-cluster").write_text("")


def remove_stage(directory: Path) -> None:
    """Remove a stage's directory."""
    shutil.rmtree(directory, ignore_errors=True)


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in values.items()]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    return str(value)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
