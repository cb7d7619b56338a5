"""Who should trade instead of this node: asked for by a person, or because this node is unwell.

Rules of this file: a request counts once, for a bounded time, and only if the named node is a fit
spare; requests from before this process are old. An unwell node hands over only after it was so
for a while and only to a fit spare: what both see is no reason to fail over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from exchange.errors import VenueRateLimited
from node.logs import log_event
from node.parts import NodeParts
from node.role import has_lease
from node.standby import VENUE_CHECK_S

# How long this node must be unwell before it hands over: a venue that hiccups is no reason.
UNWELL_S = 15.0
# A venue that both see as away is no reason either, and a standby looks only so often: its own
# word must be younger than this node's trouble, by one check with all its retries.
VENUE_SLACK_S = 2.0
# A switchover request that could not be carried out for so long is forgotten.
REQUEST_S = 30.0


@dataclass(slots=True)
class _Request:
    version: int = 0
    seen_at_s: float = 0.0
    is_done: bool = True
    has_told: bool = False


@dataclass(slots=True)
class Successor:
    """Judges once a turn whether the lease should go elsewhere."""

    parts: NodeParts
    spares: Callable[[], tuple[str, ...]]
    _request: _Request = field(default_factory=_Request)
    _has_seen_requests: bool = False
    _unwell_since_s: dict[str, float] = field(default_factory=dict)

    def requested(self) -> str | None:
        """Return who shall trade instead of this node, None when nobody asked."""
        record = self.parts.watch.latches.switchover
        if record is None or self._request.is_done:
            return None
        wanted = str(record.value.get("to", ""))
        spares = self.spares()
        if wanted == self.parts.node_id:
            self._request.is_done = True
            return None
        if wanted in spares or (not wanted and spares):
            self._request.is_done = True
            log_event("switchover.started", to=wanted or spares[0], by=record.by)
            return wanted or spares[0]
        if not self._request.has_told:
            self._request.has_told = True
            log_event(
                "switchover.refused",
                to=wanted,
                reason=f"that node is not a fit spare now; it is tried for {REQUEST_S:.0f} s",
            )
        return None

    def reason_to_hand_over(self) -> str:
        """Return why a fit spare should trade instead, empty while this node is well enough."""
        different = self.parts.peer_reasons()
        if different:
            # The other node does not see this lease: whoever goes on could be the second (R13).
            return different[0]
        now_s, problems = self.parts.monotonic_s(), self._problems()
        # Each kind of problem has its own clock: a venue that is back does not excuse the heat.
        kept = self._unwell_since_s
        self._unwell_since_s = {kind: kept.get(kind, now_s) for kind in problems}
        for kind, text in problems.items():
            if now_s - self._unwell_since_s[kind] >= self._patience_s(kind) and self.spares():
                return text
        return ""

    def _problems(self) -> dict[str, str]:
        health = self.parts.health
        problems: dict[str, str] = {}
        if health.resource_reasons:
            problems["box"] = health.resource_reasons[0]
        if health.journal_error:
            problems["journal"] = f"journal: {health.journal_error}"
        # A rate limit counts the address, which both boxes may share: the other would be refused
        # just the same, and its calls would lengthen a ban.
        is_rate_limited = health.venue_error.startswith(VenueRateLimited.__name__)
        if health.venue_error and health.is_ready and not is_rate_limited:
            problems["venue"] = f"venue: {health.venue_error}"
        return problems

    def _patience_s(self, kind: str) -> float:
        if kind != "venue":
            return UNWELL_S
        return VENUE_CHECK_S + 2 * self.parts.config.venue.read_budget_s + VENUE_SLACK_S

    def note_request(self, now_s: float) -> None:
        """Look for a new request of a person; once a turn."""
        record = self.parts.watch.latches.switchover
        version = 0 if record is None else record.version
        request = self._request
        if not self._has_seen_requests:
            # Requests from before this process are old: whoever asked has long looked away.
            if self.parts.watch.has_looked:
                self._has_seen_requests = True
                request.version = version
            return
        if version > request.version and record is not None:
            # What was asked of another leader is none of this node's business, also when it
            # takes over by that very request.
            asked = str(record.value.get("from") or self.parts.node_id)
            is_mine = asked == self.parts.node_id and has_lease(self.parts.health.role)
            self._request = _Request(version=version, seen_at_s=now_s, is_done=not is_mine)
            log_event("switchover.requested", to=record.value.get("to", ""))
        elif not request.is_done and now_s - request.seen_at_s > REQUEST_S:
            request.is_done = True
            reason = f"no fit spare of that name within {REQUEST_S:.0f} s"
            log_event("switchover.refused", reason=reason)
