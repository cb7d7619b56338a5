"""The doctor's checks of a box: each trouble has its finding, and a good box has none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import places
from node.board_model import Address, BoardReading
from node.doctor import box_facts
from node.doctor.box_checks import check_box
from node.doctor.box_facts import NODE_UNIT, BoxFacts, Journald, Watchdog
from node.doctor.box_reader import parse_mounts, parse_throttled, read_box
from node.doctor.findings import Finding, Level
from node.resources import Resources
from tests.node.test_doctor_losses import THREE

GOOD_UNIT = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "NRestarts": "0",
    "Result": "success",
    "WatchdogUSec": "20s",
}
ADDRESS = Address(text=THREE.nodes["jetson"].host or "", is_leased=False)
HERE = tuple(
    {a for a in (ADDRESS.text, *(s.host for s in THREE.stores if s.name == "jetson")) if a}
)
BOARD = BoardReading(
    memory_free_mb=900.0,
    disk="mmcblk0",
    is_clock_synchronised=True,
    addresses=tuple(Address(text=a, is_leased=False) for a in HERE),
)
RESOURCES = Resources(
    cpu_percent=1.0, memory_mb=60.0, disk_free_mb=20_000.0, temperature_c=45.0,
    temperature_zone="cpu", uptime_s=5.0, board=BOARD,
)  # fmt: skip
GOOD = BoxFacts(
    node_id="jetson",
    label="Jetson",
    has_systemd=True,
    model="Raspberry Pi 4 Model B",
    root_kind="ext4",
    state_kind="ext4",
    has_memory_limit=True,
    watchdogs=(Watchdog(name="watchdog0", identity="bcm", state="active", timeout_s=60),),
    pid1_feeds="1min",
    journald=Journald(is_persistent=True, storage="persistent", cap="100M", used_mb=50.0),
    units={NODE_UNIT: GOOD_UNIT, "hotspare-paper.service": {"LoadState": "not-found"}},
    resources=RESOURCES,
)
NANO = "NVIDIA Jetson Nano Developer Kit"


def board(**changes: Any) -> Resources:
    return replace(RESOURCES, board=replace(BOARD, **changes))


def unit(**changes: str) -> Mapping[str, Mapping[str, str]]:
    return {NODE_UNIT: {**GOOD_UNIT, **changes}}


def test_a_good_box_has_nothing_to_mend() -> None:
    assert check_box(GOOD, THREE) == ()


DOG = Watchdog(name="watchdog0", identity="Tegra WDT", state="inactive", timeout_s=120)
CASES: Sequence[tuple[str, dict[str, Any], Level, str, str]] = (
    ("state on an overlay", {"state_kind": "overlay"}, Level.LOOK, "memory (overlay)", "overlay"),
    ("state in memory", {"state_kind": "tmpfs"}, Level.LOOK, "gone after a power cut", "state_dir"),
    ("root on an overlay", {"root_kind": "overlay"}, Level.GOOD, "after a reboot", "raspi-config"),
    ("no memory cgroup", {"has_memory_limit": False}, Level.LOOK, "is ignored", "cgroup_enable"),
    ("no watchdog", {"watchdogs": ()}, Level.GOOD, "no hardware watchdog", "dtparam=watchdog"),
    ("watchdog unused", {"watchdogs": (DOG,), "pid1_feeds": "0"}, Level.LOOK, "(Tegra WDT) is not",
     "RuntimeWatchdogSec"),
    ("log in memory", {"journald": Journald(is_persistent=False, storage="volatile", cap="",
                                            used_mb=None)},
     Level.LOOK, "(Storage=volatile)", "Storage=persistent"),
    ("log without a cap", {"journald": Journald(is_persistent=True, storage="", cap="",
                                                used_mb=512.0)},
     Level.GOOD, "512 MB now", "SystemMaxUse"),
    ("undervoltage was", {"power_past": ("undervoltage", "throttling")}, Level.LOOK,
     "undervoltage, throttling", "supply"),
    ("a Nano that measures nothing", {"model": NANO}, Level.GOOD, "not measured", "barrel jack"),
    ("a Nano with a weak supply", {"model": NANO, "resources": board(supply_v=4.72)}, Level.GOOD,
     "gives 4.72 V", "J48"),
    ("undervoltage now", {"resources": board(has_supply_alarm=True)}, Level.LOOK, "undervoltage",
     "stronger supply"),
    ("slowed by heat", {"resources": board(slowed_by="cpufreq-cpu0")}, Level.LOOK, "slowed", "fan"),
    ("clock not synchronised", {"resources": board(is_clock_synchronised=False)}, Level.LOOK,
     "not synchronised", "timedatectl"),
    ("another address", {"resources": board(addresses=())}, Level.LOOK, "does not have", "router"),
    ("little memory left", {"resources": board(memory_free_mb=20.0)}, Level.LOOK, "20 MB left",
     "ps aux"),
    ("a full disk", {"resources": replace(RESOURCES, disk_free_mb=300.0)}, Level.LOOK,
     "300 MB free", "df -h"),
    ("a hot box", {"resources": replace(RESOURCES, temperature_c=79.0)}, Level.LOOK, "79 °C",
     "fan"),
    ("no unit", {"units": unit(LoadState="not-found")}, Level.GOOD, "no unit", "make deploy"),
    ("not enabled", {"units": unit(UnitFileState="disabled")}, Level.ACT, "is disabled",
     "systemctl enable"),
    ("starts in vain", {"units": unit(ActiveState="activating", SubState="auto-restart",
                                      NRestarts="7", Result="exit-code")},
     Level.ACT, "started again 7 times, last result exit-code", "journalctl"),
    ("stopped", {"units": unit(ActiveState="inactive", SubState="dead")}, Level.LOOK,
     "does not run", "systemctl start"),
    ("restarted once", {"units": unit(NRestarts="1")}, Level.GOOD, "again 1 times", "journalctl"),
    ("restarted often", {"units": unit(NRestarts="9")}, Level.LOOK, "again 9 times", "journalctl"),
    ("no WatchdogSec", {"units": unit(WatchdogUSec="0")}, Level.LOOK, "no WatchdogSec",
     "WatchdogSec=20"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "level", "what", "fix"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_each_trouble_has_one_finding_with_its_fix(
    changes: dict[str, Any], level: Level, what: str, fix: str
) -> None:
    (found,) = check_box(replace(GOOD, **changes), THREE)
    assert isinstance(found, Finding)
    assert (found.level, found.area) == (level, "box")
    assert found.what.startswith("Jetson: ")
    assert what in found.what
    assert fix in found.fix


def test_what_the_running_node_warns_of_is_not_said_twice() -> None:
    hot = replace(GOOD, resources=replace(RESOURCES, temperature_c=79.0, disk_free_mb=300.0))
    (found,) = check_box(hot, THREE, told=["temperature: 79 °C in cpu, above 75 °C"])
    assert "300 MB free" in found.what


def test_a_box_that_says_nothing_has_no_finding() -> None:
    """A laptop in a container: no systemd, no sensors, no cgroup."""
    assert (
        check_box(BoxFacts(node_id="jetson", label="x", has_systemd=False, units={}), THREE) == ()
    )


def test_the_units_are_those_that_are_deployed() -> None:
    assert box_facts.UNITS == (places.NODE_UNIT, places.STORE_UNIT, places.PAPER_UNIT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("throttled=0x0", ()),
        ("throttled=0x50005", ("undervoltage", "throttling")),
        ("throttled=0x80000\n", ("the soft temperature limit",)),
        ("", ()),
        ("VCHI initialization failed", ()),
    ],
)
def test_what_has_happened_to_the_power_is_read_from_the_firmware(
    text: str, words: tuple[str, ...]
) -> None:
    """Bits 16 to 19; the lower ones are about now, which the kernel tells."""
    assert parse_throttled(text) == words


MOUNTS = """\
22 1 0:20 / / rw,relatime - overlay overlay rw
30 22 179:2 / /var/lib rw - ext4 /dev/mmcblk0p2 rw
31 22 0:30 / /var/lib/hotspare rw - tmpfs tmpfs rw
32 31 179:3 / /var/lib/hotspare rw - ext4 /dev/mmcblk0p3 rw
33 22 0:31 / /mnt/a\\040b rw - vfat /dev/sda1 rw
broken line
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [("/", "overlay"), ("/var/lib/other", "ext4"), ("/var/lib/hotspare/jetson", "ext4"),
     ("/mnt/a b/x", "vfat"), ("/var/libre", "overlay")],
)  # fmt: skip
def test_a_place_lies_on_the_nearest_mount_the_later_of_two(place: str, kind: str) -> None:
    assert parse_mounts(MOUNTS, Path(place)) == kind


