"""The disk of a simulated box: it takes time, stalls, fails, and survives the process.

Rules of this file: what a call reports as durable is there after any kill; a write that was begun
may be there or not. While the disk fails, writes raise what the real files raise.
"""

import errno
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alerts.changes import Change
from alerts.outbox_file import Loaded
from election.errors import EpochFileUnusable, PromiseFileUnusable
from election.grant_note import GrantLeft
from election.promise import NOT_KNOWN, PromiseMemory
from exchange.errors import JournalError
from node.crashes import Crash, CrashBook, clear_latch, mark_told, note_crash
from node.resources import FsyncProbe, Resources
from node.sim.loop import Deferred
from node.sim.process import SimProcess
from node.sim.world import World

FSYNC_S = (0.001, 0.012)
THERE_ANYWAY = 0.3  # share of failed writes after which the new file is there


class SimDisk:
    """What is on the card, and how it behaves now."""

    def __init__(self, world: World) -> None:
        """An empty card that works."""
        self._world = world
        self.stalled_until_s = 0.0
        self.failing_until_s = 0.0
        self.epoch = 0
        self.files: dict[str, dict[str, str]] = {}
        self.outbox: list[Change] | None = None
        self.traded_ms: int | None = None
        self.crashes = CrashBook()
        self.moved_s: tuple[float, ...] = ()  # in the world's time
        self.fence_note: Mapping[str, Any] | None = None
        self.grant_note: GrantLeft | None = None
        self.promise = NOT_KNOWN  # a new card: the other node is asked first
        self.on_promise: Callable[[PromiseMemory], None] = lambda _: None  # told before it changes
        # Told of each journal change that is on the card: who wrote it, and the keys it put.
        self.on_journal: Callable[[SimProcess, Collection[str]], None] = lambda _by, _keys: None
        self.last_done_s = 0.0  # when the write that was begun last will be over

    @property
    def is_failing(self) -> bool:
        """True while writes fail."""
        return self._world.now < self.failing_until_s

    @property
    def is_unwell(self) -> bool:
        """True while writes fail or wait."""
        return self.is_failing or self._world.now < self.stalled_until_s

    def delay_s(self) -> float:
        """Return how long an operation that begins now takes."""
        waits_s = max(0.0, self.stalled_until_s - self._world.now)
        return waits_s + self._world.rng.uniform(*FSYNC_S)

    def write(
        self,
        process: SimProcess,
        effect: Callable[[], None],
        error: Callable[[], BaseException],
        *,
        begins_s: float = 0.0,
    ) -> Deferred[None]:
        """Write durably: the effect happens somewhere on the way, or the error is raised."""
        done: Deferred[None] = Deferred()
        world = self._world
        took_s = self.delay_s() + max(0.0, begins_s - world.now)
        self.last_done_s = world.now + took_s
        effect_s = took_s - world.rng.uniform(0, FSYNC_S[0])

        def act() -> None:
            if not process.is_alive:  # its thread died before the bytes were handed over
                return
            if self.is_failing:
                failure = error()
                world.at(begun_s + took_s, lambda: process.run(lambda: done.fail(failure)))
                return
            effect()
            world.at(begun_s + took_s, lambda: process.run(lambda: done.resolve(None)))

        begun_s = world.now
        world.after(effect_s, act)
        return done


class SimEpochFile:
    """`election.ports.EpochFile`; the crew writes through `store_soon`."""

    warning = ""

    def __init__(self, process: SimProcess) -> None:
        """Use the box's disk."""
        self._process, self._disk = process, process.box.disk

    def load(self) -> int:
        """Return the stored epoch."""
        return self._disk.epoch

    def store(self, epoch: int) -> None:
        """Write at once; a lower epoch leaves it as it is."""
        self._disk.epoch = max(self._disk.epoch, epoch)

    def store_soon(self, epoch: int) -> Deferred[None]:
        """Write durably, which takes as long as the disk takes."""
        return self._disk.write(
            self._process,
            lambda: self.store(epoch),
            lambda: EpochFileUnusable("epoch.json: Input/output error"),
        )


class SimPromiseFile:
    """`node.peer_desk.PromiseFile` by shape."""

    def __init__(self, process: SimProcess) -> None:
        """Use the box's disk."""
        self._process, self._disk = process, process.box.disk

    def load(self) -> PromiseMemory:
        """Return what is remembered."""
        return self._disk.promise

    def store(self, memory: PromiseMemory) -> Deferred[None]:
        """Write durably; where the disk fails the new text may be there all the same."""

        def effect() -> None:
            self._disk.on_promise(memory)
            self._disk.promise = memory

        def error() -> BaseException:
            if self._process.world.rng.random() < THERE_ANYWAY:
                effect()
            return PromiseFileUnusable("promise.json: Input/output error")

        return self._disk.write(self._process, effect, error)


