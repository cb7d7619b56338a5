"""The first of the two reads that prove an order absent, made before this node leads (S3, S4).

A leader that dies between journalling an order and sending it leaves an intent that nobody ever
sees. That it is absent needs two reads at least a second apart (reconcile.py); if both were made
after the grant, the symbol would be blocked for that second. So the spare reads once as soon as the
intent's deadline is over, and the takeover's own look is the second read.

Rules of this file: one look for each such intent; nothing is journalled, sent or resolved; what
a later look shows counts for nothing here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exchange.errors import VenueError
from exchange.identity import cluster_tag, node_tag
from exchange.journal import Journal
from exchange.model import ClientOrderId
from exchange.reconcile import ReconcileInput, reconcile
from exchange.snapshot import take_snapshot
from node.trader import BIRTH_SLACK_MS, TraderParts


@dataclass(slots=True)
class EarlyLook:
    """What this node saw missing while it stood by.

    `absences`: venue time of the read in which an order was missing after its deadline and effect
    tail, as in `ReconcileInput`. `born_ms` returns the wall time of the cluster's first start,
    `venue_now_ms` the venue's time, None while it is not known.
    """

    parts: TraderParts
    born_ms: Callable[[], int]
    venue_now_ms: Callable[[], int | None]
    absences: Mapping[ClientOrderId, int] = field(default_factory=dict)
    _looked_for: frozenset[ClientOrderId] = frozenset()

    async def step(self, journal: Journal) -> None:
        """Look at the venue if an outcome is overdue that was not looked for yet.

        Args:
            journal: the merged one, as the last tail found it.
        """
        overdue = self._overdue(journal)
        self._looked_for &= overdue
        self.absences = {cid: at for cid, at in self.absences.items() if cid in overdue}
        if overdue <= self._looked_for:
            return
        self._looked_for = overdue  # also if the venue does not answer: the takeover looks anyway
        parts, born_venue_ms = self.parts, max(0, self.born_ms() - BIRTH_SLACK_MS)
        try:
            snapshot = await take_snapshot(
                parts.venue,
                journal,
                (seat.symbol for seat in parts.seats),
                born_venue_ms=born_venue_ms,
            )
        except VenueError:
            return
        findings = reconcile(
            ReconcileInput(
                journal=journal,
                snapshot=snapshot,
                cluster_tag=cluster_tag(parts.cluster_id),
                node_tag=node_tag(parts.node_id),
                my_epoch=journal.stamp.epoch + 1,
                effect_tail_ms=parts.effect_tail_ms,
                born_venue_ms=born_venue_ms,
            )
        )
        # What this look did show is gone from the list; what it missed too keeps its first read.
        self.absences = {cid: self.absences.get(cid, at) for cid, at in findings.absences.items()}

    def _overdue(self, journal: Journal) -> frozenset[ClientOrderId]:
        now_ms = self.venue_now_ms()
        if now_ms is None:
            return frozenset()
        tail_ms = self.parts.effect_tail_ms
        return frozenset(
            record.client_order_id
            for record in journal.unknown_intents()
            if now_ms > record.deadline_venue_ms + tail_ms
        )
