"""The calls of this node to its stores: one at a time each, answers matched, releases seen out.

Rules of this file: a store has at most one call under way, so that replies arrive in the order of
their calls; an answer that matches no call under way is not counted for anything. A release is
irrevocable from the moment it is queued (R10); it is repeated until the store says yes or no, or
until a ttl has passed, after which the record has run out by itself.
"""

from collections import deque
from dataclasses import dataclass, field

from election.instants import Instant, holder_elapsed_s
from election.model import Incarnation, Released, StoreName
from election.quorum import Quorum
from election.signals import NO_INC, NO_WID, Call, Command, Publish, Verb

_FAREWELLS_MAX = 4  # per store; the oldest are the closest to running out by themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """A release to be delivered to one store."""

    epoch: int
    expected_inc: Incarnation
    drain_ms: int
    reserved_for: str
    reason: str
    queued: Instant


@dataclass(slots=True)
class _Handover:
    """A release that the node asked for and wants to hear about."""

    epoch: int
    queued: Instant
    waiting: set[StoreName]
    acked: set[StoreName] = field(default_factory=set)


class Calls:
    """Call slots, one a store, and the commands of the step under way."""

    def __init__(self, quorum: Quorum, *, ttl_s: float) -> None:
        """Nothing under way."""
        self._quorum = quorum
        self._ttl_s = ttl_s
        self._under_way: dict[StoreName, Call] = {}
        self._farewells: dict[StoreName, deque[Farewell]] = {}
        self._handover: _Handover | None = None
        self._last_id = 0
        self._out: list[Command] = []

    def take_out(self) -> tuple[Command, ...]:
        """Return the commands of this step and begin the next."""
        commands, self._out = tuple(self._out), []
        return commands

    def put_out(self, command: Command) -> None:
        """Add a command to this step."""
        self._out.append(command)

    def is_free(self, store: StoreName) -> bool:
        """Tell whether the store has no call under way and no release waiting."""
        return store not in self._under_way and not self._farewells.get(store)

    def send(
        self,
        store: StoreName,
        verb: Verb,
        *,
        epoch: int = 0,
        round_id: int = 0,
        expected_inc: Incarnation | None = None,
        expected_wid: str = "",
        farewell: Farewell | None = None,
    ) -> None:
        """Put a call out; the store's slot must be free of another call."""
        assert store not in self._under_way, f"two calls under way to {store}"
        self._last_id += 1
        call = Call(
            call_id=self._last_id,
            store=store,
            verb=verb,
            epoch=epoch,
            round_id=round_id,
            expected_inc=expected_inc or NO_INC,
            expected_wid=type(NO_WID)(expected_wid),
            drain_ms=farewell.drain_ms if farewell else 0,
            reserved_for=farewell.reserved_for if farewell else "",
            reason=farewell.reason if farewell else "",
        )
        self._under_way[store] = call
        self._out.append(call)

    def finish(self, call: Call) -> bool:
        """Free the slot; False when the call is not the one under way (a late answer)."""
        if self._under_way.get(call.store) != call:
            return False
        del self._under_way[call.store]
        return True

    def queue_farewell(self, store: StoreName, farewell: Farewell) -> None:
        """Queue a release; it goes out before any other call to the store."""
        queue = self._farewells.setdefault(store, deque(maxlen=_FAREWELLS_MAX))
        queue.append(farewell)

    def begin_handover(self, epoch: int, stores: tuple[StoreName, ...], now: Instant) -> None:
        """Publish `Released` when the farewells of this epoch have ended."""
        self._handover = _Handover(epoch=epoch, queued=now, waiting=set(stores))
        self._end_handover_if_decided(now)

    def end_farewell(self, call: Call, now: Instant, *, was_ok: bool) -> None:
        """Take in the answer to a release; one whose answer was lost stays queued."""
        queue = self._farewells.get(call.store)
        if queue and queue[0].epoch == call.epoch:
            queue.popleft()
        handover = self._handover
        if handover is not None and handover.epoch == call.epoch:
            handover.waiting.discard(call.store)
            if was_ok:
                handover.acked.add(call.store)
        self._end_handover_if_decided(now)

    def send_farewells(self, now: Instant) -> None:
        """Put out the next release of every free store; drop those that have run out."""
        for store, queue in self._farewells.items():
            while queue and holder_elapsed_s(queue[0].queued, now) > self._ttl_s:
                queue.popleft()
            if queue and store not in self._under_way:
                first = queue[0]
                self.send(
                    store,
                    Verb.RELEASE,
                    epoch=first.epoch,
                    expected_inc=first.expected_inc,
                    farewell=first,
                )
        self._end_handover_if_decided(now)

    def _end_handover_if_decided(self, now: Instant) -> None:
        handover = self._handover
        if handover is None:
            return
        is_acknowledged = self._quorum.is_met(handover.acked)
        is_over = not handover.waiting or holder_elapsed_s(handover.queued, now) > self._ttl_s
        if is_acknowledged or is_over:
            self._handover = None
            self._out.append(
                Publish(event=Released(epoch=handover.epoch, was_acknowledged=is_acknowledged))
            )
