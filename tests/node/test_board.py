"""Readings of a board, laid out as the kernels of a Raspberry Pi and of a Jetson Nano do."""

import ctypes
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from node.board import BoardReader
from node.board_model import Address
from node.netlink import parse_answer, read_addresses

# Fields of /sys/block/*/stat: reads, merged, sectors, ms, writes, merged, SECTORS WRITTEN, ...
STAT = "1200 300 90000 800 4400 700 {sectors} 9000 0 4000 9800 0 0 0 0\n"


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lay_out_disk(root: Path, state_dir: Path, *, sectors: int = 4096) -> None:
    """Put the state directory on the second partition of a card."""
    number = state_dir.stat().st_dev
    card = root / "sys" / "devices" / "mmc0" / "block" / "mmcblk0"
    put(root, "sys/devices/mmc0/block/mmcblk0/stat", STAT.format(sectors=sectors))
    put(root, "sys/devices/mmc0/block/mmcblk0/mmcblk0p2/stat", STAT.format(sectors=7))
    put(root, "sys/devices/mmc0/block/mmcblk0/mmcblk0p2/partition", "2\n")
    link = root / "sys" / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(card / "mmcblk0p2")


def reader(tmp_path: Path) -> BoardReader:
    return BoardReader(tmp_path, root=tmp_path / "root")


def test_writes_are_those_of_the_whole_card(tmp_path: Path) -> None:
    """A card wears as a whole; a sector of the statistics has 512 bytes."""
    lay_out_disk(tmp_path / "root", tmp_path, sectors=4096)
    found = reader(tmp_path).read()
    assert (found.disk, found.written_mb, found.is_card) == ("mmcblk0", 2.0, True)


def test_board_that_says_nothing_is_no_reason(tmp_path: Path) -> None:
    """No /sys at all: everything that is not this process's own is None."""
    found = reader(tmp_path).read()
    assert (found.disk, found.written_mb, found.is_card) == ("", None, False)
    assert (found.has_supply_alarm, found.supply_v, found.slowed_by) == (None, None, None)
    assert found.memory_free_mb is not None
    assert found.cpu_busy_s is not None
    assert found.cpu_total_s is not None
    assert 0 < found.cpu_busy_s < found.cpu_total_s


@pytest.mark.parametrize(("text", "expected"), [("0\n", False), ("1\n", True), ("", None)])
def test_pi_says_undervoltage(tmp_path: Path, text: str, *, expected: bool | None) -> None:
    """The chip is known by its name: its number changes between boots."""
    root = tmp_path / "root"
    put(root, "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    put(root, "sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n")
    put(root, "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    put(root, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", text)
    assert reader(tmp_path).read().has_supply_alarm is expected


@pytest.mark.parametrize(
    ("rail", "millivolts", "expected"),
    [
        ("POM_5V_IN", "4936", 4.936),
        ("VDD_IN", "4512", 4.512),
        ("VDD_IN", "19000", None),
        ("POM_5V_CPU", "4936", None),
        ("POM_5V_IN", "", None),
    ],
    ids=["Nano", "as documented", "another board's 19 V", "another rail", "unreadable"],
)
def test_jetson_says_its_supply(
    tmp_path: Path, rail: str, millivolts: str, expected: float | None
) -> None:
    """Of L4T 32: iio device of ina3221x; the driver's folder links to the device."""
    device = "sys/devices/7000c400.i2c/i2c-6/6-0040"
    put(tmp_path / "root", f"{device}/iio:device0/rail_name_0", f"{rail}\n")
    put(tmp_path / "root", f"{device}/iio:device0/in_voltage0_input", f"{millivolts}\n")
    driver = tmp_path / "root" / "sys" / "bus" / "i2c" / "drivers" / "ina3221x"
    driver.mkdir(parents=True)
    (driver / "6-0040").symlink_to(tmp_path / "root" / device)
    assert reader(tmp_path).read().supply_v == expected


def test_newer_kernels_name_the_supply_in_hwmon(tmp_path: Path) -> None:
    """The mainline driver of the same sensor."""
    put(tmp_path / "root", "sys/class/hwmon/hwmon3/name", "ina3221\n")
    put(tmp_path / "root", "sys/class/hwmon/hwmon3/in1_label", "VDD_IN\n")
    put(tmp_path / "root", "sys/class/hwmon/hwmon3/in1_input", "5010\n")
    assert reader(tmp_path).read().supply_v == 5.01


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({"pwm-fan": "3"}, None),
        ({"pwm-fan": "3", "cpu-balanced": "0"}, ""),
        ({"pwm-fan": "0", "cpu-balanced": "2"}, "cpu-balanced"),
        ({"thermal-cpufreq-0": "1"}, "thermal-cpufreq-0"),
        ({"Processor": "0"}, ""),
    ],
    ids=["a fan is no brake", "Nano, cool", "Nano, slowed", "Pi's kernel", "PC"],
)
def test_brake_of_the_processor_is_told_apart_from_a_fan(
    tmp_path: Path, devices: dict[str, str], expected: str | None
) -> None:
    """None: nobody here could say it."""
    for number, (kind, state) in enumerate(devices.items()):
        folder = f"sys/class/thermal/cooling_device{number}"
        put(tmp_path / "root", f"{folder}/type", f"{kind}\n")
        put(tmp_path / "root", f"{folder}/cur_state", f"{state}\n")
    assert reader(tmp_path).read().slowed_by == expected


