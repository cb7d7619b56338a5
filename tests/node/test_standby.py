"""Standing by: the copy survives the stores, the venue is proven, a stalled disk stalls nobody."""

import threading
from collections.abc import Mapping
from typing import cast

from alerts.model import Kind
from election.model import StoreName
from election.quorum import Quorum
from election.redis_ledger import RedisLedger
from exchange.errors import JournalError
from exchange.journal_file import JournalFile
from exchange.memory_venue import Fault
from node.bounded import OneAtATime
from node.health import Health
from node.standby import Standby
from tests.support.shift_rig import NamedLedger
from tests.support.trading_rig import SYMBOL, Rig, buy, wanting
from tests.support.until import until


class Card:
    """A disk copy that the test can break or stall."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.error = ""
        self.gate = threading.Event()
        self.gate.set()

    def replace_all(self, documents: Mapping[str, str]) -> bool:
        assert self.gate.wait(60)
        if self.error:
            raise JournalError(self.error)
        self.documents = dict(documents)
        return True


class Bench:
    """A standby beside a cluster in which one order rests."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.card, self.health = rig, Card(), Health()
        self.ledger, self.floors, self.steps = NamedLedger(rig), list[int](), list[str]()
        self.standby = Standby(
            ledger=cast("RedisLedger", self.ledger),
            disk=cast("JournalFile", self.card),
            venue=rig.venue,
            clock_error_ms=lambda: 3.0,
            health=self.health,
            symbols=(SYMBOL,),
            cluster_id="test-desk",
            raise_floor=self.floors.append,
            on_step=self.steps.append,
            monotonic_s=rig.now_s,
            reporter=rig.reporter,
            early=rig.early_look(),
        )


async def bench() -> Bench:
    rig = Rig()
    rig.asked.answer = wanting(buy("b1"))
    await rig.start(epoch=4)
    await rig.turn()
    return Bench(rig)


async def test_the_tail_is_on_disk_and_survives_empty_stores() -> None:
    """S3: a store that has just lost its data does not empty the copy."""
    node = await bench()
    await node.standby.tail()
    copy = dict(node.card.documents)
    assert copy == node.rig.trader.journal.documents()
    for store in node.rig.ledger.stores:
        store.flush()
    await node.standby.tail()
    assert node.card.documents == copy


async def test_a_disk_that_refuses_makes_unfit_until_it_takes_again() -> None:
    """A standby that could not journal must not contend."""
    node = await bench()
    node.card.error = "the disk is full"
    await node.standby.tail()
    assert node.health.journal_error == "the disk is full"
    node.card.error = ""
    await node.standby.tail()
    assert node.health.journal_error == ""


async def test_a_disk_that_stalls_makes_unfit_and_holds_nothing_up() -> None:
    """R8: bounded; the copy follows when the card is back."""
    node = await bench()
    node.standby.tail_disk = OneAtATime(0.01)
    node.card.gate.clear()
    await node.standby.tail()
    assert "does not answer" in node.health.journal_error
    node.card.gate.set()
    await until(lambda: node.card.documents)
    node.standby.tail_disk = OneAtATime(60)
    await node.standby.tail()
    assert node.health.journal_error == ""


async def test_a_document_nobody_can_read_is_told_once_however_often_it_is_tailed() -> None:
    """The others survive, and a person hears what lies there."""
    node = await bench()
    key, text = next(iter(node.rig.trader.journal.documents().items()))
    node.rig.ledger.stores[0].documents[key] = text[:-2]
    node.rig.ear.events.clear()
    for _ in range(3):
        await node.standby.tail()
    await node.rig.reporter.flush()
    (event,) = node.rig.ear.events
    assert event.kind is Kind.DEGRADED
    assert key in event.facts["reason"]
    assert node.card.documents[key] == text


async def test_too_few_stores_give_no_journal_to_take_over_with() -> None:
    """What one store shows may be without the last intents."""
    node = await bench()
    node.ledger.silent = {"a", "b"}
    assert await node.standby.gather(quorum=Quorum(tuple(StoreName(n) for n in "abc"))) is None
    assert await node.standby.gather() is not None
    node.ledger.silent = {"a"}
    names = tuple(StoreName(n) for n in "abc")
    assert await node.standby.gather(quorum=Quorum(names, StoreName("b"))) is not None
    # two of three, without the one that every decision of a pair that grows needs
    assert await node.standby.gather(quorum=Quorum(names, StoreName("a"))) is None


async def test_the_venue_check_proves_account_clock_and_floor() -> None:
    """R7: own signed call, known offset, the highest epoch at the venue."""
    node = await bench()
    await node.standby.check_venue()
    assert (node.health.account, node.health.clock_error_ms) == ("memory", 3.0)
    assert node.health.venue_error == ""
    assert node.floors == [4]


async def test_a_failed_check_is_asked_again_soon() -> None:
    """A venue that is back is noticed in seconds."""
    node = await bench()
    node.rig.on_call = lambda _name: Fault.UNAVAILABLE
    await node.standby.cycle()
    assert node.health.venue_error
    node.rig.on_call = lambda _name: Fault.NONE
    node.rig.exchange.now_ms += 2_000
    await node.standby.cycle()
    assert node.health.venue_error
    node.rig.exchange.now_ms += 2_000
    await node.standby.cycle()
    assert node.health.venue_error == ""


async def test_the_tail_teaches_which_epochs_were_used() -> None:
    """R7: stores that begin empty forget them; the copy on this disk does not."""
    node = await bench()
    await node.standby.tail()
    await node.standby.tail()
    assert node.floors == [4]
