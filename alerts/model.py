"""What is told to people: events with a verdict, a kind, and the facts for the text.

Rules: an event is a value; its `event_id` makes it unique (failovers by epoch), so that it is
told once whoever tells it. Rendering is in render.py, keeping and sending in outbox.py/sender.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """First words of a message, readable on a lock screen."""

    NOTHING_TO_DO = "nothing to do"
    LOOK = "look"
    ACT = "act"
    GOOD_AGAIN = "good again"


class Kind(StrEnum):
    """Kinds of event. The facts each one carries are listed in render.py."""

    STARTUP = "startup"
    TOOK_OVER = "took_over"
    GAVE_UP = "gave_up"
    NOBODY_TRADES = "nobody_trades"
    BOTH_WERE_OFF = "both_were_off"
    SPARE_LOST = "spare_lost"
    SPARE_BACK = "spare_back"
    PREFERRED_FIT = "preferred_fit"
    ORDER_PLACED = "order_placed"
    ORDER_FILLED = "order_filled"
    ORDER_REJECTED = "order_rejected"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_RESOLVED = "order_resolved"
    STRATEGY_SKIPPED = "strategy_skipped"
    PAUSED = "paused"
    RESUMED = "resumed"
    LOSS_LIMIT = "loss_limit"
    STORE_LOST = "store_lost"
    STORE_BACK = "store_back"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    ERROR = "error"
    DRILL_PASSED = "drill_passed"
    DRILL_FAILED = "drill_failed"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One thing a person should know.

    `created_wall_ms` is Unix time for display. `collapse_key`: unsent events with the same
    non-empty key become one message with a count; role changes never collapse.
    """

    event_id: str
    kind: Kind
    verdict: Verdict
    created_wall_ms: int
    cluster: str
    node_id: str
    epoch: int
    facts: Mapping[str, str] = field(default_factory=dict)
    collapse_key: str = ""
