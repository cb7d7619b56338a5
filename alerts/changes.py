"""Values of the outbox: rows, their states and transitions, and the changes written to disk.

Rules: every row state changes through `TRANSITIONS`; every change of the outbox is one of
`Change`. Does not cover which change is due (outbox.py) or how it is written (codec.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from alerts.model import AlertEvent


class RowState(StrEnum):
    """Where a row stands. SENT and DEAD rows leave the outbox."""

    WAITING = "waiting"
    SENDING = "sending"
    RESENDING = "resending"  # in flight again after an answer was lost
    MAYBE_SENT = "maybe_sent"
    SENT = "sent"
    DEAD = "dead"


class RowInput(StrEnum):
    """What happens to a row."""

    START = "start"  # an attempt begins; on disk before the request leaves
    DELIVERED = "delivered"
    NOT_SENT = "not_sent"  # proven
    ANSWER_LOST = "answer_lost"  # also: the process was killed during the attempt
    REFUSED = "refused"  # the text as HTML and as plain text was refused
    TOLD_ELSEWHERE = "told_elsewhere"  # the other node delivered it


TRANSITIONS: Mapping[tuple[RowState, RowInput], RowState] = {
    (RowState.WAITING, RowInput.START): RowState.SENDING,
    (RowState.WAITING, RowInput.TOLD_ELSEWHERE): RowState.SENT,
    (RowState.SENDING, RowInput.DELIVERED): RowState.SENT,
    (RowState.SENDING, RowInput.NOT_SENT): RowState.WAITING,
    (RowState.SENDING, RowInput.ANSWER_LOST): RowState.MAYBE_SENT,
    (RowState.SENDING, RowInput.REFUSED): RowState.DEAD,
    (RowState.MAYBE_SENT, RowInput.START): RowState.RESENDING,
    (RowState.MAYBE_SENT, RowInput.TOLD_ELSEWHERE): RowState.SENT,
    (RowState.RESENDING, RowInput.DELIVERED): RowState.SENT,
    # The repeat did not leave, but the first one may have: the doubt stays.
    (RowState.RESENDING, RowInput.NOT_SENT): RowState.MAYBE_SENT,
    (RowState.RESENDING, RowInput.ANSWER_LOST): RowState.MAYBE_SENT,
    (RowState.RESENDING, RowInput.REFUSED): RowState.DEAD,
}

IN_FLIGHT = frozenset({RowState.SENDING, RowState.RESENDING})
POSSIBLY_SENT = frozenset({RowState.RESENDING, RowState.MAYBE_SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message to be: its latest events (newest last), and how many it stands for."""

    number: int
    events: tuple[AlertEvent, ...]
    count: int = 1
    state: RowState = RowState.WAITING
    attempt: int = 0
    reason: str = ""

    @property
    def event(self) -> AlertEvent:
        """The newest event of this row: the one whose words are shown."""
        return self.events[-1]

    @property
    def is_possibly_sent(self) -> bool:
        """True when an earlier attempt may have been delivered."""
        return self.state in POSSIBLY_SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A new row with one event."""

    number: int
    event: AlertEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """An event that joined the waiting row with the same collapse key."""

    number: int
    event: AlertEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """A row changed its state."""

    number: int
    input: RowInput
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Rows left untold, standing for `count` events; `event_ids` are remembered as seen."""

    numbers: tuple[int, ...]
    count: int
    event_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropsTold:
    """A delivered message said that `count` events were dropped."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerouted:
    """The channel's address changed; kept, because the configuration still names the old one."""

    old_address: str
    new_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKept:
    """A row as it stands (compaction)."""

    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class IdsKept:
    """Ids of events that were told or dropped, oldest first (compaction)."""

    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalsKept:
    """Counters that outlive the rows (compaction)."""

    last_number: int
    dropped: int


Change = Added | Counted | Stepped | Dropped | DropsTold | Rerouted | RowKept | IdsKept | TotalsKept
