"""Who should trade instead of this node: only for troubles that the other box does not share."""

from types import SimpleNamespace
from typing import cast

import pytest

from node.health import Health
from node.parts import NodeParts
from node.successor import Successor

LONG_S = 600.0


def judged(venue_error: str) -> str:
    """Return why a node with a fit spare hands over after it was in that state for long."""
    health = Health(is_ready=True, venue_error=venue_error)
    clock = {"now_s": 0.0}
    parts = SimpleNamespace(
        health=health,
        monotonic_s=lambda: clock["now_s"],
        config=SimpleNamespace(venue=SimpleNamespace(read_budget_s=4.0)),
    )
    successor = Successor(cast("NodeParts", parts), spares=lambda: ("raspberrypi",))
    assert successor.reason_to_hand_over() == ""
    clock["now_s"] = LONG_S
    return successor.reason_to_hand_over()


def test_venue_out_of_reach_from_this_box_is_a_reason() -> None:
    """A link that stays cut here while the spare's is good: the spare should trade."""
    assert judged("VenueUnavailable: no route") == "venue: VenueUnavailable: no route"


@pytest.mark.parametrize(
    "text", ["VenueRateLimited: no weight free for 20.2 s", "VenueRateLimited: banned for 120 s"]
)
def test_rate_limit_is_no_reason(text: str) -> None:
    """DESIGN 7: a limit on the shared address meets the other box too; stay."""
    assert judged(text) == ""
