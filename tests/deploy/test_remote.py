"""Taking a box away is refused where that would stop trading."""

from typing import Any

import pytest

from deploy.box import NodeState
from deploy.remote import why_trading_stops


def seen(holder: str | None, **stores: str) -> NodeState:
    """What a node sees: who leads, and each store's error by name."""
    status: dict[str, Any] = {
        "holder": holder,
        "stores": [{"name": name, "error": error} for name, error in stores.items()],
    }
    nothing = dict.fromkeys(
        ("fingerprint", "release", "settings", "previous_release", "previous_settings"), ""
    )
    return NodeState(is_active=True, restarts=0, status=status, **nothing)


ONE = {"raspberrypi": ""}
THREE = {"jetson": "", "raspberrypi": "", "witness": ""}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (seen("raspberrypi", **THREE), "raspberrypi leads"),
        (seen("jetson", **ONE), "no majority of stores is left: jetson stops trading"),
        (seen("jetson", **{**THREE, "witness": "refused"}), "no majority of stores is left"),
    ],
)
def test_a_box_that_trading_needs_stays(state: NodeState, words: str) -> None:
    assert words in why_trading_stops(state, "raspberrypi")


@pytest.mark.parametrize(
    "state", [seen("jetson", **THREE), seen(None, **ONE), seen("jetson", jetson="")]
)
def test_a_box_that_trading_does_not_need_may_go(state: NodeState) -> None:
    assert why_trading_stops(state, "raspberrypi") == ""
