"""What this node has seen in one store, and since when (R5, R6).

Rules of this file: the key of an observation is (incarnation, write id); its time starts at the
*receipt* of the first reply that showed it, on the contender's (slower) clock. Silence neither
resets nor lengthens it: while a store is unreachable its timer keeps running, and the
compare-and-set at the end proves that nothing was written meanwhile.
"""

from dataclasses import dataclass
from typing import NamedTuple

from election.instants import Instant, contender_elapsed_s, holder_elapsed_s
from election.model import (
    Identity,
    Incarnation,
    LeaseRecord,
    LeaseState,
    LeaseTiming,
    Refusal,
    StoreName,
    StoreReply,
    StoreView,
    WriteId,
)

# A switchover names its successor; after this long anybody may take the lease (R15). Halved, a
# busy board might miss its reservation; doubled, a dead successor costs two more seconds.
GRACE_S = 2.0

# One lost answer is noise; two in a row are a lost store (the first retry comes at once).
FAILURES_UNTIL_LOST = 2

# Answers of a store that must never be written to (R11): it is treated as not there.
UNUSABLE = frozenset(
    {Refusal.FOREIGN_CLUSTER, Refusal.OTHER_CONFIG, Refusal.NOT_MASTER, Refusal.UNREADABLE}
)


class Change(NamedTuple):
    """What one reply revealed about its store."""

    is_back: bool  # it was lost and answers again
    has_new_life: bool  # another incarnation, or its data is gone or older
    became_unusable: Refusal | None


# A reply that took longer says that a life was, and not when: this process may have been stopped
# with the reply in its socket, and the server have begun another life meanwhile. Half of what
# must overlap before two lives are two servers (peer.py); a healthy store answers in milliseconds.
MOMENT_S = 1.0


@dataclass(slots=True)
class Observation:
    """One store as seen by this node; changed only by `note_reply`, `note_failure`, `restart`."""

    name: StoreName
    record: LeaseRecord | None = None
    inc: Incarnation | None = None
    since: Instant | None = None  # receipt of the first reply that showed (inc, wid)
    heard: Instant | None = None  # receipt of the last usable reply
    life: tuple[Incarnation, Instant] | None = None  # the last one seen at a known moment
    failures: int = 0
    error: str = ""
    unusable: Refusal | None = None
    max_epoch: int = 0  # highest ever seen here, over all lives of the store
    round_trip_s: float | None = None

    @property
    def is_lost(self) -> bool:
        """True when the store does not answer usably."""
        return self.failures >= FAILURES_UNTIL_LOST or self.unusable is not None

    def note_reply(self, reply: StoreReply, *, sent: Instant, received: Instant) -> Change:
        """Take in a reply; start the key's time at its receipt when it is new (R5)."""
        was_lost, was_unusable = self.failures >= FAILURES_UNTIL_LOST, self.unusable
        self.failures = 0
        self.round_trip_s = max(0.0, received.boot_s - sent.boot_s)
        if reply.refusal in UNUSABLE or reply.record is None:
            self.unusable = reply.refusal if reply.refusal in UNUSABLE else Refusal.UNREADABLE
            self.error = reply.detail or self.unusable.value
            # A record we may not read proves nothing: the timer starts anew when it is usable.
            self.record, self.inc, self.since = None, None, None
            is_news = self.unusable is not was_unusable
            return Change(
                is_back=False,
                has_new_life=False,
                became_unusable=self.unusable if is_news else None,
            )
        has_new_life = was_unusable is not None or self._is_new_life(reply.record, reply.inc)
        if self._key != (reply.inc, reply.record.wid):
            self.since = received
        self.record, self.inc, self.heard = reply.record, reply.inc, received
        if self.round_trip_s <= MOMENT_S:
            self.life = (reply.inc, received)
        self.unusable, self.error = None, ""
        self.max_epoch = max(self.max_epoch, reply.record.max_epoch, reply.record.epoch)
        return Change(
            is_back=was_lost or was_unusable is not None,
            has_new_life=has_new_life,
            became_unusable=None,
        )

    def note_failure(self, error: str) -> bool:
        """Take in a failure; tell whether the store is lost from now on."""
        self.failures += 1
        self.error = error
        return self.failures == FAILURES_UNTIL_LOST and self.unusable is None

    def is_fresh(self, timing: LeaseTiming, now: Instant) -> bool:
        """Tell whether the store answered lately: only such a store is worth an attempt.

        A contender that is cut from two stores sees their records "unchanged" and would spoil the
        third one for a healthy holder (H16).
        """
        if self.heard is None or self.failures:
            return False
        limit_s = (2 * timing.observe_ms + timing.request_timeout_ms) / 1000
        return holder_elapsed_s(self.heard, now) <= limit_s

    def restart(self, now: Instant) -> None:
        """Start every timer from zero: the clock that measured it cannot be trusted (R0)."""
        if self.since is not None:
            self.since = now

    def takeable_in_s(
        self, identity: Identity, timing: LeaseTiming, longest_ttl_ms: int, now: Instant
    ) -> float | None:
        """Return seconds until the record may be taken (R6), <= 0 for now; None if unknown.

        Args:
            identity: who would take it.
            timing: own timing; its ttl counts if it is longer than the record's.
            longest_ttl_ms: longest ttl seen in any record; a tombstone has none of its own.
            now: this instant.
        """
        record, since = self.record, self.since
        if record is None or since is None or self.unusable is not None:
            return None
        elapsed_s = contender_elapsed_s(since, now)
        ttl_ms = max(record.ttl_ms, timing.ttl_ms)
        if record.state is LeaseState.VOID:
            ttl_ms = max(ttl_ms, longest_ttl_ms)
        unchanged_s = ttl_ms / 1000 * (1 + timing.drift) - elapsed_s
        # "Released" counts only in the life of the store in which it was written (R6a, H2).
        if record.state is LeaseState.RELEASED and record.inc == self.inc:
            wait_s = record.drain_ms / 1000 * (1 + timing.drift)
            if record.reserved_for not in ("", identity.node_id):
                wait_s = max(wait_s, GRACE_S)
            return min(unchanged_s, wait_s - elapsed_s)
        return unchanged_s

    def shows(self, identity: Identity, epoch: int) -> bool:
        """Tell whether the record is held by this very process under this epoch."""
        record = self.record
        return (
            record is not None
            and record.state is LeaseState.HELD
            and record.nonce == identity.nonce
            and record.epoch == epoch
        )

    def names_rival(self, identity: Identity, epoch: int) -> bool:
        """Tell whether the record was granted to somebody else under this epoch or a later one."""
        record = self.record
        if record is None or record.nonce == identity.nonce:
            return False
        if record.epoch == epoch:
            return record.state is LeaseState.HELD
        return record.epoch > epoch

    def view(self) -> StoreView:
        """Return the store for status pages and alerts."""
        is_known = self.record is not None or self.unusable is not None
        return StoreView(
            name=self.name,
            is_reachable=is_known and not self.is_lost,
            error=self.error if is_known or self.error else "no answer yet",
            inc=self.inc,
            record=self.record,
            round_trip_ms=None if self.round_trip_s is None else self.round_trip_s * 1000,
        )

    @property
    def _key(self) -> tuple[Incarnation | None, WriteId | None]:
        return (self.inc, None if self.record is None else self.record.wid)

    def _is_new_life(self, record: LeaseRecord, inc: Incarnation) -> bool:
        if self.record is None:
            return False
        return self.inc != inc or record.max_epoch < self.record.max_epoch
