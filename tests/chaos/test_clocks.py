"""Wall clocks are stepped under a trading pair: by an hour, back, to 1970 (scenario 9, R0).

A step belongs to a box: its node and its store see it together, as on a board that NTP sets.
"""

from pathlib import Path

import pytest

from tests.chaos import lab_stores
from tests.chaos.conftest import LabMaker
from tests.chaos.lab import WITNESS, Lab
from tests.chaos.lab_clock import HOUR_S, WallClock, build_clocks, why_no_clocks
from tests.support.pair import JETSON, PI, TTL_S, plan_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STILL_S = 1.2 * TTL_S
BOXES = (JETSON, PI, WITNESS)


@pytest.fixture
def clocks(tmp_path: Path, lab_here: None) -> dict[str, WallClock]:
    """A clock for each box."""
    reason = why_no_clocks()
    if reason:
        pytest.skip(reason)
    return build_clocks(tmp_path / "clocks", BOXES)


def test_wall_clock_steps(make_lab: LabMaker, clocks: dict[str, WallClock]) -> None:
    """No step of any box's clock moves the lease, and orders go on after each."""
    lab = make_lab(plan_of(), environ={box: clock.environ for box, clock in clocks.items()})
    lab.pair.open()
    before = lab.role_changes()
    for box, clock in clocks.items():
        for offset_s in (HOUR_S, -HOUR_S, None, 0):
            if offset_s is None:
                clock.to_1970()
            else:
                clock.set(offset_s)
            lab.pair.story.say(f"{box}: {clock.offset_s:+d} s")
            assert abs(lab_stores.wall_s(lab.stage.store(box)) - clock.now_s()) < 60
            lab.hold_still(STILL_S)
            lab.pair.wait_order(JETSON)
            _wait_follows(lab, box, clock)
    lab.pair.story.wait_spare(PI)
    assert lab.role_changes() == before
    lab.judge()


def test_takeover_in_1970(make_lab: LabMaker, clocks: dict[str, WallClock]) -> None:
    """L1: a spare whose clock stands in 1970, beside a store that is an hour ahead, takes over."""
    lab = make_lab(plan_of(), environ={box: clock.environ for box, clock in clocks.items()})
    clocks[PI].to_1970()
    clocks[WITNESS].set(HOUR_S)
    lab.clock_offsets_s = {PI: clocks[PI].offset_s}
    lab.pair.open()
    lab.pull(JETSON)
    lab.wait_next(JETSON)
    lab.judge()


def _wait_follows(lab: Lab, box: str, clock: WallClock) -> None:
    """Wait until a box's node writes its new time into its log."""
    if box == WITNESS:
        return
    lab.pair.wait(
        lambda: abs(lab.last_log_s(box) - clock.now_s()) < 600, f"{box} to follow its clock"
    )
