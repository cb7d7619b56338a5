"""Two desks and two endpoints on loopback; the heartbeat is one by shape that steps a bench."""

import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from election.heartbeat import Heartbeat
from election.instants import Instant
from election.model import LeaseView
from election.peer_auth import Route
from election.promise import NOTHING_PROMISED, Promise, PromiseMemory
from election.promise_file import DiskPromiseFile
from election.promises import PeerFacts
from election.signals import PromiseStimulus
from node.config import Config
from node.peer_client import PeerClient
from node.peer_desk import PeerDesk
from node.peer_rules import COMMAND
from node.peer_server import PeerServer
from tests.support.lease_bench import Bench, someone

KEY = "a-key-that-both-boxes-have-0123456789"
CLUSTER = "c"  # of the bench's identities
NODES = ("jetson", "raspberrypi")


class SteppedHeartbeat:
    """The heartbeat's part that a desk uses, on a bench's machine."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.identity = bench.me
        self.is_deaf = False
        self.guard = threading.RLock()  # the test, the endpoint and the poll are three threads

    def promise(self, stimulus: PromiseStimulus, then: Callable[[PeerFacts], None]) -> None:
        if not self.is_deaf:
            with self.guard:
                self.bench.feed(stimulus)
                then(self.peer_facts())

    @property
    def relies_on(self) -> Promise | None:
        return self.peer_facts().holder.relies_on

    def now(self) -> Instant:
        return self.bench.clock.now()

    def peer_facts(self) -> PeerFacts:
        with self.guard:
            return self.bench.machine.peer_facts(self.bench.clock.now())

    def view(self) -> LeaseView:
        with self.guard:
            return self.bench.machine.view(self.bench.clock.now())

    def run(self, seconds: float) -> None:
        """Let time pass for the machine."""
        with self.guard:
            self.bench.run(seconds)


class Side:
    """One node: bench, desk, endpoint, and its disk."""

    def __init__(
        self,
        node_id: str,
        folder: Path,
        config: Config,
        bench: Bench,
        *,
        memory: PromiseMemory = NOTHING_PROMISED,
        key: str = KEY,
    ) -> None:
        self.node_id, self.bench, self.config = node_id, bench, config
        self.heartbeat = SteppedHeartbeat(bench)
        self.file = DiskPromiseFile(folder / f"{node_id}.json")
        self.file.store(memory)
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.refused: list[str] = []
        self.other = next(n for n in NODES if n != node_id)
        self.desk = PeerDesk(
            config=config,
            heartbeat=cast("Heartbeat", self.heartbeat),
            file=self.file,
            memory=memory,
            peer=self.client_to(self.other, 1),
            new_id=lambda: "p1",
            tell=lambda name, fields: self.told.append((name, fields)),
        )
        self.server = PeerServer(
            self.desk,
            host="127.0.0.1",
            port=0,
            cluster_id=CLUSTER,
            node_id=node_id,
            senders=frozenset({self.other, COMMAND}),
            key=key,
            on_refused=self.refused.append,
        )
        self.desk.forget_challenges = self.server.forget_challenges
        assert not self.server.start()

    def client_to(
        self, receiver: str, port: int, *, sender: str = "", key: str = KEY
    ) -> PeerClient:
        """Return a client of an endpoint on loopback."""
        route = Route(cluster_id=CLUSTER, sender=sender or self.node_id, receiver=receiver)
        return PeerClient(host="127.0.0.1", port=port, route=route, key=key)

    def meet(self, other: "Side") -> None:
        """Learn where the other one listens."""
        self.desk.peer = self.client_to(other.node_id, other.server.port)

    def raw(self, data: bytes, *, timeout_s: float = 5.0) -> bytes:
        """Send bytes to the endpoint; return all that comes back until it closes."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=timeout_s) as link:
            link.sendall(data)
            answer = b""
            while piece := link.recv(4096):
                answer += piece
        return answer


def two_sides(folder: Path, config: Config, **options: Any) -> tuple[Side, Side]:
    """Return a holder and a standby that know each other, on one store and one clock."""
    holder_bench = Bench(me=someone("jetson")).hold()
    standby_bench = Bench(me=someone("raspberrypi"), shared=holder_bench)
    holder = Side("jetson", folder, config, holder_bench)
    standby = Side("raspberrypi", folder, config, standby_bench, **options)
    holder.meet(standby)
    standby.meet(holder)
    return holder, standby
