"""Which finished turns are reported to the outside, and what is told of a silent service."""

from types import SimpleNamespace
from typing import cast

import pytest

from alerts.model import Kind, Verdict
from node.config_box import DeadmanConfig
from node.deadman import Ping, PingAnswer, Watched
from node.deadman_watch import DeadmanWatch
from node.health import Health
from node.parts import NodeParts
from node.role import Role
from node.teller import Teller
from tests.support.trading_rig import Ear

GOOD = PingAnswer(took_ms=30.0)
BAD = PingAnswer(took_ms=None, error="no answer in time")


class Service:
    """A pinger that answers as the test says; `is_hung`: the last ping never ends."""

    def __init__(self) -> None:
        self.sent: list[Ping] = []
        self.answer = GOOD
        self.is_hung = False
        self._owed: list[PingAnswer] = []

    def send(self, ping: Ping) -> bool:
        if self.is_hung:
            return False
        self.sent.append(ping)
        self._owed.append(self.answer)
        return True

    def take_answer(self) -> PingAnswer | None:
        return self._owed.pop(0) if self._owed else None


class Rig:
    """A leader that is well, at monotonic second 1000."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.now_s = 1000.0
        self.cluster, self.node = Service(), Service()
        self.health = Health(role=Role.ACTIVE, venue_error="", venue_proven_s=1000.0)
        self.left_s: float = 4.0
        self.permit = SimpleNamespace(remaining_s=lambda: self.left_s, epoch=7)
        self.latches = SimpleNamespace(is_paused=False)
        parts = SimpleNamespace(
            config=SimpleNamespace(
                deadman=DeadmanConfig(),
                label_of=lambda _: "Jetson",
                venue=SimpleNamespace(reconcile_interval_ms=15_000, read_budget_s=4.0),
            ),
            node_id="jetson",
            pingers={Watched.CLUSTER: self.cluster, Watched.NODE: self.node},
            health=self.health,
            heartbeat=SimpleNamespace(permit=self.permit),
            watch=SimpleNamespace(latches=self.latches),
            teller=Teller(self.ear, cluster="c", node_id="jetson", epoch=lambda: 7),
            wall_ms=lambda: int(self.now_s * 1000),
        )
        self.watch = DeadmanWatch(cast("NodeParts", parts))

    async def turns(self, seconds: int, *, is_venue_proven: bool = True) -> None:
        """Finish one turn a second."""
        for _ in range(seconds):
            self.now_s += 1
            if is_venue_proven:
                self.health.venue_proven_s = self.now_s
            await self.watch.step(self.now_s)


async def test_leader_that_is_well_pings_both_at_the_pace() -> None:
    """One ping a minute, the first with the first finished turn."""
    rig = Rig()
    await rig.turns(121)
    assert [p.text for p in rig.cluster.sent] == ["Jetson leads, epoch 7"] * 3
    assert [p.text for p in rig.node.sent] == ["Jetson: leader"] * 3
    assert all(p.is_well for p in (*rig.cluster.sent, *rig.node.sent))
    assert rig.cluster.sent[-1].last_ms == 30.0
    assert rig.health.outside["cluster"].error == ""
    assert rig.now_s - rig.health.outside["cluster"].answered_s < 60


async def test_without_a_turn_nothing_is_sent() -> None:
    """A loop that hangs is silent: that is the alarm."""
    rig = Rig()
    await rig.turns(1)
    rig.now_s += 3600
    assert len(rig.cluster.sent) == len(rig.node.sent) == 1


@pytest.mark.parametrize(
    "what", ["standby", "taking over", "lease over", "venue error", "venue silent", "draining"]
)
async def test_cluster_is_not_pinged_by_one_that_does_not_trade(what: str) -> None:
    """A renewed lease and a venue that answered, or nothing."""
    rig = Rig()
    match what:
        case "standby":
            rig.health.role = Role.STANDBY
        case "taking over":
            rig.health.role = Role.TAKEOVER
        case "draining":
            rig.health.role = Role.DRAINING
        case "lease over":
            rig.left_s = 0.0
        case "venue error":
            rig.health.venue_error = "VenueUnreachable: timeout"
        case _:
            rig.health.venue_proven_s = 1000.0 - 35.0  # two looks and a read are 34 s
    await rig.turns(1, is_venue_proven=False)
    assert rig.cluster.sent == []
    assert len(rig.node.sent) == 1


async def test_lease_counts_until_its_last_moment_and_the_venue_too() -> None:
    """The other side of both bounds: half a second of permit, two looks and a read."""
    rig = Rig()
    rig.left_s = 0.5
    rig.health.venue_proven_s = 1001.0 - 34.0
    await rig.turns(1, is_venue_proven=False)
    assert len(rig.cluster.sent) == 1


async def test_paused_leader_goes_on_pinging_and_says_so() -> None:
    """A person paused it: no alarm, and no riddle either."""
    rig = Rig()
    rig.latches.is_paused = True
    await rig.turns(1)
    assert rig.cluster.sent[0].text == "Jetson leads, epoch 7, paused"


@pytest.mark.parametrize("why", ["halted", "crash loop"])
async def test_node_that_waits_for_a_person_asks_for_an_alarm(why: str) -> None:
    """It runs, but it will do nothing until somebody has looked."""
    rig = Rig()
    if why == "halted":
        rig.health.role = Role.HALTED
    else:
        rig.health.role, rig.health.crash_loop = Role.STANDBY, "3 crashes"
    await rig.turns(1)
    assert [p.is_well for p in rig.node.sent] == [False]
    assert rig.cluster.sent == []


@pytest.mark.parametrize("is_hung", [False, True], ids=["it answers badly", "it hangs"])
async def test_silent_service_is_told_once_and_so_is_its_return(*, is_hung: bool) -> None:
    """After five minutes, with the URL's name and never the URL."""
    rig = Rig()
    rig.node.is_hung, rig.node.answer = is_hung, BAD
    await rig.turns(900)
    assert rig.ear.kinds() == [Kind.DEGRADED]
    told = rig.ear.events[0]
    assert "node" in told.facts["what"]
    assert told.facts["reason"].endswith("5 min") or "5.0" in told.facts["reason"]
    assert rig.health.outside["node"].error
    assert rig.health.outside["cluster"].error == ""
    rig.node.is_hung, rig.node.answer = False, GOOD
    await rig.turns(60)
    assert rig.ear.kinds() == [Kind.DEGRADED, Kind.RECOVERED]
    assert rig.ear.events[1].verdict is Verdict.GOOD_AGAIN
