"""The writer: one write at a time, nothing forgotten, a stalled disk does not stall the loop."""

import asyncio
import threading
from pathlib import Path

from exchange.journal import Journal, merge
from exchange.journal_file import JournalFile, read_journal
from exchange.journal_writer import JournalWriter
from exchange.memory_ledger import MemoryLedger, MemoryStore
from tests.support.desk import MemoryDisk
from tests.support.journals import make_id, make_record


def make_ledger() -> MemoryLedger:
    ledger = MemoryLedger([MemoryStore(str(n)) for n in range(3)])
    ledger.grant(1)
    return ledger


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
