"""The simulated event loop and process: real asyncio code, true time that only events move."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from node.sim.box import Box, SimFence
from node.sim.clocks import BoxClock
from node.sim.disk import SimDisk
from node.sim.loop import Deferred
from node.sim.process import SimProcess
from node.sim.walking import start_walk
from node.sim.world import World


class Rig:
    """One process on a box whose clock may err."""

    def __init__(self, *, rate: float = 1.0) -> None:
        self.world = World(1)
        self.clock = BoxClock(self.world, raw_rate=rate, born_s=10.0)
        box = SimpleNamespace(clock=self.clock, disk=SimDisk(self.world))
        self.process = SimProcess(self.world, cast("Box", box), "node")
        self.seen: list[tuple[float, str]] = []

    def say(self, what: str) -> None:
        self.seen.append((round(self.world.now, 3), what))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.process.run(lambda: cast("None", self.process.loop.create_task(work)))


async def speak(rig: Rig, *, times: int = 3) -> None:
    for number in range(times):
        await asyncio.sleep(1.0)
        rig.say(f"{number}")


def test_sleep_takes_the_time_of_the_box() -> None:
    """A box whose clock runs fast sleeps shorter in true time."""
    rig = Rig(rate=1.25)
    rig.spawn(speak(rig))
    rig.world.run_until(10)
    assert rig.seen == [(0.8, "0"), (1.6, "1"), (2.4, "2")]


def test_timeout_of_asyncio_works() -> None:
    """wait_for, events and cancellation are asyncio's own."""
    rig = Rig()

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 2.0)
        rig.say("late")

    rig.spawn(work())
    rig.world.run_until(10)
    assert rig.seen == [(2.0, "late")]


def test_paused_process_goes_on_where_it_was() -> None:
    """A pause delays everything, and loses nothing."""
    rig = Rig()
    rig.spawn(speak(rig))
    rig.world.at(0.5, lambda: rig.process.pause(5.0))
    rig.world.run_until(20)
    assert rig.seen == [(5.5, "0"), (6.5, "1"), (7.5, "2")]


def test_killed_process_never_acts_again() -> None:
    """Not its timers, not its finally blocks, not answers that arrive later."""
    rig = Rig()

    async def work() -> None:
        try:
            await speak(rig)
        finally:
            rig.say("finally")

    rig.spawn(work())
    rig.world.at(1.5, lambda: rig.process.kill("test"))
    rig.world.run_until(20)
    assert rig.seen == [(1.0, "0")]


def test_process_can_die_between_two_steps() -> None:
    """Any number of handles may be the last one, without any time passing."""
    rig = Rig()

    async def work() -> None:
        for number in range(50):
            rig.say(f"{number}")
            await asyncio.sleep(0)

    rig.process.kill_soon(7)
    rig.spawn(work())
    rig.world.run_until(1)
    assert len(rig.seen) == 7
    assert not rig.process.is_alive


def test_hung_work_loop_does_nothing() -> None:
    """A hang holds the loop only."""
    rig = Rig()
    rig.spawn(speak(rig, times=1))
    rig.process.hang(4.0)
    rig.world.run_until(20)
    assert rig.seen == [(4.0, "0")]


def test_blocking_call_takes_the_time_of_its_messages() -> None:
    """`asyncio.to_thread` waits for a `Deferred` as it would for a thread."""
    rig = Rig()
    answer: Deferred[int] = Deferred()
    rig.world.at(3.0, lambda: rig.process.run(lambda: answer.resolve(42)))

    async def work() -> None:
        rig.say(str(await asyncio.to_thread(lambda: answer)))

    rig.spawn(work())
    rig.world.run_until(20)
    assert rig.seen == [(3.0, "42")]


def test_error_of_a_blocking_call_is_raised() -> None:
    """What the call raises reaches whoever awaits it."""
    rig = Rig()
    answer: Deferred[int] = Deferred()
    rig.world.at(1.0, lambda: rig.process.run(lambda: answer.fail(OSError("disk"))))

    async def work() -> None:
        with pytest.raises(OSError, match="disk"):
            await asyncio.to_thread(lambda: answer)
        rig.say("raised")

    rig.spawn(work())
    rig.world.run_until(20)
    assert rig.seen == [(1.0, "raised")]


def test_calls_of_a_walk_follow_each_other() -> None:
    """A walk waits for each answer that comes later, and may catch an error."""
    first: Deferred[int] = Deferred()
    second: Deferred[int] = Deferred()

    def walk() -> Any:
        total = yield lambda: 5
        total += yield lambda: first
        try:
            yield lambda: second
        except OSError:
            total += 1
        return total

    outcome = start_walk(walk())
    found: list[Any] = []
    outcome.then(lambda value, error: found.append((value, error)))
    first.resolve(1)
    assert found == []
    second.fail(OSError())
    assert found == [(7, None)]


def test_fence_kills_a_paused_process() -> None:
    """The kernel's timer does not need the process to run."""
    rig = Rig()
    fence = SimFence(rig.process)
    fence.arm(rig.clock.boot_s() + 2.0)
    rig.process.pause(100.0)
    rig.world.run_until(1.9)
    assert rig.process.is_alive
    rig.world.run_until(2.1)
    assert not rig.process.is_alive


def test_suspend_stops_two_of_three_clocks() -> None:
    """CLOCK_BOOTTIME counts suspend, the others do not."""
    rig = Rig()
    before = rig.clock.read()
    mono_s = rig.clock.monotonic_s()
    rig.clock.fall_asleep()
    rig.world.run_until(7.0)
    rig.clock.wake_up()
    rig.world.run_until(8.0)
    after = rig.clock.read()
    assert after[0] - before[0] == pytest.approx(8.0)
    assert after[1] - before[1] == pytest.approx(1.0)
    assert rig.clock.monotonic_s() - mono_s == pytest.approx(1.0)


def test_slew_keeps_clocks_continuous() -> None:
    """NTP bends a rate, it does not step."""
    rig = Rig()
    rig.world.run_until(10.0)
    rig.clock.slew(1.08)
    assert rig.clock.boot_s() == pytest.approx(20.0)
    rig.world.run_until(20.0)
    assert rig.clock.boot_s() == pytest.approx(30.8)
    assert rig.clock.true_s_of_boot(30.8) == pytest.approx(20.0)


@pytest.mark.parametrize("is_killed", [True, False])
def test_write_to_disk_is_there_once_it_was_reported(is_killed: bool) -> None:
    """A write that a kill interrupts may be there or not; a reported one is there."""
    rig = Rig()
    disk, done = rig.process.box.disk, []

    def effect() -> None:
        disk.epoch = 7

    disk.stalled_until_s = 5.0
    disk.write(rig.process, effect, OSError).then(lambda *_: done.append(disk.epoch))
    if is_killed:
        rig.world.at(2.0, lambda: rig.process.kill("test"))
    rig.world.run_until(10)
    assert done == ([] if is_killed else [7])
    assert disk.epoch == (0 if is_killed else 7)


def test_spinning_process_is_a_violation() -> None:
    """A loop that never lets time pass is told, not waited for."""
    rig = Rig()

    async def work() -> None:
        while True:  # noqa: ASYNC110  (it spins on purpose)
            await asyncio.sleep(0)

    rig.spawn(work())
    rig.world.run_until(1)
    assert "spins" in rig.world.violations[0]
