"""Units for each systemd: what a version does not know is left out, what it knows is tight."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import places
from deploy.unit_text import (
    SystemdOf,
    backup_timer,
    backup_unit,
    node_unit,
    paper_unit,
    store_unit,
)

NANO = SystemdOf(version=237, knows_system_service=False)
DEBIAN_11 = SystemdOf(version=247, knows_system_service=True)
DEBIAN_12 = SystemdOf(version=252, knows_system_service=True)
VERSIONS = (NANO, DEBIAN_11, DEBIAN_12)
# what `systemd-analyze security` may say at most; an open unit has 9.6
MOST_EXPOSED = 3.0

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def units(systemd: SystemdOf) -> dict[str, str]:
    """Return every unit that a box may get, by name."""
    return {
        places.NODE_UNIT: node_unit("jetson", "test", "f1", systemd, has_store=True),
        places.STORE_UNIT: store_unit("/usr/bin/redis-server", "f1", systemd),
        places.PAPER_UNIT: paper_unit("f1", systemd),
        places.BACKUP_UNIT: backup_unit("jetson", "test", systemd),
    }


def written(folder: Path, systemd: SystemdOf) -> list[Path]:
    """Write the units as a box has them, but with programs that exist here."""
    paths = []
    for name, text in {**units(systemd), places.BACKUP_TIMER: backup_timer()}.items():
        path = folder / name
        path.write_text(re.sub(r"(?m)^(Exec\w+=-?)\S+", r"\1/bin/true", text), encoding="utf-8")
        paths.append(path)
    return paths


@pytest.mark.parametrize("systemd", VERSIONS, ids=lambda s: str(s.version))
def test_a_key_never_stands_in_the_unit_of_an_older_systemd(systemd: SystemdOf) -> None:
    newer = {"ProtectProc": 247, "ProtectClock": 245, "ProtectHostname": 242, "OOMPolicy": 243}
    for text in units(systemd).values():
        for key, since in newer.items():
            assert (f"\n{key}=" in text) <= (systemd.version >= since), key
        # a filter whose only group is unknown would kill the service at once
        assert ("SystemCallFilter=" in text) == systemd.knows_system_service


def test_the_node_is_started_for_ever_and_released_after_its_death() -> None:
    text = node_unit("jetson", "prod", "f1", DEBIAN_12, has_store=False)
    for line in (
        "Type=notify",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "KillMode=mixed",
        "Environment=HOTSPARE__CLUSTER__PROFILE=prod",
        "Environment=HOTSPARE_HAS_BACKUP_TIMER=1",
    ):
        assert f"\n{line}\n" in text
    assert re.search(r"\nWatchdogSec=\d+\n", text)
    assert "\nExecStopPost=-" in text
    assert "release --after-crash --state-dir /var/lib/hotspare/jetson" in text
    assert places.STORE_UNIT not in text
    assert places.STORE_UNIT in node_unit("jetson", "prod", "f1", DEBIAN_12, has_store=True)


@needs_analyze
def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    """`verify` returns 0 also for unknown keys, which are ignored then: any word is a failure."""
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, written(tmp_path, DEBIAN_12))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "hotspare" in line]
    assert ours == []
    assert done.returncode == 0


@needs_analyze
@pytest.mark.parametrize("name", sorted(units(DEBIAN_12)))
def test_the_units_are_tight(name: str, tmp_path: Path) -> None:
    path = next(p for p in written(tmp_path, DEBIAN_12) if p.name == name)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED


def test_the_backup_may_write_its_folder_and_the_state_and_does_not_count_as_running() -> None:
    text = backup_unit("jetson", "prod", DEBIAN_12)
    for line in (
        "Type=oneshot",
        f"ReadWritePaths={places.BACKUPS}",
        "StateDirectory=hotspare",
        "Environment=HOTSPARE__CLUSTER__PROFILE=prod",
    ):
        assert f"\n{line}\n" in text
    assert f"backup --to {places.BACKUPS} --scheduled\n" in text
    assert "[Install]" not in text
    assert f"Unit={places.BACKUP_UNIT}" in backup_timer()
