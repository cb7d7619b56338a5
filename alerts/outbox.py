"""What is still to be told, in which order, and what became of it: the pure core.

Rules of this file:
1. Every change is a value (`Change`); the shell writes it to disk, then calls `apply`. Replaying
   the written changes gives the same outbox, from any prefix.
2. An `event_id` enters once. Ids of told events are remembered (bounded).
3. Rows leave in the order in which they came; only a collapsing row that waits for its turn
   (pace.py) may be overtaken.
4. A protected row (role change, latch) is never dropped and never collapsed. Others are dropped
   only when they are info and a day old, or when the outbox is full; each drop is counted and
   told with the next message.
5. A row whose answer was lost is told again and says so; it is never silently repeated.

Does not cover: disk (outbox_file.py), pace (pace.py), words (render.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from alerts.changes import (
    IN_FLIGHT,
    TRANSITIONS,
    Added,
    Change,
    Counted,
    Dropped,
    DropsTold,
    IdsKept,
    Rerouted,
    Row,
    RowInput,
    RowKept,
    RowState,
    Stepped,
    TotalsKept,
)
from alerts.kinds import is_collapsing, is_info, is_protected
from alerts.model import AlertEvent

INFO_AGE_MS_MAX = 24 * 3600 * 1000
"""Info older than a day is no news. Half of it would lose a night's outage, double is noise."""

PLAUSIBLE_WALL_MS = 1_735_689_600_000
"""2025-01-01 UTC. A board without a battery clock boots before it: such ages are not known."""

EVENTS_KEPT = 6
"""Events kept in a collapsed row: the latest ones are shown, the others only counted."""

FACT_CHARS_MAX = 1500
FACTS_MAX = 40
"""Bounds of one event on disk; a whole message has 4096 characters at most."""


