"""R16 in hostile weather: releases by stop hooks, lost, late and repeated, never open two gates.

The simulation of lease_sim.py with a hook at every death: it sends what the dead process had noted
to every store over the same bad links. Old notes are sent again and again, because a note that is
left behind must be harmless for ever.
"""

import os
from collections.abc import Callable, Mapping, Sequence

import pytest

from election.errors import StoreUnreachable
from election.instants import Instant
from election.model import (
    Deposed,
    Incarnation,
    Lapsed,
    LeaseEvent,
    Released,
    StoreName,
    WriteId,
)
from election.signals import Call, Command, Stimulus, StoreEpoch, Verb
from election.store_worker import execute
from tests.election.test_simulation import HOSTILE, TIGHT, WORSE
from tests.support.lease_process import RECV_WINDOW_S, Box, Process
from tests.support.lease_sim import Report, Simulation, Weather

RUNS = int(os.environ.get("HOTSPARE_SIM_RUNS", "300")) // 3
MUTANT_RUNS = 400
LATE_CHANCE = 0.01
Note = tuple[int, Mapping[StoreName, Incarnation]]


class Mourned(Process):
    """A process that keeps its grant note as the heartbeat does, and has a hook at its death."""

    note: Note | None = None
    drain_ms = 0
    old: Sequence[tuple["Mourned", Note]] = ()

    def feed(self, first: Stimulus) -> None:
        """Note anew when the incarnations change while a grant is held."""
        super().feed(first)
        incs = self.machine.incarnations()
        if incs:
            self.note = (self.permit.epoch, dict(incs))

    def execute(self, command: Command) -> list[Stimulus]:
        """Note before the asking."""
        if isinstance(command, StoreEpoch):
            self.note = (command.epoch, dict(self.machine.observed.incarnations()))
        return super().execute(command)

    def hear(self, event: LeaseEvent) -> None:
        """Forget what ended in order."""
        super().hear(event)
        match event:
            case Lapsed() | Deposed() | Released(was_acknowledged=True):
                self.note = None
            case _:
                pass

    def kill(self) -> None:
        """Die, and let the hook run; notes of the dead before are sent once more."""
        # As judge_drain: 0 with nothing under way or unknown, else the venue's window.
        is_busy = self.permit.in_flight > 0 or self.sim.now <= self.unknown_until
        self.drain_ms = int(RECV_WINDOW_S * 1000) + 1 if is_busy else 0
        super().kill()
        graves = self.sim.graves  # type: ignore[attr-defined]
        if self.note is not None:
            graves.append((self, self.note))
        for process, note in graves[-5:]:
            process.mourn(note)

    def instant(self) -> Instant:
        """Read the clock; now and then a release that was long under way arrives."""
        graves = self.sim.graves  # type: ignore[attr-defined]
        if graves and self.sim.rng.random() < LATE_CHANCE:
            process, note = self.sim.rng.choice(graves)
            process.mourn(note)
        return super().instant()

    def mourn(self, note: Note) -> None:
        """Send the release of a note to every store it names."""
        epoch, incs = note
        delay_s = self.sim.rng.choice([self.sim.rng.uniform(0.02, 0.5), 0.0])
        for store in self.sim.stores:
            if store.name in incs:
                there, _ = self.sim.links[(self.box.name, store.name)].delays()
                if there is not None:
                    at_s = self.sim.now + delay_s + there
                    self.sim.at(at_s, self.burial(store.name, epoch, incs[store.name]))

    def burial(self, store: StoreName, epoch: int, inc: Incarnation) -> Callable[[], None]:
        """Return the arrival of one release at one store."""

        def arrive() -> None:
            frozen = self.sim.frozen_until.get(store, 0.0)
            if self.sim.now < frozen:
                self.sim.at(frozen, arrive)
                return
            call = Call(
                call_id=0,
                store=store,
                verb=Verb.RELEASE,
                epoch=epoch,
                expected_inc=self.believed(store, inc),
                drain_ms=self.drain_ms,
                reason="released after a crash",
            )
            wid = WriteId(f"w{self.sim.next_number()}")
            try:
                reply = execute(
                    self.sim.store(store),
                    call,
                    identity=self.identity_at(store),
                    ttl_ms=self.timing.ttl_ms,
                    new_wid=wid,
                )
            except StoreUnreachable:
                return
            self.sim.freed += reply.is_ok  # type: ignore[attr-defined]

        return arrive

    def believed(self, store: StoreName, noted: Incarnation) -> Incarnation:
        """Return the life of the store in which the hook releases: the one in the note."""
        del store
        return noted


class ReadsTheIncarnation(Mourned):
    """Broken: the hook releases in whatever life the store is in now."""

    def believed(self, store: StoreName, noted: Incarnation) -> Incarnation:
        found = self.sim.store(store)
        try:
            wid = WriteId(f"w{self.sim.next_number()}")
            return found.observe(identity=self.identity_at(store), new_wid=wid).inc
        except StoreUnreachable:
            return noted


class NotDeadYet(Mourned):
    """Broken: the hook runs although the process lives (no claim on the state directory)."""

    def instant(self) -> Instant:
        if self.note is not None and self.sim.rng.random() < 0.002:
            self.mourn(self.note)
        return super().instant()


class MournedSimulation(Simulation):
    """Two nodes under supervisors with stop hooks."""

    kind: type[Mourned] = Mourned

    def build_box(self, name: str) -> Box:
        """Return a box whose processes are mourned."""
        self.graves: list[tuple[Mourned, Note]] = getattr(self, "graves", [])
        self.freed: int = getattr(self, "freed", 0)
        kind = self.kind

        class MournedBox(Box):
            def begin_process(self) -> Process:
                return kind(self)

        return MournedBox(self, name)


class ReadingSimulation(MournedSimulation):
    """With the hook that reads the incarnation."""

    kind = ReadsTheIncarnation


class EagerSimulation(MournedSimulation):
    """With the hook that does not wait for the death."""

    kind = NotDeadYet


@pytest.mark.parametrize("stores", [1, 3])
@pytest.mark.parametrize("weather", [HOSTILE, WORSE], ids=["hostile", "worse"])
def test_stop_hooks_never_open_two_gates(stores: int, weather: Weather) -> None:
    """Lost, late, repeated and stale releases: one trader, and the hook does free something."""
    freed = 0
    for seed in range(200_000, 200_000 + RUNS):
        timing = TIGHT if weather is WORSE else None
        simulation = MournedSimulation(seed=seed, stores=stores, weather=weather, timing=timing)
        report = simulation.run()
        assert report.violations == [], f"seed {seed}"
        freed += simulation.freed
    assert freed > RUNS / 10, "the hooks freed nothing: this campaign shows nothing"


def violated(kind: type[MournedSimulation], stores: int) -> Report | None:
    for seed in range(MUTANT_RUNS):
        report = kind(seed=seed, stores=stores, weather=WORSE, timing=TIGHT).run()
        if report.violations:
            return report
    return None


@pytest.mark.parametrize("kind", [ReadingSimulation, EagerSimulation])
def test_a_broken_hook_is_caught(kind: type[MournedSimulation]) -> None:
    """The campaign can fail: each of the two proofs that a hook needs, left out, splits."""
    assert violated(kind, stores=1) is not None