class Libc:
    """adjtimex as the test wants it: `status` of the clock, or refused."""

    def __init__(self, status: int | None) -> None:
        self.status = status

    def adjtimex(self, timex: Any) -> int:
        if self.status is None:
            return -1
        timex._obj.status = self.status
        return 5


@pytest.mark.parametrize(
    ("status", "files", "expected"),
    [
        (0x2001, (), True),
        (0x0040, (), False),
        (0x0041, ("synchronized",), False),
        (None, ("synchronized",), True),
        (None, ("",), False),
        (None, (), None),
        (0x0040, ("synchronized", "FILTERED"), True),
        (0x2001, ("FILTERED",), None),
    ],
    ids=[
        "the kernel says yes",
        "the kernel says no",
        "the kernel outranks an old file",
        "may not ask, timesyncd has set it",
        "may not ask, timesyncd has not yet",
        "may not ask, another daemon",
        "below a filter of system calls nothing is asked",
        "below a filter and another daemon",
    ],
)
def test_clock_is_asked_for_without_rights(
    tmp_path: Path, status: int | None, files: tuple[str, ...], *, expected: bool | None
) -> None:
    """A unit with ProtectClock may not call adjtimex, not even to read."""
    put(tmp_path / "root", "proc/self/status", f"Name:\tx\nSeccomp:\t{2 * ('FILTERED' in files)}\n")
    for name in set(files) - {"FILTERED"}:
        put(tmp_path / "root", f"run/systemd/timesync/{name or 'other'}", "")
    board = reader(tmp_path)
    board._libc = Libc(status)  # type: ignore[assignment]
    assert board.read().is_clock_synchronised is expected


def test_kernel_answers_about_its_clock(tmp_path: Path) -> None:
    """The real call, against the bytes of `struct timex` as 64-bit Linux lays it out."""
    raw = ctypes.create_string_buffer(1024)
    if "Seccomp:\t0" not in Path("/proc/self/status").read_text():
        pytest.skip("a filter of system calls: the reader does not ask")
    assert ctypes.CDLL(None).adjtimex(raw) >= 0
    (status,) = struct.unpack_from("=i", raw, 40)
    assert BoardReader(tmp_path).read().is_clock_synchronised is not bool(status & 0x40)


def test_addresses_are_those_of_the_machine() -> None:
    """Against another reader of the same."""
    mine = {a.text for a in read_addresses()}
    theirs = {
        snic.address.partition("%")[0]
        for addresses in psutil.net_if_addrs().values()
        for snic in addresses
        if snic.family in {socket.AF_INET, socket.AF_INET6}
    }
    assert mine == theirs
    assert "127.0.0.1" in mine


ASK = "from node.netlink import read_addresses; print(*read_addresses(), sep='\\n')"
LEASE = "ip link set lo up; ip addr add 192.0.2.9/24 dev lo valid_lft 900 preferred_lft 900"
FIXED = "ip addr add 192.0.2.10/24 dev lo"


def test_kernel_tells_a_leased_address_from_a_fixed_one() -> None:
    """In a network of its own, with an address that has an end as DHCP clients give it."""
    script = f'{LEASE} && {FIXED} && exec "$0" -c "{ASK}"'
    done = subprocess.run(
        ["unshare", "--net", "--", "sh", "-c", script, sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"a network of its own needs root and ip: {done.stderr.strip()}")
    found = done.stdout.splitlines()
    assert str(Address(text="192.0.2.9", is_leased=True)) in found
    assert str(Address(text="192.0.2.10", is_leased=False)) in found


def answer(*addresses: tuple[str, int]) -> bytes:
    """Return a kernel's answer: each address with its flags, as IFA_LOCAL and IFA_FLAGS."""
    data = b""
    for text, flags in addresses:
        attributes = struct.pack("=HH4s", 8, 2, socket.inet_aton(text))
        attributes += struct.pack("=HHI", 8, 8, flags)
        body = struct.pack("=BBBBI", socket.AF_INET, 24, flags & 0xFF, 0, 2) + attributes
        data += struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body
    return data


DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)


def test_lease_of_an_address_is_told_by_its_missing_permanence() -> None:
    """IFA_F_PERMANENT is 0x80: what has no end was set by hand."""
    data = answer(("192.168.1.11", 0x80), ("192.168.1.57", 0x200)) + DONE
    assert parse_answer(data) == (
        True,
        [
            Address(text="192.168.1.11", is_leased=False),
            Address(text="192.168.1.57", is_leased=True),
        ],
    )
    assert parse_answer(answer(("10.0.0.1", 0x80)))[0] is False


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1),
        struct.pack("=IHHII", 0, 20, 2, 1, 0),
    ],
    ids=["an error", "a length that never ends"],
)
def test_kernel_that_refuses_is_an_error_and_no_loop(data: bytes) -> None:
    with pytest.raises(OSError, match="refused"):
        parse_answer(data)


def test_hidden_proc_is_unknown_and_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit with ProcSubset=pid sees neither /proc/stat nor /proc/meminfo."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    found = reader(tmp_path).read()
    assert (found.cpu_busy_s, found.cpu_total_s, found.memory_free_mb) == (None, None, None)
