"""What lets one changing request out: a ticket that is spent by the first request, and a stamp.

A `WriteTicket` is the only thing that opens the last hop for a request that changes something.
It is spent after signing, when the permit is asked for the last time; the time stamp and the
window in which the venue accepts the request were set before, within the permit, so that nothing
the venue accepts can be later than the permit (R9).
"""

from dataclasses import dataclass
from typing import Final

from exchange.ccxt_strict import CallRefused
from exchange.clock_offset import VenueTime
from exchange.ports import Permit

# Taken off the permit for what lies between computing a bound and acting on it (R9's eps).
MARGIN_S: Final = 0.05
# A request with a shorter total timeout than this would be cut before it can be answered.
TIMEOUT_S_MIN: Final = 0.05


class WriteTicket:
    """The right to send exactly one changing request, given by the permit in the last hop."""

    shape: type | None = dict
    row_count: int | None = None

    def __init__(self, *, permit: Permit, epoch: int, timeout_s: float) -> None:
        self._permit = permit
        self._epoch = epoch
        self._timeout_s = timeout_s
        self._is_spent = False

    @property
    def is_spent(self) -> bool:
        """True when a request was let out; False proves that nothing left."""
        return self._is_spent

    def enter(self, *, is_change: bool) -> float:
        """Spend the ticket; return the request's total timeout, connect included (R9).

        Raises:
            CallRefused: spent already, not a write, or the permit is gone or too short.
        """
        if not is_change:
            raise CallRefused("a write tried to read first; what it needs must be loaded before")
        if self._is_spent:
            raise CallRefused("a second request for one write was stopped")
        timeout_s = min(self._timeout_s, self._permit.remaining_s() - MARGIN_S)
        if timeout_s < TIMEOUT_S_MIN:
            raise CallRefused("the permit ended before the request left")
        if not self._permit.begin_write(epoch=self._epoch, needed_s=timeout_s):
            raise CallRefused("the permit is not for this epoch or too short")
        self._is_spent = True
        return timeout_s

    def close(self, *, lingers_s: float) -> None:
        """Tell the permit that the request ended; exactly once for each one let out.

        Args:
            lingers_s: how long it may still take effect; 0 when its answer says what became of it.
        """
        if self._is_spent:
            self._permit.end_write(lingers_s=lingers_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """When a request was made and until when the venue takes it; venue time in ms."""

    timestamp_ms: int
    window_ms: int

    @property
    def deadline_ms(self) -> int:
        """The instant after which the venue refuses it."""
        return self.timestamp_ms + self.window_ms

    def params(self) -> dict[str, int]:
        """Return the parameters that override ccxt's own stamp."""
        return {"timestamp": self.timestamp_ms, "recvWindow": self.window_ms}


def make_stamp(
    known: VenueTime,
    *,
    permit_left_s: float,
    recv_window_ms: int,
    window_min_ms: int,
    not_after_ms: int | None,
) -> Stamp | str:
    """Return the stamp of a request that leaves now, or in words why it may not leave.

    Args:
        known: the venue's time.
        permit_left_s: seconds until the gate closes.
        recv_window_ms: the longest window that is configured.
        window_min_ms: the shortest one that is worth sending.
        not_after_ms: venue time that the journal gave as the deadline; None without one.
    """
    now_ms = int(known.earliest_ms)
    window_ms = min(recv_window_ms, int((permit_left_s - MARGIN_S) * 1000))
    if not_after_ms is not None:  # what the journal said: a later reader relies on it
        window_ms = min(window_ms, not_after_ms - now_ms)
    if window_ms < window_min_ms:
        return f"permit and journal leave {max(0, window_ms)} ms, {window_min_ms} are needed"
    if known.error_ms >= window_ms:
        return f"the venue's time is uncertain by {known.error_ms:.0f} ms"
    return Stamp(timestamp_ms=now_ms, window_ms=window_ms)
