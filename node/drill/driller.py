"""What a node does to itself when a drill asks for it: die, hang, cut its own cables.

Rules of this file: nothing here acts without a request that is fresh by this process's own clock
(its ticket), names this node and the present epoch, and finds the cluster fit: not paused, a spare
there, drills allowed. Whatever it does is a failure that the rules survive anyway; it can refuse
calls and end the process, it can grant, send and unlock nothing.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from election.cut import PEER
from election.grant_note import read_boot_id
from exchange.orders import OrderEvent, OrderEventKind
from node.crashes import ASKED_FOR, Crash
from node.drill.model import (
    DRILL,
    DrillKind,
    DrillRequest,
    is_fresh_ticket,
    parse_request,
    ticket_at,
)
from node.logs import log_event
from node.parts import NodeParts
from node.role import Role

# How long a request that cannot be carried out yet is kept.
REQUEST_S = 10.0
# How long a crash waits for an order to be in flight, some candles of a busy strategy on a slow
# board; a quiet one places none.
CRASH_WAIT_S = 8.0
# Beyond the hang limit and the lease: by then the kernel's fence has long ended the process.
HANG_EXTRA_S = 2.0
# So that the log's own thread has written what happens next.
LAST_WORDS_S = 0.1
ACTED_ON = frozenset({DrillKind.CRASH, DrillKind.HANG, DrillKind.PARTITION, DrillKind.STORE})


class Hands(Protocol):
    """What a drill does for real."""

    def kill(self) -> None:
        """End this process at once, without a word (SIGKILL)."""
        ...

    def hang(self, seconds: float) -> None:
        """Block the calling thread."""
        ...


class OwnHands:
    """This process's own."""

    def kill(self) -> None:
        """Send SIGKILL to this process."""
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self, seconds: float) -> None:
        """Sleep in the work loop's own thread, which is what a hang is."""
        time.sleep(seconds)


