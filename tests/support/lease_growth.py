"""A pair that grows from one store to three while it trades (see lease_sim.py).

Each box has its list of stores in a file; a process reads it at its start. The rules of the walk,
which is `make deploy-witness`, are the ones that S1 rests on beside those of `election/quorum.py`:

- no box has the new list while the other one has the old list: between the two is the joint one;
- the new list counts (no way back) only once both boxes have the joint list, and while a process
  of the joint list leads: whatever was granted by the old store alone is over then, and one of the
  new stores knows of it;
- the record in the old store is moved to the new list when both boxes have that, and when nobody
  holds it there, or who does has been silent for a whole ttl (R6).

A step is a new file, and then a new process: after kill -9, after a release, or much later, as
when whoever walks was interrupted. Whatever else dies meanwhile starts with the file it has.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from election.errors import StoreUnreachable
from election.instants import Instant, contender_elapsed_s, instant_of
from election.memory_store import MemoryStore
from election.model import Identity, LeaseState, NodeId, Refusal, StoreName, StoreReply, WriteId
from tests.support.lease_process import Box, Process, StoreFile

if TYPE_CHECKING:
    from tests.support.lease_sim import Simulation

OLD, JOINT, NEW = StoreFile("x"), StoreFile("xyz", "x"), StoreFile("xyz")
WORDS: Mapping[StoreFile, str] = {OLD: "old", JOINT: "joint", NEW: "new"}
NEXT: Mapping[StoreFile, tuple[StoreFile, ...]] = {
    OLD: (JOINT,),
    JOINT: (OLD, NEW),
    NEW: (),
}
BEGIN_S = 8.0  # a node of the old list leads by then, in good weather
PACES_S = (0.4, 1.0, 3.0, 8.0)  # mean seconds between two steps at random; one is drawn for a run
LINGER_S = 30.0
POLL_S = 0.5
STOP_S = 10.0  # after that a process that should give its lease back is killed
BACK_CHANCE = 0.1  # that a step back is among the choices


class Growth:
    """The walk of both boxes, one step at a time."""

    def __init__(self, sim: "Simulation") -> None:
        """Begin with the old list on both boxes."""
        self._sim = sim
        self.steps: list[str] = []
        self.is_counting = False  # the record `stores` is on both disks: the new list counts
        self.is_moved = False
        self._ready_at = 0.0
        if sim.weather.grows != "orderly":
            linger_s, is_hurried = sim.rng.uniform(10.0, LINGER_S), sim.weather.grows == "hurried"
            self._pause_s = 1.0 if is_hurried else sim.rng.choice(PACES_S)
            self._linger_s = linger_s if is_hurried else sim.rng.choice([0.0, linger_s])
            self._again(self._draw_pause_s, self._stray)
        else:
            self._again(lambda: POLL_S, self._walk)

    @property
    def is_done(self) -> bool:
        """True when both boxes use the new list, and the old store's record is under it."""
        return self.is_moved and all(self._lists(box) == {NEW} for box in self._sim.boxes)

    @property
    def words(self) -> str:
        """How far it is, for people."""
        return ", ".join(self.steps[-4:]) or "no step was made"

    # --- what may be done ---

    def _lists(self, box: Box) -> set[StoreFile]:
        """Return what the box has: its file, and what its living process has read."""
        return {box.file} | ({box.process.file} if box.process.is_alive else set())

    def may_become(self, file: StoreFile) -> bool:
        """Tell whether a box may get this list now."""
        return file == JOINT or (file == NEW) == self.is_counting

    def may_count(self) -> bool:
        """Tell whether the record may say that the new list counts."""
        if self.is_counting or any(self._lists(box) != {JOINT} for box in self._sim.boxes):
            return False
        return self._leader() is not None

    def may_move(self) -> bool:
        """Tell whether the record in the old store may be moved to the new list."""
        return all(self._lists(box) == {NEW} for box in self._sim.boxes)

    def _leader(self) -> Box | None:
        return next((box for box in self._sim.boxes if _is_open(box.process)), None)

    # --- a walk at random ---

    def _draw_pause_s(self) -> float:
        """Now and then the pair stays for long where it is after the first step."""
        linger_s = self._linger_s if self.steps else 0.0
        if linger_s:
            self._linger_s = 0.0
        return linger_s + self._sim.rng.expovariate(1 / self._pause_s)

    def _stray(self) -> None:
        rng, choices = self._sim.rng, list[Callable[[], None]]()
        for box in self._sim.boxes:
            if box.process.is_alive and box.process.file != box.file:
                choices.append(partial(self._renew, box))
                continue
            for file in NEXT[box.file]:
                is_back = file == OLD
                if self.may_become(file) and (not is_back or rng.random() < BACK_CHANCE):
                    choices.append(partial(self._change, box, file))
        if self.may_count():
            choices.append(self._count)
        if self.may_move() and not self._is_under_new_list():
            choices.append(self._move)
        if choices:
            rng.choice(choices)()

    def _change(self, box: Box, file: StoreFile) -> None:
        self._note(f"{box.name} {WORDS[file]}")
        box.file = file
        if self._sim.rng.random() < 0.8:
            self._renew(box)

    def _renew(self, box: Box) -> None:
        if self._sim.rng.random() < 0.5:
            self._kill(box.process)
        else:
            self._stop(box.process)

    def _count(self) -> None:
        self._note("counts")
        self.is_counting = True

    # --- the walk as it is meant ---

    def _walk(self) -> None:
        leader = self._leader()
        if leader is None or self._sim.now < self._ready_at:
            return
        spare = next(box for box in self._sim.boxes if box is not leader)
        if not spare.process.is_alive or spare.process.file != spare.file:
            return
        if self.may_move() and not self._is_under_new_list():
            self._move()
            return
        match (WORDS[leader.file], WORDS[spare.file]):
            case ("old", "old") | ("joint", "old"):
                self._begin(spare, JOINT)
            case ("joint", "joint") if not self.is_counting:
                self._count()
            case ("joint", "joint") | ("new", "joint"):
                self._begin(spare, NEW)
            case ("old", "joint") | ("joint", "new"):
                joins_in_s = spare.process.machine.observed.joins_in_s(spare.process.instant())
                if joins_in_s is not None and joins_in_s <= 0:
                    self._note(f"{leader.name} hands over")
                    leader.process.wants_release = True
                    leader.process.successor = str(spare.name)
                    self._ready_at = self._sim.now + STOP_S
            case _:
                pass  # both have the new list

    def _begin(self, box: Box, file: StoreFile) -> None:
        assert self.may_become(file), "the walk breaks its own rules"
        self._note(f"{box.name} {WORDS[file]}")
        box.file = file
        self._stop(box.process)
        self._ready_at = self._sim.now + 5.0

    # --- processes ---

    def _kill(self, process: Process) -> None:
        if process.is_alive:
            process.kill()

    def _stop(self, process: Process) -> None:
        """Let it give its lease back and end, as systemd does; a new one follows."""
        sim, until = self._sim, self._sim.now + STOP_S
        process.wants_release = _is_open(process)

        def look() -> None:
            if not process.is_alive:
                return
            if process.wants_release or _is_open(process):
                if sim.now < until:
                    sim.at(sim.now + 0.2, look)
                else:
                    self._kill(process)
                return
            process.is_alive = False
            sim.at(sim.now + sim.rng.uniform(0.1, 3.0), process.box.restart)

        sim.at(sim.now + 0.2, look)

    # --- the record in the old store ---

    def _is_under_new_list(self) -> bool:
        record = self._store().snapshot().record
        return record is not None and record.config_id == NEW.stores

    def _store(self) -> MemoryStore:
        return self._sim.store(StoreName(OLD.stores))

    def _move(self) -> None:
        self._note("moves")
        Mover(self._sim, self._store(), self._noted_move).begin()

    def _noted_move(self) -> None:
        self.is_moved = True

    # --- private ---

    def _note(self, text: str) -> None:
        self.steps.append(f"{self._sim.now:.1f} {text}")

    def _again(self, pause_s: Callable[[], float], step: Callable[[], None]) -> None:
        def act() -> None:
            step()
            self._sim.at(self._sim.now + pause_s(), act)

        self._sim.at(BEGIN_S, act)


