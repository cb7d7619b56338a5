"""The cluster's latches as one node knows them: never lost, never lifted by themselves (S6)."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import pytest

from election.control_record import ControlRecord, render_control
from election.model import NodeId
from election.redis_control import ControlBoard
from election.redis_members import MemberBoard
from exchange.errors import JournalError
from exchange.journal_file import JournalFile
from node.cluster_watch import ClusterWatch, is_node_id_taken
from node.latches import CLUSTER, LOSS_LIMIT, PAUSE
from tests.support.memory_boards import NAMES, MemoryControl, MemoryMembers
from tests.support.until import until


class Cards:
    """A disk copy in memory; `JournalFile` by shape."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.error = ""
        self.gate = threading.Event()
        self.gate.set()

    @property
    def documents(self) -> dict[str, str]:
        return dict(self.texts)

    def replace_all(self, texts: Mapping[str, str]) -> bool:
        assert self.gate.wait(60), "nobody opened the disk"
        if self.error:
            raise JournalError(self.error)
        self.texts = dict(texts)
        return True

    def close(self) -> None:
        """Nothing to close."""


class Restored:
    """What a restore left beside the disk; `RestoredControls` by shape."""

    def __init__(self, *records: ControlRecord) -> None:
        self.documents: Mapping[str, str] = {r.kind: render_control(r) for r in records}
        self.forgotten = 0

    def forget(self) -> None:
        self.forgotten += 1


def record_of(kind: str, version: int, **value: object) -> ControlRecord:
    return ControlRecord(kind=kind, version=version, value=value, by="ann", at_ms=5, reason="old")


def make_watch(
    control: MemoryControl,
    *,
    board: MemoryMembers | None = None,
    disk: Cards | None = None,
    marker: Path = Path("/nonexistent/new-cluster"),
    disk_timeout_s: float = 60,
    wall_ms: Callable[[], int] = lambda: 1_700_000_000_000,
    restored: Restored | None = None,
) -> ClusterWatch:
    clock = iter(range(1_000_000))
    return ClusterWatch(
        control=cast("ControlBoard", control),
        board=cast("MemberBoard", board or MemoryMembers()),
        disk=cast("JournalFile", disk or Cards()),
        is_marked_new=marker.exists,
        node_id=NodeId("jetson"),
        nonce="n1",
        body=dict,
        wall_ms=wall_ms,
        monotonic_s=lambda: float(next(clock)),
        disk_timeout_s=disk_timeout_s,
        restored=restored,
    )


def marked(tmp_path: Path) -> Path:
    marker = tmp_path / "new-cluster"
    marker.touch()
    return marker


async def test_no_record_anywhere_means_paused() -> None:
    """Found nowhere: paused, unless `init` marked a new cluster."""
    watch = make_watch(MemoryControl())
    await watch.refresh()
    assert watch.latches.is_paused


async def test_first_start_writes_the_birth_of_the_cluster(tmp_path: Path) -> None:
    """The marker frees the very first start, and from then on there is a record."""
    control = MemoryControl()
    watch = make_watch(control, marker=marked(tmp_path))
    await watch.refresh()
    assert not watch.latches.is_paused
    assert control.stores[NAMES[0]][CLUSTER].value == {"born_ms": 1_700_000_000_000}


async def test_marker_means_nothing_while_too_few_stores_answer(tmp_path: Path) -> None:
    """With too few stores an absent record proves nothing."""
    control = MemoryControl(down=set(NAMES[1:]))
    watch = make_watch(control, marker=marked(tmp_path))
    await watch.refresh()
    assert watch.latches.is_paused


async def test_records_that_cannot_be_read_are_named_and_the_others_count() -> None:
    """On this disk or in a store; each once, however often it is looked at."""
    control, disk = MemoryControl(), Cards()
    await make_watch(control).put(PAUSE, {"is_paused": True}, reason="test")
    control.problems = ("store a: control record loss_limit: not JSON", "store b: no answer")
    disk.texts = {PAUSE: "{garbage"}
    watch = make_watch(control, disk=disk)
    for _ in range(3):
        await watch.refresh()
    assert watch.latches.is_paused
    own, stored = watch.unreadable
    assert own.startswith("own disk: ")
    assert stored == "store a: control record loss_limit: not JSON"


