"""When the parts of a grant happened: the true source of what a drill and the history tell.

Rules of this file: durations are this process's own monotonic clock from the grant on; instants
are the venue's time, which both boxes measure, never a wall clock. They are for people and for a
drill's verdict: nothing that decides who may act reads them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alerts.ports import Observer
from election.model import Granted
from exchange.orders import OrderEvent, OrderEventKind

DELIVERED = "alert.delivered"
TAKEOVER_KINDS = ("took_over", "both_were_off")


@dataclass(slots=True)
class ShiftTimes:
    """The present grant's times; used by the work loop, its tasks, and nobody else.

    `venue_ms` returns the venue's time, None while it is not known.
    """

    monotonic_s: Callable[[], float]
    venue_ms: Callable[[], int | None]
    epoch: int = 0
    is_owing: bool = False  # something is new since `body` was last taken
    told_late: tuple[int, ...] = ()  # epochs of earlier processes, for this node's next journal
    _granted_at_s: float = 0.0
    _is_told: bool = False
    _after_s: dict[str, float] = field(default_factory=dict)
    _instants: dict[str, int] = field(default_factory=dict)
    _board: dict[str, int] = field(default_factory=dict)

    def begin(self, granted: Granted) -> None:
        """A grant arrived."""
        self.epoch = granted.epoch
        self._granted_at_s = self.monotonic_s()
        self._after_s, self._instants, self._is_told = {}, {}, False
        if granted.silent_s is not None:
            self._after_s["silent_s"] = granted.silent_s
        self._note_instant("granted_venue_ms")

    def note_active(self) -> None:
        """Everything is accounted for; trading begins."""
        self._note_after("ready_after_s")
        self._note_instant("ready_venue_ms")

    def note_order(self, event: OrderEvent) -> None:
        """Observe the one write path: the first and the last order that the venue accepted."""
        if event.kind is not OrderEventKind.CONFIRMED:
            return
        now_ms = self.venue_ms()
        if now_ms is not None:
            self._board["last_order_venue_ms"] = now_ms
        if "first_order_after_s" not in self._after_s:
            self._note_after("first_order_after_s")
            self._note_instant("first_order_venue_ms")

    def note_delivered(self, event_id: str) -> None:
        """The channel confirmed a message; the one about this grant's takeover counts."""
        is_ours = event_id in {f"{kind}:{self.epoch}" for kind in TAKEOVER_KINDS}
        if is_ours and "alert_after_s" not in self._after_s:
            self._note_after("alert_after_s")

    def note_told(self) -> None:
        """The message about this grant's takeover is in the outbox."""
        self._is_told = self.is_owing = True

    def note_closed(self) -> None:
        """The gate was closed to hand over: from here on nobody trades."""
        now_ms = self.venue_ms()
        self._board["closed_epoch"] = self.epoch
        if now_ms is not None:
            self._board["closed_venue_ms"] = now_ms

    def body(self) -> Mapping[str, float | int]:
        """Return what is known of this grant, for its takeover document."""
        self.is_owing = False
        rounded = {name: round(value, 3) for name, value in self._after_s.items()}
        told = {"is_told": True} if self._is_told else {}
        return {**rounded, **self._instants, **told}

    def board(self) -> Mapping[str, int]:
        """Return what the member board shows: the last order and the last closed gate."""
        return dict(self._board)

    def _note_after(self, name: str) -> None:
        self._after_s[name] = self.monotonic_s() - self._granted_at_s
        self.is_owing = True

    def _note_instant(self, name: str) -> None:
        now_ms = self.venue_ms()
        if now_ms is not None:
            self._instants[name] = now_ms


@dataclass(frozen=True, slots=True)
class DeliveryObserver:
    """Passes on what the alert path reports, and notes deliveries."""

    onward: Observer
    times: ShiftTimes

    def note(self, name: str, **fields: str | float) -> None:
        """Take one report."""
        if name == DELIVERED:
            self.times.note_delivered(str(fields.get("event_id", "")))
        self.onward.note(name, **fields)
