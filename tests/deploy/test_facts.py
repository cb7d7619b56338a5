"""What a box says about itself, and what it is refused for."""

import getpass
import subprocess
from dataclasses import replace

import pytest

from deploy.board import script
from deploy.facts import BoxFacts, read_facts, warnings_about, why_unfit

PI = """\
architecture=arm64
glibc=2.41
systemd=257
has_apt=yes
free_mb=22000
python=/usr/bin/python3.13
python_version=3.13.5
knows_system_service=yes
memory_limit=no
time_synchronised=no
time_service=systemd-timesyncd
time_service_enabled=yes
can_set_ntp=yes
has_watchdog=yes
watchdog_set_by=/usr/lib/systemd/system.conf.d/40-rpi-enable-watchdog.conf
compatible=raspberrypi,4-model-b brcm,bcm2711
addresses=192.168.1.20 fd00::1
user=pi
sudo=free
"""
NANO = """\
architecture=arm64
glibc=2.27
systemd=237
has_apt=yes
free_mb=5000
knows_system_service=no
memory_limit=yes
time_synchronised=yes
sudo=password
store_server=/usr/bin/redis-server
store_version=4.0.9
"""


def test_a_pi_and_a_nano_are_fit() -> None:
    pi, nano = read_facts(PI), read_facts(NANO)
    assert why_unfit(pi, is_node=True) == why_unfit(nano, is_node=True) == ()
    assert (pi.wheel_architecture, pi.python, nano.python) == ("aarch64", "/usr/bin/python3.13", "")
    assert pi.addresses == ("192.168.1.20", "fd00::1")
    assert pi.compatible == ("raspberrypi,4-model-b", "brcm,bcm2711")


def test_what_a_pi_does_not_do_by_default_is_said() -> None:
    said = " ".join(warnings_about(read_facts(PI)))
    assert "cgroup_enable=memory" in said
    assert "timedatectl" in said


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"architecture": "armhf"}, "64-bit image"),
        ({"glibc": (2, 24)}, "newer system image"),
        ({"systemd": None}, "systemd"),
        ({"systemd": 232}, "systemd"),
        ({"free_mb": 300}, "df -h"),
        ({"sudo": "none"}, "sudo"),
        ({"has_apt": False}, "install Redis or Valkey"),
    ],
)
def test_an_unfit_box_is_refused_with_what_mends_it(changes: dict[str, object], word: str) -> None:
    facts: BoxFacts = replace(read_facts(PI), **changes)  # type: ignore[arg-type]
    (reason,) = why_unfit(facts, is_node=True)
    assert word in reason
    assert "→" in reason


def test_a_witness_may_be_a_32_bit_board() -> None:
    facts = replace(read_facts(PI), architecture="armhf", glibc=(2, 24), free_mb=100)
    assert why_unfit(facts, is_node=False) == ()


def test_garbage_is_no_fact() -> None:
    facts = read_facts("hello\nsystemd=new\nglibc=\nfree_mb=\n=\n")
    assert (facts.systemd, facts.glibc, facts.free_mb) == (None, (), None)


def test_this_machine_describes_itself() -> None:
    done = subprocess.run(
        ["sh", "-s"], input=script("facts.sh"), capture_output=True, text=True, check=True
    )
    facts = read_facts(done.stdout)
    assert done.stderr == ""
    assert facts.architecture
    assert facts.glibc
    assert facts.user == getpass.getuser()
