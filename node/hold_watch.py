"""Hand-overs for health: kept on disk, and told once when one is held back (S5).

Rules of this file: whether to hand over is decided in succession.py; here its memory outlives the
process, and a person hears that a node which is unwell leads on because the lease moved too often.
"""

from dataclasses import dataclass, field

from alerts.model import Kind, Verdict
from node.bounded import OneAtATime
from node.parts import NodeParts
from node.successor import Successor

DISK_TIMEOUT_S = 1.0


@dataclass(slots=True)
class HoldWatch:
    """Watches the successor's memory and its advice; one for each process."""

    parts: NodeParts
    successor: Successor
    _disk: OneAtATime = field(default_factory=lambda: OneAtATime(DISK_TIMEOUT_S))
    _kept: tuple[float, ...] = ()
    _was_held: bool = False

    async def step(self, now_s: float) -> None:
        """Take one look: keep what is new, tell what a person must know."""
        await self._keep(now_s)
        await self._tell()

    async def _keep(self, now_s: float) -> None:
        moves = self.successor.succession.moves(now_s)
        if not set(moves) - set(self._kept):
            return
        ages = tuple(now_s - at_s for at_s in moves)
        try:
            done = await self._disk.run(lambda: self.parts.moves.store(ages))
        except OSError:
            return  # the next look tries again; a disk that fails has its own alert
        if done is not None:
            self._kept = moves

    async def _tell(self) -> None:
        advice = self.successor.advice
        if advice.is_held is self._was_held:
            return
        self._was_held = advice.is_held
        if not advice.is_held:
            return
        await self.parts.teller.tell(
            Kind.DEGRADED,
            f"held:{self.parts.identity.nonce}:{self.parts.wall_ms()}",
            {
                "what": "this node is unwell and goes on leading",
                "reason": advice.stay_because,
                "meaning": "two nodes that are unwell in turn would pass the lease to and fro",
                "fix": "mend what is wrong; a person may move the lease: nodectl switchover",
            },
            verdict=Verdict.ACT,
        )
