"""What this node tells people: happenings in, alert events out, each told once.

Rules of this file: an event id names the happening (a role change by its epoch, an order by its
client order id), so that telling it twice is one message; the outbox makes it durable before the
call returns, unless the disk stalls: then it follows in order, and the work loop goes on. Usual
verdicts and texts stand in alerts/ (kinds.py, words.py).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from alerts.events import TakeoverFacts, build_event, build_took_over
from alerts.events import Teller as Speaker
from alerts.model import AlertEvent, Kind, Verdict
from node.logs import log_event
from node.redact import redact_patterns

# Below the hang limit of the lease, also for a cycle that tells two things.
DURABLE_WAIT_S = 1.0


class AlertPath(Protocol):
    """Where events go: `alerts.sender.AlertSender` by shape."""

    async def put_soon(self, event: AlertEvent) -> bool:
        """Take the event in, durably when this returns; False when it was known."""
        ...


class Teller:
    """Builds events of this node and hands them to the alert path."""

    def __init__(
        self,
        path: AlertPath,
        *,
        cluster: str,
        node_id: str,
        epoch: Callable[[], int],
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        durable_wait_s: float = DURABLE_WAIT_S,
    ) -> None:
        """Bind who speaks; `epoch` is asked at each telling."""
        self._path = path
        self._cluster = cluster
        self._node_id = node_id
        self._epoch = epoch
        self._wall_ms = wall_ms
        self._durable_wait_s = durable_wait_s
        self._late: set[asyncio.Task[bool]] = set()

    async def tell(
        self,
        kind: Kind,
        unique: str,
        facts: Mapping[str, str],
        *,
        epoch: int | None = None,
        verdict: Verdict | None = None,
        at_wall_ms: int | None = None,
    ) -> bool | None:
        """Tell one happening, durably when this returns.

        Args:
            kind: what happened; decides the usual verdict and what collapses.
            unique: the same for every telling of this happening: an epoch, an order id.
            facts: text for the message, see alerts/words.py.
            epoch: of the happening, when it is not the present one.
            verdict: instead of the usual one.
            at_wall_ms: Unix time of the happening, when it is not now.

        Returns:
            False when it was told before, None when it is not known to be durable yet.
        """
        return await self._put(
            build_event(
                kind,
                teller=Speaker(
                    cluster=self._cluster,
                    node_id=self._node_id,
                    epoch=self._epoch() if epoch is None else epoch,
                ),
                unique=unique,
                wall_ms=self._wall_ms() if at_wall_ms is None else at_wall_ms,
                facts=facts,
                verdict=verdict,
            )
        )

    async def tell_took_over(
        self, facts: TakeoverFacts, *, epoch: int, at_wall_ms: int | None = None
    ) -> bool | None:
        """Tell that this node trades now (or since `at_wall_ms`); returns as `tell` does."""
        speaker = Speaker(cluster=self._cluster, node_id=self._node_id, epoch=epoch)
        wall_ms = self._wall_ms() if at_wall_ms is None else at_wall_ms
        return await self._put(build_took_over(teller=speaker, wall_ms=wall_ms, facts=facts))

    async def _put(self, event: AlertEvent) -> bool | None:
        # Words of a library may hold a signed request: it must reach neither disk nor chat.
        facts = {name: redact_patterns(text) for name, text in event.facts.items()}
        event = replace(event, facts=facts)
        task = asyncio.create_task(self._path.put_soon(event), name="tell")
        await asyncio.wait({task}, timeout=self._durable_wait_s)
        if task.done():
            return task.result()
        if not self._late:
            log_event("alert.put_late", event_id=event.event_id)
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return None