def lay_out(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def test_a_pi_is_read_from_its_files_and_commands(tmp_path: Path) -> None:
    """Laid out as Raspberry Pi OS has them: volatile by a file of the image, undone by ours."""
    lay_out(
        tmp_path,
        {
            "run/systemd/system/x": "",
            "proc/device-tree/model": "Raspberry Pi 4 Model B\0",
            "proc/self/mountinfo": "22 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n",
            "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io pids\n",
            "sys/class/watchdog/watchdog0/identity": "Broadcom BCM2835 Watchdog timer\n",
            "sys/class/watchdog/watchdog0/state": "active\n",
            "sys/class/watchdog/watchdog0/timeout": "60\n",
            "usr/lib/systemd/journald.conf.d/40-rpi-volatile-storage.conf":
                "[Journal]\nStorage=volatile\n",
            "var/log/journal/id/system.journal": "x" * 1024,
        },
    )  # fmt: skip
    said = {
        "vcgencmd": "throttled=0x10000\n",
        NODE_UNIT: "LoadState=loaded\nUnitFileState=enabled\nNRestarts=2\n",
        "--property=RuntimeWatchdogUSec": "RuntimeWatchdogUSec=1min\n",
    }

    def run(words: Sequence[str]) -> str:
        return next((text for key, text in said.items() if key in words), "")

    box = read_box("jetson", "Jetson", tmp_path, root=tmp_path, run=run)
    assert box.model == "Raspberry Pi 4 Model B"
    assert (box.root_kind, box.has_memory_limit) == ("ext4", False)
    assert box.watchdogs[0].identity == "Broadcom BCM2835 Watchdog timer"
    assert (box.watchdogs[0].state, box.watchdogs[0].timeout_s) == ("active", 60)
    assert box.pid1_feeds == "1min"
    assert box.journald is not None
    assert (box.journald.is_persistent, box.journald.storage) == (False, "volatile")
    assert box.power_past == ("undervoltage",)
    assert box.units[NODE_UNIT]["NRestarts"] == "2"
    ours = {"etc/systemd/journald.conf.d/60-hotspare.conf":
            "# ours\n[Journal]\nStorage=persistent\nSystemMaxUse=100M\n"}  # fmt: skip
    lay_out(tmp_path, ours)
    box = read_box("jetson", "Jetson", tmp_path, root=tmp_path, run=run)
    assert box.journald is not None
    assert (box.journald.is_persistent, box.journald.cap) == (True, "100M")


@pytest.mark.parametrize(
    ("line", "is_on"), [("memory\t0\t1\t0", False), ("memory\t4\t70\t1", True)]
)
def test_an_old_kernel_tells_of_its_memory_cgroup_elsewhere(
    tmp_path: Path, line: str, *, is_on: bool
) -> None:
    """The Nano's: no cgroup v2, a table in /proc."""
    lay_out(tmp_path, {"proc/cgroups": f"#subsys_name\thierarchy\tnum\tenabled\n{line}\n"})
    assert read_box("x", "x", tmp_path, root=tmp_path, run=lambda _: "").has_memory_limit is is_on


def test_a_bare_folder_is_read_without_an_error(tmp_path: Path) -> None:
    box = read_box("x", "x", tmp_path / "none", root=tmp_path, run=lambda _: "")
    assert (box.has_systemd, box.has_memory_limit, box.journald, box.watchdogs) == (
        False,
        None,
        None,
        (),
    )
