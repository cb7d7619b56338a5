"""How fast messages may leave: storm control and backoff, pure (`now_s` is monotonic).

Rules: at most one message of a collapsing kind in `KIND_GAP_S`; at most `PER_MINUTE_MAX`
messages in any minute; after a failure the whole channel waits, so that order is kept.
The pace is not kept over a restart: the channel's own "retry after" covers that.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from alerts.changes import IN_FLIGHT, Row
from alerts.kinds import is_collapsing
from alerts.model import Kind

KIND_GAP_S = 60.0
"""One message a minute of a kind that repeats: enough to see that it goes on."""

PER_MINUTE_MAX = 20
"""Telegram's limit for a group, messages a minute. Above it the bot is told to wait (429)."""

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits after failures, in seconds: doubled from `first_s` up to `max_s`, jittered.

    `permanent_s`: how often a channel that refused for good is tried again (a person may have
    mended it). Defaults: 2 s recovers a blink, 300 s tells within five minutes of the end of an
    outage, one hour does not annoy a channel that says "blocked".
    """

    first_s: float = 2.0
    max_s: float = 300.0
    jitter: float = 0.2
    permanent_s: float = 3600.0

    def wait_s(self, failures: int, chance: float) -> float:
        """Return the wait after this many failures in a row (>= 1); `chance` is in [0, 1).

        The jitter only shortens, so that `max_s` holds.
        """
        exponent = min(failures - 1, 30)  # 2**30 s is beyond any max_s; keeps the float small
        return min(self.max_s, self.first_s * 2.0**exponent) * (1.0 - self.jitter * chance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What to do now: send `row`, or wait `wait_s` (None: until something new comes in)."""

    row: Row | None = None
    wait_s: float | None = None


class Pace:
    """Remembers when messages left and until when the channel must rest."""

    def __init__(self) -> None:
        self._kind_started_s: dict[Kind, float] = {}
        self._started_s: deque[float] = deque(maxlen=PER_MINUTE_MAX)
        self._rest_until_s: float | None = None

    def rest_until(self, instant_s: float) -> None:
        """Let the whole channel wait until this instant."""
        self._rest_until_s = instant_s

    def note_started(self, row: Row, now_s: float) -> None:
        """Record that an attempt for this row begins now."""
        self._started_s.append(now_s)
        if is_collapsing(row.event):
            self._kind_started_s[row.event.kind] = now_s

    def plan_next(self, rows: Iterable[Row], now_s: float) -> Due:
        """Return the first row that may leave now, or how long to wait for one."""
        wait_s = self._channel_wait_s(now_s)
        if wait_s > 0:
            return Due(wait_s=wait_s)
        waits_s: list[float] = []
        for row in rows:
            assert row.state not in IN_FLIGHT, "one attempt at a time"
            row_wait_s = self._row_wait_s(row, now_s)
            if row_wait_s <= 0:
                return Due(row=row)
            waits_s.append(row_wait_s)
        return Due(wait_s=min(waits_s, default=None))

    def _channel_wait_s(self, now_s: float) -> float:
        rest_s = 0.0 if self._rest_until_s is None else self._rest_until_s - now_s
        if len(self._started_s) < PER_MINUTE_MAX:
            return rest_s
        return max(rest_s, self._started_s[0] + MINUTE_S - now_s)

    def _row_wait_s(self, row: Row, now_s: float) -> float:
        # A row whose answer was lost is not new: holding it back would only add doubt.
        if not is_collapsing(row.event) or row.attempt > 0:
            return 0.0
        started_s = self._kind_started_s.get(row.event.kind)
        return 0.0 if started_s is None else started_s + KIND_GAP_S - now_s
