"""The heartbeat's crew in a simulation: turns, calls and epochs as events of one process.

Satisfies `election.crew.Crew`. Messages act at their own arrival; instants are read when a call
leaves and when its answer is taken from the wire, both on the box's own clocks (R0).
"""

from collections import deque
from collections.abc import Mapping

from election.crew import CrewOrders
from election.errors import EpochFileUnusable, StoreUnreachable
from election.instants import Instant, instant_of
from election.model import StoreName, StoreReply, WriteId
from election.signals import (
    Answered,
    Call,
    EpochNotStored,
    EpochStored,
    Failed,
    Stimulus,
    StoreEpoch,
)
from election.store_worker import execute
from node.sim.disk import SimEpochFile
from node.sim.network import Wire
from node.sim.process import SimProcess

DOUBLE_S_MAX = 2.0  # how much later the second copy of a request may arrive


class SimCrew:
    """Turns of one coordinator in one simulated process."""

    def __init__(
        self,
        orders: CrewOrders,
        *,
        process: SimProcess,
        wires: Mapping[StoreName, Wire],
        epoch_file: SimEpochFile,
    ) -> None:
        """Prepare; the first turn comes with `start`."""
        self._orders = orders
        self._process, self._world = process, process.world
        self._wires, self._epoch_file = wires, epoch_file
        self._stores = {store.name: store for store in process.box.stores}
        self._timeout_s = orders.timing.request_timeout_ms / 1000
        self._inbox: deque[Stimulus] = deque()
        self._due_s = float("inf")
        self._is_alive = False
        self._number = 0
        process.threads = self

    # --- Threads: driven by the process --------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """True when a turn could be taken now."""
        return self._is_alive and bool(self._inbox)

    def drain(self) -> None:
        """Take a turn for each stimulus that waits."""
        while self._inbox and self._is_alive and self._process.is_alive:
            self._turn(self._inbox.popleft())

    # --- Crew ----------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """True while turns are taken."""
        return self._is_alive

    def start(self) -> None:
        """Begin: the first turn is due now."""
        self._is_alive = True
        self._orders.coordinator.begin()
        self._arm(0.0)

    def post(self, stimulus: Stimulus) -> None:
        """Queue a stimulus; its turn comes when the present step of the process ends."""
        self._inbox.append(stimulus)

    def stop(self, timeout_s: float) -> None:
        """Take no more turns."""
        del timeout_s
        self._is_alive = False

    def _arm(self, wake_in_s: float) -> None:
        due_s = self._world.now + wake_in_s
        self._due_s = due_s
        self._number += 1
        number = self._number
        # A thread is scheduled a little late.
        late_s = 0.0001 + 0.002 * self._world.rng.random()
        self._world.at(due_s + late_s, lambda: self._wake(number))

    def _wake(self, number: int) -> None:
        if number == self._number:
            self._process.run(self._tick)

    def _tick(self) -> None:
        if self._is_alive and self._world.now >= self._due_s:
            self._turn(None)

    def _turn(self, stimulus: Stimulus | None) -> None:
        is_due = stimulus is None or self._world.now >= self._due_s
        wake_in_s = self._orders.coordinator.turn(stimulus, is_due=is_due)
        self._process.box.check_gates(self._process)
        if wake_in_s is None:
            self._is_alive = False
        elif is_due or self._world.now + wake_in_s < self._due_s - 1e-9:
            self._arm(wake_in_s)

    # --- epochs --------------------------------------------------------------------------------

    def store_epoch(self, order: StoreEpoch) -> None:
        """Make an epoch durable on the box's disk."""

        def done(_: None, error: BaseException | None) -> None:
            if isinstance(error, EpochFileUnusable):
                self.post(EpochNotStored(epoch=order.epoch, error=str(error)))
            else:
                self.post(EpochStored(epoch=order.epoch))

        self._epoch_file.store_soon(order.epoch).then(done)

    # --- one call to one store -----------------------------------------------------------------

    def call(self, call: Call) -> None:
        """Send a request; what comes of it is posted."""
        world = self._world
        sent = instant_of(self._orders.clock.read())
        there_s, back_s = self._wires[call.store].delays()
        deadline_s = world.now + self._timeout_s
        wid = WriteId(f"w{world.next_number()}")
        if there_s is None or there_s > self._timeout_s:
            world.at(deadline_s, lambda: self._fail(call, "no answer in time"))
        if there_s is not None:
            world.after(there_s, lambda: self._arrive(call, wid, sent, back_s, deadline_s))
            if self._wires[call.store].is_doubled():
                later_s = there_s + world.rng.uniform(0, DOUBLE_S_MAX)
                world.after(later_s, lambda: self._repeat(call, wid))

    def _repeat(self, call: Call, wid: WriteId) -> None:
        self._act(call, wid)  # whoever sent it has heard the first answer

    def _act(self, call: Call, wid: WriteId) -> StoreReply | None:
        try:
            return execute(
                self._stores[call.store].lease,
                call,
                identity=self._orders.identity,
                ttl_ms=self._orders.timing.ttl_ms,
                new_wid=wid,
            )
        except StoreUnreachable:
            return None

    def _arrive(
        self, call: Call, wid: WriteId, sent: Instant, back_s: float | None, deadline_s: float
    ) -> None:
        """The request is at the store, even if its sender is dead by now."""
        world, frozen_s = self._world, self._stores[call.store].frozen_until_s
        if world.now < frozen_s:
            if world.now <= deadline_s < frozen_s:
                world.at(deadline_s, lambda: self._fail(call, "no answer in time"))
            world.at(frozen_s, lambda: self._arrive(call, wid, sent, back_s, deadline_s))
            return
        reply = self._act(call, wid)
        if world.now > deadline_s:
            return
        if back_s is None or world.now + back_s > deadline_s:
            world.at(deadline_s, lambda: self._fail(call, "no answer in time"))
        elif reply is None:
            world.after(back_s, lambda: self._fail(call, "connection refused"))
        else:
            world.after(back_s, lambda: self._process.run(lambda: self._take(call, reply, sent)))

    def _fail(self, call: Call, error: str) -> None:
        self._process.run(lambda: self.post(Failed(call=call, error=error)))

    def _take(self, call: Call, reply: StoreReply, sent: Instant) -> None:
        received = instant_of(self._orders.clock.read())
        self.post(Answered(call=call, reply=reply, sent=sent, received=received))
