"""The owner's own commands against real systemd, over real SSH: deploy, pull the plug, upgrade.

Each test is one story on boxes of its own: Debian 12 (systemd 252, no Python of its own, so one is
brought) and Debian 13 (systemd 257).
"""

import pytest

from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, PI, Home

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]


def changes_of(said: str) -> list[str]:
    """Return the lines that say that something changed."""
    return [line for line in said.splitlines() if line.startswith("  changed ")]


def deploy_both(home: Home) -> str:
    """Deploy the pair in the usual order; return who leads."""
    home.must("deploy-primary", PYTHON_ARCHIVE=home.environ["PYTHON_ARCHIVE_FOR_OLD"])
    home.must("deploy-standby")
    return home.wait_trading(PI)


def test_deploy_the_primary_first_and_pull_its_plug(make_home: HomeMaker) -> None:
    home = make_home(jetson="bookworm", raspberrypi="trixie")
    archive = home.environ["PYTHON_ARCHIVE_FOR_OLD"]

    dry = home.must("deploy-primary", DRY_RUN="1", PYTHON_ARCHIVE=archive)
    assert "nothing was touched" in dry
    assert "holds secrets: not shown" in dry
    assert not [secret for secret in home.secrets if secret in dry]
    assert home.boxes[JETSON].ssh("ls /etc/hotspare").returncode != 0

    first = home.must("deploy-primary", PYTHON_ARCHIVE=archive)
    assert "fine so far, waiting for the other: make deploy-standby" in first
    assert "if raspberrypi (or the store on it) is lost" in first
    home.must("deploy-standby")
    home.wait_trading(PI)

    for target, words in (("deploy-primary", {"PYTHON_ARCHIVE": archive}), ("deploy-standby", {})):
        again = home.must(target, **words)
        assert changes_of(again) == [], target
        assert "nothing to change" in again

    assert "leads since" in home.must("status")
    if home.leader(PI) != JETSON:
        home.boxes[PI].ssh("nodectl switchover --to jetson")
        home.wait_trading(PI, JETSON)

    proof = home.boxes[JETSON].pull()
    assert proof.is_silent
    home.wait(lambda: home.leader(PI) == PI, "the Pi takes over")
    message = home.wait_message("raspberrypi trades now")
    assert "Before: jetson" in message

    home.boxes[JETSON].plug()
    assert home.wait_trading(PI) == PI
