"""The writer: one write at a time, nothing forgotten, a stalled disk does not stall the loop."""

import asyncio
import gc
import threading
from collections.abc import Mapping
from pathlib import Path

from exchange.errors import JournalError
from exchange.journal import Journal, merge
from exchange.journal_file import JournalFile, read_journal
from exchange.journal_writer import JournalWriter
from exchange.memory_ledger import MemoryLedger, MemoryStore
from exchange.ports import LedgerAnswer
from tests.support.desk import MemoryDisk
from tests.support.journals import make_id, make_record


def make_ledger() -> MemoryLedger:
    ledger = MemoryLedger([MemoryStore(str(n)) for n in range(3)])
    ledger.grant(1)
    return ledger


def is_owing(writer: JournalWriter) -> bool:
    return writer.is_owing


async def put(writer: JournalWriter, counter: int) -> None:
    writer.adopt(*writer.journal.edit(epoch=1, intents=[make_record(counter)]))


async def test_a_new_holder_levels_all_copies_with_its_first_write() -> None:
    """The merged copies may differ: everything is owed at first, and stale documents go."""
    ledger = make_ledger()
    journal, change = Journal().edit(epoch=1, intents=[make_record(0)])
    ledger.stores[0].documents.update(change.puts)
    ledger.stores[1].documents["intent:zombie"] = "{}"
    writer = JournalWriter(
        journal, epoch=1, ledger=ledger, disk=MemoryDisk(), stale_keys=["intent:zombie"]
    )
    assert writer.is_owing
    assert (await writer.flush()).is_accepted
    assert [dict(s.documents) for s in ledger.stores] == [journal.documents()] * 3
    assert not writer.is_owing


async def test_nothing_owed_asks_nobody() -> None:
    """An idle pass costs the stores nothing."""
    ledger = make_ledger()
    for store in ledger.stores:
        store.is_up = False
    writer = JournalWriter(Journal(), epoch=1, ledger=ledger, disk=MemoryDisk())
    assert (await writer.flush()).is_accepted


async def test_a_stalled_disk_is_reported_in_time_and_written_when_it_returns() -> None:
    """SD cards stall: the loop must show progress, and nothing may be written out of order."""
    release = threading.Event()

    def stall() -> None:
        assert release.wait(60)

    disk = MemoryDisk(stall)
    writer = JournalWriter(Journal(), epoch=1, ledger=make_ledger(), disk=disk, disk_timeout_s=0.05)
    await put(writer, 0)
    first = await writer.flush()
    assert first.is_accepted
    assert not first.is_on_disk
    await put(writer, 1)
    second = await writer.flush()
    assert second.is_accepted
    assert "has not returned" in second.disk_reason
    release.set()
    async with asyncio.timeout(60):
        while writer.is_owing:
            await writer.flush()
            await asyncio.sleep(0)
    assert set(merge([("disk", disk.documents)]).journal.intents) == {make_id(0), make_id(1)}


async def test_concurrent_edits_and_flushes_lose_nothing(tmp_path: Path) -> None:
    """An edit made while a write is under way is written by the next one."""
    ledger = make_ledger()
    disk = JournalFile.open(tmp_path / "journal.jsonl")
    writer = JournalWriter(Journal(), epoch=1, ledger=ledger, disk=disk)

    async def edit_and_flush(counter: int) -> None:
        await put(writer, counter)
        await writer.flush()

    await asyncio.gather(*(edit_and_flush(n) for n in range(20)))
    await writer.flush()
    disk.close()
    found = read_journal(tmp_path / "journal.jsonl")
    assert found.documents == writer.journal.documents() == dict(ledger.stores[0].documents)
    assert len(writer.journal.intents) == 20


async def test_promise_of_the_other_node_waives_the_stores_but_not_the_disk() -> None:
    """R14: nobody else may take over, so this disk is enough; what the store misses stays owed."""
    ledger, disk = make_ledger(), MemoryDisk()
    waived = [False]
    writer = JournalWriter(
        Journal(), epoch=1, ledger=ledger, disk=disk, is_ledger_waived=lambda: waived[0]
    )
    for store in ledger.stores:
        store.is_up = False
    await put(writer, 0)
    assert not (await writer.flush()).is_accepted
    waived[0] = True
    written = await writer.flush()
    assert written.is_accepted
    assert written.ledger_reason
    assert is_owing(writer) is True
    for store in ledger.stores:
        store.is_up = True
    assert (await writer.flush()).is_accepted
    assert is_owing(writer) is False
    assert [dict(s.documents) for s in ledger.stores] == [writer.journal.documents()] * 3


async def test_waived_stores_do_not_waive_a_disk_that_fails() -> None:
    """Without store and disk nothing would know the intent."""

    def fail() -> None:
        raise JournalError("no space left on device")

    ledger = make_ledger()
    for store in ledger.stores:
        store.is_up = False
    writer = JournalWriter(
        Journal(), epoch=1, ledger=ledger, disk=MemoryDisk(fail), is_ledger_waived=lambda: True
    )
    await put(writer, 0)
    assert not (await writer.flush()).is_accepted


async def test_store_that_is_away_is_waited_for_only_shortly_under_a_promise() -> None:
    """An order's window would not last: a hanging store costs a tenth of a second, once."""
    release = threading.Event()
    calls: list[int] = []

    class Hanging:
        """A ledger that does not come back before the test lets it."""

        def write(self, *, epoch: int, puts: object, deletes: object) -> LedgerAnswer:
            calls.append(epoch)
            assert release.wait(60)
            return make_ledger().write(epoch=1, puts={}, deletes=())

        def read(self) -> tuple[dict[str, str], ...]:
            return ()

    writer = JournalWriter(
        Journal(), epoch=1, ledger=Hanging(), disk=MemoryDisk(), is_ledger_waived=lambda: True
    )
    await put(writer, 0)
    assert (await writer.flush()).is_accepted
    await put(writer, 1)
    again = await writer.flush()
    assert again.is_accepted
    assert "has not ended" in again.ledger_reason
    assert calls == [1]
    release.set()


async def test_disk_that_stalls_and_then_fails_leaves_no_error_behind() -> None:
    """Found by the simulator (seed 3009, three stores): the error came when nobody waited."""
    goes_on, left_behind = threading.Event(), list[str]()

    class DyingDisk:
        def append(self, *, puts: Mapping[str, str], deletes: tuple[str, ...]) -> None:
            goes_on.wait(5)
            raise JournalError("the disk is failing")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: left_behind.append(str(context)))
    writer = JournalWriter(
        Journal(), epoch=1, ledger=make_ledger(), disk=DyingDisk(), disk_timeout_s=0.01
    )
    written = await writer.write(*Journal().edit(epoch=1, intents=[make_record(1)]))
    assert not written.is_on_disk
    goes_on.set()
    task = writer._disk_task
    assert task is not None
    await asyncio.wait({task})
    del task
    writer._disk_task = None
    gc.collect()
    assert left_behind == []
