"""Turns finished work into pings to the outside, and the service's silence into an alert.

Rules of this file: it is stepped at the end of a turn of the work loop and at no other time;
nothing in it waits. The cluster's URL is pinged by the node that trades, after a turn that ended
with a lease that is valid and a venue that answered lately; the node's by each node for itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.model import Kind
from node.deadman import (
    DeadmanClock,
    DeadmanNotice,
    OutsideView,
    Ping,
    PingAnswer,
    Watched,
)
from node.durations import show_duration
from node.edges import Pinger
from node.logs import log_event
from node.parts import NodeParts
from node.role import Role

# A leader proves the venue with each complete look; two of them may fail before it counts as gone.
LOOKS = 2


@dataclass(slots=True)
class DeadmanWatch:
    """The URLs that this node knows, and what they answered."""

    parts: NodeParts
    _pingers: Mapping[Watched, Pinger] = field(init=False)
    _clocks: Mapping[Watched, DeadmanClock] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing sent."""
        settings = self.parts.config.deadman
        self._pingers = self.parts.pingers
        self._clocks = {
            watched: DeadmanClock(pace_s=settings.pace_s, tell_after_s=settings.tell_after_s)
            for watched in self._pingers
        }

    async def step(self, now_s: float) -> None:
        """A turn is finished: ping what it stands for when that is due, tell what is news."""
        for watched, pinger in self._pingers.items():
            clock = self._clocks[watched]
            answer = pinger.take_answer()
            if answer is not None:
                await self._take(watched, clock, answer, now_s)
            text = self._text(watched, now_s)
            if text is None or not clock.is_due(now_s):
                continue
            trouble = self._trouble() if watched is Watched.NODE else ""
            ping = Ping(is_well=not trouble, text=trouble or text, last_ms=clock.last_ms)
            clock.note_try(now_s)
            if not pinger.send(ping):
                hung = PingAnswer(took_ms=None, error="the ping before it has not ended yet")
                await self._take(watched, clock, hung, now_s)
        self.parts.health.outside = {
            watched.value: OutsideView(answered_s=clock.answered_s, error=clock.error)
            for watched, clock in self._clocks.items()
        }

    def _text(self, watched: Watched, now_s: float) -> str | None:
        """Return what this turn proves, None when it proves nothing that the URL stands for."""
        parts, health = self.parts, self.parts.health
        label = parts.config.label_of(parts.node_id)
        if watched is Watched.NODE:
            return f"{label}: {health.role.in_words}"
        if health.role is not Role.ACTIVE or parts.heartbeat.permit.remaining_s() <= 0:
            return None
        venue = parts.config.venue
        fresh_s = LOOKS * venue.reconcile_interval_ms / 1000 + venue.read_budget_s
        if health.venue_error or now_s - health.venue_proven_s > fresh_s:
            return None
        paused = ", paused" if parts.watch.latches.is_paused else ""
        return f"{label} leads, epoch {parts.heartbeat.permit.epoch}{paused}"

    def _trouble(self) -> str:
        """Return why this node does nothing until a person has looked, empty when it does."""
        health = self.parts.health
        label = self.parts.config.label_of(self.parts.node_id)
        if health.role is Role.HALTED or health.fatal or health.crash_loop:
            return f"{label}: stopped until a person has looked"
        return ""

    async def _take(
        self, watched: Watched, clock: DeadmanClock, answer: PingAnswer, now_s: float
    ) -> None:
        failing_s = clock.failing_s(now_s)
        notice = clock.note_answer(now_s, answer)
        lasted = show_duration(round(failing_s))
        match notice:
            case None:
                return
            case DeadmanNotice.LOST:
                log_event("deadman.unanswered", url=watched.value, reason=answer.error)
            case DeadmanNotice.BACK:
                log_event("deadman.answered", url=watched.value, lasted_s=round(failing_s))
            case DeadmanNotice.SILENT:
                log_event("deadman.silent", url=watched.value, reason=answer.error)
                await self.parts.teller.tell(
                    Kind.DEGRADED,
                    f"deadman:{watched}:{self.parts.wall_ms()}",
                    {
                        "what": f"your dead-man URL ({watched}) does not answer",
                        "reason": f"{answer.error}, for {lasted}",
                        "meaning": "trading goes on; the service may raise a false alarm, and "
                        "will not raise a true one",
                        "fix": f"look at the service and at deadman.{watched} in this node's "
                        "secrets; nodectl doctor shows when it last answered",
                    },
                )
            case DeadmanNotice.BACK_TOLD:
                log_event("deadman.answered", url=watched.value, lasted_s=round(failing_s))
                await self.parts.teller.tell(
                    Kind.RECOVERED,
                    f"deadman:{watched}:{self.parts.wall_ms()}",
                    {"what": f"your dead-man URL ({watched}) answers again", "lasted": lasted},
                )
