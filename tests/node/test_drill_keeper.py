"""Scheduled drills: the slot is written first, one hand-over, a verdict, one message."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from election.control_record import ControlRecord
from node.config_model import DrillPeriod, DrillsConfig
from node.drill.history import results_of
from node.drill.keeper import HAND_OVER_S, LOOK_S, SETTLED_S, DrillKeeper
from node.drill.model import DRILL, DRILL_LOG, Outcome, parse_request
from node.drill.schedule import DRILL_SCHEDULE
from node.health import Health
from node.latches import PAUSE, SWITCHOVER, Latches
from node.parts import NodeParts
from node.role import Role
from node.trader import Trader
from tests.node.test_doctor_losses import THREE
from tests.node.test_drill_schedule import at

CONFIG = THREE.model_copy(
    update={"drills": DrillsConfig(switchover=DrillPeriod.MONTHLY, hours_utc=(3,), slack_ms=5000)}
)


class World:
    """A leader; records are kept as a majority of the stores would."""

    def __init__(self, node_id: str = "jetson", epoch: int = 7) -> None:
        self.now_s = 1000.0
        self.venue_ms = at("2026-11-25T03:10")
        self.spares: tuple[str, ...] = ("raspberrypi",)
        self.unclear: tuple[str, ...] = ()
        self.is_majority = True
        self.wrote: list[str] = []
        self.told: list[tuple[str, str, Mapping[str, str]]] = []
        self.times: dict[str, float | int] = {}
        self.health = Health(role=Role.ACTIVE)
        self.permit = SimpleNamespace(epoch=epoch)
        self.watch = SimpleNamespace(
            latches=Latches(records={}, is_complete=True),
            has_looked=True,
            members={},
            put=self.put,
        )
        parts = SimpleNamespace(
            config=CONFIG,
            node_id=node_id,
            heartbeat=SimpleNamespace(permit=self.permit),
            watch=self.watch,
            health=self.health,
            times=SimpleNamespace(body=lambda: self.times),
            telegram=object(),
            teller=SimpleNamespace(tell=self.tell),
            link=SimpleNamespace(venue=SimpleNamespace(venue_now_ms=self.venue_now)),
        )
        self.trader = SimpleNamespace(
            epoch=epoch, journal=SimpleNamespace(unknown_intents=lambda: self.unclear)
        )
        self.keeper = DrillKeeper(cast("NodeParts", parts), spares=lambda: self.spares)

    async def venue_now(self) -> int:
        return self.venue_ms

    async def tell(self, kind: str, unique: str, facts: Mapping[str, str], **_: Any) -> None:
        self.told.append((kind, unique, facts))

    async def put(self, kind: str, value: dict[str, Any], *, reason: str) -> bool:
        self.wrote.append(kind)
        known = self.records.get(kind)
        self.records = {
            **self.records,
            kind: ControlRecord(
                kind=kind,
                version=1 if known is None else known.version + 1,
                value=value,
                by="jetson",
                at_ms=self.venue_ms,
                reason=reason,
            ),
        }
        return self.is_majority

    @property
    def handed(self) -> list[tuple[str, str]]:
        """Return to whom a switchover was asked for, and of whom."""
        asked = self.watch.latches.switchover
        return [] if asked is None else [(str(asked.value["to"]), str(asked.value["from"]))]

    @property
    def records(self) -> Mapping[str, ControlRecord]:
        found: Mapping[str, ControlRecord] = self.watch.latches.records
        return found

    @records.setter
    def records(self, records: Mapping[str, ControlRecord]) -> None:
        self.watch.latches = Latches(records=records, is_complete=True)

    async def step(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        await self.keeper.step(self.now_s, cast("Trader", self.trader))

    async def settle(self) -> None:
        """Lead long enough for a drill."""
        await self.step()
        await self.step(SETTLED_S + 1)
        await self.step(LOOK_S)


async def test_a_due_drill_writes_the_slot_first_and_hands_over_once() -> None:
    world = World()
    await world.settle()
    assert world.wrote == [DRILL_SCHEDULE, DRILL, SWITCHOVER]
    assert world.handed == [("raspberrypi", "jetson")]
    for _ in range(20):
        await world.step(LOOK_S)
    assert world.handed == [("raspberrypi", "jetson")]


async def test_a_slot_that_no_majority_took_starts_nothing() -> None:
    """Or a failover could start it again."""
    world = World()
    world.is_majority = False
    await world.settle()
    assert world.handed == []


async def test_only_at_a_safe_point() -> None:
    """No spare, paused, something unclear, another drill, or just begun: it waits."""
    for trouble in range(5):
        world = World()
        match trouble:
            case 0:
                world.spares = ()
            case 1:
                await world.put(PAUSE, {"is_paused": True}, reason="ada")
            case 2:
                world.unclear = ("h1",)
            case 3:
                body = {"drill": {"running": "store-1"}}
                world.watch.members = {"raspberrypi": SimpleNamespace(body=body)}
            case _:
                world.venue_ms = at("2026-11-25T05:10")
        await world.settle()
        assert world.handed == [], trouble
    young = World()
    await young.step()
    await young.step(SETTLED_S - 1)
    assert young.handed == []


async def test_a_restart_or_a_failover_in_the_same_slot_starts_no_second_one() -> None:
    """What is remembered is in the record, not in the process."""
    first = World()
    await first.settle()
    second = World("raspberrypi", epoch=9)
    second.records = {DRILL_SCHEDULE: first.records[DRILL_SCHEDULE]}
    await second.settle()
    assert second.handed == []


async def test_the_new_leader_judges_and_tells_once() -> None:
    """From its own takeover times and the old leader's word about its gate."""
    old = World()
    await old.settle()
    new = World("raspberrypi", epoch=8)
    new.records = dict(old.records)
    shift = {"closed_epoch": 7, "closed_venue_ms": 1_000_000}
    new.watch.members = {"jetson": SimpleNamespace(body={"shift": shift})}
    await new.step()
    assert results_of(new.records) == (), "the alert is awaited first"
    new.times = {"granted_venue_ms": 1_000_200, "ready_after_s": 0.3, "alert_after_s": 0.6}
    await new.step(1.0)
    (result,) = results_of(new.records)
    assert result.outcome is Outcome.PASSED
    ready = next(p.after_s for p in result.phases if p.name == "reconciled, trading")
    assert ready == 0.5
    for _ in range(3):
        await new.step(1.0)
    assert [(kind, unique) for kind, unique, _ in new.told] == [
        ("drill_passed", "scheduled-2026-11")
    ]
    assert len(results_of(new.records)) == 1


async def test_a_hand_over_that_did_not_happen_is_a_failed_drill() -> None:
    """The spare was lost at that moment: said, and not tried again in this slot."""
    world = World()
    await world.settle()
    await world.step(HAND_OVER_S + 1)
    await world.step(1.0)
    (result,) = results_of(world.records)
    assert result.outcome is Outcome.FAILED
    assert "nobody took over" in result.summary
    (told,) = world.told
    assert told[0] == "drill_failed"


async def test_results_from_before_this_process_are_not_told_again() -> None:
    old = World()
    await old.settle()
    await old.step(HAND_OVER_S + 1)
    again = World()
    again.records = dict(old.records)
    assert DRILL_LOG in again.records
    assert parse_request(again.records[DRILL]) is not None
    for _ in range(3):
        await again.step(1.0)
    assert again.told == []


async def test_a_standby_neither_starts_nor_judges_nor_tells() -> None:
    world = World()
    world.health.role = Role.STANDBY
    await world.settle()
    assert world.wrote == []
