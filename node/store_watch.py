"""Stores that go and come back: who hears of it, and what it means for trading.

Rules of this file: both nodes see it, one of them tells. What is only the last step of a change of
the store list is logged and told to nobody (node/growing.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from alerts.model import Kind, Verdict
from election.model import StoreBack, StoreLost, StoreName
from node.growing import is_expected
from node.logs import log_event
from node.parts import NodeParts
from node.role import has_lease


@dataclass(slots=True)
class StoreWatch:
    """Which stores this node has lost, and since when."""

    parts: NodeParts
    is_speaker: Callable[[], bool]  # whether this node speaks where nobody leads
    error: str = ""  # of the last one that was lost, in words
    _lost: dict[StoreName, float] = field(default_factory=dict)
    _quiet: set[StoreName] = field(default_factory=set)  # lost, and nobody need hear of it

    @property
    def has_majority(self) -> bool:
        """True while the stores that are not lost decide."""
        quorum = self.parts.config.quorum
        return quorum.is_met(set(quorum.stores) - set(self._lost))

    async def note(self, event: StoreLost | StoreBack) -> None:
        """Tell that a store was lost or is back."""
        if isinstance(event, StoreLost):
            await self._note_lost(event)
        else:
            await self._note_back(event)

    async def _note_lost(self, event: StoreLost) -> None:
        self._lost[event.name] = self.parts.monotonic_s()
        self.error = f"store {event.name}: {event.error}"
        log_event("store.lost", store=event.name, reason=event.error)
        if is_expected(self.parts.watch.latches, self.parts.config, event.error):
            self._quiet.add(event.name)
            return
        has_majority = self.has_majority
        meaning = "trading goes on" if has_majority else "no majority: the holder must stop"
        if self.parts.relies_on_promise():
            has_majority, meaning = True, "trading goes on: the other node has stood down"
        await self._tell(
            Kind.STORE_LOST,
            event.name,
            {
                "reason": event.error,
                "meaning": meaning,
                "fix": f"look at power and network of {event.name}'s box, and at the store's "
                "own log",
            },
            verdict=None if has_majority else Verdict.ACT,
        )

    async def _note_back(self, event: StoreBack) -> None:
        now_s = self.parts.monotonic_s()
        away_s = now_s - self._lost.pop(event.name, now_s)
        log_event("store.back", store=event.name, away_s=round(away_s, 1))
        if event.name in self._quiet:
            self._quiet.remove(event.name)
            return
        await self._tell(Kind.STORE_BACK, event.name, {"away": f"{away_s:.0f} s"}, verdict=None)

    async def _tell(
        self, kind: Kind, name: StoreName, facts: dict[str, str], *, verdict: Verdict | None
    ) -> None:
        # Both nodes see it; the one that trades tells, or the first one that is left.
        if not (has_lease(self.parts.health.role) or self.is_speaker()):
            return
        total = len(self.parts.config.stores)
        counts = {"stores_ok": str(total - len(self._lost)), "stores_all": str(total)}
        await self.parts.teller.tell(
            kind,
            f"{name}:{self.parts.wall_ms()}",
            {"store": name, **counts, **facts},
            verdict=verdict,
        )
