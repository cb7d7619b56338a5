"""Asks the stores at the lease's own pace and keeps what came back: threads and sockets (shell).

Rules of this file: it only reads (HGETALL of the lease record: an observer would create a missing
one), over the connection code that the heartbeat uses, each store in its own thread with the
configured request timeout. It judges nothing (samples.py).
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from election.address import StoreAddress
from election.connections import StoreConnection
from election.errors import StoreUnreachable
from election.model import LeaseTiming
from election.redis_reply import keys_of
from node.doctor.samples import Answer, Round

# An hour at the default pace is 7200 rounds; more would only fill memory.
ROUNDS_MAX = 200_000


class Measuring:
    """One measurement; `run` blocks until it is over or `stop` is called."""

    def __init__(
        self, addresses: Sequence[StoreAddress], *, cluster_id: str, timing: LeaseTiming
    ) -> None:
        """Bind where to ask; nothing is opened yet."""
        self.pace_s = min(timing.observe_ms, timing.renew_ms) / 1000
        self.names = tuple(str(address.name) for address in addresses)
        self._timeout_s = timing.request_timeout_ms / 1000
        self._key = keys_of(cluster_id).lease
        self._addresses = tuple(addresses)
        self._guard = threading.Lock()
        self._sent: list[float] = []
        self._answers: list[dict[str, Answer]] = []
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the measurement early; what was measured counts."""
        self._stopped.set()

    def run(self, lasting_s: float, *, tell: Callable[[float, Sequence[Round]], None]) -> None:
        """Ask until the time is over; `tell` is called about once a second with the rounds.

        Ctrl-C ends it early.
        """
        begun_s = time.monotonic()
        count = min(ROUNDS_MAX, max(2, round(lasting_s / self.pace_s) + 1))
        with self._guard:
            self._sent = [begun_s + place * self.pace_s for place in range(count)]
            self._answers = [{} for _ in range(count)]
        threads = [
            threading.Thread(
                target=self._ask_all, args=(address,), daemon=True, name=f"measure-{address.name}"
            )
            for address in self._addresses
        ]
        for thread in threads:
            thread.start()
        try:
            self._wait(threads, begun_s + lasting_s + 2 * self._timeout_s, begun_s, tell)
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    def rounds(self) -> tuple[Round, ...]:
        """Return the rounds that are over: asked of every store, answered or given up."""
        with self._guard:
            found = []
            for sent_s, answers in zip(self._sent, self._answers, strict=True):
                if len(answers) < len(self.names):
                    break
                by_name: Mapping[str, Answer] = answers
                found.append(
                    Round(sent_s=sent_s, answers=tuple(by_name[name] for name in self.names))
                )
            return tuple(found)

    def _wait(
        self,
        threads: Sequence[threading.Thread],
        until_s: float,
        begun_s: float,
        tell: Callable[[float, Sequence[Round]], None],
    ) -> None:
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until_s:
            self._stopped.wait(1.0)
            if self._stopped.is_set():
                return
            tell(time.monotonic() - begun_s, self.rounds())

    def _ask_all(self, address: StoreAddress) -> None:
        connection = StoreConnection(address)
        free_s = 0.0  # the last answer came: not asking before that is the store's doing
        try:
            for place, due_s in enumerate(self._sent):
                if self._stopped.wait(max(0.0, due_s - time.monotonic())):
                    return
                late_s = max(0.0, time.monotonic() - max(due_s, free_s))
                answer = replace(self._ask(connection, due_s), late_s=late_s)
                free_s = time.monotonic()
                with self._guard:
                    self._answers[place][str(address.name)] = answer
        finally:
            connection.close()

    def _ask(self, connection: StoreConnection, due_s: float) -> Answer:
        # The time limit runs from when the question was due: a box that is too slow to ask in
        # time is as late as a network that is too slow to carry the question.
        now_s = time.monotonic()
        if now_s - due_s >= self._timeout_s:
            return Answer(took_s=None, error="this box was too busy to ask in time")
        try:
            connection.call("HGETALL", self._key, deadline_s=due_s + self._timeout_s)
        except StoreUnreachable as error:
            return Answer(took_s=None, error=str(error))
        return Answer(took_s=time.monotonic() - due_s)
