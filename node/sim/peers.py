"""The peer endpoint of a simulated process: the production desk, door, client and mind, on events.

Rules of this file: only threads, sockets and the disk are replaced. What blocks in the production
code is a walk (election/walks.py); here its calls return a `Deferred`. A hung work loop holds
nothing of this up, a paused process everything.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from election.heartbeat import Heartbeat
from election.peer import PeerStatus
from election.peer_auth import Route
from election.promise import PromiseMemory
from election.promises import PeerFacts
from election.signals import PromiseStimulus
from election.walks import Walk
from node.config_model import Config
from node.logs import log_event
from node.peer_client import TIMEOUT_S, Carry, PeerClient
from node.peer_desk import MACHINE_S, Asking, Outcome, PeerDesk, PromiseFile
from node.peer_door import PeerDoor
from node.peer_http import Malformed, Message
from node.peer_mind import POLL_S, PeerMind
from node.peer_picture import PeerPicture
from node.peer_rules import COMMAND
from node.peer_server import ANSWER_S
from node.sim.cable import Reply, Way
from node.sim.disk import SimPromiseFile
from node.sim.loop import Deferred
from node.sim.process import SimProcess
from node.sim.walking import OneByOne, start_walk

KEY = "the-key-of-both-simulated-boxes-0123456789"
PORT = 7070
THREAD_S = (0.0001, 0.003)  # until a thread that waited runs again
T = TypeVar("T")
# Named here: a union in the signature of a nested function is built at each of its definitions.
Answer = Message | None
Error = BaseException | None


class SimClient:
    """`node.peer_client.PeerClient` over a simulated way; its calls return a `Deferred`."""

    def __init__(self, process: SimProcess, way: Way, route: Route) -> None:
        """Speak from a process."""
        world = process.world
        self._world, self._way = world, way
        self._build = partial(
            PeerClient,
            host=route.receiver,
            port=PORT,
            route=route,
            key=KEY,
            new_nonce=lambda: f"{world.rng.getrandbits(64):016x}",
            monotonic_s=process.box.clock.monotonic_s,
        )

    def status(self) -> Deferred[PeerStatus]:
        """Ask what the node says about itself."""
        return self._ask(lambda client: client.status_walk())

    def stand_down(
        self, body: Mapping[str, Any], timeout_s: float = TIMEOUT_S
    ) -> Deferred[Mapping[str, Any]]:
        """Send a step of a promise."""
        return self._ask(lambda client: client.stand_down_walk(body, timeout_s=timeout_s))

    def _ask(self, begin: Callable[[PeerClient], Walk[T]]) -> Deferred[T]:
        tricks: list[Message] = []

        def carry(message: Message, limit_s: float) -> Deferred[Message]:
            return self._way.carry(message, limit_s, tricks)

        # A Deferred in place of a message, which the driver of the walk awaits.
        client = self._build(carry=cast("Carry", carry))
        return start_walk(self._watch(begin(client), tricks))

    def _watch(self, walk: Walk[T], tricks: list[Message]) -> Walk[T]:
        answer = yield from walk
        if tricks:
            self._world.violate("an answer to an earlier question was believed")
        return answer


class SimDesk:
    """The desk behind its door: one walk after another."""

    def __init__(self, process: SimProcess, desk: PeerDesk) -> None:
        """Bind the desk."""
        self._desk, self.config = desk, desk.config
        self._turns = OneByOne(process, patience_s=ANSWER_S)

    @property
    def memory(self) -> PromiseMemory:
        """What this node remembers of its promise."""
        return self._desk.memory

    def status(self) -> str:
        """Return this node's status as JSON."""
        return self._desk.status()

    def stand_down(self, sender: str, body: Mapping[str, Any]) -> Deferred[Mapping[str, Any]]:
        """Do one step."""
        return self._turns.do(lambda: self._desk.walk(sender, body))

    def end(self) -> Deferred[Outcome]:
        """Ask the holder to let go of the promise."""
        return self._turns.do(self._desk.end_walk)

    def doubt(self) -> Deferred[None]:
        """The holder relies on a promise that this disk does not know."""
        return self._turns.do(self._desk.doubt_walk)


