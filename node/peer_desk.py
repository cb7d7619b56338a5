"""What this node answers directly, and the walk of a promise: stand down, rely on it, end it (R14).

Rules of this file: blocking calls on the endpoint's threads, never on the work loop; each is
yielded by a walk (election/walks.py), and one walk ends before the next begins. The order of each
walk is what keeps one trader: the machine drops what it asked for, the disk has the promise, and
only then does the holder hear of it; the holder has let go before it says so, and only then does
the disk forget. Whatever stays unclear leaves the promise standing.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from election.errors import PeerUnreachable, PromiseFileUnusable
from election.heartbeat import Heartbeat
from election.peer import PeerStatus, render_status
from election.promise import (
    NOT_KNOWN,
    NOTHING_PROMISED,
    Promise,
    PromiseDesk,
    PromiseMemory,
    PromiseState,
    describe,
    parse_promise,
)
from election.promises import PeerFacts
from election.signals import PromiseDropped, PromiseStimulus, PromiseTaken, StandDown, StandUp
from election.walks import Walk, run_walk
from node.config_model import Config
from node.peer_rules import COMMAND

MACHINE_S: Final = 3.0  # the coordinator takes a stimulus in within milliseconds
DONE, REFUSED, UNSURE = "done", "refused", "unsure"


class PromiseFile(Protocol):
    """Where this node remembers its promise (election.promise_file by shape)."""

    def load(self) -> PromiseMemory:
        """Return what is remembered."""
        ...

    def store(self, memory: PromiseMemory) -> None:
        """Write durably. Raises PromiseFileUnusable."""
        ...


class Asking(Protocol):
    """How the other node is asked (node.peer_client by shape); calls raise PeerUnreachable."""

    def status(self) -> PeerStatus:
        """Return what the other node says about itself."""
        ...

    def stand_down(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a step of a promise."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a step ended: `code` is done, refused or unsure; `text` is for people."""

    code: str
    text: str
    promise: Promise | None = None
    ttl_ms: int = 0

    def to_body(self) -> dict[str, Any]:
        """Render as JSON values."""
        promise = None if self.promise is None else self.promise.to_body()
        return {"code": self.code, "text": self.text, "promise": promise, "ttl_ms": self.ttl_ms}


Drive = Callable[[PromiseStimulus], PeerFacts | None]


