"""A node hurts itself only for a fresh request that names it, its epoch, and a fit cluster."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from election.address import StoreAddress
from election.control_record import ControlRecord
from election.cut import PEER, StoreCut
from election.model import StoreName
from exchange.orders import OrderEvent, OrderEventKind
from node.crashes import Crash
from node.drill.driller import CRASH_WAIT_S, REQUEST_S, Driller
from node.drill.model import DRILL, TICKET_S, DrillKind, DrillRequest, ticket_at
from node.health import Health
from node.latches import PAUSE, Latches
from node.parts import NodeParts
from node.role import Role

NONCE = "n1"


class Hands:
    """What would have been done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def kill(self) -> None:
        self.done.append("kill")

    def hang(self, seconds: float) -> None:
        self.done.append(f"hang {seconds:g}")


class World:
    """One node that leads under epoch 7, with a spare; everything may be changed."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.version = 0
        self.spares: tuple[str, ...] = ("raspberrypi",)
        self.health = Health(role=Role.ACTIVE)
        self.hands = Hands()
        self.crashes: list[Crash] = []
        self.cut = StoreCut(lambda: self.now_s)
        self.drills = SimpleNamespace(is_allowed=True)
        self.permit = SimpleNamespace(epoch=7)
        self.watch = SimpleNamespace(latches=Latches(records={}, is_complete=True), has_looked=True)
        names = ("jetson", "raspberrypi", "witness")
        parts = SimpleNamespace(
            config=SimpleNamespace(
                drills=self.drills, lease=SimpleNamespace(hang_limit_ms=5000, ttl_ms=6000)
            ),
            node_id="jetson",
            identity=SimpleNamespace(nonce=NONCE),
            heartbeat=SimpleNamespace(permit=self.permit),
            watch=self.watch,
            health=self.health,
            crashes=SimpleNamespace(note=self.crashes.append),
            wall_ms=lambda: 1,
            addresses=tuple(
                StoreAddress(name=StoreName(n), host="127.0.0.1", port=1, cut=self.cut)
                for n in names
            ),
        )
        self.driller = Driller(
            cast("NodeParts", parts), spares=lambda: self.spares, hands=self.hands
        )
        self.step()

    def step(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self.driller.step(self.now_s)

    def ask(self, kind: DrillKind, **changes: Any) -> None:
        """Put a request beside the other records and take one look."""
        fields: dict[str, Any] = {
            "drill_id": f"{kind}-1",
            "kind": kind,
            "target": "witness" if kind is DrillKind.STORE else "jetson",
            "holder": "jetson",
            "epoch": 7,
            "lasting_s": 20.0,
            "tickets": {"jetson": ticket_at(NONCE, self.now_s)},
        }
        self.put(DRILL, DrillRequest(**{**fields, **changes}).to_value())
        self.step()

    def put(self, kind: str, value: dict[str, Any]) -> None:
        self.version += 1
        record = ControlRecord(
            kind=kind, version=self.version, value=value, by="ada", at_ms=1, reason=""
        )
        self.watch.latches = Latches(
            records={**self.watch.latches.records, kind: record}, is_complete=True
        )

    def send_order(self) -> None:
        event = OrderEvent(
            kind=OrderEventKind.SENDING,
            symbol="ETH/USDT",
            client_order_id=cast("Any", "h0001"),
            reason="",
        )
        self.driller.note_order(event)

    @property
    def is_hurt(self) -> bool:
        names = ("jetson", "raspberrypi", "witness", PEER)
        return bool(self.hands.done) or any(self.cut.is_cut(n) for n in names)


def test_without_a_request_nothing_is_ever_done() -> None:
    """The seam is off: orders, turns and time change nothing."""
    world = World()
    for _ in range(50):
        world.step(10.0)
        world.send_order()
    assert not world.is_hurt


def test_a_crash_waits_for_an_order_in_flight() -> None:
    """Right after the intent was journalled; the log's thread gets a moment."""
    world = World()
    world.ask(DrillKind.CRASH)
    assert not world.is_hurt
    world.send_order()
    assert world.hands.done[-1] == "kill"


def test_a_death_in_a_drill_does_not_count_against_the_node() -> None:
    """R16: three crashes in ten minutes make a node stand aside; drills are no crashes."""
    for kind in (DrillKind.CRASH, DrillKind.HANG):
        world = World()
        world.ask(kind)
        world.send_order()
        (crash,) = world.crashes
        assert crash.nonce == NONCE
        assert "drill" in crash.why_not_counted
    cut = World()
    cut.ask(DrillKind.PARTITION)
    assert cut.crashes == []


def test_a_crash_of_a_quiet_leader_happens_all_the_same() -> None:
    world = World()
    world.ask(DrillKind.CRASH)
    world.step(CRASH_WAIT_S - 0.1)
    assert not world.is_hurt
    world.step(0.2)
    assert world.hands.done[-1] == "kill"


