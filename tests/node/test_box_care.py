"""A warning and its end are told once each, and join the limit that was told already."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from alerts.model import Kind, Verdict
from node.box_care import BoxCare
from node.box_limits import BoxLimits
from node.config_box import HealthConfig
from node.health import Health
from node.latches import Latches
from node.parts import NodeParts
from node.role import Role
from node.teller import Teller
from tests.node.test_box_warnings import WELL, board
from tests.node.test_doctor_losses import TWO
from tests.support.trading_rig import Ear


class Rig:
    """One box; `reading` is read every ten seconds, and judged by its limits first."""

    def __init__(self, **health: int) -> None:
        self.now_s, self.ear = 1000.0, Ear()
        self.health = Health(role=Role.STANDBY, is_ready=True, venue_error="")
        self.reading = WELL
        self.config = TWO.model_copy(update={"health": HealthConfig(**health)})
        self.limits = BoxLimits()
        parts = SimpleNamespace(
            config=self.config,
            node_id="jetson",
            identity=SimpleNamespace(nonce="n1"),
            health=self.health,
            teller=Teller(self.ear, cluster="c", node_id="jetson", epoch=lambda: 1),
            wall_ms=lambda: int(self.now_s * 1000),
            monotonic_s=lambda: self.now_s,
        )
        self.care = BoxCare(cast("NodeParts", parts))

    async def watch(self, seconds: int) -> None:
        for _ in range(seconds // 10):
            self.now_s += 10
            self.health.resources = replace(self.reading)
            self.health.resource_reasons = self.limits.judge(
                self.now_s, self.health.resources, self.config.health
            )
            await self.care.step(self.now_s)
            await self.care.step(self.now_s + 1)  # the same reading again is no news

    def warnings(self) -> tuple[str, ...]:
        return self.health.warnings

    def is_ready(self) -> bool:
        facts = self.health.facts(
            Latches(records={}, is_complete=True),
            {},
            peer_configs={},
            fresh_s=5.0,
            list_ids=frozenset(),
            clock_error_ms_max=500.0,
        )
        return facts.is_ready


async def test_heat_is_a_warning_first_and_its_end_is_told() -> None:
    """The first of the two steps, with what follows and what mends it."""
    rig = Rig()
    rig.reading = replace(WELL, temperature_c=78.0)
    await rig.watch(600)
    assert rig.ear.kinds() == [Kind.DEGRADED]
    told = rig.ear.events[0]
    assert told.verdict is Verdict.LOOK
    assert "78 °C" in told.facts["what"]
    assert "85 °C" in told.facts["meaning"]
    assert rig.warnings() == ("temperature: 78 °C in cpu-thermal, above 75 °C",)
    assert rig.health.resource_reasons == ()
    rig.reading = WELL
    await rig.watch(600)
    assert rig.ear.kinds() == [Kind.DEGRADED, Kind.RECOVERED]
    assert rig.ear.events[1].verdict is Verdict.GOOD_AGAIN
    assert rig.warnings() == ()


async def test_heat_beyond_the_limit_is_left_to_the_limit_and_its_end_is_told() -> None:
    """box_watch.py tells the second step; nobody told that it was over."""
    rig = Rig()
    rig.reading = replace(WELL, temperature_c=90.0)
    await rig.watch(10)
    assert rig.health.resource_reasons
    assert rig.health.warnings
    assert rig.ear.kinds() == []
    rig.reading = WELL
    await rig.watch(300)
    assert rig.health.resource_reasons == ()
    assert rig.ear.kinds() == [Kind.RECOVERED]


async def test_unsynchronised_clock_warns_and_keeps_nobody_out() -> None:
    """ADR 0041: the lease and the venue's deadlines do not use that clock."""
    rig = Rig(warn_clock_after_s=600)
    rig.reading = board(is_clock_synchronised=False)
    await rig.watch(600)
    assert rig.ear.kinds() == []
    await rig.watch(30)
    assert rig.ear.kinds() == [Kind.DEGRADED]
    assert rig.health.resource_reasons == ()
    assert rig.is_ready()


async def test_node_waits_for_its_clock_when_asked_to_and_no_longer() -> None:
    """Out from the first moment; in as soon as the clock is set, without a word."""
    rig = Rig(clock_wait_s=120)
    assert not rig.is_ready()
    rig.reading = board(is_clock_synchronised=False)
    await rig.watch(110)
    assert not rig.is_ready()
    assert any("waits up to 2 min" in w for w in rig.health.warnings)
    rig.reading = WELL
    await rig.watch(10)
    assert rig.is_ready()
    await rig.watch(600)
    assert rig.ear.kinds() == []


async def test_wait_for_the_clock_ends_loudly_and_lets_the_node_in() -> None:
    """A time server that cannot be reached must not stop trading for ever."""
    rig = Rig(clock_wait_s=120, warn_clock_after_s=0)
    rig.reading = board(is_clock_synchronised=False)
    await rig.watch(120)
    assert rig.is_ready()
    assert rig.ear.kinds() == [Kind.DEGRADED]
    assert rig.ear.events[0].verdict is Verdict.ACT
    await rig.watch(600)
    assert len(rig.ear.events) == 1


@pytest.mark.parametrize("has_reading", [False, True])
async def test_clock_that_cannot_be_asked_does_not_keep_a_node_out(*, has_reading: bool) -> None:
    """Unknown is no reason; a probe that hangs is one until the time is over."""
    rig = Rig(clock_wait_s=120)
    rig.reading = board(is_clock_synchronised=None)
    if has_reading:
        await rig.watch(10)
        assert rig.is_ready()
        return
    await rig.care.step(rig.now_s + 119)
    assert not rig.is_ready()
    await rig.care.step(rig.now_s + 120)
    assert rig.is_ready()
