"""Who should trade instead of this node: asked for by a person, or because this node is unwell.

Rules of this file: a request counts once, for a bounded time, and only if the named node is a fit
spare; requests from before this process are old. When an unwell node hands over is decided in
succession.py; here it gets its facts, and what it says is logged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exchange.errors import VenueMaintenance, VenueRateLimited
from node.eligibility import without_figures
from node.logs import log_event
from node.parts import NodeParts
from node.role import has_lease
from node.succession import UNWELL, WELL, Advice, Spare, Succession, Trouble

# A beat of the member board comes each second: so long the named node may take to show one.
PROOF_S = 3.0
# A switchover request that could not be carried out for so long is forgotten.
REQUEST_S = 30.0


@dataclass(slots=True)
class _Request:
    version: int = 0
    seen_at_s: float = 0.0
    is_done: bool = True
    has_told: bool = False
    beats: Mapping[str, object] = field(default_factory=dict)  # of the members, when it was seen


@dataclass(slots=True)
class Successor:
    """Judges once a turn whether the lease should go elsewhere."""

    parts: NodeParts
    spares: Callable[[], tuple[str, ...]]
    _request: _Request = field(default_factory=_Request)
    _has_seen_requests: bool = False
    succession: Succession = field(default_factory=Succession)
    advice: Advice = WELL  # the latest, for whoever tells people

    def __post_init__(self) -> None:
        """Count what earlier processes of this node saw (R15's hold)."""
        self.succession.recall(self.parts.monotonic_s(), self.parts.moves.load())

    def requested(self) -> str | None:
        """Return who shall trade instead of this node, None when nobody asked."""
        record = self.parts.watch.latches.switchover
        if record is None or self._request.is_done:
            return None
        wanted = str(record.value.get("to", ""))
        # A spare that has just died in silence looks fit for some seconds more.
        beats = self.parts.watch.beats()
        spares = [n for n in self.spares() if beats.get(n) != self._request.beats.get(n)]
        if wanted == self.parts.node_id:
            self._request.is_done = True
            return None
        if wanted in spares or (not wanted and spares):
            self._request.is_done = True
            log_event("switchover.started", to=wanted or spares[0], by=record.by)
            return wanted or spares[0]
        if (
            not self._request.has_told
            and self.parts.monotonic_s() > self._request.seen_at_s + PROOF_S
        ):
            self._request.has_told = True
            log_event(
                "switchover.refused",
                to=wanted,
                reason=f"that node is not a fit spare now; it is tried for {REQUEST_S:.0f} s",
            )
        return None

    def reason_to_hand_over(self) -> str:
        """Return why a fit spare should trade instead, empty while this node goes on."""
        different = self.parts.peer_reasons()
        if different:
            # The other node does not see this lease: whoever goes on could be the second (R13).
            return different[0]
        now_s = self.parts.monotonic_s()
        advice = self.succession.judge(
            now_s, self._troubles(), shared=self._shared(), spares=self._proven_spares()
        )
        if without_figures((advice.stay_because,)) != without_figures((self.advice.stay_because,)):
            if advice.stay_because:
                log_event("handover.withheld", reason=advice.stay_because)
            elif not advice.move_because:
                log_event("handover.unneeded")
        self.advice = advice
        if not advice.move_because:
            return ""
        self.succession.note_move(now_s)
        log_event("handover.started", reason=advice.move_because)
        return f"{UNWELL}{advice.move_because}"

    def note_granted(self, reason: str) -> None:
        """Count a hand-over for health to this node; `reason` is the record's."""
        if reason.startswith(UNWELL):
            self.succession.note_move(self.parts.monotonic_s())

    def _troubles(self) -> dict[Trouble, str]:
        health, limit_ms = self.parts.health, self.parts.config.health.max_clock_error_ms
        troubles: dict[Trouble, str] = {}
        if health.resource_reasons:
            troubles[Trouble.BOX] = health.resource_reasons[0]
        if health.journal_error:
            troubles[Trouble.JOURNAL] = f"journal: {health.journal_error}"
        if not health.is_ready:
            return troubles
        if health.venue_error:
            troubles[Trouble.VENUE] = f"venue: {health.venue_error}"
        if health.clock_error_ms is None:
            troubles[Trouble.CLOCK] = "clock: the offset to the venue is not known"
        elif health.clock_error_ms > limit_ms:
            troubles[Trouble.CLOCK] = (
                f"clock: the offset to the venue is uncertain by more than {limit_ms} ms"
            )
        return troubles

    def _shared(self) -> str:
        """Return why the other node would have the same trouble with the venue, if it would."""
        error = self.parts.health.venue_error
        if error.startswith(VenueRateLimited.__name__):
            return "a rate limit or ban counts the address, which both boxes may share"
        if error.startswith(VenueMaintenance.__name__):
            return "the venue is closed for everybody"
        return ""

    def _proven_spares(self) -> tuple[Spare, ...]:
        ages = self.parts.watch.venue_proof_ages()
        return tuple(Spare(node_id=n, proof_age_s=ages.get(n)) for n in self.spares())

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
            self._request = _Request(
                version=version,
                seen_at_s=now_s,
                is_done=not is_mine,
                beats=self.parts.watch.beats(),
            )
            log_event("switchover.requested", to=record.value.get("to", ""))
        elif not request.is_done and now_s - request.seen_at_s > REQUEST_S:
            request.is_done = True
            reason = f"no fit spare of that name within {REQUEST_S:.0f} s"
            log_event("switchover.refused", reason=reason)