@dataclass(slots=True)
class Driller:
    """Looks once a turn whether this node is asked to be hurt, and hurts it."""

    parts: NodeParts
    spares: Callable[[], tuple[str, ...]]
    hands: Hands = field(default_factory=OwnHands)
    _version: int = 0
    _has_seen_requests: bool = False
    _request: DrillRequest | None = None
    _seen_at_s: float = 0.0
    _why_not: str = ""
    _armed: DrillRequest | None = None
    _kill_at_s: float = 0.0
    _running: str = ""
    _running_until_s: float = 0.0

    def step(self, now_s: float) -> None:
        """Take one look; may not return."""
        if self._running and now_s >= self._running_until_s:
            log_event("drill.ended", drill=self._running)
            self._running = ""
        self._note_request(now_s)
        self._act(now_s)
        self._kill_when_due(now_s)
        nonce = self.parts.identity.nonce
        self.parts.health.drill = {
            "ticket": ticket_at(nonce, now_s),
            "running": self._running or ("" if self._armed is None else self._armed.drill_id),
        }

    def note_order(self, event: OrderEvent) -> None:
        """Observe the one write path: an intent is journalled and about to leave."""
        if self._armed is not None and event.kind is OrderEventKind.SENDING:
            if self._why_not_hurt(self._armed):
                return
            self._die(self._armed, f"with order {event.client_order_id} in flight")

    # --- requests ----------------------------------------------------------------------------

    def _note_request(self, now_s: float) -> None:
        watch = self.parts.watch
        record = watch.latches.records.get(DRILL)
        version = 0 if record is None else record.version
        if not self._has_seen_requests:
            # Requests from before this process are old; their tickets would not fit either.
            if watch.has_looked:
                self._has_seen_requests, self._version = True, version
            return
        if version <= self._version or record is None:
            return
        self._version = version
        request = parse_request(record)
        if request is None or request.kind not in ACTED_ON:
            return
        ticket = request.tickets.get(self.parts.node_id)
        if ticket is None:
            return
        log_event("drill.requested", kind=request.kind.value, target=request.target, by=record.by)
        if not is_fresh_ticket(ticket, self.parts.identity.nonce, now_s):
            log_event("drill.refused", drill=request.drill_id, reason="the request is an old one")
            return
        self._request, self._seen_at_s, self._why_not = request, now_s, ""

    def _act(self, now_s: float) -> None:
        request = self._request
        if request is None:
            return
        reason = self._why_not_hurt(request)
        if not reason:
            self._request = None
            self._hurt(request, now_s)
        elif now_s - self._seen_at_s > REQUEST_S:
            self._request = None
            log_event("drill.refused", drill=request.drill_id, reason=reason)

    def _why_not_hurt(self, request: DrillRequest) -> str:
        """Return why this node does not do it now, empty when it does."""
        parts, latches = self.parts, self.parts.watch.latches
        if not parts.config.drills.is_allowed:
            return "the configuration allows no drills"
        if latches.is_paused:
            return "the cluster is paused"
        if request.kind is DrillKind.STORE:
            is_ready = parts.health.role in {Role.ACTIVE, Role.STANDBY}
            return "" if is_ready else f"this node is {parts.health.role.in_words}"
        return self._why_not_leader(request)

    def _why_not_leader(self, request: DrillRequest) -> str:
        parts = self.parts
        if request.target != parts.node_id:
            return "another node is meant"
        if parts.health.role is not Role.ACTIVE:
            return f"this node is {parts.health.role.in_words}"
        if parts.heartbeat.permit.epoch != request.epoch:
            return "the lease has another epoch than when it was asked"
        return "" if self.spares() else "there is no fit spare"

    # --- hurting -----------------------------------------------------------------------------

    def _hurt(self, request: DrillRequest, now_s: float) -> None:
        match request.kind:
            case DrillKind.CRASH:
                self._armed, self._kill_at_s = request, now_s + CRASH_WAIT_S
            case DrillKind.HANG:
                self._hang(request)
            case DrillKind.PARTITION:
                near = self.parts.node_id
                names = [str(a.name) for a in self.parts.addresses if a.name != near]
                self._cut(request, [*names, PEER], now_s)
            case DrillKind.STORE:
                self._cut(request, [request.target], now_s)
            case _:
                pass

    def _kill_when_due(self, now_s: float) -> None:
        if self._armed is None:
            return
        reason = self._why_not_hurt(self._armed)
        if reason:
            log_event("drill.refused", drill=self._armed.drill_id, reason=reason)
            self._armed = None
        elif now_s >= self._kill_at_s:
            self._die(self._armed, "no order was in flight")

    def _die(self, request: DrillRequest, reason: str) -> None:
        self._armed = None
        log_event("drill.started", drill=request.drill_id, kind=request.kind.value, reason=reason)
        self._own_up(request)
        self.hands.hang(LAST_WORDS_S)
        self.hands.kill()

    def _hang(self, request: DrillRequest) -> None:
        lease = self.parts.config.lease
        seconds = (lease.hang_limit_ms + lease.ttl_ms) / 1000 + HANG_EXTRA_S
        log_event(
            "drill.started",
            drill=request.drill_id,
            kind=request.kind.value,
            reason=f"the work loop sleeps for {seconds:.0f} s",
        )
        self._own_up(request)
        self.hands.hang(seconds)
        # Reached without a fence only (dev): the lease has lapsed meanwhile.
        log_event("drill.ended", drill=request.drill_id)

    def _own_up(self, request: DrillRequest) -> None:
        """Write down why this process dies: a drill is no crash that counts against the node."""
        self.parts.crashes.note(
            Crash(
                nonce=self.parts.identity.nonce,
                epoch=request.epoch,
                boot_id=read_boot_id(),
                at_boottime_s=time.clock_gettime(time.CLOCK_BOOTTIME),
                at_wall_ms=self.parts.wall_ms(),
                how=f"it ended in drill {request.drill_id}",
                why_not_counted=ASKED_FOR,
                was_told=True,
            )
        )

    def _cut(self, request: DrillRequest, names: Sequence[str], now_s: float) -> None:
        switch = next((a.cut for a in self.parts.addresses if a.cut is not None), None)
        if switch is None:
            log_event("drill.refused", drill=request.drill_id, reason="this node has no cut")
            return
        switch.cut(names, request.lasting_s)
        self._running, self._running_until_s = request.drill_id, now_s + request.lasting_s
        log_event(
            "drill.started",
            drill=request.drill_id,
            kind=request.kind.value,
            reason=f"{', '.join(names)} cut off for {request.lasting_s:.0f} s",
        )
