"""The longest pause between two heartbeats: measured, published, told above ttl/3 (R8).

Rules of this file: the judgement is pure; the watch asks the heartbeat once a second at most,
because each view begins a new measure.
"""

from collections import deque
from dataclasses import dataclass, field

from alerts.model import Kind
from node.logs import log_event
from node.parts import NodeParts

LOOK_S = 1.0
# What is published and judged is the worst of the last minute: long enough for anybody to see it.
WINDOW_S = 60.0
SHARE_OF_TTL = 3


@dataclass(slots=True)
class GapJudge:
    """Tells once an episode: a gap above the bound, until a whole window was well."""

    bound_s: float
    # Only what may yet be the longest: a gap that a later one equals or exceeds goes at once, so
    # that the first is the longest of the window.
    _seen: deque[tuple[float, float]] = field(default_factory=deque)
    _is_long: bool = False

    @property
    def longest_s(self) -> float:
        """The longest gap of the window, 0 when this node held no lease in it."""
        return self._seen[0][1] if self._seen else 0.0

    def step(self, gap_s: float, now_s: float) -> bool:
        """Take one measure; True when a gap above the bound is news."""
        while self._seen and self._seen[-1][1] <= gap_s:
            self._seen.pop()
        self._seen.append((now_s, gap_s))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        was_long, self._is_long = self._is_long, self.longest_s > self.bound_s
        return self._is_long and not was_long


@dataclass(slots=True)
class BeatWatch:
    """Looks at this node's own heartbeat."""

    parts: NodeParts
    _judge: GapJudge = field(init=False)
    _due_s: float = 0.0

    def __post_init__(self) -> None:
        """Set the bound from the configured ttl."""
        self._judge = GapJudge(bound_s=self.parts.config.lease.ttl_ms / 1000 / SHARE_OF_TTL)

    async def step(self, now_s: float) -> None:
        """Measure when it is due; tell what is news."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + LOOK_S
        gap_s = self.parts.heartbeat.view().longest_gap_s
        is_news = self._judge.step(gap_s, now_s)
        self.parts.health.longest_gap_ms = round(self._judge.longest_s * 1000)
        if not is_news:
            return
        bound = f"{self._judge.bound_s:.1f} s"
        log_event("lease.gap", gap_s=round(gap_s, 2), reason=f"above a third of the ttl, {bound}")
        await self.parts.teller.tell(
            Kind.DEGRADED,
            f"gap:{self.parts.identity.nonce}:{self.parts.wall_ms()}",
            {
                "what": "the heartbeat pauses too long",
                "reason": f"{gap_s:.1f} s between two renewals that counted; a third of the ttl is "
                f"{bound}",
                "meaning": "the lease holds, but a pause of the whole validity would end it",
                "fix": "nodectl doctor --measure 5m says whether network or box is slow",
            },
        )