class Mover:
    """One try of moving the record, over a box's links and by its clock (lua/move.lua)."""

    def __init__(self, sim: "Simulation", store: MemoryStore, done: Callable[[], None]) -> None:
        """Prepare; `done` is called when the record is known to be moved."""
        self._sim, self._store, self._done = sim, store, done
        self._box = sim.rng.choice(sim.boxes)
        self._identity = Identity(
            cluster_id="sim", config_id=OLD.stores, node_id=NodeId("mover"), nonce="mover"
        )
        self._seen: StoreReply | None = None
        self._since: Instant | None = None

    def begin(self) -> None:
        """Look, wait as long as a contender must if it is held, and move it."""
        self._ask(lambda wid: self._store.observe(identity=self._identity, new_wid=wid), self._look)

    def _instant(self) -> Instant:
        return instant_of(self._box.clock.read())

    def _look(self, reply: StoreReply) -> None:
        if reply.refusal is Refusal.OTHER_CONFIG:
            self._done()
            return
        if not reply.is_ok or reply.record is None:
            return
        if reply.record.state is not LeaseState.HELD:
            self._write(reply, is_silent=False)
            return
        if self._seen is None or _key(self._seen) != _key(reply):
            if self._seen is not None:
                return  # somebody holds it: not now
            self._seen, self._since = reply, self._instant()
        assert self._since is not None, "seen at no moment"
        timing = self._sim.timing
        wait_s = max(reply.record.ttl_ms, timing.ttl_ms) / 1000 * (1 + timing.drift)
        if contender_elapsed_s(self._since, self._instant()) >= wait_s:
            self._write(reply, is_silent=True)
        else:
            self._sim.at(self._sim.now + POLL_S, self.begin)

    def _write(self, seen: StoreReply, *, is_silent: bool) -> None:
        record = seen.record
        assert record is not None, "moved without a look"

        def move(wid: WriteId) -> StoreReply:
            return self._store.move(
                identity=self._identity,
                new_config_id=NEW.stores,
                max_epoch=0,
                expected_inc=seen.inc,
                expected_wid=record.wid,
                new_wid=wid,
                is_silent=is_silent,
            )

        self._ask(move, lambda reply: self._done() if reply.is_ok else None)

    def _ask(
        self, call: Callable[[WriteId], StoreReply], then: Callable[[StoreReply], None]
    ) -> None:
        sim = self._sim
        there, back = sim.links[(self._box.name, self._store.name)].delays()
        if there is None:
            return

        def arrive() -> None:
            frozen = sim.frozen_until.get(self._store.name, 0.0)
            if sim.now < frozen:
                sim.at(frozen, arrive)
                return
            try:
                reply = call(WriteId(f"w{sim.next_number()}"))
            except StoreUnreachable:
                return
            if back is not None:
                sim.at(sim.now + back, lambda: then(reply))

        sim.at(sim.now + there, arrive)


def _key(reply: StoreReply) -> tuple[str, str]:
    return (reply.inc, reply.record.wid if reply.record else "")


def _is_open(process: Process) -> bool:
    return process.is_alive and process.permit.remaining_s() > 0
