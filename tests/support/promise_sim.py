"""The lease simulation with one store and a standby that stands down (R14 as amended).

On top of lease_sim.py: a direct link between the boxes (lost, slow, reordered, cut), the promise
on each box's disk, boxes that reboot together with their store, disks that are wiped, people who
end a promise by force while the holder is dead. The promise's own rules are production code:
`Promises` in the machine, `PromiseDesk`, `ChallengeBook`, `PromiseMemory`.

Assumed, and named in docs/guarantees.md: a disk is never put back to an older image, and no copy
of a box's disk runs elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from election.machine import LeaseMachine
from election.model import StoreName
from election.peer_auth import ChallengeBook
from election.promise import (
    NOT_KNOWN,
    NOTHING_PROMISED,
    Promise,
    PromiseDesk,
    PromiseMemory,
    PromiseState,
    describe,
)
from election.signals import PromiseDropped, PromiseTaken, StandDown, StandUp
from tests.support.lease_process import Box, Process
from tests.support.lease_sim import Report, Simulation, build_machine

ASK_TIMEOUT_S = 2.0
RETRY_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Rules to break, so that the simulation can be seen to fail."""

    is_told_before_disk: bool = False  # the promise is told first and written later, or never
    is_wipe_free: bool = False  # a disk without memory counts as "nothing promised"
    no_hold_off: bool = False  # a contender goes on at once when the promise ended
    ends_before_dropping: bool = False  # the holder agrees first and drops later
    is_not_bound: bool = False  # any holder may rely on it, whenever it arrives
    is_forced_blindly: bool = False  # a person ends it although the holder lives


class PromiseBox(Box):
    """A box with the promise on its disk."""

    def __init__(self, sim: "PromiseSimulation", name: str) -> None:
        self.memory: PromiseMemory = NOTHING_PROMISED
        self.peer_cut_until = 0.0
        super().__init__(sim, name)

    def begin_process(self) -> "PromiseProcess":
        return PromiseProcess(self)


