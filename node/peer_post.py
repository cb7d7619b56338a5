"""The peer endpoint of this process: it listens, asks the other node, and minds the promise.

Rules of this file: threads of its own; the work loop reads `picture` and waits for nothing. A peer
that cannot be asked changes nothing by itself (R13): it is shown, and what was proven before stays.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from election.errors import PeerUnreachable
from election.heartbeat import Heartbeat
from election.peer import Exchange, PeerStatus, ServerCheck
from election.promise import PromiseMemory, PromiseState
from node.config_model import Config
from node.peer_client import peer_client
from node.peer_desk import DONE, PeerDesk, PromiseFile
from node.peer_picture import PeerPicture
from node.peer_rules import COMMAND
from node.peer_server import PeerServer

POLL_S: Final = 1.0
MIND_S: Final = 3.0  # a restarted node asks so often to be let off its promise
STOP_S: Final = 2.0
SILENT_AFTER: Final = 3  # polls without an answer; one that is lost is no news
CUT_OFF: Final = "cut off by a drill"
REFUSED_EVERY_S: Final = 60.0  # strangers at the endpoint are logged at most so often


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
        self._is_cut = is_cut
        identity = heartbeat.identity
        self._config, self._heartbeat, self._tell = config, heartbeat, tell
        self._client = peer_client(config, sender=identity.node_id, receiver=peer, key=key)
        self._desk = PeerDesk(
            config=config,
            heartbeat=heartbeat,
            file=file,
            memory=memory,
            peer=self._client,
            new_id=new_id,
            tell=tell,
        )
        own = config.nodes[identity.node_id]
        assert own.host is not None, "an endpoint without an address"
        self._server = PeerServer(
            self._desk,
            host=own.host,
            port=own.peer_port,
            cluster_id=identity.cluster_id,
            node_id=identity.node_id,
            senders=frozenset({peer, COMMAND}),
            key=key,
            on_refused=self._note_refused,
        )
        self._desk.forget_challenges = self._server.forget_challenges
        self._check = ServerCheck(
            config_id=identity.config_id, stores=[o.name for o in heartbeat.view().stores]
        )
        self._peer = peer
        self._problem = self._error = ""
        self._status: PeerStatus | None = None
        self._heard_at_s: float | None = None
        self._reasons: tuple[str, ...] = ()
        self._was_heard: bool | None = None
        self._failures = 0
        self._mind_due_s = self._refused_due_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peer-poll", daemon=True)

    def start(self) -> None:
        """Listen and begin to ask; a port that cannot be had is said, and asking goes on."""
        self._problem = self._server.start()
        if self._problem:
            self._tell("peer.deaf", {"reason": self._problem})
        self._thread.start()

    def stop(self) -> None:
        """Close the port and end the threads."""
        self._stopping.set()
        self._server.stop(STOP_S)
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def picture(self) -> PeerPicture:
        """Return what is known now; at once."""
        heard_at_s = self._heard_at_s
        return PeerPicture(
            is_on=True,
            problem=self._problem,
            peer=self._peer,
            heard_s=None if heard_at_s is None else time.monotonic() - heard_at_s,
            error=self._error,
            reasons=self._reasons,
            memory=self._desk.memory,
            relies_on=self._heartbeat.peer_facts().holder.relies_on,
            status=self._status,
        )

    # --- the polling thread ----------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            started_s = time.monotonic()
            self._poll()
            self._mind(started_s)
            self._stopping.wait(max(0.05, POLL_S - (time.monotonic() - started_s)))

    def _poll(self) -> None:
        sent = self._heartbeat.peer_facts().at
        if self._is_cut():
            self._error = CUT_OFF
            self._note_heard(is_heard=False)
            return
        try:
            status = self._client.status()
        except PeerUnreachable as error:
            self._error = str(error)
            self._failures += 1
            if self._failures >= SILENT_AFTER:
                self._note_heard(is_heard=False)
            return
        self._failures = 0
        facts = self._heartbeat.peer_facts()
        self._check.step(facts.lives, Exchange(status=status, sent=sent, received=facts.at))
        self._status, self._heard_at_s, self._error = status, time.monotonic(), ""
        self._reasons = self._check.reasons
        if status.relies_on and not facts.holder.epoch:
            self._desk.doubt()
        self._note_heard(is_heard=True)

    def _mind(self, now_s: float) -> None:
        """Ask to be let off a promise that an earlier process gave, or may have given."""
        memory = self._desk.memory
        is_over = memory.is_of_earlier_process(self._heartbeat.identity.nonce)
        if now_s < self._mind_due_s or not (is_over or memory.state is PromiseState.UNKNOWN):
            return
        self._mind_due_s = now_s + MIND_S
        if self._was_heard and self._desk.end().code == DONE:
            self._mind_due_s = now_s

    def _note_heard(self, *, is_heard: bool) -> None:
        if is_heard is not self._was_heard:
            self._was_heard = is_heard
            fields = {"peer": self._peer, "reason": self._error}
            self._tell("peer.heard" if is_heard else "peer.silent", fields)

    def _note_refused(self, reason: str) -> None:
        now_s = time.monotonic()
        if now_s >= self._refused_due_s:
            self._refused_due_s = now_s + REFUSED_EVERY_S
            self._tell("peer.refused", {"reason": reason})