async def test_what_is_known_here_is_what_the_stores_were_given() -> None:
    """One text a version: else a store that lost it and one that did not could never agree."""
    control, disk = MemoryControl(), Cards()
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000))
    watch = make_watch(control, disk=disk, wall_ms=lambda: next(clock))
    assert await watch.put(PAUSE, {"is_paused": True}, reason="test")
    stored = control.stores[NAMES[0]][PAUSE]
    assert watch.latches.records[PAUSE] == stored
    assert disk.texts[PAUSE] == render_control(stored)


async def test_a_pause_survives_the_loss_of_every_store() -> None:
    """The own disk remembers, and gives it back to stores that forgot it."""
    control, disk = MemoryControl(), Cards()
    watch = make_watch(control, disk=disk)
    assert await watch.put(PAUSE, {"is_paused": True}, reason="test")
    control.stores = {name: {} for name in NAMES}
    later = make_watch(control, disk=disk)
    assert later.latches.is_paused
    await later.refresh()
    assert later.latches.records[PAUSE].value == {"is_paused": True}
    await later.refresh()
    assert all(PAUSE in control.stores[name] for name in NAMES)


async def test_a_look_begun_before_a_put_does_not_undo_it() -> None:
    """A latch that this node set holds at once, whatever an older reading says."""
    control, disk = MemoryControl(), Cards()
    watch = make_watch(control, disk=disk, disk_timeout_s=0.01)
    await watch.put(PAUSE, {"is_paused": False}, reason="resumed")
    was_read, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        was_read.set()
        assert may_go.wait(60)

    control.on_read = hold
    look = asyncio.create_task(watch.refresh())
    assert await asyncio.to_thread(was_read.wait, 60)
    control.on_read = lambda: None
    disk.gate.clear()  # the own copy lags behind, as a card does
    put = asyncio.create_task(watch.put(LOSS_LIMIT, {"is_latched": True}, reason="loss"))
    await until(lambda: watch.latches.is_loss_latched)
    may_go.set()
    await until(lambda: watch.has_looked)
    assert watch.latches.is_loss_latched
    disk.gate.set()
    await asyncio.gather(look, put)


async def test_a_put_that_too_few_stores_took_is_given_to_the_others_later() -> None:
    """A pause must not depend on the one store that heard it."""
    control = MemoryControl(down=set(NAMES[1:]))
    watch = make_watch(control)
    assert not await watch.put(PAUSE, {"is_paused": True}, reason="test")
    await watch.refresh()
    control.down = set()
    await watch.refresh()
    await watch.refresh()
    assert all(control.stores[name][PAUSE].value["is_paused"] for name in NAMES)
    pushes = control.pushes
    await watch.refresh()
    assert control.pushes == pushes, "what everybody has is not pushed again"


async def test_a_stalled_disk_holds_up_neither_looks_nor_puts() -> None:
    """A card that does not answer keeps no pause from being seen."""
    control, disk = MemoryControl(), Cards()
    disk.gate.clear()
    watch = make_watch(control, disk=disk, disk_timeout_s=0.01)
    other = make_watch(control)
    await other.put(PAUSE, {"is_paused": True}, reason="by the other one")
    await asyncio.wait_for(watch.refresh(), 30)
    await asyncio.wait_for(watch.put(LOSS_LIMIT, {"is_latched": True}, reason="x"), 30)
    assert watch.latches.is_paused
    assert watch.latches.is_loss_latched
    disk.gate.set()
    await until(lambda: set(disk.texts) == {PAUSE, LOSS_LIMIT})


async def test_a_disk_that_refuses_is_not_fatal() -> None:
    """Told, and tried again."""
    control, disk = MemoryControl(), Cards()
    disk.error = "the disk is full"
    watch = make_watch(control, disk=disk)
    assert await watch.put(PAUSE, {"is_paused": True}, reason="test")
    disk.error = ""
    await watch.refresh()
    assert PAUSE in disk.texts


