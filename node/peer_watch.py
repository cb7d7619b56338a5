"""What becomes news of the other node's word: different servers, a promise given, relied on, ended.

Rules of this file: it reads the picture once a turn and tells each change once; it decides nothing
about roles (eligibility.py and successor.py read the same picture).
"""

from dataclasses import dataclass

from alerts.model import Kind, Verdict
from election.promise import Promise, PromiseState
from node.logs import log_event
from node.parts import NodeParts


@dataclass(slots=True)
class PeerWatch:
    """Tells what changed; one for each process."""

    parts: NodeParts
    _reasons: tuple[str, ...] = ()
    _relied: Promise | None = None
    _state: PromiseState = PromiseState.NONE

    async def step(self) -> None:
        """Take one look."""
        if self.parts.promise_doubt is not None:
            await self.parts.promise_doubt.step(self.parts.watch.members)
        if self.parts.peer is None:
            return
        picture = self.parts.peer.picture()
        await self._tell_difference(picture.reasons)
        await self._tell_reliance(picture.relies_on)
        memory = picture.memory
        if memory is not None and memory.state is not self._state:
            was, self._state = self._state, memory.state
            if memory.state is PromiseState.NONE and was is PromiseState.STANDING:
                await self._tell("this node may take over again", Verdict.GOOD_AGAIN, {})

    async def _tell_difference(self, reasons: tuple[str, ...]) -> None:
        if reasons == self._reasons:
            return
        self._reasons = reasons
        if not reasons:
            log_event("peer.agrees")
            await self._tell("both nodes speak to the same servers", Verdict.GOOD_AGAIN, {})
            return
        log_event("peer.differs", reasons=list(reasons))
        await self.parts.teller.tell(
            Kind.ERROR,
            f"different:{self.parts.identity.nonce}:{self.parts.wall_ms()}",
            {
                "what": "the two nodes do not speak to the same servers, nobody trades",
                "error": "; ".join(reasons),
                "fix": "put one and the same cluster.toml with IP addresses on both boxes, then "
                "restart the node whose file changed",
            },
            verdict=Verdict.ACT,
        )

    async def _tell_reliance(self, relied: Promise | None) -> None:
        if relied == self._relied:
            return
        was, self._relied = self._relied, relied
        if relied is None and was is not None:
            what = f"{was.by} is bound by its promise no longer, trading needs the store again"
            await self._tell(what, Verdict.GOOD_AGAIN, {})
        elif relied is not None:
            facts = {
                "reason": f"{relied.by} stood down: it has promised not to take over",
                "meaning": "its box and the store on it may be away; if this node fails meanwhile "
                "nobody trades",
                "fix": f"when the box is back it ends by itself; if this node dies first, say on "
                f"{relied.by}: nodectl stand-down --force",
            }
            await self._tell("trading goes on without a spare and without the store", None, facts)

    async def _tell(self, what: str, verdict: Verdict | None, facts: dict[str, str]) -> None:
        unique = f"peer:{self.parts.identity.nonce}:{self.parts.wall_ms()}:{what}"
        await self.parts.teller.tell(
            Kind.DEGRADED, unique, {"what": what, **facts}, verdict=verdict
        )