@dataclass(slots=True, kw_only=True)
class PeerDesk:
    """One node's desk; thread-safe, one step at a time.

    `forget_challenges` refuses what was signed before now; `tell` gets what should be logged;
    `drive` lets the machine take something in and blocks until it has.
    """

    config: Config
    heartbeat: Heartbeat
    file: PromiseFile
    memory: PromiseMemory
    peer: Asking
    new_id: Callable[[], str]
    tell: Callable[[str, Mapping[str, Any]], None]
    forget_challenges: Callable[[], None] = lambda: None
    drive: Drive | None = None
    _promises: PromiseDesk = field(default_factory=PromiseDesk)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- reading -----------------------------------------------------------------------------

    def status(self) -> str:
        """Return this node's status as JSON."""
        facts, identity = self.heartbeat.peer_facts(), self.heartbeat.identity
        relied = facts.holder.relies_on
        return render_status(
            PeerStatus(
                cluster_id=identity.cluster_id,
                config_id=identity.config_id,
                old_list_id=self.config.old_list_id,
                node_id=identity.node_id,
                nonce=identity.nonce,
                is_holder=bool(facts.holder.epoch),
                epoch=facts.holder.epoch,
                max_epoch=facts.max_epoch,
                ttl_ms=facts.holder.ttl_ms,
                lives=facts.lives,
                stood_down=self.memory.promise_id or (facts.stood_down and "unknown"),
                relies_on="" if relied is None else relied.promise_id,
            )
        )

    def stand_down(self, sender: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one step; what a person asks of its own node, and what nodes ask of each other."""
        with self._lock:
            return run_walk(self.walk(sender, body))

    def walk(self, sender: str, body: Mapping[str, Any]) -> Walk[Mapping[str, Any]]:
        """Do the same, for whoever lets one walk end before the next begins."""
        match (sender == COMMAND, body.get("step")):
            case (True, "begin"):
                outcome = yield from self._begin()
            case (True, "end"):
                outcome = yield from self.end_walk()
            case (True, "force"):
                outcome = yield from self._force()
            case (False, "give"):
                outcome = yield from self._take(sender, body)
            case (False, "end"):
                outcome = yield from self._take_end(sender, body)
            case _:
                outcome = Outcome(code=REFUSED, text="that is no step of a promise")
        return outcome.to_body()

    # --- the node that stands down -------------------------------------------------------------

    def _begin(self) -> Walk[Outcome]:
        """Promise the holder not to contend."""
        if self.memory.is_of_earlier_process(self.heartbeat.identity.nonce):
            # It would end by itself as soon as the holder agrees: a new one is wanted.
            ended = yield from self.end_walk()
            if ended.code != DONE:
                return ended
        return (yield from self._promise())

    def _promise(self) -> Walk[Outcome]:  # noqa: PLR0911  (one line for each reason)
        identity = self.heartbeat.identity
        if self.config.cluster.grown_from:
            return _refused(
                "the pair grows from one store to three, and no promise counts on the way: finish "
                "that first (make deploy-witness)"
            )
        if len(self.config.stores) != 1:
            return _refused("with three stores it is not needed: any one of them may be away")
        if self.memory.state is PromiseState.UNKNOWN:
            return _refused("this disk does not know yet whether a promise stands")
        try:
            status = yield self.peer.status
        except PeerUnreachable as error:
            return _refused(f"the other node cannot be asked: {error}")
        if not status.is_holder:
            return _refused(
                f"{status.node_id} does not hold the lease, so nobody could rely on it; "
                "it is said on the standby's box"
            )
        if status.config_id != identity.config_id:
            return _refused(f"{status.node_id} has another store list than this node")
        promise = self.memory.promise or Promise(
            promise_id=self.new_id(),
            by=identity.node_id,
            by_nonce=identity.nonce,
            to=status.node_id,
            to_nonce=status.nonce,
            epoch=status.epoch,
        )
        if (promise.to_nonce, promise.epoch) != (status.nonce, status.epoch):
            return _refused(
                f"a promise for epoch {promise.epoch} stands and {status.node_id} holds epoch "
                f"{status.epoch} now; end that one first"
            )
        return (yield from self._give(promise))

    def _give(self, promise: Promise) -> Walk[Outcome]:
        standing = PromiseMemory(state=PromiseState.STANDING, promise=promise)
        facts = yield self._driving(StandDown(reason=self._words(standing)))
        if facts is None:
            return _refused("this node's heartbeat does not answer")
        if not facts.stood_down:
            return _refused("this node holds the lease; hand over first (nodectl switchover)")
        was, self.memory = self.memory, standing
        try:
            yield partial(self.file.store, standing)
        except PromiseFileUnusable as error:
            # What is on the disk now is not known: the promise stands here, and nobody may rely
            # on it.
            return Outcome(code=UNSURE, text=f"the promise is not durable: {error}")
        if was != standing:
            self.tell("promise.given", promise.to_body())
        try:
            body = {"step": "give", "promise": promise.to_body()}
            answer = yield partial(self.peer.stand_down, body)
        except PeerUnreachable as error:
            return Outcome(
                code=UNSURE,
                text=f"the promise stands, but {promise.to} did not acknowledge it: {error}",
                promise=promise,
            )
        if answer.get("code") != DONE:
            return Outcome(
                code=REFUSED,
                text=f"the promise stands, but {promise.to} does not rely on it: "
                f"{answer.get('text', '')}",
                promise=promise,
            )
        text = f"{promise.to} relies on it and trades on without the store"
        return Outcome(code=DONE, text=text, promise=promise)

    def end(self) -> Outcome:
        """Ask the holder to let go of the promise, and forget it then."""
        with self._lock:
            return run_walk(self.end_walk())

    def end_walk(self) -> Walk[Outcome]:
        """Do the same, for whoever lets one walk end before the next begins."""
        if self.memory.state is PromiseState.NONE:
            return Outcome(code=DONE, text="this node has promised nothing")
        promise_id = self.memory.promise_id
        try:
            answer = yield partial(self.peer.stand_down, {"step": "end", "promise_id": promise_id})
        except PeerUnreachable as error:
            return Outcome(code=UNSURE, text=f"the other node cannot be asked: {error}")
        if answer.get("code") == DONE:
            ttl_ms = answer.get("ttl_ms")
            ttl_ms = ttl_ms if isinstance(ttl_ms, int) else 0
            return (yield from self._forget(ttl_ms, "the holder agreed"))
        yield from self._adopt(answer.get("promise"))
        return _refused(str(answer.get("text", "")))

    def doubt(self) -> None:
        """The holder relies on a promise of this node that this disk does not know: stand down.

        The disk was put back to an older image, or an end is on its way; asking tells which.
        """
        with self._lock:
            run_walk(self.doubt_walk())

    def doubt_walk(self) -> Walk[None]:
        """Do the same, for whoever lets one walk end before the next begins."""
        if self.memory.state is PromiseState.NONE:
            yield self._driving(StandDown(reason=self._words(NOT_KNOWN)))
            self.memory = NOT_KNOWN

    def _adopt(self, body: object) -> Walk[None]:
        """Take up a promise of this node that only the holder remembers: this disk was wiped."""
        try:
            promise = parse_promise(body)
        except ValueError:
            return
        is_mine = promise.by == self.heartbeat.identity.node_id
        if self.memory.state is PromiseState.UNKNOWN and is_mine:
            self.memory = PromiseMemory(state=PromiseState.STANDING, promise=promise)
            yield self._driving(StandDown(reason=self._words(self.memory)))
            self.tell("promise.adopted", promise.to_body())
            try:
                yield partial(self.file.store, self.memory)
            except PromiseFileUnusable as error:
                self.tell("promise.not_stored", {"reason": str(error)})

    def _force(self) -> Walk[Outcome]:
        """End the promise without the holder: a person says that it is dead."""
        if self.memory.state is PromiseState.NONE:
            return Outcome(code=DONE, text="this node has promised nothing")
        try:
            status = yield self.peer.status
        except PeerUnreachable:
            return (yield from self._forget(0, "a person said that the holder is dead"))
        relied = status.relies_on
        if (relied and relied == self.memory.promise_id) or status.is_holder:
            text = f"{status.node_id} is alive and holds the lease; end it with --end"
            return _refused(text)
        return (yield from self.end_walk())

    def _forget(self, ttl_ms: int, why: str) -> Walk[Outcome]:
        try:
            yield partial(self.file.store, NOTHING_PROMISED)
        except PromiseFileUnusable as error:
            return Outcome(code=UNSURE, text=f"the end is not durable, so it stands: {error}")
        ended, self.memory = self.memory.promise, NOTHING_PROMISED
        if (yield self._driving(StandUp(ttl_ms=ttl_ms))) is None:
            return Outcome(code=UNSURE, text="this node's heartbeat does not answer")
        self.tell("promise.ended", {"promise_id": "" if ended is None else ended.promise_id,
                                    "reason": why})  # fmt: skip
        return Outcome(code=DONE, text=f"the promise is over: {why}", promise=ended)

    # --- the holder ------------------------------------------------------------------------------

    def _take(self, sender: str, body: Mapping[str, Any]) -> Walk[Outcome]:
        try:
            promise = parse_promise(body.get("promise"))
        except ValueError as error:
            return _refused(str(error))
        if promise.by != sender:
            return _refused(f"{sender} cannot promise for {promise.by}")
        if len(self.config.nodes) != 2:  # noqa: PLR2004  (a pair: nobody else may contend)
            return _refused("a promise needs exactly two configured nodes")
        facts = self.heartbeat.peer_facts()
        reason = self._promises.refuse_given(promise, facts.holder)
        if reason:
            return _refused(reason)
        after = yield self._driving(PromiseTaken(promise=promise))
        if after is None or after.holder.relies_on != promise:
            return _refused("the grant ended meanwhile")
        if facts.holder.relies_on is None:
            self.tell("promise.relied", promise.to_body())
        return Outcome(code=DONE, text="relied on", promise=promise)

    def _take_end(self, sender: str, body: Mapping[str, Any]) -> Walk[Outcome]:
        promise_id = str(body.get("promise_id", ""))
        facts = self.heartbeat.peer_facts()
        relied = facts.holder.relies_on
        reason = self._promises.refuse_end(facts.holder)
        if reason:
            return Outcome(code=REFUSED, text=reason, promise=relied)
        self.forget_challenges()
        for ended in {promise_id, "" if relied is None else relied.promise_id}:
            self._promises.note_ended(ended)
        after = yield self._driving(PromiseDropped())
        if after is None or after.holder.relies_on is not None:
            return Outcome(code=REFUSED, text="it could not let go", promise=relied)
        if relied is not None:
            fields = {"promise_id": relied.promise_id, "by": sender}
            self.tell("promise.dropped", fields)
        return Outcome(code=DONE, text="not relied on", ttl_ms=facts.holder.ttl_ms)

    # --- the machine ----------------------------------------------------------------------------

    def _driving(self, stimulus: PromiseStimulus) -> Callable[[], PeerFacts | None]:
        return partial(self._drive if self.drive is None else self.drive, stimulus)

    def _drive(self, stimulus: PromiseStimulus) -> PeerFacts | None:
        """Let the machine take it in; return the facts right after, None when it does not."""
        taken: queue.SimpleQueue[PeerFacts] = queue.SimpleQueue()
        self.heartbeat.promise(stimulus, taken.put)
        try:
            return taken.get(timeout=MACHINE_S)
        except queue.Empty:
            return None

    def _words(self, memory: PromiseMemory) -> str:
        return describe(memory, {n: self.config.label_of(n) for n in self.config.nodes})


def _refused(text: str) -> Outcome:
    return Outcome(code=REFUSED, text=text)
