"""A node that is unwell hands over when the other is well, and stays when both suffer alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from node.succession import UNWELL
from tests.e2e.conftest import PairMaker
from tests.support.disks import fill
from tests.support.pair import JETSON, PI, Pair, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def moves(pair: Pair) -> int:
    """Count the grants of both nodes."""
    return len(pair.epochs(JETSON)) + len(pair.epochs(PI))


def wait_withheld(pair: Pair, *words: str) -> None:
    """Wait until the Jetson said why it stays although it is unwell."""
    pair.wait(
        lambda: any(
            all(word in str(e["reason"]) for word in words)
            for e in pair.events(JETSON, "handover.withheld")
        ),
        f"the reason to stay: {words}",
    )


def venue_alerts(pair: Pair) -> int:
    """Count the Jetson's messages about its venue."""
    return sum(":venue:" in e["event_id"] for e in pair.told("error", JETSON))


def test_a_venue_cut_for_the_leader_only_moves_the_lease_once(pair: Pair) -> None:
    """Scenario 24: an orderly hand-over with resting orders adopted, none doubled."""
    pair.open()
    since = pair.stage.role_changes(PI)
    before = moves(pair)
    pair.stage.paper.pause()  # what rests is still wanted when the other one looks
    pair.stage.paper.arm("5xx", key=JETSON, count=None)
    report = pair.wait_active(PI, since=since)
    pair.stage.paper.resume()
    assert UNWELL in report["reason"]
    assert "venue" in report["reason"]
    assert report["orders_kept"] >= 3
    assert report["orders_unclear"] == 0
    assert pair.events(PI, "lease.granted")[-1]["was_released"] is True
    pair.wait_order(PI)
    gave_up = pair.wait_told("gave_up", JETSON)
    assert gave_up
    pair.stage.paper.clear_faults()
    pair.story.wait_spare(JETSON)
    assert moves(pair) == before + 1, "it went back by itself"
    pair.judge()


def test_a_venue_cut_for_both_moves_nothing(pair: Pair) -> None:
    """What both see is no reason: the leader stays, tells it once, and goes on."""
    pair.open()
    before = moves(pair)
    pair.stage.paper.arm("5xx", key=JETSON, count=None)
    pair.stage.paper.arm("5xx", key=PI, count=None)
    wait_withheld(pair, "venue", "no other node is fit")
    assert venue_alerts(pair) == 1
    pair.stage.paper.clear_faults()
    pair.wait_order(JETSON)
    pair.story.wait_spare(PI)
    assert moves(pair) == before
    assert venue_alerts(pair) == 1
    pair.judge()


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (
            "error",
            {"code": 1, "message": "System is under maintenance.", "status": 503},
            "closed for everybody",
        ),
        ("418", {"seconds": 25}, "may share"),
        ("429", {"seconds": 25}, "may share"),
    ],
    ids=["maintenance", "banned", "rate limited"],
)
def test_what_is_everybodys_moves_nothing(
    pair: Pair, kind: str, fields: dict[str, object], words: str
) -> None:
    """Maintenance is the venue's, a limit or ban the address's, which the boxes may share."""
    pair.open()
    before = moves(pair)
    # For the leader's key only: the other one looks fit, and that must not tempt anybody.
    fault = pair.stage.paper.arm(kind, key=JETSON, count=None, **fields)
    wait_withheld(pair, words)
    pair.stage.paper.clear_faults(fault)
    pair.wait_order(JETSON)
    assert moves(pair) == before
    pair.judge()


def test_one_kind_of_read_that_fails_for_the_leader_only_moves_the_lease(pair: Pair) -> None:
    """A holder that cannot see its open orders does not trade, although the venue is up."""
    pair.open()
    since = pair.stage.role_changes(PI)
    pair.stage.paper.arm("5xx", key=JETSON, count=None, method="GET", path="openOrders")
    report = pair.wait_active(PI, since=since)
    assert UNWELL in report["reason"]
    pair.stage.paper.clear_faults()
    pair.wait_order(PI)
    pair.judge()


def test_a_disk_that_fails_under_the_leader_moves_the_lease(
    make_pair: PairMaker, mounted: Callable[..., Path]
) -> None:
    """Three stores: it trades on for a moment, and a node with a good disk takes over in order."""
    pair = make_pair(plan_of(extra_toml="[health]\nmin_disk_free_mb = 1"))
    folder = mounted(pair.stage.directory / "state" / JETSON, "size=8m")
    logs = pair.stage.directory / "logs"
    logs.mkdir()
    (folder / "log").symlink_to(logs)  # the log is what this test reads
    pair.open()
    since = pair.stage.role_changes(PI)
    ballast = fill(folder)
    report = pair.wait_active(PI, since=since)
    assert UNWELL in report["reason"]
    pair.wait_order(PI)
    ballast.unlink()
    pair.wait(
        lambda: any(
            "recovering" in str(e["reasons"]) for e in pair.events(JETSON, "resources.short")
        ),
        "a disk that has to prove itself",
    )
    pair.judge()