@pytest.mark.parametrize("meanwhile", ["pause", "no spare", "fenced"])
def test_a_crash_is_called_off_when_the_cluster_is_not_fit_any_more(meanwhile: str) -> None:
    """Between asking and the order things change: checked again at the last moment."""
    world = World()
    world.ask(DrillKind.CRASH)
    match meanwhile:
        case "pause":
            world.put(PAUSE, {"is_paused": True})
        case "no spare":
            world.spares = ()
        case _:
            world.health.role = Role.FENCED
    world.send_order()
    world.step(CRASH_WAIT_S + 1)
    world.send_order()
    assert not world.is_hurt


def test_a_hang_blocks_the_loop_beyond_the_hang_limit_and_the_lease() -> None:
    """R8: longer than hang_limit + ttl, so that the fence comes first."""
    world = World()
    world.ask(DrillKind.HANG)
    assert world.hands.done == ["hang 13"]


def test_a_partition_cuts_everything_that_is_not_on_the_own_box() -> None:
    world = World()
    world.ask(DrillKind.PARTITION)
    assert [world.cut.is_cut(n) for n in ("jetson", "raspberrypi", "witness", PEER)] == [
        False,
        True,
        True,
        True,
    ]
    assert world.health.drill["running"] == "partition-1"
    world.step(20.1)
    assert not world.cut.is_cut("raspberrypi")
    assert world.health.drill["running"] == ""


def test_a_store_is_cut_off_by_a_standby_too() -> None:
    world = World()
    world.health.role, world.permit.epoch, world.spares = Role.STANDBY, 0, ()
    world.ask(DrillKind.STORE)
    assert world.cut.is_cut("witness")
    assert not world.cut.is_cut("jetson")


@pytest.mark.parametrize(
    "change",
    [
        {"target": "raspberrypi"},
        {"epoch": 6},
        {"tickets": {"jetson": "000000000000"}},
        {"tickets": {"raspberrypi": ticket_at(NONCE, 1000.0)}},
        {"tickets": {"jetson": ticket_at("a process before", 1000.0)}},
        {"tickets": {"jetson": ticket_at(NONCE, 1000.0 - 2 * TICKET_S)}},
        {"kind": DrillKind.SWITCHOVER},
        {"kind": DrillKind.PLUG},
    ],
)
def test_what_is_not_meant_or_not_fresh_hurts_nobody(change: dict[str, Any]) -> None:
    """Another node, another epoch, an old or foreign ticket, kinds that hurt nobody."""
    world = World()
    world.ask(change.pop("kind", DrillKind.HANG), **change)
    world.step(REQUEST_S + 1)
    world.send_order()
    assert not world.is_hurt


@pytest.mark.parametrize("kind", [DrillKind.CRASH, DrillKind.HANG, DrillKind.PARTITION])
def test_only_a_leader_with_a_spare_that_is_not_paused_and_may_be_hurt(kind: DrillKind) -> None:
    for number in range(4):
        world = World()
        match number:
            case 0:
                world.health.role = Role.TAKEOVER
            case 1:
                world.spares = ()
            case 2:
                world.put(PAUSE, {"is_paused": True})
            case _:
                world.drills.is_allowed = False
        world.ask(kind)
        for _ in range(20):
            world.step(1.0)
        assert not world.is_hurt, number


def test_a_request_waits_a_moment_for_the_cluster_to_be_fit_and_is_then_forgotten() -> None:
    world = World()
    world.spares = ()
    world.ask(DrillKind.HANG)
    world.step(REQUEST_S - 1)
    world.spares = ("raspberrypi",)
    world.step()
    assert world.hands.done
    late = World()
    late.spares = ()
    late.ask(DrillKind.HANG)
    late.step(REQUEST_S + 1)
    late.spares = ("raspberrypi",)
    late.step(1.0)
    assert not late.is_hurt


def test_a_request_is_carried_out_once() -> None:
    """Also when every store shows it for a year."""
    world = World()
    world.ask(DrillKind.HANG)
    for _ in range(20):
        world.step(30.0)
    assert world.hands.done == ["hang 13"]


def test_a_request_from_before_this_process_is_old() -> None:
    world = World()
    world.ask(DrillKind.HANG)
    parts = world.driller.parts
    again = Driller(parts, spares=lambda: world.spares, hands=Hands())
    again.step(world.now_s)
    again.step(world.now_s + 1)
    assert cast("Hands", again.hands).done == []


def test_the_ticket_on_the_board_is_the_one_that_is_accepted() -> None:
    world = World()
    shown = world.health.drill["ticket"]
    world.ask(DrillKind.HANG, tickets={"jetson": shown})
    assert world.hands.done
