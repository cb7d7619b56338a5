"""Two puppets at real lease stores: they renew, show themselves, and obey the control records.

No trading, no takeover rules: just enough of a pair for the command line to look at.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from election.address import StoreAddress
from election.model import Identity, Incarnation, NodeId, StoreName, WriteId
from election.redis_control import ControlBoard
from election.redis_members import MemberBoard
from election.redis_store import RedisStore
from node.config import Config, load_config
from node.demo.stores import StoreServer, find_server

NODES = ("jetson", "raspberrypi")
PASSWORD = "store-password"
BEAT_S = 0.1
TIMEOUT_MS = 2000


@dataclass(slots=True, kw_only=True)
class Puppets:
    """The pair, as the stores show it."""

    config: Config
    addresses: tuple[StoreAddress, ...]
    holder: str | None = "jetson"
    epoch: int = 1
    is_deaf: bool = False  # does not look at the control records
    reasons: dict[str, list[str]] = field(default_factory=dict)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def identity(self, node_id: str) -> Identity:
        """Who a puppet says it is."""
        return Identity(
            cluster_id=self.config.cluster_id,
            config_id=self.config.config_id,
            node_id=NodeId(node_id),
            nonce=f"nonce-of-{node_id}",
            label=node_id,
        )

    def take(self, store: RedisStore, node_id: str, number: int) -> None:
        """Take the lease in one store, whoever has it, as a new epoch."""
        seen = store.observe(identity=self.identity(node_id), new_wid=WriteId(f"o{number}"))
        assert seen.record is not None
        store.acquire(
            identity=self.identity(node_id),
            epoch=self.epoch,
            ttl_ms=self.config.lease.ttl_ms,
            expected_inc=seen.inc,
            expected_wid=seen.record.wid,
            new_wid=WriteId(f"a{number}"),
            reason="puppet",
        )

    def body(self, node_id: str, *, is_paused: bool) -> dict[str, Any]:
        """What a puppet says about itself."""
        reasons = [*self.reasons.get(node_id, [])]
        if is_paused:
            reasons.append("the cluster is paused: by a test")
        return {
            "role": "active" if node_id == self.holder else "standby",
            "reasons": reasons,
            "venue_ok": True,
            "fingerprint": "abcdef",
            "version": "0.1.0",
            **self.bodies.get(node_id, {}),
        }


def write_config(folder: Path, servers: list[StoreServer], extra: str = "") -> Config:
    """A single-host cluster at the given servers, with secrets."""
    stores = "".join(
        f'[[stores]]\nname = "{s.name}"\nhost = "{s.host}"\nport = {s.port}\n' for s in servers
    )
    text = f"""
[cluster]
name = "puppets"
topology = "single-host"
preferred_node = "jetson"
[nodes.jetson]
index = 0
[nodes.raspberrypi]
index = 1
{stores}
[lease]
request_timeout_ms = {TIMEOUT_MS}
ttl_ms = 12000
[venue]
base_url = "http://127.0.0.1:9"
[[strategies]]
use = "hold"
symbols = ["BTC/USDT"]
{extra}
"""
    path = folder / "cluster.toml"
    path.write_text(text, encoding="utf-8")
    (folder / "secrets").mkdir(mode=0o700)
    for node_id in NODES:
        secret = folder / "secrets" / f"{node_id}.toml"
        secret.write_text(f'[stores.default]\npassword = "{PASSWORD}"\n', encoding="utf-8")
        secret.chmod(0o600)
    return load_config(path, environ={})


@contextmanager
def running_stores(count: int) -> Iterator[list[StoreServer]]:
    """Real store servers with a password."""
    program = find_server()
    servers = [
        StoreServer(name, program=program, password=PASSWORD)
        for name in ("one", "two", "three")[:count]
    ]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.close()


@contextmanager
def running_puppets(config: Config, *, holder: str | None = "jetson") -> Iterator[Puppets]:
    """Puppets that beat until the block ends; `holder` holds the lease, None for nobody."""
    addresses = tuple(
        StoreAddress(name=StoreName(s.name), host=s.host, port=s.port, password=PASSWORD)
        for s in config.stores
    )
    puppets = Puppets(config=config, addresses=addresses, holder=holder)
    stop, first = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(puppets, stop, first), daemon=True)
    thread.start()
    try:
        assert first.wait(60), "the first beat is written"
        yield puppets
    finally:
        stop.set()
        thread.join(60)


def _beat(puppets: Puppets, stop: threading.Event, first: threading.Event) -> None:
    cluster_id = puppets.config.cluster_id
    stores = [
        RedisStore(a, cluster_id=cluster_id, request_timeout_ms=TIMEOUT_MS)
        for a in puppets.addresses
    ]
    control = ControlBoard(puppets.addresses, cluster_id, TIMEOUT_MS)
    board = MemberBoard(puppets.addresses, cluster_id=cluster_id, request_timeout_ms=TIMEOUT_MS)
    control.put("cluster", {"born_ms": 1}, "puppet", 1, "first start")
    number, is_paused = 0, False
    held: tuple[str | None, int] = (None, 0)
    try:
        while not stop.is_set():
            number += 1
            if not puppets.is_deaf:
                records = control.read().records
                pause, move = records.get("pause"), records.get("switchover")
                is_paused = pause is not None and bool(pause.value["is_paused"])
                if move is not None and move.value["from"] == puppets.holder:
                    puppets.holder, puppets.epoch = str(move.value["to"]), puppets.epoch + 1
            held = _hold(puppets, stores, held, number)
            for node_id in NODES:
                body = puppets.body(node_id, is_paused=is_paused)
                board.publish(NodeId(node_id), f"nonce-of-{node_id}", number, body)
            first.set()
            stop.wait(BEAT_S)
    finally:
        control.close()
        board.close()
        for store in stores:
            store.close()


def _hold(
    puppets: Puppets,
    stores: list[RedisStore],
    held: tuple[str | None, int],
    number: int,
) -> tuple[str | None, int]:
    """Renew in every store, or take it where the holder changed."""
    from election.errors import StoreUnreachable  # noqa: PLC0415  (one use)

    if puppets.holder is None:
        return held
    wanted = (puppets.holder, puppets.epoch)
    for store in stores:
        try:
            if wanted != held:
                puppets.take(store, puppets.holder, number)
                continue
            seen = store.observe(
                identity=puppets.identity(puppets.holder), new_wid=WriteId(f"o{number}")
            )
            store.renew(
                identity=puppets.identity(puppets.holder),
                epoch=puppets.epoch,
                ttl_ms=puppets.config.lease.ttl_ms,
                expected_inc=Incarnation(seen.inc),
                new_wid=WriteId(f"r{number}"),
            )
        except StoreUnreachable:
            continue
    return wanted


def wait_until(condition: Any, *, timeout_s: float = 60.0) -> None:
    """Wait for a condition with a deadline."""
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, "the condition came true in time"
        threading.Event().wait(0.05)
