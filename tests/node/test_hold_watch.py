"""Hand-overs for health outlive the process, and a person hears once that one is held back."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from alerts.model import Verdict
from node.hold_watch import HoldWatch
from node.move_memory import FILE_NAME, Clocks, DiskMoves
from node.parts import NodeParts
from node.succession import WELL, Advice, Succession
from node.successor import Successor
from node.teller import Teller
from tests.support.trading_rig import Ear

HELD = Advice(stay_because="memory: 500 MB; but not again for 90 s", is_held=True)


class Memory:
    """A disk that remembers, or refuses."""

    def __init__(self) -> None:
        self.stored: list[tuple[float, ...]] = []
        self.is_failing = False

    def store(self, ages_s: Sequence[float]) -> None:
        if self.is_failing:
            raise OSError("read-only")
        self.stored.append(tuple(ages_s))


class World:
    """A hold watch whose successor the test steers."""

    def __init__(self) -> None:
        self.ear, self.memory, self.now_s = Ear(), Memory(), 1000.0
        parts = SimpleNamespace(
            moves=self.memory,
            identity=SimpleNamespace(nonce="n1"),
            wall_ms=lambda: int(self.now_s * 1000),
            teller=Teller(self.ear, cluster="c", node_id="jetson", epoch=lambda: 3),
        )
        self.successor = SimpleNamespace(advice=WELL, succession=Succession())
        self.watch = HoldWatch(cast("NodeParts", parts), cast("Successor", self.successor))

    async def look(self, advice: Advice = WELL, *, after_s: float = 1.0) -> int:
        self.now_s += after_s
        self.successor.advice = advice
        await self.watch.step(self.now_s)
        return len(self.ear.events)


async def test_a_hand_over_that_is_held_back_is_told_once() -> None:
    """S5: with why, and what a person may do; told again only after it was over."""
    world = World()
    assert await world.look() == 0
    assert await world.look(Advice(stay_because="no spare")) == 0
    assert [await world.look(HELD) for _ in range(3)] == [1, 1, 1]
    (event,) = world.ear.events
    assert event.verdict is Verdict.ACT
    assert event.facts["reason"] == HELD.stay_because
    assert await world.look() == 1
    assert await world.look(HELD) == 2
    assert len({event.event_id for event in world.ear.events}) == 2


async def test_each_move_is_kept_once_also_when_the_disk_refused_at_first() -> None:
    """What is not on the disk is tried again."""
    world = World()
    await world.look()
    world.successor.succession.note_move(world.now_s)
    world.memory.is_failing = True
    await world.look()
    world.memory.is_failing = False
    await world.look()
    await world.look()
    assert world.memory.stored == [(2.0,)]


@pytest.mark.parametrize(
    ("boot_id", "boottime_s", "wall_s", "ages"),
    [
        pytest.param("b1", 140.0, 1.0, (45.0, 41.0), id="the same boot: its own clock"),
        pytest.param("b2", 3.0, 5060.0, (65.0, 61.0), id="another boot: the wall clock"),
        pytest.param("b2", 3.0, 100.0, (5.0, 1.0), id="a wall clock that is set back"),
    ],
)
def test_ages_go_on_over_a_restart(
    tmp_path: Path, boot_id: str, boottime_s: float, wall_s: float, ages: tuple[float, ...]
) -> None:
    """No clock makes a move younger than it was when it was written down."""
    before = Clocks(boot_id=lambda: "b1", boottime_s=lambda: 100.0, wall_s=lambda: 5000.0)
    DiskMoves(tmp_path, before).store((5.0, 1.0))
    after = Clocks(boot_id=lambda: boot_id, boottime_s=lambda: boottime_s, wall_s=lambda: wall_s)
    assert DiskMoves(tmp_path, after).load() == pytest.approx(ages)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"v":9}', '{"v":1,"boot_id":1}'])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    """What it lost is a wait, never a lease."""
    (tmp_path / FILE_NAME).write_text(text)
    assert DiskMoves(tmp_path).load() == ()
