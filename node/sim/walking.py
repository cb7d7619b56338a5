"""Walks of the production code (election/walks.py) whose calls a simulation waits for."""

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from election.walks import Walk
from node.sim.loop import Deferred
from node.sim.process import SimProcess

T = TypeVar("T")


class _Walked(Generic[T]):
    """A walk under way. No closure: one that names itself is left to the collector."""

    __slots__ = ("_walk", "outcome")

    def __init__(self, walk: Walk[T]) -> None:
        self._walk = walk
        self.outcome: Deferred[T] = Deferred()

    def go_on(self, value: Any, error: BaseException | None) -> None:
        walk = self._walk
        while True:
            try:
                call = walk.send(value) if error is None else walk.throw(error)
            except StopIteration as end:
                self.outcome.resolve(end.value)
                return
            except Exception as failure:  # noqa: BLE001  (raised to whoever waits for the walk)
                self.outcome.fail(failure)
                return
            value, error = None, None
            try:
                value = call()
            except Exception as failure:  # noqa: BLE001  (the walk decides what it means)
                error = failure
            if isinstance(value, Deferred):
                value.then(self.go_on)
                return


def start_walk(walk: Walk[T]) -> Deferred[T]:
    """Make the calls of a walk; where one returns a `Deferred`, go on when it is resolved."""
    walked = _Walked(walk)
    walked.go_on(None, None)
    return walked.outcome


class OneByOne:
    """Lets one walk end before the next begins, as a lock does for threads."""

    def __init__(self, process: SimProcess, *, patience_s: float) -> None:
        """Idle; what has waited for longer than `patience_s` is not begun any more."""
        self._world, self._patience_s = process.world, patience_s
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._is_busy = False

    def do(self, begin: Callable[[], Walk[T]]) -> Deferred[T]:
        """Begin a walk now, or when those before it have ended."""
        outcome: Deferred[T] = Deferred()

        def end(value: T | None, error: BaseException | None) -> None:
            self._is_busy = False
            if error is None:
                outcome.resolve(value)  # type: ignore[arg-type]  # no error: a value
            else:
                outcome.fail(error)
            self._next()

        def start() -> None:
            self._is_busy = True
            start_walk(begin()).then(end)

        if self._is_busy:
            self._waiting.append((self._world.now, start))
        else:
            start()
        return outcome

    def _next(self) -> None:
        while self._waiting and not self._is_busy:
            since_s, start = self._waiting.popleft()
            if self._world.now - since_s <= self._patience_s:
                start()
