"""What a simulated process keeps for whoever comes after it, and what is read after its death.

Rules of this file: notes are pages in memory: they survive a kill, and after a power cut they are
of another boot. The production code that writes a real note and judges what was left decides here
too (election/fence_note.py, node/post_mortem.py).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from election.errors import StoreUnreachable
from election.fence_note import End, end_of
from election.grant_note import GrantLeft
from election.model import Identity, Incarnation, StoreName, WriteId
from election.post_mortem import AFTER_CRASH, ANSWER_S, REASON_MAX, Epitaph, judge_reply
from exchange.errors import JournalError
from exchange.journal_file import ReadFile
from node.crashes import CrashBook
from node.sim.disk import SimDisk
from node.sim.fleet import SimFleet
from node.sim.loop import Deferred
from node.sim.process import SimProcess
from node.sim.stores import SimStore
from node.state_files import JOURNAL_FILE

if TYPE_CHECKING:
    from election.fleet import FleetAnswers

PAGE_S = (0.0002, 0.01)  # until the thread of the grant note has written


class SimFenceNote:
    """`election.ports.FenceNotes` on the box's disk."""

    def __init__(self, process: SimProcess) -> None:
        """Nothing is noted before the first arming."""
        self._disk = process.box.disk
        self._fields: dict[str, Any] = {
            "pid": 1,
            "boot_id": process.box.boot_id,
            "epoch": 0,
            "fence_boottime_s": 0.0,
            "label": "",
            "progress_boottime_s": 0.0,
            "in_flight": 0,
            "lingers_boottime_s": 0.0,
            "has_majority": True,
        }

    def armed(self, epoch: int, boottime_s: float) -> None:
        """Note that the fence fires at `boottime_s` unless it is moved."""
        self._fields["epoch"] = epoch
        self._fields["fence_boottime_s"] = boottime_s
        self._disk.fence_note = self._fields

    def progress(self, label: str, boottime_s: float) -> None:
        """Note the last completed step of the work loop."""
        self._fields["label"] = label
        self._fields["progress_boottime_s"] = boottime_s

    def in_flight(self, count: int, lingers_boottime_s: float = 0.0) -> None:
        """Note how many writes are under way, and until when one that timed out may act."""
        self._fields["in_flight"] = count
        self._fields["lingers_boottime_s"] = lingers_boottime_s

    def majority(self, *, is_reachable: bool) -> None:
        """Note whether a majority of the stores answers."""
        self._fields["has_majority"] = is_reachable

    def remove(self) -> None:
        """Take the note away, an older process's too."""
        self._disk.fence_note = None


class SimGrantNote:
    """`election.ports.GrantNotes` on the box's disk, written by a thread of its own."""

    def __init__(self, process: SimProcess, identity: Identity, facts: Mapping[str, Any]) -> None:
        """Nothing is noted yet."""
        self._process, self._world, self._disk = process, process.world, process.box.disk
        self._identity, self._facts = identity, facts
        self._boot_id = process.box.boot_id
        self._newest = 0

    def held(self, epoch: int, incs: Mapping[StoreName, Incarnation]) -> None:
        """Note what is held, or about to be asked for."""
        self._put(
            GrantLeft(
                identity=self._identity,
                epoch=epoch,
                incs=dict(incs),
                addresses=(),
                pid=1,
                boot_id=self._boot_id,
                directory="",
                facts=self._facts,
            )
        )

    def ended(self) -> None:
        """The grant ended in order."""
        self._put(None)

    def _put(self, left: GrantLeft | None) -> None:
        self._newest += 1
        number, world = self._newest, self._world

        def write() -> None:
            if number == self._newest and not self._disk.is_failing:  # only the newest counts
                self._disk.grant_note = left

        waits_s = max(0.0, self._disk.stalled_until_s - world.now)
        world.after(waits_s + world.rng.uniform(*PAGE_S), lambda: self._process.run(write))


class SimRemains:
    """`node.post_mortem.Remains` of a box, read by the process that has the claim now."""

    def __init__(self, process: SimProcess) -> None:
        """Bind the reader."""
        self._process, self._world, self._box = process, process.world, process.box
        self._disk: SimDisk = process.box.disk

    def boottime_s(self) -> float:
        """Return the box's CLOCK_BOOTTIME."""
        return self._box.clock.boot_s()

    def wall_ms(self) -> int:
        """Return the box's wall clock."""
        return int(self._box.clock.wall_s() * 1000)

    def boot_id(self) -> str:
        """Return the name of the box's present boot."""
        return self._box.boot_id

    def grant(self) -> GrantLeft | None:
        """Return the grant note."""
        return self._disk.grant_note

    def why_void(self, left: GrantLeft) -> str:
        """Return why it does not count: it is of another boot."""
        return "" if left.boot_id == self._box.boot_id else "it is of another boot of this machine"

    def end(self, died_s: float) -> End | None:
        """Return what the fence note says."""
        note = self._disk.fence_note
        if note is None:
            return None
        return end_of(note, found_s=died_s, this_boot=self._box.boot_id)

    def journal(self) -> ReadFile:
        """Return this disk's journal; nothing can be read from a disk that fails."""
        if self._disk.is_failing:
            raise JournalError("cannot read the journal: the disk is failing")
        documents = self._disk.files.get(JOURNAL_FILE)
        size = 0 if documents is None else 1
        return ReadFile(
            documents=documents or {}, good_bytes=size, total_bytes=size, damaged_lines=0
        )

    def release(self, left: GrantLeft, drain_ms: int, reason: str) -> Deferred[tuple[Epitaph, ...]]:
        """Tell every store, each message on its own."""
        world, watching = self._world, self._box.watching
        text = f"{AFTER_CRASH}: {reason}"[:REASON_MAX]
        wid = WriteId(f"w{world.next_number()}")

        def tell(store: SimStore) -> Epitaph:
            inc = left.incs.get(store.name)
            if inc is None:
                raise StoreUnreachable("it was never seen by the dead process")
            reply = store.lease.release(
                identity=left.identity,
                epoch=left.epoch,
                expected_inc=inc,
                new_wid=wid,
                drain_ms=drain_ms,
                reserved_for="",
                reason=text,
            )
            if reply.is_ok:
                watching.note_mourned(left.identity.nonce, is_drained=drain_ms == 0)
            return judge_reply(store.name, reply, inc)

        done: Deferred[tuple[Epitaph, ...]] = Deferred()

        def collect(found: "FleetAnswers[Epitaph] | None", _: BaseException | None) -> None:
            assert found is not None, "a fleet answers always"
            silent = (
                Epitaph(store=name, is_released=False, said=why)
                for name, why in found.problems.items()
            )
            done.resolve((*found.answers.values(), *silent))

        SimFleet(self._process, self._box.wires, timeout_s=ANSWER_S).ask(tell).then(collect)
        return done

    def remove_grant(self) -> None:
        """Take the grant note away; a disk that fails keeps it."""
        if not self._disk.is_failing:
            self._disk.grant_note = None

    def book(self) -> CrashBook:
        """Return the crashes that are known."""
        return self._disk.crashes

    def write_book(self, book: CrashBook) -> Deferred[bool]:
        """Keep them durably; False when the disk refuses."""
        done: Deferred[bool] = Deferred()

        def effect() -> None:
            self._disk.crashes = book

        def told(_: None, error: BaseException | None) -> None:
            done.resolve(error is None)

        self._disk.write(self._process, effect, lambda: OSError("Input/output error")).then(told)
        return done
