"""The permit: the right to send, as the lease gives it, readable from any thread.

Rules of this file:

- The gate is open for `timing.gate_s` from the *send* of the last counted renewal, measured on
  the faster of two clocks. It closes by itself; nobody has to run for that.
- The fence is armed before the gate opens or moves, never after.
- Closing is irrevocable for an epoch: an acknowledgement that comes later neither re-arms nor
  re-opens. Suspending (after a clock step or a late tick) ends with an acknowledgement of a
  renewal that was sent after it.
- The fence is taken away only here, under the one lock, with the gate closed by someone who
  knows why and no write in flight, and only from the work loop's own thread (`settle`,
  `end_write`): a hung loop never disarms, a dead heartbeat never lets it disarm.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from election.errors import FenceUnavailable
from election.instants import (
    Instant,
    contender_elapsed_s,
    holder_elapsed_s,
    instant_of,
    is_earlier,
    is_later,
)
from election.model import LeaseTiming
from election.ports import Fence, LeaseClock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """One counted renewal: the gate is open for `gate_s` from `sent`."""

    epoch: int
    sent: Instant


class LeasePermit:
    """Satisfies `exchange.ports.Permit` by shape; the heartbeat opens, extends and closes it."""

    def __init__(
        self,
        *,
        clock: LeaseClock,
        fence: Fence,
        timing: LeaseTiming,
        on_armed: Callable[[int, float], None] | None = None,
        on_disarmed: Callable[[], None] | None = None,
        on_flight: Callable[[int, float], None] | None = None,
    ) -> None:
        """Start closed, without a grant.

        Args:
            clock: the lease clock.
            fence: the kernel fence, or `NoFence`.
            timing: gives the lengths of gate and fence.
            on_armed: told (epoch, boottime_s) after each arming, for the note that explains
                a kill; must return at once.
            on_disarmed: told after the fence was taken away; must return at once.
            on_flight: told how many writes are under way, and the boottime_s until which one
                that ended without an answer may take effect; before the first byte of one can
                leave and after its end; must return at once.
        """
        self._clock = clock
        self._fence = fence
        self._gate_s = timing.gate_s
        self._fence_s = timing.fence_s
        self._on_armed = on_armed
        self._on_disarmed = on_disarmed
        self._on_flight = on_flight
        self._lock = threading.Lock()
        self._window: _Window | None = None
        self._is_closed = True
        self._suspended_since: Instant | None = None
        self._in_flight = 0
        self._lingering: tuple[Instant, float] | None = None
        self._is_armed = False
        self._is_condemned = False
        self._is_draining = False
        self._reason = "no grant yet"

    # --- read by the gateway, in microseconds --------------------------------------------------

    @property
    def epoch(self) -> int:
        """Epoch of the current grant, also while its gate is closed to drain; 0 without one."""
        window = self._window
        return 0 if window is None else window.epoch

    def remaining_s(self) -> float:
        """Seconds until the gate closes (already less the guard); <= 0 means closed."""
        window = self._window  # read before the clock: an older window can only give less
        if window is None or self._is_closed or self._suspended_since is not None:
            return 0.0
        return self._gate_s - holder_elapsed_s(window.sent, instant_of(self._clock.read()))

    @property
    def in_flight(self) -> int:
        """Writes registered and not yet ended."""
        return self._in_flight

    def lingering_s(self) -> float:
        """Seconds for which a write that ended without an answer may still take effect."""
        lingering = self._lingering
        if lingering is None:
            return 0.0
        since, for_s = lingering
        return max(0.0, for_s - contender_elapsed_s(since, instant_of(self._clock.read())))

    @property
    def reason(self) -> str:
        """Why the gate is closed or suspended, in words; empty while it is open."""
        return self._reason

    @property
    def is_settled(self) -> bool:
        """True when no grant is open, nothing is in flight and the fence is not armed."""
        with self._lock:
            return self._is_closed and self._in_flight == 0 and not self._is_armed

    def begin_write(self, *, epoch: int, needed_s: float) -> bool:
        """Register a write in flight; False when the permit is of another epoch or too short.

        Args:
            epoch: the epoch that the write was prepared under.
            needed_s: seconds that the write may take at most, connect and answer included.
        """
        with self._lock:
            window = self._window
            if window is None or window.epoch != epoch:
                return False
            remaining_s = self.remaining_s()
            if remaining_s <= 0 or remaining_s < needed_s:
                return False
            self._in_flight += 1
            self._tell_flight()
            return True

    def end_write(self, *, lingers_s: float = 0.0) -> None:
        """Unregister one write; takes the fence away when it was the last after closing.

        Args:
            lingers_s: seconds from now for which it may still take effect at the venue; 0 when
                its answer proves what became of it.
        """
        with self._lock:
            assert self._in_flight > 0, "end_write without begin_write"
            self._in_flight -= 1
            if lingers_s > self.lingering_s():
                self._lingering = (instant_of(self._clock.read()), lingers_s)
            self._tell_flight()
            self._settle()

    # --- driven by the heartbeat ----------------------------------------------------------------

    def open(self, *, epoch: int, sent: Instant) -> bool:
        """Arm the fence and open the gate for a new grant.

        Args:
            epoch: the new epoch, above every one before.
            sent: when the counted round was sent.

        Returns:
            False when the grant is already too old to open.

        Raises:
            FenceUnavailable: the kernel refused; the gate stays closed.
        """
        with self._lock:
            assert self._is_closed, "a grant was opened over an open one"
            assert self._in_flight == 0, "a grant was opened over writes in flight"
            assert not self._is_armed, "a grant was opened before the fence was taken away"
            if self._is_condemned:
                return False
            if holder_elapsed_s(sent, instant_of(self._clock.read())) >= self._gate_s:
                return False
            self._arm(epoch, sent)
            self._window = _Window(epoch=epoch, sent=sent)
            self._reason = ""
            self._resume_unless_earlier(sent)
            self._is_closed = self._is_draining = False
            return True

    def extend(self, *, epoch: int, sent: Instant) -> bool:
        """Move fence and gate to a newer counted renewal; False when the grant is over.

        While the grant drains nothing moves, and that is no reason to end it: the lease is kept
        until the release.

        Raises:
            FenceUnavailable: the kernel refused to move the fence; the gate is closed for good.
        """
        with self._lock:
            window = self._window
            if window is None or window.epoch != epoch or self._is_closed:
                return self._is_draining and window is not None and window.epoch == epoch
            now = instant_of(self._clock.read())
            if holder_elapsed_s(window.sent, now) >= self._gate_s:
                self._shut("the gate's time ran out")
                return False
            if not is_later(window.sent, sent):
                return True  # acknowledged out of order: nothing new is proven
            try:
                self._arm(epoch, sent)
            except FenceUnavailable:
                self._shut("the kernel fence could not be moved")
                raise
            self._window = _Window(epoch=epoch, sent=sent)
            self._resume_unless_earlier(sent)
            return True

    def suspend(self, *, since: Instant, reason: str) -> None:
        """Close the gate until a renewal sent after `since` is acknowledged (R0)."""
        with self._lock:
            self._suspended_since = since
            if not self._is_closed:
                self._reason = reason

    def close(self, *, reason: str) -> None:
        """Close the gate for good; the grant's epoch stays readable while it drains."""
        with self._lock:
            self._is_draining = not self._is_closed or self._is_draining
            self._shut(reason)

    def end_grant(self, *, reason: str) -> None:
        """Close the gate for good and forget the epoch: the grant is over."""
        with self._lock:
            self._shut(reason)
            self._window = None

    def condemn(self, *, reason: str) -> None:
        """Close the gate for good and leave the fence armed: this process must end.

        For a heartbeat that crashed: nobody would renew or contend any more.
        """
        with self._lock:
            self._is_condemned, self._is_draining = True, False
            self._shut(reason)

    def settle(self) -> bool:
        """Take the fence away if the gate was closed and nothing is in flight; tell whether so.

        Call it from the work loop's own thread only: that it runs there is the proof that the
        loop is not stuck behind a write.
        """
        with self._lock:
            self._settle()
            return not self._is_armed and self._in_flight == 0

    # --- private: the lock is held --------------------------------------------------------------

    def _arm(self, epoch: int, sent: Instant) -> None:
        boottime_s = sent.boot_s + self._fence_s
        self._fence.arm(boottime_s)
        self._is_armed = True
        if self._on_armed is not None:
            self._on_armed(epoch, boottime_s)

    def _resume_unless_earlier(self, sent: Instant) -> None:
        since = self._suspended_since
        # A round begun in the very step that noticed the event is sent after it.
        if since is not None and not is_earlier(sent, since):
            self._suspended_since = None
            self._reason = ""

    def _tell_flight(self) -> None:
        if self._on_flight is not None:
            lingering = self._lingering
            until_s = 0.0 if lingering is None else lingering[0].boot_s + lingering[1]
            self._on_flight(self._in_flight, until_s)

    def _shut(self, reason: str) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._reason = reason

    def _settle(self) -> None:
        if self._is_closed and self._is_armed and not self._in_flight and not self._is_condemned:
            self._fence.disarm()
            self._is_armed = False
            if self._on_disarmed is not None:
                self._on_disarmed()
