"""Watches a drill through the stores until it is over; says what happens as it happens (shell).

Rules of this file: it looks and waits, each wait with a time limit; it hurts nobody and judges
nothing (verdict.py). Ctrl-C ends the watching, not the drill, which ends by itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from election.peek import ClusterPeek
from node.config_model import Config
from node.drill.keeper_facts import closed_at_ms, seen_of_switchover
from node.drill.model import DrillKind, DrillRequest
from node.drill.rules import failover_budget_s, stop_renewing_budget_s
from node.drill.track import Track
from node.drill.verdict import Seen
from node.status_nodes import number_or_none

POLL_S = 0.1
# How long a node may take to see a request, or to say why not.
HEED_S = 20.0
# How long a person may take to find the plug.
PULL_S = 600.0
# Beyond the budget a failover is late; so much later nobody waits any more.
LATE_FACTOR, LATE_EXTRA_S = 3.0, 30.0
# After the other node is ready: for its first order, and for the alert.
ORDER_S, ALERT_WAIT_S = 10.0, 20.0
STORE_BACK_S = 15.0
# The old leader's member record is a second old at most.
CLOSED_WAIT_S = 3.0


@dataclass(slots=True, kw_only=True)
class DrillWatch:
    """One drill, watched. `look` takes one look at the stores; `say` prints a line."""

    config: Config
    request: DrillRequest
    look: Callable[[], ClusterPeek]
    say: Callable[[str], None]
    back_within_s: float
    has_alerts: bool
    does_accept_stop: bool = False
    asked_s: float = field(default_factory=time.monotonic)
    track: Track = field(init=False)
    _told: set[str] = field(default_factory=set)
    _back_s: float | None = None
    _back_since_s: float | None = None
    _was_interrupted: bool = False

    def __post_init__(self) -> None:
        """Begin with who led when it was asked."""
        request = self.request
        self.track = Track(
            config=self.config, holder=request.holder, epoch=request.epoch, target=request.target
        )

    def run(self) -> None:
        """Watch until everything was seen or its time is over, or Ctrl-C."""
        try:
            if self.request.kind is DrillKind.STORE:
                self._watch_store()
            else:
                self._watch_failover()
        except KeyboardInterrupt:
            self._was_interrupted = True
            self._tell("interrupted", "the watching ends here; the drill ends by itself")

    @property
    def was_interrupted(self) -> bool:
        """True when somebody pressed Ctrl-C."""
        return self._was_interrupted

    # --- what was seen -----------------------------------------------------------------------

    def seen(self, *, by: str, at_ms: int) -> Seen:
        """Return what was seen, for the verdict."""
        track, request = self.track, self.request
        back_budget_s: float | None = self.back_within_s
        if request.kind is DrillKind.STORE:
            back_budget_s = STORE_BACK_S
        elif track.new_epoch is None and not self.does_accept_stop:
            back_budget_s = None
        if request.kind is DrillKind.SWITCHOVER and track.new_epoch is not None:
            closed_ms = closed_at_ms(track.body(request.holder), request.epoch)
            return seen_of_switchover(
                track.times,
                closed_venue_ms=closed_ms,
                by=by,
                at_ms=at_ms,
                holder=track.new_holder or "",
                epoch=track.new_epoch,
                has_alerts=self.has_alerts,
                back_s=self._back_s,
                back_budget_s=back_budget_s,
            )
        return Seen(
            by=by,
            at_ms=at_ms,
            new_holder=track.new_holder,
            new_epoch=self._new_epoch(),
            noticed_s=self._since_renewal(track.noticed_s),
            stopped_s=self._since_asked(track.last_renewal_s),
            granted_s=self._granted_s(),
            ready_s=self._after_grant("ready_after_s"),
            first_order_s=self._after_grant("first_order_after_s"),
            last_order_s=self._last_order_s(),
            alert_s=self._after_grant("alert_after_s"),
            has_alerts=self.has_alerts,
            back_s=self._back_s,
            back_budget_s=back_budget_s,
            gap_s=track.longest_gap_s,
            was_cut=self._was_cut(),
            does_accept_stop=self.does_accept_stop,
            was_interrupted=self._was_interrupted,
        )

    def _new_epoch(self) -> int | None:
        if self.request.kind is DrillKind.STORE and self.track.new_epoch is None:
            return self.request.epoch if self.track.new_holder is not None else None
        return self.track.new_epoch

    def _since_renewal(self, at_s: float | None) -> float | None:
        last_s = self.track.last_renewal_s
        return None if at_s is None or last_s is None else max(0.0, at_s - last_s)

    def _since_asked(self, at_s: float | None) -> float | None:
        return None if at_s is None else max(0.0, at_s - self.asked_s)

    def _granted_s(self) -> float | None:
        return self._since_renewal(self.track.granted_s)

    def _after_grant(self, name: str) -> float | None:
        granted_s, after_s = self._granted_s(), number_or_none(self.track.times.get(name))
        return None if granted_s is None or after_s is None else granted_s + after_s

    def _last_order_s(self) -> float | None:
        """Return how long before the last renewal the last order was, by the venue's clock."""
        last_ms = self.track.last_order_ms
        granted_ms, granted_s = self.track.times.get("granted_venue_ms"), self._granted_s()
        if granted_s is None or last_ms is None or not isinstance(granted_ms, int):
            return None
        return (granted_ms - last_ms) / 1000 - granted_s

    # --- failovers ---------------------------------------------------------------------------

    def _watch_failover(self) -> None:
        is_plug = self.request.kind is DrillKind.PLUG
        budget_s = failover_budget_s(self.config)
        stop_s = stop_renewing_budget_s(self.config, self.request.kind) or HEED_S
        if not self._until(self._has_begun, PULL_S if is_plug else stop_s + HEED_S):
            self._tell("ignored", self._why_nothing())
            return
        if self.does_accept_stop:
            self._until(lambda: False, budget_s)
            self._tell("stopped", "nobody can take over: trading has stopped, as accepted")
        elif not self._until(self._is_granted, LATE_FACTOR * budget_s + LATE_EXTRA_S):
            self._tell("nobody", "nobody took over")
            return
        else:
            self._until(self._is_ready, LATE_FACTOR * budget_s + LATE_EXTRA_S)
            ready_s = time.monotonic()
            self._until(lambda: self._has_order() and self._has_alert(), ORDER_S)
            self._until(self._has_alert, ALERT_WAIT_S - (time.monotonic() - ready_s))
        if self.request.kind is DrillKind.SWITCHOVER:
            self._until(self._is_closed_known, CLOSED_WAIT_S)
        if is_plug:
            self.say(f"now plug {self.request.target} in again (waiting for it to be a fit spare)")
        drill_id = self.request.drill_id
        # Who is cut off cannot be back, whatever its own store shows of it.
        self._until(lambda: not self.track.is_running(drill_id), self.request.lasting_s + HEED_S)
        if self._until(self._is_back, self.back_within_s):
            since_s = self._back_since_s or time.monotonic()
            self._back_s = since_s - (self.track.last_renewal_s or self.asked_s)

    def _has_begun(self) -> bool:
        """The holder went silent, or another one is there already."""
        track = self.track
        if track.noticed_s is not None:
            last_s = self._since_renewal(track.noticed_s) or 0.0
            self._tell("silent", f"{self.request.holder} has been silent for {last_s:.1f} s")
        return track.noticed_s is not None or track.new_epoch is not None

    def _is_granted(self) -> bool:
        track = self.track
        if track.new_epoch is None:
            return False
        self._tell(
            f"granted {track.new_epoch}",
            f"{track.new_holder} holds the lease, epoch {track.new_epoch}",
        )
        return True

    def _is_ready(self) -> bool:
        if self.track.times.get("ready_after_s") is None:
            return False
        self._tell("ready", f"{self.track.new_holder} has reconciled and trades")
        return True

    def _has_order(self) -> bool:
        if self.track.times.get("first_order_after_s") is None:
            return False
        self._tell("order", f"the venue accepted the first order of {self.track.new_holder}")
        return True

    def _has_alert(self) -> bool:
        if not self.has_alerts:
            return True
        if self.track.times.get("alert_after_s") is None:
            return False
        self._tell("alert", "the Bot API confirmed the message")
        return True

    def _is_closed_known(self) -> bool:
        return closed_at_ms(self.track.body(self.request.holder), self.request.epoch) is not None

    def _is_back(self) -> bool:
        is_fit = self._is_fit(self.request.holder)
        if is_fit:
            self._tell_back()
        return is_fit

    def _tell_back(self) -> None:
        hurt = self.request.holder
        self._tell("back", f"{hurt} is back: {'it leads' if self._leads(hurt) else 'a fit spare'}")

    def _is_fit(self, hurt: str) -> bool:
        if self.does_accept_stop and not self.track.is_trading:
            return False
        if self._leads(hurt):
            return self.track.is_trading
        return hurt in self.track.spares

    def _note_back(self, begun_s: float) -> None:
        """Since when it has been back, whatever else is waited for just then (a first order)."""
        track = self.track
        is_over = track.new_epoch is not None and not track.is_running(self.request.drill_id)
        if self.does_accept_stop or not is_over or not self._is_fit(self.request.holder):
            self._back_since_s = None
        elif self._back_since_s is None:
            self._back_since_s = begun_s
            self._tell_back()

    def _leads(self, node_id: str) -> bool:
        return self.track.new_holder == node_id

    def _why_nothing(self) -> str:
        if self.request.kind is DrillKind.PLUG:
            return f"{self.request.target} kept renewing: nobody pulled its plug"
        return (
            f"{self.request.holder} kept renewing: it did not do it; "
            "`nodectl logs --event drill` on its box says why"
        )

    # --- a store -----------------------------------------------------------------------------

    def _was_cut(self) -> bool:
        return bool(self.track.was_cut) or self.track.was_store_silent

    def _watch_store(self) -> None:
        if not self._until(self._was_cut, HEED_S):
            self._tell("ignored", "no node cut it off; `nodectl logs --event drill` says why")
            return
        self._tell("cut", f"{self.request.target} is cut off for {self.request.lasting_s:.0f} s")
        cut_until_s = time.monotonic() + self.request.lasting_s
        self._until(lambda: time.monotonic() >= cut_until_s, self.request.lasting_s + 1)
        lease = self.config.lease
        patience_s = (2 * lease.renew_ms + lease.request_timeout_ms) / 1000
        ended_s = time.monotonic()

        def is_back() -> bool:
            is_heard = self.track.store_silent_s < patience_s
            return is_heard and (self.track.is_trading or not self.does_accept_stop)

        wait_s = self.back_within_s if self.does_accept_stop else STORE_BACK_S
        if self._until(is_back, wait_s):
            self._back_s = time.monotonic() - ended_s
            self._tell("store", f"{self.request.target} is renewed again")

    # --- waiting -----------------------------------------------------------------------------

    def _until(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        until_s = time.monotonic() + max(0.0, timeout_s)
        while True:
            # Ages are those of the moment of asking: a store without power makes a look long.
            begun_s = time.monotonic()
            self.track.step(self.look(), begun_s)
            self._note_back(begun_s)
            if is_done():
                return True
            if time.monotonic() >= until_s:
                return False
            time.sleep(POLL_S)

    def _tell(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.say(f"{time.monotonic() - self.asked_s:6.1f} s  {text}")
