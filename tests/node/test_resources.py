"""What the box has left: readings and the verdict about them."""

from pathlib import Path

import pytest

from node.box_limits import BoxLimits
from node.config import HealthConfig
from node.resources import FsyncProbe, ResourceProbe, Resources, read_temperature

HEALTH = HealthConfig(min_disk_free_mb=200, max_temperature_c=85, max_memory_mb=400)
# Console output of a Jetson Nano: PMIC-Die is always 100 °C
NANO = {
    "AO-therm": "41000",
    "CPU-therm": "35500",
    "GPU-therm": "33500",
    "PLL-therm": "34000",
    "PMIC-Die": "100000",
    "thermal-fan-est": "34600",
}


def make_zones(folder: Path, zones: dict[str, str]) -> Path:
    """Lay out thermal zones as the kernel does."""
    for number, (kind, temp) in enumerate(zones.items()):
        zone = folder / "class" / "thermal" / f"thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(f"{temp}\n")
    return folder


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        (NANO, ("AO-therm", 41.0)),
        ({"cpu-thermal": "48312"}, ("cpu-thermal", 48.312)),
        ({}, ("", None)),
        ({"PMIC-Die": "100000"}, ("", None)),
        ({"cpu-thermal": "-256000", "soc": "50000"}, ("soc", 50.0)),
        ({"cpu-thermal": "", "soc": "50000"}, ("soc", 50.0)),
    ],
    ids=["nano", "pi", "no zones", "only the PMIC", "unplugged sensor", "zone switched off"],
)
def test_temperature_is_the_hottest_believable_zone(
    zones: dict[str, str], expected: tuple[str, float | None], tmp_path: Path
) -> None:
    """By type, never by number; PMIC-Die reads 100 °C on every Nano and is skipped."""
    assert read_temperature(make_zones(tmp_path, zones)) == expected


def make_resources(**changed: float | None) -> Resources:
    """A healthy reading with changes."""
    values: dict[str, object] = {
        "cpu_percent": 1.0,
        "memory_mb": 90.0,
        "disk_free_mb": 9000.0,
        "temperature_c": 45.0,
        "temperature_zone": "cpu",
        "uptime_s": 10.0,
        **changed,
    }
    return Resources(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({}, ""),
        ({"temperature_c": 85.0}, ""),
        ({"temperature_c": 85.1}, "temperature"),
        ({"temperature_c": None}, ""),
        ({"disk_free_mb": 200.0}, ""),
        ({"disk_free_mb": 199.0}, "disk"),
        ({"disk_free_mb": None}, "disk"),
        ({"memory_mb": 400.0}, ""),
        ({"memory_mb": 401.0}, "memory"),
        ({"cpu_percent": 400.0}, ""),
    ],
)
def test_bounds_are_judged_on_both_sides(changed: dict[str, float | None], word: str) -> None:
    """Out of bounds is a reason in words; what cannot be read (but the disk) is none."""
    reasons = BoxLimits().judge(0.0, make_resources(**changed), HEALTH)
    assert [r.split(":")[0] for r in reasons] == ([word] if word else [])


def test_a_disk_that_cannot_be_written_is_a_reason() -> None:
    """The journal needs a durable write."""
    healthy = FsyncProbe(took_ms=900.0)
    broken = FsyncProbe(took_ms=None, error="Read-only file system")
    assert BoxLimits().judge(0.0, make_resources(), HEALTH, fsync=healthy) == ()
    assert "Read-only" in BoxLimits().judge(0.0, make_resources(), HEALTH, fsync=broken)[0]


def test_the_probe_reads_this_process_and_this_disk(tmp_path: Path) -> None:
    """A real reading is plausible, and a durable write leaves only its own file."""
    probe = ResourceProbe(tmp_path, sys_dir=make_zones(tmp_path / "sys", {"cpu": "40000"}))
    found = probe.read()
    assert found.memory_mb > 5
    assert found.disk_free_mb is not None
    assert found.temperature_c == 40.0
    assert found.uptime_s > 0
    assert probe.probe_fsync().took_ms is not None


def test_a_missing_state_directory_is_said_not_raised(tmp_path: Path) -> None:
    """The probe never raises: a lost disk is a reason, not a crash."""
    probe = ResourceProbe(tmp_path / "gone", sys_dir=tmp_path)
    assert probe.read().disk_free_mb is None
    assert "No such file" in probe.probe_fsync().error