class SimJournalDisk:
    """`exchange.ports.JournalDisk` by shape; writes are `Deferred`, one after another."""

    warnings: tuple[str, ...] = ()

    def __init__(self, process: SimProcess, name: str) -> None:
        """Open a file of the box's disk."""
        self._process, self._disk, self._name = process, process.box.disk, name
        self._free_at_s = 0.0

    @property
    def documents(self) -> dict[str, str]:
        """Return a copy of what it holds."""
        return dict(self._held())

    def append(self, *, puts: Mapping[str, str], deletes: Collection[str] = ()) -> Deferred[None]:
        """Write one change durably."""
        puts, deletes = dict(puts), tuple(deletes)

        def effect() -> None:
            changed = {**self._held(), **puts}
            for key in deletes:
                changed.pop(key, None)
            self._disk.files[self._name] = changed
            self._disk.on_journal(self._process, puts)

        def error() -> BaseException:
            return JournalError(f"cannot write the journal {self._name}: the disk is failing")

        # One lock: a write begins when the one before has ended.
        done = self._disk.write(self._process, effect, error, begins_s=self._free_at_s)
        self._free_at_s = self._disk.last_done_s
        return done

    def replace_all(self, documents: Mapping[str, str]) -> Deferred[bool]:
        """Hold exactly these documents; whether anything was written."""
        held, answer = self._held(), Deferred[bool]()
        if held == documents:
            answer.resolve(False)
            return answer
        puts = {key: text for key, text in documents.items() if held.get(key) != text}
        deletes = [key for key in held if key not in documents]

        def done(_: None, error: BaseException | None) -> None:
            if error is None:
                answer.resolve(True)
            else:
                answer.fail(error)

        self.append(puts=puts, deletes=deletes).then(done)
        return answer

    def close(self) -> None:
        """Nothing to close."""

    def _held(self) -> dict[str, str]:
        return self._disk.files.get(self._name, {})


class SimOutboxStorage:
    """`alerts.outbox_file.OutboxStorage` by shape; the alerts' own thread waits before each job."""

    def __init__(self, disk: SimDisk) -> None:
        """Use the box's disk."""
        self._disk = disk

    @property
    def lines(self) -> int:
        """Lines that are kept, the header included."""
        return 1 + len(self._disk.outbox or ())

    def prepare(self) -> None:
        """Nothing to make."""

    def exists(self) -> bool:
        """Tell whether something is kept already."""
        return self._disk.outbox is not None

    def load(self) -> Loaded:
        """Return what is kept."""
        if self._disk.outbox is None:
            self._disk.outbox = []
        return Loaded(changes=tuple(self._disk.outbox))

    def set_aside(self) -> Path:
        """Nothing is ever damaged here."""
        return Path("outbox.jsonl.damaged-1")

    def append(self, changes: Iterable[Change]) -> None:
        """Keep the changes."""
        self._refuse_if_failing()
        assert self._disk.outbox is not None
        self._disk.outbox.extend(changes)

    def rewrite(self, changes: Sequence[Change]) -> None:
        """Replace everything."""
        self._refuse_if_failing()
        self._disk.outbox = list(changes)

    def close(self) -> None:
        """Nothing to close."""

    def _refuse_if_failing(self) -> None:
        if self._disk.is_failing:
            raise OSError(errno.EIO, "Input/output error")


class SimMoves:
    """`node.edges.MoveMemory` by shape."""

    def __init__(self, world: World, disk: SimDisk) -> None:
        """Use the box's disk."""
        self._world, self._disk = world, disk

    def load(self) -> tuple[float, ...]:
        """Return the ages of the remembered hand-overs."""
        return tuple(self._world.now - at_s for at_s in self._disk.moved_s)

    def store(self, ages_s: Sequence[float]) -> None:
        """Remember these instead."""
        if self._disk.is_failing:
            raise OSError(errno.EIO, "Input/output error")
        self._disk.moved_s = tuple(self._world.now - age_s for age_s in ages_s)


class SimCrashKeeper:
    """`node.edges.CrashKeeper` by shape; there is nobody to note a kill here but the process."""

    def __init__(self, disk: SimDisk) -> None:
        """Use the box's disk."""
        self._disk = disk

    @property
    def book(self) -> CrashBook:
        """The crashes as they are known now."""
        return self._disk.crashes

    def note(self, crash: Crash) -> None:
        """Add this process's own end."""
        self._disk.crashes = note_crash(self._disk.crashes, crash)

    def clear(self, latch_id: str) -> None:
        """Lift the latch of this id."""
        self._disk.crashes = clear_latch(self._disk.crashes, latch_id)

    def mark_told(self) -> None:
        """Everything in the book was told."""
        self._disk.crashes = mark_told(self._disk.crashes)


class SimTradingMemory:
    """`node.edges.TradingMemory` by shape."""

    def __init__(self, process: SimProcess) -> None:
        """Use the box's disk."""
        self._process, self._disk = process, process.box.disk

    def load_ms(self) -> Deferred[int | None]:
        """Return the remembered wall time."""
        answer: Deferred[int | None] = Deferred()
        delay_s, process = self._disk.delay_s(), self._process
        process.world.after(
            delay_s, lambda: process.run(lambda: answer.resolve(self._disk.traded_ms))
        )
        return answer

    def store_ms(self, wall_ms: int) -> Deferred[None]:
        """Remember."""

        def effect() -> None:
            self._disk.traded_ms = wall_ms

        return self._disk.write(
            self._process, effect, lambda: OSError(errno.EIO, "Input/output error")
        )


class SimProbe:
    """`node.edges.BoxProbe` by shape."""

    def __init__(self, process: SimProcess) -> None:
        """Look at the process's box."""
        self._process = process

    def read(self) -> Resources:
        """Return a reading."""
        return Resources(
            cpu_percent=1.0,
            memory_mb=90.0,
            disk_free_mb=10_000.0,
            temperature_c=self._process.box.temperature_c,
            temperature_zone="cpu",
            uptime_s=0.0,
        )

    def probe_fsync(self) -> Deferred[FsyncProbe]:
        """Write a few bytes durably."""
        answer: Deferred[FsyncProbe] = Deferred()

        def done(_: None, error: BaseException | None) -> None:
            if error is None:
                answer.resolve(FsyncProbe(took_ms=5.0))
            else:
                answer.resolve(FsyncProbe(took_ms=None, error="Input/output error"))

        self._process.box.disk.write(
            self._process, lambda: None, lambda: OSError(errno.EIO, "Input/output error")
        ).then(done)
        return answer
