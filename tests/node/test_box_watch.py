"""The box beside the trading: told once, and a card that stalls is one that does not answer."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from alerts.model import Kind
from node.bounded import OneAtATime
from node.box_limits import RECOVERY_S, BoxLimits
from node.box_watch import FIXES, BoxWatch
from node.config_box import HealthConfig
from node.health import Health
from node.outage import LastTrading
from node.parts import NodeParts
from node.resources import FsyncProbe, Resources
from node.role import Role
from node.teller import Teller
from tests.support.trading_rig import Ear


class Probe:
    """Readings that the test sets; `gate` stalls the card."""

    def __init__(self) -> None:
        self.celsius = 50.0
        self.error = ""
        self.gate = threading.Event()
        self.gate.set()

    def read(self) -> Resources:
        return Resources(
            cpu_percent=1.0,
            memory_mb=60.0,
            disk_free_mb=9000.0,
            temperature_c=self.celsius,
            temperature_zone="cpu",
            uptime_s=1.0,
        )

    def probe_fsync(self) -> FsyncProbe:
        assert self.gate.wait(60)
        return FsyncProbe(took_ms=None if self.error else 2.0, error=self.error)


def watch(tmp_path: Path) -> tuple[BoxWatch, Probe, Ear, Health]:
    probe, ear, health = Probe(), Ear(), Health(role=Role.ACTIVE)
    parts = SimpleNamespace(
        probe=probe,
        load_backup_note=lambda: None,
        health=health,
        config=SimpleNamespace(health=HealthConfig()),
        teller=Teller(ear, cluster="c", node_id="jetson", epoch=lambda: 1),
        trader_parts=SimpleNamespace(is_disk_optional=True),
        last_trading=LastTrading(tmp_path),
        wall_ms=lambda: 1_700_000_000_000,
    )
    return BoxWatch(cast("NodeParts", parts)), probe, ear, health


async def test_heat_is_told_once_while_its_figure_moves(tmp_path: Path) -> None:
    """Another degree is no news; cool again is the end of it."""
    box, probe, ear, health = watch(tmp_path)
    for turn, celsius in enumerate((120.0, 121.0, 122.0)):
        probe.celsius = celsius
        await box.step(100.0 * turn)
        assert health.resource_reasons
    assert ear.kinds() == [Kind.DEGRADED]
    assert "cool the box" in ear.events[0].facts["fix"]
    probe.celsius = 50.0
    for now_s in (400.0, 400.0 + RECOVERY_S):
        assert health.resource_reasons
        await box.step(now_s)
    assert health.resource_reasons == ()
    assert ear.kinds() == [Kind.DEGRADED]


async def test_a_card_that_stalls_is_one_that_does_not_answer(tmp_path: Path) -> None:
    """R8: waited for a bounded time, named, and asked again."""
    box, probe, _, health = watch(tmp_path)
    box._probe = OneAtATime(0.01)
    probe.gate.clear()
    await box.step(0.0)
    probe.gate.set()
    box._probe = OneAtATime(60)
    await box.step(20.0)
    assert health.resources is not None
    assert health.resource_reasons == ()


async def test_a_refusing_disk_is_a_reason_and_asked_again_soon(tmp_path: Path) -> None:
    """Five minutes are too long for a card that was mended."""
    box, probe, _, health = watch(tmp_path)
    probe.error = "read-only"
    await box.step(0.0)
    assert "read-only" in health.resource_reasons[0]
    probe.error = ""
    await box.step(11.0)
    assert "recovering" in health.resource_reasons[0]
    probe.error = "read-only"
    await box.step(22.0)
    assert "read-only" in health.resource_reasons[0]
    probe.error = ""
    for now_s in (33.0, 33.0 + RECOVERY_S):
        await box.step(now_s)
    assert health.resource_reasons == ()


async def test_a_journal_that_fails_is_told_once(tmp_path: Path) -> None:
    """The disk of an active node: what it means is said with it."""
    box, _, ear, health = watch(tmp_path)
    health.journal_error = "the disk is full"
    for turn in range(3):
        await box.step(float(turn))
    assert ear.kinds() == [Kind.DEGRADED]
    assert "goes on" in ear.events[0].facts["meaning"]


async def test_the_last_trading_time_is_remembered(tmp_path: Path) -> None:
    """For one sentence after a power cut."""
    box, _, _, _ = watch(tmp_path)
    assert await box.last_trading_ms() is None
    await box.remember_trading()
    assert await box.last_trading_ms() == 1_700_000_000_000


def test_every_shortage_has_a_remedy() -> None:
    """A reason whose first word has none would end the watch."""
    short = Resources(
        cpu_percent=1.0,
        memory_mb=1e6,
        disk_free_mb=0.0,
        temperature_c=140.0,
        temperature_zone="cpu",
        uptime_s=1.0,
    )
    lost = replace(short, disk_free_mb=None)
    for resources in (short, lost):
        broken = FsyncProbe(took_ms=None, error="read-only")
        reasons = BoxLimits().judge(0.0, resources, HealthConfig(), fsync=broken)
        assert len(reasons) == 4
        assert {reason.partition(":")[0] for reason in reasons} == set(FIXES)
