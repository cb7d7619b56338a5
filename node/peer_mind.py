"""What a node keeps in mind of the other one: asked every second, judged, and shown at once.

Rules of this file: no thread and no socket; a turn is a walk (election/walks.py). A peer that
cannot be asked changes nothing by itself (R13): it is shown, and what was proven before stays.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from election.errors import PeerUnreachable
from election.heartbeat import Heartbeat
from election.peer import Exchange, PeerStatus, ServerCheck
from election.promise import PromiseMemory, PromiseState
from election.walks import Walk
from node.config_model import Config
from node.peer_desk import DONE, Outcome
from node.peer_picture import PeerPicture

POLL_S: Final = 1.0
MIND_S: Final = 3.0  # a restarted node asks so often to be let off its promise
SILENT_AFTER: Final = 3  # polls without an answer; one that is lost is no news
CUT_OFF: Final = "cut off by a drill"
REFUSED_EVERY_S: Final = 60.0  # strangers at the endpoint are logged at most so often


class MindedDesk(Protocol):
    """What is minded at this node's desk (node.peer_desk by shape); `end`, `doubt` block."""

    @property
    def memory(self) -> PromiseMemory:
        """What this node remembers of its promise."""
        ...

    @property
    def config(self) -> Config:
        """The configuration of this node."""
        ...

    def end(self) -> Outcome:
        """Ask the holder to let go of the promise."""
        ...

    def doubt(self) -> None:
        """The holder relies on a promise that this disk does not know."""
        ...


class PeerMind:
    """Asks, judges and remembers, for one node; read from any thread."""

    def __init__(
        self,
        desk: MindedDesk,
        *,
        heartbeat: Heartbeat,
        peer: str,
        ask: Callable[[], PeerStatus],
        tell: Callable[[str, Mapping[str, Any]], None],
        monotonic_s: Callable[[], float],
        is_cut: Callable[[], bool],
    ) -> None:
        """Nothing is known.

        Args:
            desk: of this node.
            heartbeat: whose machine is asked.
            peer: id of the other node.
            ask: asks the other node for its status; blocks, raises PeerUnreachable.
            tell: gets events to log, with their fields.
            monotonic_s: seconds of this process's own clock.
            is_cut: whether a drill has cut this node off; then the other one is not asked.
        """
        self._desk, self._heartbeat, self._peer = desk, heartbeat, peer
        self._ask, self._tell, self._monotonic_s, self._is_cut = ask, tell, monotonic_s, is_cut
        self._check = ServerCheck(
            list_ids=frozenset({heartbeat.identity.config_id, desk.config.old_list_id} - {""}),
            stores=[o.name for o in heartbeat.view().stores],
        )
        self.problem = self._error = ""
        self._status: PeerStatus | None = None
        self._heard_at_s: float | None = None
        self._reasons: tuple[str, ...] = ()
        self._was_heard: bool | None = None
        self._failures = 0
        self._mind_due_s = self._refused_due_s = 0.0

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nobody may trade; empty when nothing is proven."""
        return self._reasons

    def picture(self) -> PeerPicture:
        """Return what is known now; at once."""
        heard_at_s = self._heard_at_s
        return PeerPicture(
            is_on=True,
            problem=self.problem,
            peer=self._peer,
            heard_s=None if heard_at_s is None else self._monotonic_s() - heard_at_s,
            error=self._error,
            reasons=self._reasons,
            memory=self._desk.memory,
            relies_on=self._heartbeat.relies_on,
            status=self._status,
        )

    def turn(self) -> Walk[None]:
        """Ask once, and mind what comes of it; due every `POLL_S`."""
        began_s = self._monotonic_s()
        yield from self._poll()
        yield from self._mind(began_s)

    def note_refused(self, reason: str) -> None:
        """A request was not answered: say so, now and then."""
        now_s = self._monotonic_s()
        if now_s >= self._refused_due_s:
            self._refused_due_s = now_s + REFUSED_EVERY_S
            self._tell("peer.refused", {"reason": reason})

    def _poll(self) -> Walk[None]:
        sent = self._heartbeat.now()
        if self._is_cut():
            self._error = CUT_OFF
            self._note_heard(is_heard=False)
            return
        try:
            status: PeerStatus = yield self._ask
        except PeerUnreachable as error:
            self._error = str(error)
            self._failures += 1
            if self._failures >= SILENT_AFTER:
                self._note_heard(is_heard=False)
            return
        self._failures = 0
        facts = self._heartbeat.peer_facts()
        self._check.step(facts.lives, Exchange(status=status, sent=sent, received=facts.at))
        self._status, self._heard_at_s, self._error = status, self._monotonic_s(), ""
        self._reasons = self._check.reasons
        if status.relies_on and not facts.holder.epoch:
            yield self._desk.doubt
        self._note_heard(is_heard=True)

    def _mind(self, now_s: float) -> Walk[None]:
        """Ask to be let off a promise that an earlier process gave, or may have given."""
        memory = self._desk.memory
        is_over = memory.is_of_earlier_process(self._heartbeat.identity.nonce)
        if now_s < self._mind_due_s or not (is_over or memory.state is PromiseState.UNKNOWN):
            return
        self._mind_due_s = now_s + MIND_S
        if self._was_heard:
            ended: Outcome = yield self._desk.end
            if ended.code == DONE:
                self._mind_due_s = now_s

    def _note_heard(self, *, is_heard: bool) -> None:
        if is_heard is not self._was_heard:
            self._was_heard = is_heard
            fields = {"peer": self._peer, "reason": self._error}
            self._tell("peer.heard" if is_heard else "peer.silent", fields)
