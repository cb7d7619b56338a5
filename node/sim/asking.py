"""One request of a simulated process to the simulated venue, and what becomes of it."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from node.sim.market import SimExchange
from node.sim.network import Wire
from node.sim.process import SimProcess

T = TypeVar("T")
# Of the writes that are slow, so many arrive when their sender has just given up, around the end
# of the window in which the venue still takes them: where a wrong proof of absence would show.
SLOW_S, LATE, LATE_S = 0.05, 0.6, (0.9, 1.7)
DONE_ANYWAY = 0.3  # share of writes that a venue in trouble carries out all the same


class NoAnswer(Exception):  # noqa: N818  (says what happened)
    """The request or its answer was lost, or the venue answers with an error page."""


class _Request(Generic[T]):
    """One request under way; it acts at its arrival, whatever has become of its sender."""

    def __init__(
        self,
        process: SimProcess,
        exchange: SimExchange,
        effect: Callable[[], T],
        timeout_s: float,
        *,
        is_write: bool,
        held_s: float | None,
    ) -> None:
        self.future: asyncio.Future[T] = process.loop.create_future()
        self._process, self._world, self._exchange = process, process.world, exchange
        self._effect, self._is_write, self._held_s = effect, is_write, held_s
        self._deadline_s = process.world.now + timeout_s

    def send(self, wire: Wire) -> None:
        world = self._world
        there_s, back_s = wire.delays()
        if there_s is not None:
            if self._is_write and there_s > SLOW_S and world.rng.random() < LATE:
                there_s = world.rng.uniform(*LATE_S)
            there_s += 0.02 * world.rng.random()  # what the venue itself takes
            there_s = there_s if self._held_s is None else self._held_s
        if there_s is None or world.now + there_s > self._deadline_s:
            self._end_at(self._deadline_s, None, "no answer in time")
        if there_s is not None:
            world.after(there_s, lambda: self._arrive(back_s))

    def _arrive(self, back_s: float | None) -> None:
        world, exchange = self._world, self._exchange
        value: T | None = None
        problem = ""
        # A venue in trouble answers with an error page, having done what was asked or not.
        if world.now < exchange.maintenance_until_s:
            problem = "503 from the venue"
            if self._is_write and world.rng.random() < DONE_ANYWAY:
                self._effect()
        else:
            exchange.tick()
            value = self._effect()
        if world.now > self._deadline_s:
            return
        if back_s is None or world.now + back_s > self._deadline_s:
            self._end_at(self._deadline_s, None, "no answer in time")
        else:
            self._end_at(world.now + back_s, value, problem)

    def _end_at(self, at_s: float, value: T | None, problem: str) -> None:
        self._world.at(at_s, lambda: self._process.run(lambda: self._end(value, problem)))

    def _end(self, value: T | None, problem: str) -> None:
        if self.future.done():
            return
        if problem:
            self.future.set_exception(NoAnswer(problem))
        else:
            self.future.set_result(value)  # type: ignore[arg-type]  # no problem: a value


async def request(
    process: SimProcess,
    wire: Wire,
    exchange: SimExchange,
    effect: Callable[[], T],
    timeout_s: float,
    *,
    is_write: bool = False,
    held_s: float | None = None,
) -> T:
    """Send one request to the venue and wait for its answer; `held_s`: it arrives after so long.

    Raises:
        NoAnswer: nothing usable came back in time.
    """
    under_way = _Request(process, exchange, effect, timeout_s, is_write=is_write, held_s=held_s)
    under_way.send(wire)
    return await under_way.future
