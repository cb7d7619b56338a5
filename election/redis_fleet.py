"""All stores asked at once, each in its own thread, with one time limit for all of them.

One thread a store: a store that hangs holds up its own questions only, and its connection is
never used by two threads. What cannot begin before the time limit is not sent at all. A store
whose last call failed is asked like the others, but not awaited once a majority has decided.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.fleet import FleetAnswers
from election.model import StoreName
from election.quorum import Quorum, quorum_of

T = TypeVar("T")
P = TypeVar("P")

# How much longer than the time limit the answer of a store's thread is awaited: the thread itself
# keeps to the limit, and only needs to be scheduled to say so. Halved, a busy small board would
# report a silent store instead of the reason; doubled, calls return later than they promise.
_SCHEDULING_S = 0.05


class StoreFleet:
    """Connections to all stores of a cluster; safe to use from several threads."""

    def __init__(
        self, addresses: Sequence[StoreAddress], *, request_timeout_ms: int, purpose: str
    ) -> None:
        self._timeout_s = request_timeout_ms / 1000
        self._connections = {address.name: StoreConnection(address) for address in addresses}
        assert len(self._connections) == len(addresses), "store names are unique"
        self._quorum = quorum_of((a.name, bool(a.old_list)) for a in addresses)
        self._threads = {
            name: ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{purpose}-{name}")
            for name in self._connections
        }
        self._failing: set[StoreName] = set()  # whose last call failed; written by their threads

    @property
    def names(self) -> tuple[StoreName, ...]:
        """Names of all stores, in the configuration's order."""
        return tuple(self._connections)

    @property
    def quorum(self) -> Quorum:
        """Which stores decide."""
        return self._quorum

    @property
    def failing(self) -> frozenset[StoreName]:
        """The stores whose last call failed."""
        return frozenset(self._failing)

    def ask(
        self,
        call: Callable[[StoreConnection, float], T],
        *,
        enough: Quorum | None = None,
        grace_s: float = 0.0,
    ) -> FleetAnswers[T]:
        """Run `call(connection, deadline_s)` for each store; return within the request timeout.

        `call` may raise `StoreUnreachable`, which becomes that store's problem. With `enough`,
        the others are awaited for `grace_s` only, once such have answered or can no longer
        answer, and not at all if the last call to each of them failed: a box without power costs
        nothing then. What was sent to them goes on.
        """
        deadline_s = time.monotonic() + self._timeout_s
        futures = {
            self._threads[name].submit(self._call, name, call, deadline_s): name
            for name in self._connections
        }
        waiting = set(futures)
        until_s = deadline_s + _SCHEDULING_S
        while waiting:
            left_s = max(until_s - time.monotonic(), 0.0)
            done, waiting = wait(waiting, timeout=left_s, return_when=FIRST_COMPLETED)
            if not done:
                break
            if enough is not None and _is_decided(futures, waiting, enough):
                is_hopeless = {futures[future] for future in waiting} <= self._failing
                until_s = min(until_s, time.monotonic() + (0.0 if is_hopeless else grace_s))
        if time.monotonic() >= deadline_s:
            for future in waiting:
                future.cancel()  # what has not begun is never sent
        return self._collect(futures, waiting)

    def _call(
        self, name: StoreName, call: Callable[[StoreConnection, float], T], deadline_s: float
    ) -> T:
        try:
            answer = call(self._connections[name], deadline_s)
        except StoreUnreachable:
            self._failing.add(name)
            raise
        self._failing.discard(name)
        return answer

    def _collect(
        self, futures: Mapping[Future[T], StoreName], waiting: set[Future[T]]
    ) -> FleetAnswers[T]:
        answers: dict[StoreName, T] = {}
        problems: dict[StoreName, str] = {}
        for future, name in futures.items():
            if future in waiting:
                problems[name] = f"{self._connections[name].address.text}: no answer in time"
                continue
            try:
                answers[name] = future.result()
            except StoreUnreachable as error:
                problems[name] = str(error)
        return FleetAnswers(answers=answers, problems=problems)

    def close(self) -> None:
        """Close all connections; calls under way end by their own time limit."""
        for name, threads in self._threads.items():
            threads.submit(self._connections[name].close)
            threads.shutdown(wait=False)


def _is_decided(
    futures: Mapping[Future[T], StoreName], waiting: set[Future[T]], enough: Quorum
) -> bool:
    """Tell whether enough have answered, or too many have failed for that."""
    is_done = {future: future not in waiting for future in futures}
    answered = [n for f, n in futures.items() if is_done[f] and not f.exception()]
    possible = [*answered, *(n for f, n in futures.items() if not is_done[f])]
    return enough.is_met(answered) or not enough.is_met(possible)


class PortFleet(Generic[P]):
    """A fleet that shows each store through a port; `election.majority.Fleet`."""

    def __init__(self, fleet: StoreFleet, port_of: Callable[[StoreConnection, float], P]) -> None:
        """`port_of` gets a connection and the instant by which everything must have ended."""
        self._fleet, self._port_of = fleet, port_of

    @property
    def names(self) -> tuple[StoreName, ...]:
        """Names of all stores, in the configuration's order."""
        return self._fleet.names

    @property
    def quorum(self) -> Quorum:
        """Which stores decide."""
        return self._fleet.quorum

    def ask(
        self, call: Callable[[P], T], *, enough: Quorum | None = None, grace_s: float = 0.0
    ) -> FleetAnswers[T]:
        """Let each store answer, as `StoreFleet.ask`."""
        port_of = self._port_of
        return self._fleet.ask(
            lambda connection, deadline_s: call(port_of(connection, deadline_s)),
            enough=enough,
            grace_s=grace_s,
        )