async def test_a_body_that_the_board_refuses_ends_nothing() -> None:
    """A beat that cannot be published leaves latches and members readable (L1)."""
    control, board = MemoryControl(), MemoryMembers(refuse="a number was NaN")
    watch = make_watch(control, board=board)
    await make_watch(control).put(PAUSE, {"is_paused": True}, reason="test")
    await watch.refresh()
    assert watch.latches.is_paused
    assert watch.has_looked


@pytest.mark.parametrize(
    ("nonce", "beat", "is_taken"), [("x", 8, True), ("x", 7, False), ("n1", 8, False)]
)
async def test_a_node_id_is_taken_when_a_foreign_beat_grows(
    nonce: str, beat: int, *, is_taken: bool
) -> None:
    """R1: the last beat of the own predecessor is no other node."""
    board = MemoryMembers()
    board.publish(NodeId("jetson"), "x", 7, {})
    before = board.read()
    board.publish(NodeId("jetson"), nonce, beat, {})
    now = board.read()
    assert is_node_id_taken(before, now, node_id=NodeId("jetson"), nonce="n1") is is_taken


# --- a restored disk -------------------------------------------------------------------------


async def test_a_node_that_found_nothing_stays_paused_whatever_it_notes() -> None:
    """S6: what is written in a paused cluster must not read as "this cluster may trade"."""
    control = MemoryControl()
    watch = make_watch(control)
    await watch.refresh()
    await watch.put(CLUSTER, {"account": "1001"}, reason="first holder's account")
    await watch.refresh()
    assert watch.latches.is_paused


async def test_a_restored_disk_alone_stays_paused_and_tells_nobody(tmp_path: Path) -> None:
    """S6: stores, both disks lost, a backup from before a pause: only a person goes on."""
    control, disk = MemoryControl(), Cards()
    restored = Restored(record_of(CLUSTER, 2, born_ms=5), record_of(LOSS_LIMIT, 3, is_latched=True))
    watch = make_watch(control, disk=disk, restored=restored, marker=marked(tmp_path))
    for _ in range(2):
        await watch.refresh()
    assert watch.latches.is_paused
    assert watch.latches.is_loss_latched
    assert control.stores[NAMES[0]] == {}
    assert disk.texts == {}
    assert not restored.forgotten

    # a person's word counts, with the version that `nodectl resume` gives it
    control.put(PAUSE, {"is_paused": False}, "ann", 6, "go on", above=1_700_000_000)
    await watch.refresh()
    after = watch.latches
    assert not after.is_paused
    assert after.is_loss_latched
    assert control.stores[NAMES[0]][LOSS_LIMIT].version == 3
    await until(lambda: restored.forgotten)
    assert set(disk.texts) == {PAUSE, CLUSTER, LOSS_LIMIT}


async def test_a_card_that_was_told_that_its_cluster_is_not_new_begins_none(tmp_path: Path) -> None:
    """S6: an empty `control.restored`, stores that began empty, init's marker: no first start."""
    control = MemoryControl()
    watch = make_watch(control, restored=Restored(), marker=marked(tmp_path))
    for _ in range(2):
        await watch.refresh()
    assert watch.latches.is_paused
    assert control.stores[NAMES[0]] == {}


async def test_a_restored_disk_joins_a_living_cluster_without_lifting_its_pause() -> None:
    control, disk = MemoryControl(), Cards()
    restored = Restored(record_of(CLUSTER, 1, born_ms=5), record_of(PAUSE, 3, is_paused=False))
    control.put(PAUSE, {"is_paused": True}, "ann", 6, "look first", above=9)
    watch = make_watch(control, disk=disk, restored=restored)
    await watch.refresh()
    assert watch.latches.is_paused
    assert watch.latches.records[PAUSE].version == 10
    assert control.stores[NAMES[0]][CLUSTER].value == {"born_ms": 5}


async def test_a_restored_file_that_cannot_be_removed_is_said_once_and_harmless() -> None:
    control = MemoryControl()
    control.put(CLUSTER, {"born_ms": 5}, "ann", 6, "birth")
    restored = Restored(record_of(CLUSTER, 1, born_ms=5))

    def refuse() -> None:
        raise OSError(30, "Read-only file system")

    restored.forget = refuse  # type: ignore[method-assign]
    watch = make_watch(control, restored=restored)
    for _ in range(2):
        await watch.refresh()
    assert not watch.latches.is_paused
