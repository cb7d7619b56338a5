"""Messages between the two nodes: what they ask each other, over the same bad network.

Rules of this file: it carries what the production client signs and the production door judges; a
message acts at its own arrival, at whatever process lives there then. In bad weather a request
arrives a second time, and an answer is one of an earlier question: neither may be believed.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from election.errors import PeerUnreachable
from node.peer_client import CHALLENGE_PATH
from node.peer_http import Message
from node.sim.loop import Deferred
from node.sim.network import Wire
from node.sim.process import SimProcess
from node.sim.world import World

AGAIN_S_MAX = 8.0  # so much later a request may arrive again: beyond the life of a challenge
ANSWERED = 200
Answer = Message | None  # built once, not at each definition of a nested function
Reply = Callable[[Answer], None]


class Endpoint(Protocol):
    """Who takes requests in a process."""

    def take(self, request: Message, reply: Reply) -> None:
        """Answer a request; None closes the connection without a word."""
        ...


class Site(Protocol):
    """A box, as a cable ends there."""

    name: str
    is_off: bool

    @property
    def living(self) -> SimProcess | None:
        """The process that runs now."""
        ...


class _Exchange:
    """One request, until it is answered or its time is over."""

    def __init__(
        self, process: SimProcess, to: str, done: Deferred[Message], deadline_s: float
    ) -> None:
        self._process, self._world, self._to = process, process.world, to
        self._done, self._deadline_s = done, deadline_s
        self._is_over = False

    def hear(self, answer: Message | None, at_s: float) -> None:
        """Let an answer arrive at an instant; None: the connection was closed."""
        if at_s > self._deadline_s:
            self._world.count("peer message late")
        else:
            problem = "" if answer is not None else "connection refused"
            self._world.at(at_s, lambda: self.end(answer, problem))

    def end(self, answer: Message | None, problem: str) -> None:
        """End with an answer or a problem, unless it has ended."""
        if not self._is_over:
            self._is_over = True
            self._process.run(lambda: self._settle(answer, problem))

    def _settle(self, answer: Message | None, problem: str) -> None:
        if answer is None:
            self._done.fail(PeerUnreachable(f"{self._to}: {problem}"))
        else:
            self._done.resolve(answer)


class Way:
    """From one process to the endpoint on a box; `node.peer_client.Carry` by shape."""

    def __init__(self, process: SimProcess, wire: Wire, to: Site, *, is_backward: bool) -> None:
        """Bind the ends; `is_backward`: the wire's names are from there to here."""
        self._process, self._wire, self._to = process, wire, to
        self._world: World = process.world
        self._is_backward = is_backward
        self._old: Message | None = None  # a signed answer that was heard before

    def carry(self, message: Message, timeout_s: float, tricks: list[Message]) -> Deferred[Message]:
        """Bring a request there and its answer back; fails with PeerUnreachable.

        An answer to an earlier question that is brought instead is added to `tricks`.
        """
        world = self._world
        done: Deferred[Message] = Deferred()
        deadline_s = world.now + timeout_s
        there_s, back_s = self._wire.delays()
        if self._is_backward:
            there_s, back_s = back_s, there_s
        if there_s is None or back_s is None:
            world.count("peer message lost")
        exchange = _Exchange(self._process, self._to.name, done, deadline_s)
        world.at(deadline_s, lambda: exchange.end(None, "no answer in time"))

        def reply(answer: Answer) -> None:
            if back_s is None:
                return
            heard = answer and self._perhaps_old(_heard(answer), tricks)
            exchange.hear(heard, world.now + back_s)

        if there_s is not None:
            sent = _heard(message)
            world.after(there_s, lambda: self._arrive(sent, reply))
            if message.path != CHALLENGE_PATH and self._wire.is_doubled():
                later_s = there_s + world.rng.uniform(0, AGAIN_S_MAX)
                world.after(later_s, lambda: self._arrive(sent, self._note_again))
        return done

    def _arrive(self, request: Message, reply: Reply) -> None:
        """The request is there, whether its sender still lives."""
        box = self._to
        if box.is_off:
            return
        process = box.living
        endpoint = None if process is None else process.endpoint
        if process is None or endpoint is None:
            reply(None)
        else:
            process.run(partial(endpoint.take, request, reply))

    def _note_again(self, answer: Message | None) -> None:
        self._world.count("peer message replayed")
        if answer is not None and answer.status == ANSWERED:
            self._world.violate("a request was believed twice", to=self._to.name)

    def _perhaps_old(self, answer: Message, tricks: list[Message]) -> Message:
        if not answer.headers:
            return answer  # a challenge or a refusal, unsigned
        old, self._old = self._old, answer
        if old is None or not self._wire.is_doubled():
            return answer
        self._world.count("peer answer replayed")
        tricks.append(old)
        return old


def _heard(message: Message) -> Message:
    if not message.headers:
        return message
    headers = {name.lower(): value for name, value in message.headers.items()}
    return Message(message.method, message.path, message.status, headers, message.body)
