"""A simulated box and its processes, one life after another (see lease_sim.py).

The coordinator and the work loop drive the production machine and permit; orders and calls go out
through the simulation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from election.errors import StoreUnreachable
from election.gate import move_gate
from election.instants import Instant, instant_of
from election.machine import LeaseMachine
from election.model import (
    Deposed,
    Granted,
    Identity,
    Lapsed,
    LeaseEvent,
    NodeId,
    StoreName,
    StoreReply,
    WriteId,
)
from election.permit import LeasePermit
from election.ports import Fence
from election.signals import (
    Answered,
    Call,
    CloseGate,
    Command,
    EligibilitySet,
    EpochStored,
    ExtendGate,
    Failed,
    FloorRaised,
    OpenGate,
    Publish,
    ReleaseAsked,
    Stimulus,
    StoreEpoch,
    SuspendGate,
    Tick,
)
from election.store_worker import execute
from tests.support.lease_clock import SimClock, SimFence

if TYPE_CHECKING:
    from tests.support.lease_sim import Simulation

# A venue's window as configured, what is taken off the permit for it, how ill its time is known.
RECV_WINDOW_S = 5.0
MARGIN_S = 0.05
OFFSET_ERROR_S = 0.05


@dataclass(frozen=True, slots=True)
class StoreFile:
    """The list of stores in a box's file, as letters; they are its config id too.

    `needed` is the old list's only store while a pair grows from it (election/quorum.py).
    """

    stores: str
    needed: str = ""


class Box:
    """One machine: its clock, its disk (the epoch), its processes one after another."""

    def __init__(self, sim: "Simulation", name: str) -> None:
        rng = sim.rng
        error = sim.weather.rate_error
        raw = 1 + (
            rng.choice([-error, error]) if sim.weather.is_extreme else rng.uniform(-error, error)
        )
        self.sim, self.name = sim, NodeId(name)
        self.node_id = NodeId("A") if sim.weather.has_one_id else self.name
        self.timing = sim.timings[name]
        self.file = sim.file_of(name)  # changed on disk; a process reads it at its start
        self.clock = SimClock(sim, raw, raw, rng.uniform(5, 1000))
        self.disk_epoch = self.granted_epoch = 0
        self.floor = 0
        self.process = self.begin_process()

    def begin_process(self) -> "Process":
        return Process(self)

    def restart(self) -> None:
        if not self.process.is_alive:
            self.process = self.begin_process()


class Process:
    """One life of the node's process."""

    def __init__(self, box: Box) -> None:
        sim = box.sim
        self.box, self.sim = box, sim
        self.is_alive, self.was_troubled = True, False
        self.paused_until = self.hung_until = 0.0
        self.timing, self.file = box.timing, box.file
        self.nonce = f"{box.name}-{sim.next_number()}"
        self.identity = Identity(
            cluster_id="sim", config_id=self.file.stores, node_id=box.node_id, nonce=self.nonce
        )
        names = [StoreName(letter) for letter in self.file.stores]
        self.machine = self.build(names)
        self.fence = SimFence(sim, self)
        fence: Fence = sim.build_fence(self.fence)
        self.permit = LeasePermit(clock=box.clock, fence=fence, timing=self.timing)
        self.unknown_until = -1.0  # latest deadline of a write that ended without an answer
        self.progress_at = instant_of(box.clock.read())
        self.may_order_epoch = 0
        self.wants_release = False
        self.successor = ""  # whom a release is for; anybody, drawn, when empty
        self.tick_at = 0.0
        self.feed(EligibilitySet(reasons=()))
        self.tick()

    def build(self, stores: Sequence[StoreName]) -> LeaseMachine:
        box, sim = self.box, self.sim
        if not self.file.needed:
            return sim.build(self.identity, self.timing, stores, box.disk_epoch, box.floor)
        return LeaseMachine(
            identity=self.identity,
            timing=self.timing,
            stores=stores,
            disk_epoch=box.disk_epoch,
            floor=box.floor,
            needed=StoreName(self.file.needed),
        )

    def identity_at(self, store: StoreName) -> Identity:
        """Return who this is to one store: the needed one stays under the old list's id."""
        if store != self.file.needed:
            return self.identity
        return replace(self.identity, config_id=self.file.needed)

    # --- time of this process ---

    def run(self, action: Callable[[], None]) -> None:
        """Run now, or after the pause, or never when dead."""
        if not self.is_alive:
            return
        if self.sim.now < self.paused_until:
            self.sim.at(self.paused_until, lambda: self.run(action))
        else:
            action()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        self.sim.at(self.sim.now + delay_s, lambda: self.run(action))

    def instant(self) -> Instant:
        return instant_of(self.box.clock.read())

    def kill(self) -> None:
        self.is_alive = False
        self.sim.at(self.sim.now + self.sim.rng.uniform(0.5, 8), self.box.restart)

    def hang(self, for_s: float) -> None:
        """Hang the work loop for a while; the heartbeat and the permit live on."""
        is_held = self.is_alive and self.permit.remaining_s() > 0
        if not self.is_hung and is_held:
            self.sim.watch_hang(self, for_s)
        self.hung_until = max(self.hung_until, self.sim.now + for_s)
        self.was_troubled = True

    def be_unfit(self, for_s: float) -> None:
        """Report the node unfit, and fit again after a while."""
        self.feed(EligibilitySet(reasons=("unfit for a moment",)))
        self.after(for_s, lambda: self.feed(EligibilitySet(reasons=())))

    @property
    def is_hung(self) -> bool:
        """True while the work loop hangs."""
        return self.sim.now < self.hung_until

    # --- the coordinator ---

    def tick(self) -> None:
        if not self.is_hung:
            self.work()
        self.feed(
            Tick(
                progress_at=self.progress_at,
                progress_label="step",
                is_settled=self.permit.is_settled,
            )
        )
        wake_s = self.machine.wake_in_s(self.instant())
        self.after(wake_s * self.sim.rng.uniform(1.0, 1.05) + 1e-6, self.tick)

    def feed(self, first: Stimulus) -> None:
        stimuli = [first]
        while stimuli and self.is_alive:
            commands = self.machine.step(
                stimuli.pop(0), now=self.instant(), chance=self.sim.rng.random()
            )
            for command in commands:
                stimuli.extend(self.execute(command))

    def execute(self, command: Command) -> list[Stimulus]:
        match command:
            case Call():
                self.call(command)
            case StoreEpoch():
                self.after(self.sim.rng.uniform(0.001, 0.05), lambda: self.persisted(command.epoch))
            case OpenGate() | ExtendGate():
                if isinstance(command, OpenGate):
                    self.sim.check_opening(self, command.epoch)
                outcome = move_gate(self.permit, command)
                return [] if outcome is None else [outcome]
            case SuspendGate():
                self.permit.suspend(since=command.since, reason=command.reason)
            case CloseGate():
                self.permit.end_grant(reason=command.reason)
            case Publish():
                self.hear(command.event)
        return []

    def persisted(self, epoch: int) -> None:
        self.box.disk_epoch = max(self.box.disk_epoch, epoch)
        self.feed(EpochStored(epoch=epoch))

    # --- the work loop ---

    def hear(self, event: LeaseEvent) -> None:
        match event:
            case Granted():
                epoch, by = self.sim.venue_floor
                if epoch >= event.epoch and by != self.nonce:
                    self.after(0.0, lambda: self.feed(FloorRaised(epoch=epoch + 1)))
                else:
                    self.may_order_epoch = event.epoch
                    self.sim.note_grant(self, event.epoch)
            case Lapsed() | Deposed():
                self.sim.report.lapses += 1
                self.may_order_epoch = 0
                self.wants_release = False
            case _:
                pass

    def work(self) -> None:
        """One pass of the work loop: a step completed, perhaps an order, perhaps a release."""
        self.progress_at = self.instant()
        self.permit.settle()
        self.box.floor = max(self.box.floor, self.sim.venue_floor[0])
        if self.wants_release:
            self.try_release()
        elif self.may_order_epoch and self.sim.rng.random() < 0.5:
            self.write(self.may_order_epoch)

    def write(self, epoch: int) -> None:
        """Sign an order, ask the permit for the last time, and let it out (R9)."""
        limit_s = self.timing.guard_ms / 1000
        stamp_s = self.sim.now - self.sim.rng.uniform(0, OFFSET_ERROR_S)  # never ahead (H12)
        deadline_s = stamp_s + min(RECV_WINDOW_S, self.permit.remaining_s() - MARGIN_S)
        if not self.permit.begin_write(epoch=epoch, needed_s=limit_s):
            return
        self.sim.note_write(self, epoch)
        travel_s = self.sim.order_travel_s()
        self.sim.at(
            self.sim.now + travel_s,  # the bytes are in the kernel's buffer: they leave anyhow
            lambda: self.sim.judge_order(self.nonce, epoch, deadline_s),
        )
        if 2 * travel_s < limit_s:
            self.after(2 * travel_s, self.permit.end_write)
        else:
            self.after(limit_s, lambda: self.end_unknown(deadline_s))

    def end_unknown(self, deadline_s: float) -> None:
        """No answer in time: the venue may still take the order until its deadline."""
        self.unknown_until = max(self.unknown_until, deadline_s)
        self.permit.end_write()

    def try_release(self) -> None:
        self.permit.close(reason="switchover")
        self.may_order_epoch = 0
        if self.permit.in_flight == 0:
            self.wants_release = False
            reserved = self.successor or self.sim.rng.choice(["", "A", "B"])
            drain_ms = max(0, int((self.unknown_until - self.sim.now) * 1000) + 1)  # R10
            self.feed(ReleaseAsked(drain_ms=drain_ms, reserved_for=reserved, reason="switchover"))
            self.sim.note_release()

    # --- one call to one store ---

    def call(self, call: Call) -> None:
        sim, sent = self.sim, self.instant()
        link = sim.links[(self.box.name, call.store)]
        timeout_s = self.timing.request_timeout_ms / 1000
        sim.at(
            sim.now + timeout_s,
            lambda: self.run(lambda: self.feed(Failed(call=call, error="timeout"))),
        )
        there, back = link.delays()
        if there is None:
            return
        sim.at(sim.now + there, lambda: self.arrive(call, sent, back))
        if sim.rng.random() < sim.weather.duplicated and not sim.is_calm:
            again_s = there + sim.rng.uniform(0, sim.weather.slow_max_s)
            sim.at(sim.now + again_s, lambda: self.arrive(call, sent, back))

    def arrive(self, call: Call, sent: Instant, back: float | None) -> None:
        """The request is at the store, even if its sender is dead by now."""
        sim = self.sim
        frozen = sim.frozen_until.get(call.store, 0.0)
        if sim.now < frozen:
            sim.at(frozen, lambda: self.arrive(call, sent, back))
            return
        wid = WriteId(f"w{sim.next_number()}")
        store = sim.store(call.store)
        is_robbing = sim.is_held_by_another(self, store)
        try:
            reply = execute(
                store,
                call,
                identity=self.identity_at(call.store),
                ttl_ms=self.timing.ttl_ms,
                new_wid=wid,
            )
        except StoreUnreachable:
            return
        sim.note_reply(self, call, reply, is_robbing=is_robbing)
        if back is not None:
            sim.at(sim.now + back, lambda: self.run(lambda: self.receive(call, reply, sent)))

    def receive(self, call: Call, reply: StoreReply, sent: Instant) -> None:
        received = self.instant()
        self.feed(Answered(call=call, reply=reply, sent=sent, received=received))