class Outbox:
    """The rows, the remembered ids and the counters; changed by `apply` only.

    Args:
        rows_max: above it unprotected rows are dropped, info first. Protected rows are kept
            beyond it: each needs a role change, and those are paced by the lease's ttl.
        ids_max: remembered ids; must exceed what both nodes can tell in a day.
        dead_max: refused rows kept for `nodectl status`.
    """

    def __init__(self, *, rows_max: int = 500, ids_max: int = 4000, dead_max: int = 20) -> None:
        assert rows_max >= 1
        assert ids_max >= rows_max
        self._rows_max = rows_max
        self._ids_max = ids_max
        self._dead_max = dead_max
        self._rows: dict[int, Row] = {}
        self._ids: dict[str, None] = {}  # insertion order is age
        self._live_ids: dict[str, int] = {}
        self._dead: list[Row] = []
        self._routes: dict[str, str] = {}
        self._last_number = 0
        self._dropped = 0

    @property
    def rows(self) -> Sequence[Row]:
        """Rows still to be told, oldest first."""
        return tuple(self._rows.values())

    @property
    def dead(self) -> Sequence[Row]:
        """Rows that were refused for good, newest last."""
        return tuple(self._dead)

    @property
    def dropped(self) -> int:
        """Events dropped and not yet said so."""
        return self._dropped

    def row(self, number: int) -> Row | None:
        """Return the row if it is still to be told."""
        return self._rows.get(number)

    def knows(self, event_id: str) -> bool:
        """Return True when this event is waiting or was told or dropped lately."""
        return event_id in self._live_ids or event_id in self._ids

    def address_for(self, configured: str) -> str:
        """Follow the recorded moves of an address; returns `configured` when there are none."""
        address = configured
        for _ in range(len(self._routes)):  # bounded: a loop of moves must not hang
            if address not in self._routes:
                break
            address = self._routes[address]
        return address

    def plan_put(self, event: AlertEvent) -> tuple[Change, ...]:
        """Return the changes that take this event in; empty when it is known already."""
        if self.knows(event.event_id):
            return ()
        event = _trimmed(event)
        if is_collapsing(event):
            for row in self._rows.values():
                is_alike = row.event.collapse_key == event.collapse_key and is_collapsing(row.event)
                if is_alike and row.state is RowState.WAITING:
                    return (Counted(number=row.number, event=event),)
        added = Added(number=self._last_number + 1, event=event)
        if len(self._rows) < self._rows_max:
            return (added,)
        return self._plan_when_full(added)

    def _plan_when_full(self, added: Added) -> tuple[Change, ...]:
        event, victim = added.event, self._victim()
        if victim is None and is_protected(event):
            return (added,)
        if victim is None or (is_info(event) and not is_info(victim.event)):
            return (Dropped(numbers=(), count=1, event_ids=(event.event_id,)),)
        return (Dropped(numbers=(victim.number,), count=victim.count), added)

    def plan_expiry(self, wall_ms: int) -> tuple[Change, ...]:
        """Return the drop of info rows that are a day old; rows of unknown age are kept."""
        old = tuple(
            row
            for row in self._rows.values()
            if row.state not in IN_FLIGHT
            and is_info(row.event)
            and (age_ms(row.event, wall_ms) or 0) > INFO_AGE_MS_MAX
        )
        if not old:
            return ()
        return (
            Dropped(numbers=tuple(row.number for row in old), count=sum(row.count for row in old)),
        )

    def plan_restart(self) -> tuple[Change, ...]:
        """Return the changes after a start: what was in flight may have been delivered."""
        return tuple(
            Stepped(number=row.number, input=RowInput.ANSWER_LOST, reason="process ended")
            for row in self._rows.values()
            if row.state in IN_FLIGHT
        )

    def snapshot(self) -> tuple[Change, ...]:
        """Return the fewest changes that build this outbox from an empty one."""
        kept: list[Change] = [
            TotalsKept(last_number=self._last_number, dropped=self._dropped),
            IdsKept(event_ids=tuple(self._ids)),
        ]
        kept += [RowKept(row=row) for row in self._dead]
        kept += [Rerouted(old_address=old, new_address=new) for old, new in self._routes.items()]
        kept += [RowKept(row=row) for row in self._rows.values()]
        return tuple(kept)

    def apply(self, change: Change) -> None:
        """Apply one change. A change for a row that is gone does nothing (replay after damage)."""
        match change:
            case Added():
                self._add(Row(number=change.number, events=(change.event,)))
            case Counted():
                self._count(change)
            case Stepped():
                self._step(change)
            case Dropped():
                self._drop(change)
            case DropsTold():
                self._dropped = max(0, self._dropped - change.count)
            case Rerouted():
                self._routes.pop(change.new_address, None)  # moved back: no loop
                self._routes[change.old_address] = change.new_address
            case RowKept() | IdsKept() | TotalsKept():
                self._apply_kept(change)
            case _:
                assert_never(change)

    def _apply_kept(self, change: RowKept | IdsKept | TotalsKept) -> None:
        match change:
            case RowKept(row=row) if row.state is RowState.DEAD:
                self._dead.append(row)
            case RowKept(row=row):
                self._add(row)
            case IdsKept():
                self._remember(change.event_ids)
            case TotalsKept():
                self._last_number = max(self._last_number, change.last_number)
                self._dropped = change.dropped
            case _:
                assert_never(change)

    def _drop(self, change: Dropped) -> None:
        for number in change.numbers:
            self._leave(number)
        self._remember(change.event_ids)
        self._dropped += change.count

    def _add(self, row: Row) -> None:
        if self.knows(row.event.event_id):
            return
        self._rows[row.number] = row
        self._last_number = max(self._last_number, row.number)
        for event in row.events:
            self._live_ids[event.event_id] = row.number

    def _count(self, change: Counted) -> None:
        row = self._rows.get(change.number)
        if row is None or self.knows(change.event.event_id):
            return
        events = (*row.events, change.event)
        # Ids of events that are only counted from now on must still be known as seen.
        self._remember(event.event_id for event in events[:-EVENTS_KEPT])
        for event in events[:-EVENTS_KEPT]:
            self._live_ids.pop(event.event_id, None)
        self._live_ids[change.event.event_id] = row.number
        self._rows[row.number] = replace(row, events=events[-EVENTS_KEPT:], count=row.count + 1)

    def _step(self, change: Stepped) -> None:
        row = self._rows.get(change.number)
        if row is None:
            return
        after = TRANSITIONS.get((row.state, change.input))
        if after is None:
            raise ValueError(f"outbox row {row.number} was {row.state}, not fit for {change.input}")
        row = replace(
            row,
            state=after,
            attempt=row.attempt + (change.input is RowInput.START),
            reason=change.reason,
        )
        if after is RowState.SENT or after is RowState.DEAD:
            self._leave(row.number)
            if after is RowState.DEAD:
                self._dead = [*self._dead, row][-self._dead_max :]
        else:
            self._rows[row.number] = row

    def _leave(self, number: int) -> None:
        row = self._rows.pop(number, None)
        if row is None:
            return
        for event in row.events:
            self._live_ids.pop(event.event_id, None)
        self._remember(event.event_id for event in row.events)

    def _remember(self, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            self._ids.pop(event_id, None)
            self._ids[event_id] = None
        while len(self._ids) > self._ids_max:
            del self._ids[next(iter(self._ids))]

    def _victim(self) -> Row | None:
        """The row to drop when full: oldest info first, then oldest that is not protected."""
        free = [
            row
            for row in self._rows.values()
            if row.state not in IN_FLIGHT and not is_protected(row.event)
        ]
        return next((row for row in free if is_info(row.event)), free[0] if free else None)


def age_ms(event: AlertEvent, wall_ms: int) -> int | None:
    """Return how long ago the event was made, None when a clock was not set at the time."""
    if min(event.created_wall_ms, wall_ms) < PLAUSIBLE_WALL_MS:
        return None
    return max(0, wall_ms - event.created_wall_ms)


def _trimmed(event: AlertEvent) -> AlertEvent:
    """Return the event with facts of bounded number and length."""
    facts = {
        name[:100]: value if len(value) <= FACT_CHARS_MAX else value[: FACT_CHARS_MAX - 1] + "…"
        for name, value in list(event.facts.items())[:FACTS_MAX]
    }
    return replace(event, facts=facts)
