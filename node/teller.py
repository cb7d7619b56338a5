"""What this node tells people: happenings in, alert events out, each told once.

Rules of this file: an event id names the happening (a role change by its epoch, an order by its
client order id), so that telling it twice is one message; the outbox makes it durable before the
call returns. Usual verdicts and texts stand in alerts/ (kinds.py, words.py).
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from alerts.kinds import KIND_RULES
from alerts.model import AlertEvent, Kind, Verdict

COLLAPSING = frozenset(
    {
        Kind.ORDER_PLACED,
        Kind.ORDER_FILLED,
        Kind.STRATEGY_SKIPPED,
        Kind.ERROR,
        Kind.DEGRADED,
    }
)


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
    ) -> None:
        """Bind who speaks; `epoch` is asked at each telling."""
        self._path = path
        self._cluster = cluster
        self._node_id = node_id
        self._epoch = epoch
        self._wall_ms = wall_ms

    async def tell(
        self,
        kind: Kind,
        event_id: str,
        facts: Mapping[str, str],
        *,
        epoch: int | None = None,
        verdict: Verdict | None = None,
        collapse_key: str = "",
    ) -> None:
        """Tell one happening, durably when this returns.

        Args:
            kind: what happened; decides verdict and collapsing unless given.
            event_id: the same for every telling of this happening.
            facts: text for the message, see alerts/words.py.
            epoch: of the happening, when it is not the present one.
            verdict: instead of the table's.
            collapse_key: instead of the kind's own.
        """
        event = AlertEvent(
            event_id=event_id,
            kind=kind,
            verdict=verdict or KIND_RULES[kind].verdict,
            created_wall_ms=self._wall_ms(),
            cluster=self._cluster,
            node_id=self._node_id,
            epoch=self._epoch() if epoch is None else epoch,
            facts={name: value for name, value in facts.items() if value},
            collapse_key=collapse_key or (kind.value if kind in COLLAPSING else ""),
        )
        await self._path.put_soon(event)