class PromiseProcess(Process):
    """A node process with a peer endpoint."""

    box: PromiseBox
    sim: "PromiseSimulation"

    def __init__(self, box: PromiseBox) -> None:
        self.desk = PromiseDesk()
        self.book = ChallengeBook(secret=str(box.sim.next_number()).encode())
        self.asking = 0  # the number of the exchange that is awaited, 0 for none
        super().__init__(box)
        self.after(RETRY_S, self.mind_promise)

    def build(self, stores: Sequence[StoreName]) -> LeaseMachine:
        machine = super().build(stores)
        memory = self.box.memory
        if self.sim.broken.is_wipe_free and memory.state is PromiseState.UNKNOWN:
            memory = self.box.memory = NOTHING_PROMISED
        reason = describe(memory, {})
        if reason:
            machine.promises.step(StandDown(reason=reason), self.instant(), 0.0)
        return machine

    def other(self) -> "PromiseProcess":
        box = next(box for box in self.sim.boxes if box is not self.box)
        assert isinstance(box.process, PromiseProcess)
        return box.process

    # --- asking the other node ---

    def ask(self, then: Callable[["PromiseProcess", str, int], None]) -> None:
        """Get a challenge of whoever runs there now; `then` gets process, challenge, exchange."""
        if self.asking:
            return
        self.asking = number = self.sim.next_number()
        self.after(ASK_TIMEOUT_S, lambda: self.give_up_asking(number))

        def at_other() -> None:
            peer = self.other()
            peer.run(lambda: answer(peer))

        def answer(peer: "PromiseProcess") -> None:
            challenge = peer.book.issue(now_s=peer.instant().raw_s, salt=str(number))
            self.sim.pass_on(self, lambda: self.run(lambda: back(peer, challenge)))

        def back(peer: "PromiseProcess", challenge: str) -> None:
            if self.asking == number:
                then(peer, challenge, number)

        self.sim.pass_on(self, at_other)

    def give_up_asking(self, number: int) -> None:
        if self.asking == number:
            self.asking = 0

    # --- the node that stands down ---

    def stand_down(self) -> None:
        if self.box.memory.state is not PromiseState.NONE:
            return
        self.ask(self.promise_to)

    def promise_to(self, peer: "PromiseProcess", challenge: str, number: int) -> None:
        facts = peer.machine.promises.facts(peer.instant())  # as its status said
        if not facts.epoch or self.box.memory.state is not PromiseState.NONE:
            self.asking = 0
            return
        promise = Promise(
            promise_id=f"p{self.sim.next_number()}",
            by=self.box.name,
            by_nonce=self.nonce,
            to=peer.box.name,
            to_nonce=peer.nonce,
            epoch=facts.epoch,
        )
        memory = PromiseMemory(state=PromiseState.STANDING, promise=promise)
        self.feed(StandDown(reason=describe(memory, {})))
        if not self.machine.promises.reason:
            self.asking = 0
            return
        rng = self.sim.rng

        def written() -> None:
            self.box.memory = memory

        def tell() -> None:
            late_s = rng.uniform(2.0, 6.0) if rng.random() < 0.2 else 0.0
            self.sim.pass_on(self, lambda: self.arrive_given(promise, challenge), late_s=late_s)

        def written_first(then: Callable[[], None]) -> None:
            written()
            then()

        if self.sim.broken.is_told_before_disk:
            tell()
            self.after(rng.uniform(0.05, 20.0), written)
        else:
            self.after(rng.uniform(0.001, 0.05), lambda: written_first(tell))

    def mind_promise(self) -> None:
        """A restarted node, or one without memory, asks to be let off."""
        memory = self.box.memory
        if memory.state is PromiseState.UNKNOWN or memory.is_of_earlier_process(self.nonce):
            self.ask_end()
        self.after(RETRY_S, self.mind_promise)

    def ask_end(self) -> None:
        if self.box.memory.state is not PromiseState.NONE:
            self.ask(self.ask_end_of)

    def ask_end_of(self, peer: "PromiseProcess", challenge: str, number: int) -> None:
        promise_id = self.box.memory.promise_id

        def at_other() -> None:
            now = self.other()
            now.run(lambda: now.take_end(promise_id, challenge, self, number))

        self.sim.pass_on(self, at_other)

    def ended(self, number: int, ttl_ms: int) -> None:
        if self.asking != number:
            return
        self.after(self.sim.rng.uniform(0.001, 0.05), lambda: self.stand_up(number, ttl_ms))

    def stand_up(self, number: int, ttl_ms: int) -> None:
        if self.asking != number:
            return
        self.asking = 0
        self.box.memory = NOTHING_PROMISED
        self.sim.ends += 1
        seen = [(o, o.since) for o in self.machine._world.observed]
        self.feed(StandUp(ttl_ms=ttl_ms))
        if self.sim.broken.no_hold_off:
            self.machine.promises._holds_off = None
            for observation, since in seen:
                observation.since = since

    def not_ended(self, number: int, relied: Promise) -> None:
        if self.asking != number:
            return
        self.asking = 0
        if self.box.memory.state is PromiseState.UNKNOWN and relied.by == self.box.name:
            self.box.memory = PromiseMemory(state=PromiseState.STANDING, promise=relied)

    # --- the holder ---

    def arrive_given(self, promise: Promise, challenge: str) -> None:
        peer = self.other()
        peer.run(lambda: peer.take_given(promise, challenge))

    def take_given(self, promise: Promise, challenge: str) -> None:
        now = self.instant()
        facts = self.machine.promises.facts(now)
        if self.sim.broken.is_not_bound:
            if facts.epoch:
                loose = Promise(**{**promise.to_body(), "epoch": facts.epoch})
                self.sim.given += 1
                self.feed(PromiseTaken(promise=loose))
            return
        if not self.book.accept(challenge, now_s=now.raw_s):
            return
        if not self.desk.refuse_given(promise, facts):
            self.sim.given += 1
            self.feed(PromiseTaken(promise=promise))

    def take_end(
        self, promise_id: str, challenge: str, asker: "PromiseProcess", number: int
    ) -> None:
        now = self.instant()
        if not self.book.accept(challenge, now_s=now.raw_s):
            return
        facts = self.machine.promises.facts(now)
        relied = facts.relies_on
        if self.desk.refuse_end(facts):
            assert relied is not None
            refused = relied
            self.reply(asker, lambda: asker.not_ended(number, refused))
            return
        self.book.forget_before(now.raw_s)
        self.desk.note_ended(promise_id)
        if relied is not None:
            self.desk.note_ended(relied.promise_id)
        if self.sim.broken.ends_before_dropping:
            self.after(self.sim.rng.uniform(1.0, 30.0), lambda: self.feed(PromiseDropped()))
        else:
            self.feed(PromiseDropped())
        ttl_ms = self.sim.timing.ttl_ms
        self.reply(asker, lambda: asker.ended(number, ttl_ms))

    def reply(self, asker: "PromiseProcess", action: Callable[[], None]) -> None:
        self.sim.pass_on(self, lambda: asker.run(action))


