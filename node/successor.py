"""Who should trade instead of this node: asked for by a person, or because this node is unwell.

Rules of this file: a request counts once, for a bounded time, and only if the named node is a fit
spare; requests from before this process are old. An unwell node hands over only after it was so
for a while and only to a fit spare: what both see is no reason to fail over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from node.logs import log_event
from node.parts import NodeParts

# How long this node must be unwell before it hands over: a venue that hiccups is no reason.
UNWELL_S = 15.0
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
    _unwell_since_s: float | None = None

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
        health, now_s = self.parts.health, self.parts.monotonic_s()
        problems = [*health.resource_reasons]
        if health.venue_error and health.is_ready:
            problems.append(f"venue: {health.venue_error}")
        if not problems:
            self._unwell_since_s = None
            return ""
        if self._unwell_since_s is None:
            self._unwell_since_s = now_s
        if now_s - self._unwell_since_s < UNWELL_S or not self.spares():
            return ""
        return problems[0]

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
        if version > request.version:
            self._request = _Request(version=version, seen_at_s=now_s, is_done=False)
            log_event("switchover.requested", to=record.value.get("to", "") if record else "")
        elif not request.is_done and now_s - request.seen_at_s > REQUEST_S:
            request.is_done = True
