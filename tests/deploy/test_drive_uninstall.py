"""A box is given back as it was found, to the last file, package, user and unit."""

import pytest

from tests.deploy.conftest import HomeMaker
from tests.deploy.home import JETSON, PI
from tests.deploy.looks import holdings

pytestmark = [pytest.mark.boxes, pytest.mark.timeout(2400)]


def test_uninstall_leaves_a_box_as_it_was_found(make_home: HomeMaker) -> None:
    """With a store and a paper exchange, and with a Python that was brought; twice is once."""
    home = make_home(jetson="bookworm", raspberrypi="trixie")
    found = {name: holdings(home.boxes[name]) for name in (JETSON, PI)}
    home.must("deploy-standby")
    home.must("deploy-primary", PYTHON_ARCHIVE=home.environ["PYTHON_ARCHIVE_FOR_OLD"])
    home.wait_trading(PI)
    for name in (PI, JETSON):
        dry = home.must("uninstall", BOX=name, FORCE="1", DRY_RUN="1")
        assert "would change remove /opt/hotspare" in dry
        home.must("uninstall", BOX=name, FORCE="1")
        now = holdings(home.boxes[name])
        assert (sorted(now - found[name]), sorted(found[name] - now)) == ([], []), name
        assert "nothing to change" in home.must("uninstall", BOX=name)