class PromiseSimulation(Simulation):
    """One store, on box B; either box may stand down for the other."""

    def __init__(self, *, broken: Broken | None = None, **options: object) -> None:
        self.broken = broken or Broken()
        self.given = self.ends = 0
        self.alone_s = 0.0  # led although no store had acknowledged for a ttl
        self.peer_cut_until = 0.0
        super().__init__(stores=1, build=build_machine, **options)  # type: ignore[arg-type]

    def build_box(self, name: str) -> PromiseBox:
        return PromiseBox(self, name)

    def pass_on(
        self, sender: PromiseProcess, action: Callable[[], None], *, late_s: float = 0.0
    ) -> None:
        """Carry one message over the link between the boxes, or lose it."""
        rng, weather = self.rng, self.weather
        dice = rng.random()
        if self.now < self.peer_cut_until or dice < weather.lost:
            return
        delay_s = rng.uniform(0.0005, 0.01)
        if dice < weather.lost + weather.slow:
            delay_s = rng.choice([rng.uniform(0.05, 0.8), rng.uniform(0.5, weather.slow_max_s)])
        self.at(self.now + delay_s + late_s, action)

    def run(self) -> Report:
        """Run, and measure how long a holder led by the promise alone."""
        self.at(0.5, self._measure)
        return super().run()

    def _measure(self) -> None:
        for box in self.boxes:
            process = box.process
            if self._is_open(box):
                facts = process.machine.promises.facts(process.instant())
                if facts.proven_s is not None and facts.proven_s > self.timing.ttl_ms / 1000:
                    self.alone_s += 0.5
        self.at(self.now + 0.5, self._measure)

    # --- weather ---

    def faults(self) -> list[Callable[[], None]]:
        """Fewer of the usual ones: what matters here is the promise."""
        return [
            self._pause,
            self._kill,
            self._hang,
            self._switchover,
            self._restart_store,
            self._roll_back,
            self._flush,
            self._slew,
            self._stand_down,
            self._stand_down,
            self._stand_down_and_reboot,
            self._stand_down_and_reboot,
            self._stand_down_and_reboot,
            self._end,
            self._end_and_cut,
            self._repent,
            self._cut_peer,
            self._cut_between,
            self._cut_between,
            self._wipe,
            self._force,
            self._force,
        ]

    def _processes(self) -> list[PromiseProcess]:
        return [box.process for box in self.boxes if isinstance(box.process, PromiseProcess)]

    def _standby(self) -> PromiseProcess | None:
        found = [p for p in self._processes() if p.is_alive and p.permit.remaining_s() <= 0]
        return self.rng.choice(found) if found else None

    def _stand_down(self) -> None:
        process = self._standby()
        if process is not None:
            process.run(process.stand_down)

    def _stand_down_and_reboot(self) -> None:
        """What the promise is for: the standby's box goes away together with the store."""
        process = self._standby()
        if process is None:
            return
        process.run(process.stand_down)
        store, box = self._some_store(), process.box
        away_s = self.rng.uniform(3.0, 20.0)

        def off() -> None:
            store.set_down(True)
            if box.process.is_alive:
                box.process.kill()

        def on() -> None:
            store.set_down(False)
            store.restart(keep=self.rng.random() < 0.3)

        off_at = self.now + self.rng.uniform(0.1, 3.0)
        self.at(off_at, off)
        self.at(off_at + away_s, on)
        if self.rng.random() < 0.5:  # and then the cable between the boxes is pulled
            self.at(off_at + self.rng.uniform(0.0, away_s), self._cut_between)
        if self.rng.random() < 0.3:
            self.at(off_at + self.rng.uniform(0.0, away_s), lambda: self._forget(box))

    def _end(self) -> None:
        process = self.rng.choice(self._processes())
        process.run(process.ask_end)

    def _end_and_cut(self) -> None:
        """The promise is ended, and the boxes lose each other at that very moment."""
        self._end()
        self.at(self.now + self.rng.uniform(0.0, 1.5), self._cut_between)

    def _repent(self) -> None:
        """A promise is given and taken back at once; the boxes lose each other later."""
        process = self._standby()
        if process is not None:
            process.run(process.stand_down)
            self.at(self.now + ASK_TIMEOUT_S + 0.1, lambda: process.run(process.ask_end))
            self.at(self.now + self.rng.uniform(2.5, 9.0), self._cut_between)

    def _cut_peer(self) -> None:
        self.peer_cut_until = self.now + self._long_s()

    def _cut_between(self) -> None:
        """The holder's box sees neither the other box nor the store on it; the holder goes on."""
        until = self.now + self.rng.uniform(5.0, 40.0)
        holders = [p.box.name for p in self._processes() if p.permit.remaining_s() > 0]
        name = self.rng.choice(holders or ["A", "B"])
        self.peer_cut_until = until
        for (box, _), link in self.links.items():
            if box == name:
                link.cut_there_until = link.cut_back_until = until

    def _wipe(self) -> None:
        """A new SD card: nothing is remembered, the epoch neither."""
        self._forget(self.rng.choice(self._processes()).box)

    def _forget(self, box: PromiseBox) -> None:
        if box.process.is_alive:
            box.process.kill()
        box.memory, box.disk_epoch, box.granted_epoch = NOT_KNOWN, 0, 0

    def _force(self) -> None:
        """A person who sees that the other box is dead ends the promise here."""
        process = self.rng.choice(self._processes())
        other = process.other()
        is_stuck = process.box.memory.state is not PromiseState.NONE
        if is_stuck and process.is_alive and (self.broken.is_forced_blindly or not other.is_alive):
            process.box.memory = NOTHING_PROMISED
            process.asking = 0
            process.run(lambda: process.feed(StandUp(ttl_ms=self.timing.ttl_ms)))
