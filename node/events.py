"""Every event the log can contain: constant name, level, stream, meaning.

Rules of this file: names are dotted and never change their meaning; values are fields, never part
of the name. A test finds every `log_event("...")` in the source and looks it up here;
docs/log-events.md is printed from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from alerts.notes import NOTES


class Level(StrEnum):
    """error: someone must act; warning: may become one; info: changes; debug: ticks."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Stream(StrEnum):
    """What a line is about, for filtering."""

    TRADES = "trades"
    DECISIONS = "decisions"
    VENUE = "venue"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpec:
    """One kind of line."""

    name: str
    level: Level
    stream: Stream
    doc: str


_D, _I, _W, _E = Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR
_TRADES, _DECIDE, _VENUE, _SYSTEM = (
    Stream.TRADES,
    Stream.DECISIONS,
    Stream.VENUE,
    Stream.SYSTEM,
)

_TABLE: tuple[tuple[str, Level, Stream, str], ...] = (
    # the process
    ("node.starting", _I, _SYSTEM, "The process begins; version, profile, configuration id."),
    ("node.ready", _I, _SYSTEM, "Markets loaded, clock measured, stores asked: may contend."),
    ("node.stopped", _I, _SYSTEM, "Everything closed; the last line of a clean end."),
    ("node.refused", _E, _SYSTEM, "The process may not start; what to mend."),
    ("node.previous_end", _W, _SYSTEM, "How the last process of this node ended, in words."),
    ("node.crash_noted", _W, _SYSTEM, "An earlier process of this node ended unexpectedly; how."),
    ("node.crashed", _E, _SYSTEM, "An unexpected exception ended the process."),
    ("node.task_failed", _E, _SYSTEM, "A part of the process failed; which, and what follows."),
    ("config.warning", _W, _SYSTEM, "Something about the configuration that should be known."),
    ("role.changed", _I, _SYSTEM, "What this process does changed; from, to, why."),
    ("role.halted", _E, _SYSTEM, "A broken invariant: nothing is sent until a person looked."),
    ("eligibility.changed", _I, _SYSTEM, "Whether this node may contend changed; reasons."),
    ("member.unpublished", _E, _SYSTEM, "This node's own facts could not be published."),
    ("member.duplicate", _E, _SYSTEM, "Another living process uses this node id."),
    ("crashes.latched", _E, _SYSTEM, "Too many crashes while trading: this node stays out."),
    ("crashes.cleared", _I, _SYSTEM, "A person looked at the crashes: this node may contend."),
    ("crashes.paused", _E, _SYSTEM, "The same failure ended both nodes in a row: paused."),
    ("spare.lost", _W, _SYSTEM, "Nobody could take over now."),
    ("spare.back", _I, _SYSTEM, "A standby could take over again."),
    ("preferred.fit", _I, _SYSTEM, "The preferred node has been well long enough."),
    ("trading.nobody", _E, _SYSTEM, "Nobody trades, longer than a takeover may take."),
    # the lease
    ("lease.granted", _I, _SYSTEM, "This node holds the lease; epoch, previous holder, silence."),
    ("lease.lapsed", _W, _SYSTEM, "The holder cannot prove its lease any more; gate closed."),
    ("lease.deposed", _W, _SYSTEM, "Another node holds a higher epoch; gate closed."),
    ("lease.released", _I, _SYSTEM, "The lease was given up; whether a majority acknowledged."),
    ("lease.post_mortem", _W, _SYSTEM, "What the dead process held was released; by store."),
    ("lease.holder_changed", _I, _SYSTEM, "A majority names another holder."),
    ("lease.anomaly", _W, _SYSTEM, "Something odd about the lease; a code and details."),
    ("lease.gap", _W, _SYSTEM, "Two counted renewals were more than a third of the ttl apart."),
    ("store.lost", _W, _SYSTEM, "A lease store stopped answering usably."),
    ("store.back", _I, _SYSTEM, "A lease store answers again."),
    ("store.reincarnated", _W, _SYSTEM, "A lease store restarted or lost its data; pushed again."),
    ("ledger.refused", _W, _SYSTEM, "The stores did not accept a journal write; why."),
    ("ledger.pushed", _I, _SYSTEM, "Journal and latches were written to the stores again."),
    ("journal.corrupt", _E, _SYSTEM, "The journal's file was damaged and set aside."),
    ("journal.failed", _E, _SYSTEM, "The journal could not be written on this disk."),
    ("journal.recovered", _I, _SYSTEM, "The journal can be written again."),
    # the other node, directly
    ("peer.heard", _I, _SYSTEM, "The other node answers directly."),
    ("peer.silent", _W, _SYSTEM, "The other node does not answer directly; changes nothing else."),
    ("peer.deaf", _W, _SYSTEM, "This node cannot listen for the other one; why."),
    ("peer.refused", _W, _SYSTEM, "Somebody asked at the peer endpoint and was not believed."),
    ("peer.differs", _E, _SYSTEM, "The nodes speak to different servers: nobody trades; why."),
    ("peer.agrees", _I, _SYSTEM, "The nodes speak to the same servers again."),
    ("promise.given", _W, _SYSTEM, "This node promised the holder not to contend."),
    ("promise.adopted", _W, _SYSTEM, "The holder remembers a promise that this disk forgot."),
    ("promise.ended", _I, _SYSTEM, "This node's promise is over; it may contend after one ttl."),
    ("promise.relied", _W, _SYSTEM, "The holder relies on the other node's promise."),
    ("promise.dropped", _I, _SYSTEM, "The holder relies on the promise no longer."),
    ("promise.unreadable", _E, _SYSTEM, "The promise on this disk is unreadable; it may stand."),
    ("promise.not_stored", _E, _SYSTEM, "A promise could not be written to this disk."),
    # takeover
    ("takeover.started", _I, _SYSTEM, "Granted: reconciling begins, nothing new is sent."),
    ("takeover.retried", _W, _SYSTEM, "A takeover step could not be trusted; looked again."),
    ("takeover.finished", _I, _SYSTEM, "Everything is accounted for; gap, orders, position."),
    ("takeover.told_late", _W, _SYSTEM, "An earlier process took over and died untold: told now."),
    ("takeover.failed", _E, _SYSTEM, "The takeover was given up; why."),
    ("handover.started", _W, _SYSTEM, "This node is unwell and hands over; why."),
    ("handover.withheld", _W, _SYSTEM, "This node is unwell and stays; why."),
    ("handover.unneeded", _I, _SYSTEM, "What was wrong with this node is over."),
    ("switchover.requested", _I, _SYSTEM, "A person asked that another node trades."),
    ("switchover.refused", _W, _SYSTEM, "A switchover cannot be done now; why."),
    ("switchover.started", _I, _SYSTEM, "This node drains and hands over."),
    ("reconcile.finished", _D, _SYSTEM, "The comparison ended; steps."),
    ("reconcile.corrected", _W, _TRADES, "Journal and venue differed; what was believed."),
    ("plan.step", _I, _TRADES, "One step of a plan was carried out; outcome."),
    # latches
    ("latch.paused", _W, _SYSTEM, "The cluster is paused; by whom, why."),
    ("latch.resumed", _I, _SYSTEM, "A person lifted the pause."),
    ("latch.loss_limit", _E, _TRADES, "The daily loss limit was reached; new risk is off."),
    ("latch.unreadable", _E, _SYSTEM, "A control record is unreadable; counted as paused."),
    ("latch.accepted", _I, _SYSTEM, "A person accepted a strategy fingerprint."),
    ("fingerprint.differs", _W, _SYSTEM, "Strategy or limits differ from the last holder's."),
    # drills
    ("drill.requested", _W, _SYSTEM, "This node is asked to be hurt on purpose; how, by whom."),
    ("drill.refused", _W, _SYSTEM, "A drill is not done by this node; why."),
    ("drill.started", _W, _SYSTEM, "This node hurts itself for a drill; how."),
    ("drill.ended", _W, _SYSTEM, "What a drill cut off counts as reachable again."),
    ("drill.due", _I, _SYSTEM, "A scheduled drill begins: the leader hands over."),
    ("drill.result", _I, _SYSTEM, "The verdict on a drill."),
    # orders
    ("order.intended", _I, _TRADES, "An order was journalled, before it is sent."),
    ("order.confirmed", _I, _TRADES, "The venue accepted an order."),
    ("order.rejected", _W, _TRADES, "The venue refused an order, proven by its code."),
    ("order.unknown", _E, _TRADES, "An order's outcome is unknown; its symbol is blocked."),
    ("order.not_sent", _W, _TRADES, "An order did not leave this process; why."),
    ("order.late", _W, _TRADES, "A request's outcome came after its caller had gone."),
    ("order.resolved", _I, _TRADES, "An unknown order's outcome is known now."),
    ("order.adopted", _I, _TRADES, "An older epoch's order is kept working."),
    ("order.orphaned", _W, _TRADES, "An order is ours by id but not in the journal."),
    ("order.foreign", _W, _TRADES, "An open order is not ours; never touched."),
    ("order.cancelled", _I, _TRADES, "An order was cancelled."),
    ("order.cancel_failed", _W, _TRADES, "An order could not be cancelled; outcome."),
    ("order.filled", _I, _TRADES, "A fill was booked."),
    ("order.done", _I, _TRADES, "An order ended; filled, expired or cancelled."),
    ("order.limited", _W, _TRADES, "A risk limit kept an order back; which limit."),
    # strategy
    ("strategy.started", _I, _DECIDE, "A strategy's worker is ready; fingerprint."),
    ("strategy.stopped", _W, _DECIDE, "A strategy's worker ended; why."),
    ("strategy.decided", _I, _DECIDE, "A decision with its evidence."),
    ("strategy.skipped", _W, _DECIDE, "A candle was skipped; late, failed or nonsense."),
    # venue
    ("venue.unreachable", _W, _VENUE, "The venue gives no usable answers."),
    ("venue.reachable", _I, _VENUE, "The venue answers again; how long it did not."),
    ("venue.refused", _E, _VENUE, "The venue refuses this key or request; its code."),
    # the outside service that waits for pings
    ("deadman.unanswered", _W, _SYSTEM, "A ping to a dead-man URL was not answered; why."),
    ("deadman.silent", _E, _SYSTEM, "A dead-man URL has not answered for minutes; told."),
    ("deadman.answered", _I, _SYSTEM, "A dead-man URL answers again; how long it did not."),
    # resources and the log itself
    ("alert.left_out", _E, _SYSTEM, "A message was left out: the alert path is stuck."),
    ("alert.put_late", _W, _SYSTEM, "A message is not on disk yet: the disk is slow."),
    ("resources.short", _W, _SYSTEM, "A resource is out of bounds; which."),
    ("resources.good", _I, _SYSTEM, "All resources are within bounds again."),
    ("box.warned", _W, _SYSTEM, "Something about this box is worth a look; what."),
    ("box.recovered", _I, _SYSTEM, "What this box was warned of is over; how long it lasted."),
    ("clock.unsynchronised", _E, _SYSTEM, "The wait for the clock is over, and it is not set."),
    ("log.dropped", _W, _SYSTEM, "Lines could not be written; how many, why."),
    ("log.message", _I, _SYSTEM, "A line from a library, or one without a name."),
)

# What alerts/ reports about itself keeps its own names, levels and meanings.
_TOLD = tuple(
    (name, Level(note.level.value), _SYSTEM, f"{note.meaning[:1].upper()}{note.meaning[1:]}.")
    for name, note in NOTES.items()
)

EVENTS: Mapping[str, EventSpec] = MappingProxyType(
    {
        name: EventSpec(name=name, level=level, stream=stream, doc=doc)
        for name, level, stream, doc in (*_TABLE, *_TOLD)
    }
)
