"""A box's disk is full or read-only while it runs (scenario 41)."""

from collections.abc import Iterator

import pytest

from tests.chaos.lab import Lab
from tests.chaos.lab_disk import SmallDisk
from tests.support.pair import JETSON, PI

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SIZE_KB = 256 * 1024  # above what a node asks for before it counts its disk as short


@pytest.fixture
def disks(lab: Lab) -> Iterator[dict[str, SmallDisk]]:
    """A small disk of its own for each node's state."""
    made = {}
    for node in (JETSON, PI):
        made[node] = SmallDisk(lab.stage.nodes[node].log_path.parents[1], size_kb=SIZE_KB)
        # The judge reads the logs: they lie on another disk, as a careful owner has it.
        logs = lab.stage.directory / "logs" / node
        logs.mkdir(parents=True)
        (made[node].directory / "log").symlink_to(logs)
    yield made
    for disk in made.values():
        disk.close()


def test_disk_full_on_the_spare(lab: Lab, disks: dict[str, SmallDisk]) -> None:
    """41: a spare without room to write takes nothing, and says so; the leader's box returns."""
    lab.pair.open()
    disks[PI].fill()
    lab.pair.wait(lambda: lab.pair.member(PI).get("reasons"), "the reason on the board")
    lab.pull(JETSON)
    lab.wait_phone("nobody trades")
    assert lab.pair.epochs(PI) == []
    assert not lab.pair.requests(PI)
    lab.plug(JETSON)
    lab.pair.wait(lambda: lab.leader() == JETSON, "the Jetson to trade again")
    lab.pair.wait_order(JETSON)
    disks[PI].free()
    lab.judge()


def test_disk_full_on_the_leader(lab: Lab, disks: dict[str, SmallDisk]) -> None:
    """L1: a leader whose disk is full hands over to a fit spare."""
    lab.pair.open()
    disks[JETSON].fill()
    lab.wait_next(JETSON)
    assert lab.pair.events(PI, "lease.granted")[-1]["was_released"], "handed over, not taken"
    disks[JETSON].free()
    lab.judge()
