"""A disk that may have forgotten a promise, and no endpoint to ask by: the board answers (R14).

Rules of this file: such a node contends only after the other node itself has said, on the member
board and since this process began, that it relies on no promise. Silence proves nothing: a leader
that trades alone under a forgotten promise may be the very one that does not reach this store. A
holder comes to rely on a promise only when this node gives one, so what was true once stays true.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from election.errors import PromiseFileUnusable
from election.heartbeat import Heartbeat
from election.member_record import MemberReading
from election.model import NodeId
from election.signals import StandUp
from node.bounded import OneAtATime
from node.logs import log_event

# A beat that was on its way when an earlier process of this node promised is one beat, not three.
BEATS_MIN: Final = 3
DISK_TIMEOUT_S: Final = 1.0
BOARD_SAYS: Final = "the other node says on the member board that it relies on none"


@dataclass(slots=True)
class _Heard:
    nonce: str
    beat: int
    denials: int  # new beats in a row that rely on no promise


class BoardWord:
    """What the other nodes say of promises, beat by beat. Pure; for one process of this node."""

    def __init__(self, others: frozenset[NodeId]) -> None:
        """Nothing was heard; `others` are all other configured nodes."""
        self._others = others
        self._heard: dict[NodeId, _Heard] = {}

    def step(self, members: Mapping[NodeId, MemberReading]) -> bool:
        """Take in a look at the board; tell whether every other node has denied any reliance.

        Without another node nobody can deny it.
        """
        for node_id in self._others & members.keys():
            self._note(node_id, members[node_id])
        said = [self._heard[n].denials if n in self._heard else 0 for n in self._others]
        return bool(said) and min(said) >= BEATS_MIN

    def _note(self, node_id: NodeId, reading: MemberReading) -> None:
        known = self._heard.get(node_id)
        if known is None or known.nonce != reading.nonce:
            # What the board shows first may be older than this process.
            self._heard[node_id] = _Heard(reading.nonce, reading.beat, 0)
            return
        if reading.beat <= known.beat:
            return
        known.beat = reading.beat
        # A node without the endpoint says nothing about it, and cannot rely on anybody.
        is_denied = reading.body.get("relies_on", "") == ""
        known.denials = known.denials + 1 if is_denied else 0


@dataclass(slots=True, kw_only=True)
class PromiseDoubt:
    """Ends the doubt of one process. `forget` makes "nothing promised" durable."""

    heartbeat: Heartbeat
    word: BoardWord
    forget: Callable[[], None]
    _disk: OneAtATime = field(default_factory=lambda: OneAtATime(DISK_TIMEOUT_S))
    _is_over: bool = False
    _trouble: str = ""

    async def step(self, members: Mapping[NodeId, MemberReading]) -> None:
        """Take a look; waits for this disk a bounded time, and tries again at the next one."""
        if self._is_over or not self.word.step(members):
            return
        try:
            is_kept = await self._disk.run(self.forget) is not None
        except PromiseFileUnusable as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log_event("promise.not_stored", reason=str(error))
            return
        if is_kept:
            self._is_over = True
            # It waits one ttl, every timer from zero, as after any other end of a promise.
            self.heartbeat.promise(StandUp(ttl_ms=0), lambda _: None)
            log_event("promise.ended", promise_id="", reason=BOARD_SAYS)
