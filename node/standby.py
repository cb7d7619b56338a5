"""Standing by: tail the journal to this disk, prove the venue link, keep the epoch floor fresh.

Rules of this file: it never writes to the stores or the venue; a disk that stalls makes the node
ineligible, never the work loop hang. The tail is a merge of every store
and the own disk, so that a store that has just lost its data does not empty the copy (S3).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from election.model import NEVER_S
from election.quorum import Quorum
from exchange.errors import JournalError, VenueError, VenueRefused
from exchange.identity import cluster_tag, highest_epoch
from exchange.journal import Merged, merge
from exchange.journal_writer import DISK_TIMEOUT_S
from exchange.ports import JournalDisk, Venue
from node.bounded import OneAtATime
from node.early_look import EarlyLook
from node.edges import JournalLedger
from node.health import Health
from node.logs import log_event
from node.parts import NodeParts
from node.reporter import Reporter

TAIL_INTERVAL_S = 1.0
# A signed call, a clock measurement and the open orders: about 40 units of request weight.
VENUE_CHECK_S = 20.0
# While the leader says that it cannot reach the venue; about 500 units of weight a minute.
VENUE_HURRY_S = 5.0
# After a failure the venue is asked sooner; each attempt has backed off by itself already.
VENUE_RETRY_S = 3.0


@dataclass(slots=True, kw_only=True)
class Standby:
    """What a node does while it does not trade."""

    ledger: JournalLedger
    disk: JournalDisk
    venue: Venue
    clock_error_ms: Callable[[], float | None]
    health: Health
    symbols: tuple[str, ...]
    cluster_id: str
    raise_floor: Callable[[int], None]
    on_step: Callable[[str], None]
    monotonic_s: Callable[[], float]
    reporter: Reporter
    early: EarlyLook
    tail_disk: OneAtATime = field(default_factory=lambda: OneAtATime(DISK_TIMEOUT_S))
    _tail_due_s: float = 0.0
    _venue_due_s: float = 0.0
    _venue_asked_s: float = NEVER_S
    _sources: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    _merged: Merged | None = None
    _floor: int = 0

    async def cycle(self) -> None:
        """Do one turn: tail, and check the venue when that is due."""
        now_s = self.monotonic_s()
        if now_s >= self._tail_due_s:
            self._tail_due_s = now_s + TAIL_INTERVAL_S
            await self.tail()
        if self._merged is not None:
            await self.early.step(self._merged.journal)
        if now_s >= self._venue_due_s:
            await self.check_venue()
            wait_s = VENUE_RETRY_S if self.health.venue_error else VENUE_CHECK_S
            self._venue_due_s = self.monotonic_s() + wait_s

    def hurry(self) -> None:
        """The leader has trouble with the venue: find out sooner whether this node has it too."""
        self._venue_due_s = min(self._venue_due_s, self._venue_asked_s + VENUE_HURRY_S)

    def ask_venue_soon(self) -> None:
        """Check the venue in the next turn: what was measured of its clock is void."""
        self._venue_due_s = 0.0

    async def gather(self, *, quorum: Quorum | None = None) -> Merged | None:
        """Merge the journal of every store that answers with this disk's copy.

        Returns:
            None when the stores that showed theirs are no `quorum`.
        """
        named = await asyncio.to_thread(self.ledger.read_named)
        self.on_step("journal read")
        if quorum is not None and not quorum.is_met(named):
            return None
        sources: list[tuple[str, Mapping[str, str]]] = [
            (f"store {name}", documents) for name, documents in named.items()
        ]
        sources.append(("own disk", self.disk.documents))
        if self._merged is not None and sources == self._sources:
            return self._merged  # a second later nothing is new, most of the time
        merged = merge(sources, known={} if self._merged is None else self._merged.texts)
        self._sources, self._merged = sources, merged
        for damage in merged.damages:
            # The same in every tail until somebody writes the document anew: said once.
            self.reporter.damaged(damage.key, where=damage.source, why=damage.why)
        return merged

    async def tail(self) -> None:
        """Copy what the stores have to this disk; a disk that refuses makes ineligible."""
        merged = await self.gather()
        assert merged is not None, "no number of stores was asked for"
        written = merged.journal.stamp.epoch
        if written > self._floor:
            # Stores that begin empty forget which epochs were used; this copy does not (R7).
            self._floor = written
            self.raise_floor(written)
        try:
            done = await self.tail_disk.run(lambda: self.disk.replace_all(merged.documents))
        except JournalError as error:
            self._note_disk(str(error))
            return
        self._note_disk("" if done else "the disk does not answer in time")
        self.on_step("journal tail")

    def _note_disk(self, error: str) -> None:
        if error and not self.health.journal_error:
            log_event("journal.failed", reason=error)
        if self.health.journal_error and not error:
            log_event("journal.recovered")
        self.health.journal_error = error

    async def check_venue(self) -> None:
        """Prove with a signed call that this node could trade here now."""
        asked_s = self._venue_asked_s = self.monotonic_s()
        try:
            await self.venue.measure_clock()
            self.health.clock_error_ms = self.clock_error_ms()
            self.health.account = await self.venue.account_id()
            floor = 0
            for symbol in self.symbols:
                ids = [o.client_order_id for o in await self.venue.open_orders(symbol)]
                floor = max(floor, highest_epoch(ids, cluster_tag=cluster_tag(self.cluster_id)))
        except VenueError as error:
            text = f"{type(error).__name__}: {error}"
            if self.health.venue_error != text:
                name = "venue.refused" if isinstance(error, VenueRefused) else "venue.unreachable"
                log_event(name, reason=text)
            self.health.venue_error = text
            return
        if self.health.venue_error:
            log_event("venue.reachable")
        self.health.venue_error, self.health.venue_proven_s = "", asked_s
        if floor:
            self.raise_floor(floor)


def build_standby(parts: NodeParts) -> Standby:
    """Build it from the parts of the node."""
    return Standby(
        ledger=parts.ledger,
        disk=parts.disk,
        venue=parts.link.venue,
        clock_error_ms=parts.clock_error_ms,
        health=parts.health,
        symbols=tuple(seat.symbol for seat in parts.seats),
        cluster_id=parts.config.cluster_id,
        raise_floor=parts.heartbeat.raise_floor,
        on_step=parts.heartbeat.progress,
        monotonic_s=parts.monotonic_s,
        reporter=parts.reporter,
        early=EarlyLook(
            parts.trader_parts,
            born_ms=lambda: parts.watch.latches.born_ms,
            venue_now_ms=parts.link.clock.now_ms,
        ),
    )
