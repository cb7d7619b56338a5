"""A box loses its power: its peers see no connection close, only silence (scenarios 1, 3)."""

from pathlib import Path

import pytest

from tests.chaos.lab import running_lab
from tests.support.pair import JETSON, PI, plan_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]


def test_holder_unplugged(tmp_path: Path) -> None:
    with running_lab(tmp_path, plan_of()) as lab:
        lab.pair.open()
        lab.pull(JETSON)
        lab.pair.wait_active(PI)
        lab.pair.wait_order(PI)
        lab.plug(JETSON)
        lab.pair.story.wait_spare(JETSON)
        lab.judge()
