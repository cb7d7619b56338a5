"""The peer endpoint of this process: it listens, asks the other node, and minds the promise.

Rules of this file: threads of its own; the work loop reads `picture` and waits for nothing. What
is asked, judged and shown is in peer_mind.py.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from election.heartbeat import Heartbeat
from election.promise import PromiseMemory
from election.walks import run_walk
from node.config_model import Config
from node.peer_client import peer_client
from node.peer_desk import PeerDesk, PromiseFile
from node.peer_mind import POLL_S, PeerMind
from node.peer_picture import PeerPicture
from node.peer_rules import COMMAND
from node.peer_server import PeerServer

STOP_S: Final = 2.0


class PeerPost:
    """Runs the endpoint of one node; satisfies `node.edges.PeerLink`."""

    def __init__(
        self,
        config: Config,
        *,
        heartbeat: Heartbeat,
        peer: str,
        key: str,
        file: PromiseFile,
        memory: PromiseMemory,
        new_id: Callable[[], str],
        tell: Callable[[str, Mapping[str, Any]], None],
        is_cut: Callable[[], bool] = lambda: False,
    ) -> None:
        """Nothing listens yet.

        Args:
            config: of the cluster; both nodes have `host` and `peer_port`.
            heartbeat: whose machine is asked and told.
            peer: id of the other node.
            key: the shared secret.
            file: where this node remembers its promise.
            memory: what it held at the start of this process.
            new_id: names a promise.
            tell: gets events to log, with their fields; from any thread.
            is_cut: whether a drill has cut this node off; then the other one is not asked.
        """
        identity = heartbeat.identity
        self._tell = tell
        client = peer_client(config, sender=identity.node_id, receiver=peer, key=key)
        desk = PeerDesk(
            config=config,
            heartbeat=heartbeat,
            file=file,
            memory=memory,
            peer=client,
            new_id=new_id,
            tell=tell,
        )
        self._mind = PeerMind(
            desk,
            heartbeat=heartbeat,
            peer=peer,
            ask=client.status,
            tell=tell,
            monotonic_s=time.monotonic,
            is_cut=is_cut,
        )
        own = config.nodes[identity.node_id]
        assert own.host is not None, "an endpoint without an address"
        self._server = PeerServer(
            desk,
            host=own.host,
            port=own.peer_port,
            cluster_id=identity.cluster_id,
            node_id=identity.node_id,
            senders=frozenset({peer, COMMAND}),
            key=key,
            on_refused=self._mind.note_refused,
        )
        desk.forget_challenges = self._server.forget_challenges
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peer-poll", daemon=True)

    def start(self) -> None:
        """Listen and begin to ask; a port that cannot be had is said, and asking goes on."""
        self._mind.problem = self._server.start()
        if self._mind.problem:
            self._tell("peer.deaf", {"reason": self._mind.problem})
        self._thread.start()

    def stop(self) -> None:
        """Close the port and end the threads."""
        self._stopping.set()
        self._server.stop(STOP_S)
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nobody may trade."""
        return self._mind.reasons

    def picture(self) -> PeerPicture:
        """Return what is known now; at once."""
        return self._mind.picture()

    def _run(self) -> None:
        while not self._stopping.is_set():
            began_s = time.monotonic()
            run_walk(self._mind.turn())
            self._stopping.wait(max(0.05, POLL_S - (time.monotonic() - began_s)))
