"""Tells what becomes of the cluster's latches: paused, resumed, unreadable; each once.

Rules of this file: it reads what the cluster watch knows and sets nothing. Both nodes see a
pause; the caller says whether this one speaks for the cluster.
"""

from dataclasses import dataclass, field

from alerts.model import Kind
from node.active import Active
from node.logs import log_event
from node.parts import NodeParts

MS_PER_S = 1000


@dataclass(slots=True)
class LatchWatch:
    """Watches the latches from this node."""

    parts: NodeParts
    _was_paused: bool | None = None
    _paused_at_ms: int = 0
    _unreadable: set[str] = field(default_factory=set)

    async def step(self, active: Active | None, *, is_mine_to_say: bool) -> None:
        """Take one look, and tell what changed."""
        await self._watch_records()
        latches = self.parts.watch.latches
        record = latches.records.get("pause")
        before, self._was_paused = self._was_paused, latches.is_paused
        paused_at_ms = self._paused_at_ms
        if latches.is_paused:
            self._paused_at_ms = 0 if record is None else record.at_ms
        if before is None or before == latches.is_paused:
            return
        name = "latch.paused" if latches.is_paused else "latch.resumed"
        log_event(name, reason=latches.pause_reason, by="" if record is None else record.by)
        if not is_mine_to_say:
            return
        version = 0 if record is None else record.version
        facts = {
            "by": "hotspare" if record is None else record.by,
            "reason": latches.pause_reason if record is None else record.reason,
        }
        if latches.is_paused and active is not None and active.findings is not None:
            facts["orders_left"] = str(len(active.findings.working))
        # The clocks of two boards may differ: what comes out negative is not said.
        if not latches.is_paused and record is not None and 0 < paused_at_ms <= record.at_ms:
            facts["paused_for"] = f"{(record.at_ms - paused_at_ms) // MS_PER_S} s"
        kind = Kind.PAUSED if latches.is_paused else Kind.RESUMED
        await self.parts.teller.tell(kind, f"{version}:{latches.is_paused}", facts)

    async def _watch_records(self) -> None:
        """Tell of control records that cannot be read, on this disk or in a store."""
        news = [p for p in self.parts.watch.unreadable if p not in self._unreadable]
        self._unreadable |= set(news)
        for problem in news:
            await self.parts.teller.tell(
                Kind.DEGRADED,
                f"latch:{self.parts.identity.nonce}:{problem}",
                {
                    "what": "a pause or limit record cannot be read",
                    "reason": problem,
                    "meaning": "the copies of the other stores, of the other node and of this disk "
                    "fill the gap; with none of them left the cluster counts as paused",
                    "fix": "see with nodectl status whether it is paused as you want it; pause or "
                    "resume writes the record anew",
                },
            )
