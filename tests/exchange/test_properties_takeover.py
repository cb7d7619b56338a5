"""Anomaly loops: the Nth call of each kind fails, or the process dies there; another node goes on.

After every run the world is checked, not the calls: the position is the sum of our fills, no
client order id came to the venue twice, no order of ours is unaccounted for, what is wanted is
there once, and the target was never bought twice.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from exchange.errors import JournalError, VenueUnavailable
from exchange.identity import Owner, owner_of
from exchange.memory_ledger import MemoryLedger, MemoryStore
from exchange.memory_venue import Fault, MemoryExchange, MemoryVenue
from exchange.model import ClientOrderId, OrderIntent, Position, Side, VenueOrder
from exchange.orders import OrderEvent, OrderEventKind
from exchange.positions import apply_fill
from exchange.wanted import Wanted, WantedOrder
from tests.support.desk import CLUSTER, Desk, MemoryDisk, new_desk

GRID, TARGET = "ETH/USDT", "BTC/USDT"
DUST = Decimal("0.02")  # less than the market's smallest value at a price of 100


class Crash(BaseException):
    """The process is gone; nothing in it may handle this."""


class DyingExchange(MemoryExchange):
    """Accepts an order, and then the process that sent it may be gone."""

    after_accept: Callable[[], None] = staticmethod(lambda: None)

    def accept(self, intent: OrderIntent) -> VenueOrder | str:
        taken = super().accept(intent)
        self.after_accept()
        return taken


@dataclass
class World:
    """Venue, stores, two nodes' disks, and one fault that is still to come."""

    kind: str = ""
    number: int = 0
    fault: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    has_fired: bool = False
    sent: list[ClientOrderId] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exchange = DyingExchange({GRID: Decimal(100), TARGET: Decimal(100)})
        self.exchange.after_accept = lambda: self.strike("place answer", "after")
        self.ledger = MemoryLedger(
            [MemoryStore(name) for name in ("jetson", "pi", "witness")],
            before_call=lambda _name: self.strike("ledger", "before"),
            after_call=lambda _name: self.strike("ledger answer", "after"),
        )
        self.disks = {
            "jetson": MemoryDisk(lambda: self.strike("disk", "before")),
            "raspberrypi": MemoryDisk(),
        }

    def is_due(self, kind: str) -> bool:
        """Count a call; say whether the fault strikes this one."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        is_due = kind == self.kind and (
            self.counts[kind] == self.number
            or (self.fault == "for good" and self.counts[kind] > self.number)
        )
        self.has_fired |= is_due
        return is_due

    def strike(self, kind: str, when: str) -> None:
        if not self.is_due(kind):
            return
        if self.fault == "crash":
            raise Crash
        if kind == "disk":
            raise JournalError("the disk is full: free space")
        raise ConnectionError(f"no answer ({when})")

    def on_call(self, name: str) -> Fault:
        kind = name if name in {"place", "cancel", self.kind} else "read"
        if not self.is_due(kind):
            return Fault.NONE
        if self.fault == "crash":
            raise Crash
        return Fault.UNAVAILABLE if kind == "read" else Fault(self.fault)  # the other kinds name it

    def desk(self, node_id: str, epoch: int) -> Desk:
        """Grant an epoch to a node; only the first one meets the fault."""
        link = MemoryVenue(self.exchange, on_call=self.on_call)
        desk = new_desk(
            self.exchange,
            self.ledger,
            epoch=epoch,
            node_id=node_id,
            venue=link if epoch == 1 else MemoryVenue(self.exchange),
            disk=self.disks[node_id],
            observe=self.note,
        )
        if epoch > 1:
            self.kind = ""
        return desk

    def note(self, event: OrderEvent) -> None:
        if event.kind is OrderEventKind.SENDING:
            self.sent.append(event.client_order_id)


def wanted_at(price: int) -> Mapping[str, Wanted]:
    """Return two resting buys around a price, and two units of the other symbol."""
    orders = tuple(
        WantedOrder(tag=f"b{n}", side=Side.BUY, amount=Decimal(1), price=Decimal(price - n))
        for n in (1, 2)
    )
    return {
        GRID: Wanted(symbol=GRID, orders=orders),
        TARGET: Wanted(symbol=TARGET, target=Decimal(2)),
    }


async def trade(world: World, desk: Desk, tail: Callable[[], None]) -> None:
    """Let the holder trade through a fill, a new decision with replacements, and a partial move.

    Raises:
        Crash: the fault is a crash.
    """
    desk.take_over()
    for number in range(12):
        if number == 3:
            world.exchange.move_price(GRID, Decimal(99))  # fills b1
            world.exchange.move_price(GRID, Decimal(100))
        if number in {5, 8}:
            desk.spent.clear()  # the strategy decided anew
        world.exchange.depth = Decimal("0.8") if number < 2 else None
        with suppress(VenueUnavailable):  # no snapshot, no trading in this pass
            await desk.pass_once(wanted_at(100 if number < 5 else 98 if number < 8 else 97))
        world.exchange.now_ms += 1500
        tail()


def check(world: World, desk: Desk) -> None:
    """Check the world after a desk has come to rest."""
    accepted = [entry.client_order_id for entry in world.exchange.accepted]
    assert len(accepted) == len(set(accepted)), "a client order id came twice"
    ours = {
        number: order
        for number, order in world.exchange.orders.items()
        if owner_of(order.client_order_id, cluster_tag=CLUSTER, my_epoch=desk.epoch)
        is not Owner.FOREIGN
    }
    for symbol in (GRID, TARGET):
        position = Position(symbol=symbol)
        for fill in world.exchange.fills:
            if fill.symbol == symbol and fill.venue_order_id in ours:
                position = apply_fill(position, fill)
                assert symbol == GRID or position.amount <= 2, "the target was bought twice"
        counted = desk.writer.journal.position(symbol).position
        assert counted == position, "the position is not the sum of fills"
    open_ids = {o.client_order_id for o in ours.values() if not o.status.is_final}
    assert set(desk.writer.journal.intents) == open_ids, "an intent was lost, or is a ghost"
    assert set(accepted) <= set(world.sent), "the venue has an order that nobody sent"
    held = desk.writer.journal.position(TARGET).position.amount
    assert 2 - DUST <= held <= 2
    grid = sorted(o.price or 0 for o in ours.values() if not o.status.is_final)
    assert len(grid) == len(set(grid)), "a wanted order is there twice"


CRASHES = ["ledger", "ledger answer", "disk", "read", "place", "place answer", "cancel"]
LOSSES = {
    "the stores are there": ("stores",),
    "the stores are empty, the standby has its copy": ("copy",),
    "the stores are empty, the dead node's disk is there": ("own disk",),
    "nothing is left but the venue": (),
}


async def decide_and_settle(desk: Desk) -> None:
    """Come to rest, let the strategy decide anew on what is known by then, come to rest again."""
    await desk.settle(wanted_at(97))
    desk.spent.clear()
    await desk.settle(wanted_at(97))


async def go_on_elsewhere(world: World, kept: tuple[str, ...], copy: dict[str, str]) -> None:
    """Let the other node take over from what is left, then give the lease back once more."""
    if "stores" not in kept:
        for store in world.ledger.stores:
            store.flush()
    if "own disk" in kept:
        copy = dict(world.disks["jetson"].documents)
    elif "copy" not in kept:
        copy = {}
    other = world.desk("raspberrypi", 2)
    other.take_over(("tailing copy", copy))
    await decide_and_settle(other)
    check(world, other)
    # The dead node comes back with its old disk: nothing old may win, nothing may be repeated.
    before = len(world.exchange.accepted)
    again = world.desk("jetson", 3)
    again.take_over()
    await decide_and_settle(again)
    check(world, again)
    assert len(world.exchange.accepted) == before, "the second takeover placed something again"


@pytest.mark.parametrize("kept", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("kind", CRASHES)
async def test_a_crash_at_any_call_loses_and_doubles_nothing(
    kind: str, kept: tuple[str, ...]
) -> None:
    """The holder dies at the Nth call, for every N; one ttl later the other node goes on."""
    number = 0
    while True:
        number += 1
        world = World(kind=kind, number=number, fault="crash")
        copy: dict[str, str] = {}

        def tail(world: World = world, copy: dict[str, str] = copy) -> None:
            copy.clear()
            copy.update(world.ledger.stores[1].documents)

        with suppress(Crash):
            await trade(world, world.desk("jetson", 1), tail)
        world.exchange.now_ms += 6120  # ttl·(1+d)
        await go_on_elsewhere(world, kept, copy)
        if not world.has_fired:
            break
    assert number > 2, "the fault never struck: the loop tests nothing"


FAULTS = [
    ("ledger", "once"),
    ("ledger answer", "once"),
    ("ledger", "for good"),
    ("disk", "once"),
    ("disk", "for good"),
    ("read", "once"),
    ("fills", "stale"),
    *(
        (kind, fault.value)
        for kind in ("place", "cancel")
        for fault in Fault
        if fault not in {Fault.NONE, Fault.STALE}
    ),
]


@pytest.mark.parametrize(("kind", "fault"), FAULTS, ids=str)
async def test_a_failure_at_any_call_loses_and_doubles_nothing(kind: str, fault: str) -> None:
    """The Nth call fails, for every N; the holder goes on, then the other node takes over."""
    number = 0
    while True:
        number += 1
        world = World(kind=kind, number=number, fault=fault)
        holder = world.desk("jetson", 1)
        await trade(world, holder, lambda: None)
        if fault != "for good":
            world.kind = ""
            await decide_and_settle(holder)
            check(world, holder)
        await go_on_elsewhere(world, ("stores",), {})
        if not world.has_fired:
            break
    assert number > 2, "the fault never struck: the loop tests nothing"


@pytest.mark.parametrize("arrives_after_s", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("symbol", [GRID, TARGET])
async def test_an_order_that_arrives_after_the_takeover_is_found_and_not_doubled(
    symbol: str, arrives_after_s: int
) -> None:
    """A killed holder's bytes still leave; its successor blocks the symbol until it knows.

    The takeover is immediate (a crash under a supervisor), the deadline 5 s away.
    """
    world = World(kind="place", number=1, fault=Fault.LATE.value)
    holder = world.desk("jetson", 1)
    holder.take_over()
    await holder.pass_once({s: w for s, w in wanted_at(97).items() if s == symbol})
    assert world.has_fired
    other = world.desk("raspberrypi", 2)
    other.take_over()
    for _ in range(arrives_after_s + 1):
        findings, _, _ = await other.pass_once(wanted_at(97))
        assert [u.symbol for u in findings.unclear] == [symbol]
        assert symbol in findings.blocked
        world.exchange.now_ms += 1000
    world.exchange.deliver_late()
    await decide_and_settle(other)
    assert len(world.exchange.accepted) == 3, "two resting orders and one move"
    check(world, other)
