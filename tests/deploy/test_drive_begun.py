"""A cluster begins once: a fresh card, an empty store and a peer that is away are no first start.

The pair has one store, on the Pi: with the Pi's card everything is gone that knew of the pause,
except the Jetson's card, and the Jetson is off.
"""

import pytest

from deploy.begun import FILE
from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, PI, Home
from tests.deploy.test_drive import deploy_both
from tests.deploy.test_drive_witness import judge, wait_order

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]

PAUSE = "the owner looks first"
NOBODY_KNOWS = "no control record was found"


def orders(home: Home) -> int:
    """Return how many requests to change something have reached the exchange."""
    return sum(r["type"] == "request" and r["method"] != "GET" for r in home.requests())


def reasons(home: Home) -> str:
    """Return why the Pi does not trade, as the Pi says it."""
    nodes = home.status(PI).get("nodes", ())
    return str([n["reasons"] for n in nodes if n["node_id"] == PI])


def test_a_wiped_box_that_is_deployed_again_is_no_first_start(make_home: HomeMaker) -> None:
    home = make_home(jetson="bookworm", raspberrypi="trixie", has_venue=True)
    wait_order(home, deploy_both(home))
    assert (home.cluster / FILE).read_text() == "test-home\n"
    assert home.boxes[PI].ssh(f"nodectl pause --reason '{PAUSE}'").returncode == 0
    home.wait_message("aused")

    assert home.boxes[JETSON].pull().is_silent
    assert home.boxes[PI].pull().is_silent
    old_log = home.fresh_card(PI)
    before = orders(home)
    said = home.must("deploy-standby")
    assert "fine so far, waiting for the other: make deploy-primary" in said
    home.wait(lambda: NOBODY_KNOWS in reasons(home), "the wiped box to count as paused")
    assert home.leader(PI) is None

    home.boxes[JETSON].plug()
    home.wait(lambda: PAUSE in str(home.status(PI)), "the Jetson's card to bring the pause back")
    assert orders(home) == before
    assert home.boxes[PI].ssh("nodectl resume").returncode == 0
    wait_order(home, home.wait_trading(PI))
    judge(home, old_log)
