"""Who is spare, and whether anybody trades: a pause takes no spare, a long takeover trades not."""

from types import SimpleNamespace
from typing import cast

from alerts.model import Kind
from node.box_watch import BoxWatch
from node.health import Health
from node.overseer import Overseer
from node.parts import NodeParts
from node.role import Role
from node.teller import Teller
from node.watch import Member
from tests.support.trading_rig import Ear, Rig


class QuietBox:
    """The box by shape: nothing happens to it."""

    async def step(self, now_s: float) -> None:
        """Nothing to look at."""

    async def remember_trading(self) -> None:
        """Nothing to remember."""


class World:
    """One node's view of the other one."""

    def __init__(self, rig: Rig, role: Role) -> None:
        self.now_s, self.ear = 1000.0, Ear()
        self.health = Health(role=role, is_ready=True, venue_error="", reasons=())
        self.peer = Member(node_id="raspberrypi", age_s=0.5, role="standby", reasons=())
        self.latches = rig.watch.latches
        watch = SimpleNamespace(
            latches=self.latches,
            has_looked=True,
            members={},
            stores_answered=3,
            peers=lambda: {"raspberrypi": self.peer},
        )
        config = SimpleNamespace(
            timing=lambda: SimpleNamespace(takeable_after_s=6.0),
            health=SimpleNamespace(stable_for_s=600),
            cluster=SimpleNamespace(preferred_node="jetson"),
            nodes=("jetson", "raspberrypi"),
            stores=("a", "b", "c"),
            venue=SimpleNamespace(read_budget_s=4.0),
        )
        parts = SimpleNamespace(
            config=config,
            node_id="jetson",
            identity=SimpleNamespace(nonce="n1"),
            health=self.health,
            watch=watch,
            fresh_s=5.0,
            teller=Teller(self.ear, cluster="c", node_id="jetson", epoch=lambda: 1),
            wall_ms=lambda: int(self.now_s * 1000),
            monotonic_s=lambda: self.now_s,
        )
        self.overseer = Overseer(cast("NodeParts", parts))
        self.overseer.box = cast("BoxWatch", QuietBox())

    async def watch_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1
            await self.overseer.step(None, None)

    def peer_is(self, role: str = "standby", *reasons: str, age_s: float = 0.5) -> None:
        self.peer = Member(node_id="raspberrypi", age_s=age_s, role=role, reasons=reasons)


async def world(role: Role = Role.ACTIVE) -> World:
    rig = Rig()
    await rig.watch.put("cluster", {"born_ms": 0}, reason="test")
    return World(rig, role)


async def test_a_spare_that_goes_and_comes_is_told_once_each() -> None:
    """L1: with nobody to take over, the next failure stops trading."""
    node = await world()
    node.overseer.spare.reset(has_spare=True)
    node.peer_is(age_s=9.0)
    await node.watch_for(20)
    node.peer_is()
    await node.watch_for(20)
    assert node.ear.kinds() == [Kind.SPARE_LOST, Kind.SPARE_BACK]


async def test_a_pause_takes_no_spare_away() -> None:
    """Both nodes stop for the same reason: that is no loss of a spare."""
    node = await world()
    node.overseer.spare.reset(has_spare=True)
    node.peer_is("standby", "the cluster is paused: lunch (by eva)")
    await node.watch_for(20)
    assert Kind.SPARE_LOST not in node.ear.kinds()


async def test_a_takeover_that_lasts_is_told_by_the_node_that_is_at_it() -> None:
    """S5: a venue that is away during a takeover must not be silence."""
    node = await world(Role.TAKEOVER)
    node.health.reasons = ("venue: VenueUnavailable: no answer",)
    await node.watch_for(60)
    assert node.ear.kinds().count(Kind.NOBODY_TRADES) == 1
    other = await world(Role.STANDBY)
    other.peer_is("takeover")
    await other.watch_for(60)
    assert Kind.NOBODY_TRADES not in other.ear.kinds()


async def test_a_quick_failover_is_no_silence() -> None:
    """A takeover within the patience needs no alarm."""
    node = await world(Role.STANDBY)
    node.peer_is("active")
    await node.watch_for(5)
    node.peer_is("gone", age_s=9.0)
    node.health.role = Role.TAKEOVER
    await node.watch_for(8)
    node.health.role = Role.ACTIVE
    await node.watch_for(30)
    assert Kind.NOBODY_TRADES not in node.ear.kinds()