class SimPost:
    """`node.edges.PeerLink`: the endpoint of one simulated node."""

    def __init__(
        self,
        process: SimProcess,
        config: Config,
        *,
        heartbeat: Heartbeat,
        memory: PromiseMemory,
        way: Way,
        peer: str,
    ) -> None:
        """Nothing listens yet."""
        self._process, self._world, self._heartbeat = process, process.world, heartbeat
        identity, world = heartbeat.identity, process.world
        route = Route(cluster_id=identity.cluster_id, sender=identity.node_id, receiver=peer)
        client = SimClient(process, way, route)
        self.desk = PeerDesk(
            config=config,
            heartbeat=heartbeat,
            file=cast("PromiseFile", SimPromiseFile(process)),
            memory=memory,
            peer=cast("Asking", client),
            new_id=lambda: f"p{world.next_number()}",
            tell=_tell,
            drive=self._drive,  # type: ignore[arg-type]  # a Deferred, which the driver awaits
        )
        desk = cast("Any", SimDesk(process, self.desk))
        self._mind = PeerMind(
            desk,
            heartbeat=heartbeat,
            peer=peer,
            ask=cast("Callable[[], PeerStatus]", client.status),
            tell=_tell,
            monotonic_s=process.box.clock.monotonic_s,
            is_cut=lambda: False,
        )
        self._door = PeerDoor(
            desk,
            cluster_id=identity.cluster_id,
            node_id=identity.node_id,
            senders=frozenset({peer, COMMAND}),
            key=KEY,
            secret=world.rng.randbytes(32),
            on_refused=self._mind.note_refused,
        )
        self.desk.forget_challenges = lambda: self._door.forget_challenges(self._now_s())
        self._is_stopped = False

    def start(self) -> None:
        """Listen and begin to ask."""
        self._process.endpoint = self
        self._world.after(0.0, self._wake)

    def stop(self) -> None:
        """Listen and ask no more."""
        self._is_stopped = True
        self._process.endpoint = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nobody may trade."""
        return self._mind.reasons

    def picture(self) -> PeerPicture:
        """Return what is known now."""
        return self._mind.picture()

    # --- the polling thread ----------------------------------------------------------------------

    def _wake(self) -> None:
        self._process.run(self._turn)

    def _turn(self) -> None:
        if self._is_stopped:
            return
        began_s, world = self._now_s(), self._world

        def rest(_: None, error: Error) -> None:
            if error is not None:
                world.violate("the polling thread ended", error=repr(error))
            world.after(max(0.05, POLL_S - (self._now_s() - began_s)), self._wake)

        start_walk(self._mind.turn()).then(rest)

    # --- the listening thread --------------------------------------------------------------------

    def take(self, request: Message, reply: Reply) -> None:
        """Answer a request that has arrived."""
        salt = f"{self._world.rng.getrandbits(64):016x}"
        walk = self._door.answer(request, now_s=self._now_s(), salt=salt)

        def done(answer: Answer, error: Error) -> None:
            if error is not None and not isinstance(error, Malformed):
                self._world.violate("the endpoint failed", error=repr(error))
            reply(answer)

        start_walk(walk).then(done)

    def _now_s(self) -> float:
        return self._process.box.clock.monotonic_s()

    # --- the machine -----------------------------------------------------------------------------

    def _drive(self, stimulus: PromiseStimulus) -> Deferred[PeerFacts | None]:
        taken: Deferred[PeerFacts | None] = Deferred()
        world, process = self._world, self._process

        def then(facts: PeerFacts) -> None:
            late_s = world.rng.uniform(*THREAD_S)
            world.after(late_s, lambda: process.run(lambda: taken.resolve(facts)))

        self._heartbeat.promise(stimulus, then)
        world.after(MACHINE_S, lambda: process.run(lambda: taken.resolve(None)))
        return taken


def client_of_command(process: SimProcess, way: Way, config: Config, node_id: str) -> SimClient:
    """Return what a command line on a box asks its own node with."""
    route = Route(cluster_id=config.cluster_id, sender=COMMAND, receiver=node_id)
    return SimClient(process, way, route)


def _tell(name: str, fields: Mapping[str, Any]) -> None:
    log_event(name, **fields)
