"""All stores asked at once by a simulated process: `StoreFleet` with messages for threads.

One connection a store and purpose: its calls go one after another, so that a store takes the
writes of one process in the order in which they were made, unless a message was given up before.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from election.errors import StoreUnreachable
from election.fleet import FleetAnswers
from election.model import StoreName
from election.quorum import Quorum
from node.sim.loop import Deferred
from node.sim.network import Wire
from node.sim.process import SimProcess
from node.sim.stores import SimStore

T = TypeVar("T")
STALLED_S = (0.3, 3.0)  # how long a segment that is sent again takes
SCHEDULING_S = 0.05  # how much later than its deadline an unsent call is given up


class _Job:
    """One call to one store, and the question that it is part of."""

    __slots__ = ("call", "deadline_s", "name", "question")

    def __init__(
        self,
        call: Callable[[SimStore], object],
        deadline_s: float,
        question: "_Question[Any]",
        name: StoreName,
    ) -> None:
        self.call, self.deadline_s = call, deadline_s
        self.question, self.name = question, name


class Connection:
    """One connection of a process to a store."""

    def __init__(
        self, process: SimProcess, store: SimStore, wire: Wire, *, has_journal: bool = False
    ) -> None:
        """Idle; `has_journal`: it is the one that carries the journal."""
        self._process, self._world, self._has_journal = process, process.world, has_journal
        self._store, self._wire = store, wire
        self._waiting: deque[_Job] = deque()
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """True while a call is under way."""
        return self._is_busy

    def submit(self, job: _Job) -> None:
        """Make a call once the calls before it have ended."""
        if self._is_busy:
            self._waiting.append(job)
        else:
            self._begin(job)

    def _begin(self, job: _Job) -> None:
        world = self._world
        self._is_busy = True
        there_s, back_s = self._wire.delays()
        if self._has_journal and world.now < self._process.journal_stalled_until_s:
            there_s = world.rng.uniform(*STALLED_S)
        arrives_s = None if there_s is None else world.now + there_s
        if arrives_s is None or arrives_s > job.deadline_s:
            world.at(job.deadline_s, lambda: self._end(job, None, "no answer in time"))
        if arrives_s is not None:
            world.at(arrives_s, lambda: self._arrive(job, back_s))

    def _arrive(self, job: _Job, back_s: float | None) -> None:
        """The request is at the store, even if its sender is dead by now."""
        world, store = self._world, self._store
        if world.now < store.frozen_until_s:
            if world.now <= job.deadline_s < store.frozen_until_s:
                world.at(job.deadline_s, lambda: self._end(job, None, "no answer in time"))
            world.at(store.frozen_until_s, lambda: self._arrive(job, back_s))
            return
        value: object = None
        problem = ""
        try:
            value = job.call(store)
            if self._wire.is_doubled():
                job.call(store)
        except StoreUnreachable as error:
            problem = str(error)
        if world.now > job.deadline_s:
            return
        heard_s = job.deadline_s if back_s is None else world.now + back_s
        if back_s is None or heard_s > job.deadline_s:
            world.at(job.deadline_s, lambda: self._end(job, None, "no answer in time"))
        else:
            world.at(heard_s, lambda: self._end(job, value, problem))

    def _end(self, job: _Job, value: object, problem: str) -> None:
        self._process.run(lambda: self._ended(job, value, problem))

    def _ended(self, job: _Job, value: object, problem: str) -> None:
        self._is_busy = False
        while self._waiting and not self._is_busy:
            following = self._waiting.popleft()
            if self._world.now < following.deadline_s:  # what cannot begin in time is never sent
                self._begin(following)
        job.question.note(job.name, value, problem)


class _Question(Generic[T]):
    """One question to all stores, and who has answered."""

    def __init__(
        self, process: SimProcess, size: int, enough: Quorum | None, grace_s: float
    ) -> None:
        self.outcome: Deferred[FleetAnswers[T]] = Deferred()
        self._process, self._size = process, size
        self._enough, self._grace_s = enough, grace_s
        self._answers: dict[StoreName, T] = {}
        self._problems: dict[StoreName, str] = {}
        self._names: Sequence[StoreName] = ()
        self._is_decided = self._is_over = False

    def ask(self, names: Sequence[StoreName]) -> None:
        self._names = names

    def note(self, name: StoreName, value: T | None, problem: str) -> None:
        if problem:
            self._problems[name] = problem
        else:
            self._answers[name] = value  # type: ignore[assignment]  # no problem: an answer
        waiting = self._size - len(self._answers) - len(self._problems)
        if not waiting:
            self.finish()
        elif self._enough is not None and not self._is_decided:
            possible = [name for name in self._names if name not in self._problems]
            if self._enough.is_met(self._answers) or not self._enough.is_met(possible):
                self._is_decided = True
                self._process.world.after(self._grace_s, self.end_late)

    def end_late(self) -> None:
        """End it with the answers that are there, unless the last one has come meanwhile."""
        if not self._is_over:
            self._process.run(self.finish)

    def finish(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        problems = {
            name: self._problems.get(name, f"{name}: no answer in time")
            for name in self._names
            if name not in self._answers
        }
        answers = {name: self._answers[name] for name in self._names if name in self._answers}
        self.outcome.resolve(FleetAnswers(answers=answers, problems=problems))


class SimFleet:
    """Connections of one process and purpose to all stores."""

    def __init__(
        self,
        process: SimProcess,
        wires: Mapping[StoreName, Wire],
        *,
        timeout_s: float,
        has_journal: bool = False,
    ) -> None:
        """Connect to every store of the process's world; `has_journal`: to write it."""
        self._process = process
        self._timeout_s = timeout_s
        self._connections = {
            store.name: Connection(process, store, wires[store.name], has_journal=has_journal)
            for store in process.box.stores
        }
        self._quorum = Quorum(tuple(self._connections))

    @property
    def names(self) -> tuple[StoreName, ...]:
        """Names of all stores, in configured order."""
        return tuple(self._connections)

    @property
    def quorum(self) -> Quorum:
        """Which stores decide."""
        return self._quorum

    def ask(
        self, call: Callable[[SimStore], T], *, enough: Quorum | None = None, grace_s: float = 0.0
    ) -> Deferred[FleetAnswers[T]]:
        """Ask every store; the answer comes as `StoreFleet.ask` would return it."""
        world = self._process.world
        deadline_s = world.now + self._timeout_s
        question: _Question[T] = _Question(self._process, len(self._connections), enough, grace_s)
        question.ask(self.names)
        must_watch = False
        for name, connection in self._connections.items():
            must_watch = must_watch or connection.is_busy
            connection.submit(_Job(call, deadline_s, question, name))
        if must_watch:
            world.at(deadline_s + SCHEDULING_S, question.end_late)
        return question.outcome
