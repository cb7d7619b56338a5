"""The hardware watchdog that a deployment switches on: where, with what patience, where not."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy import places
from deploy.desired import Target, base_wants
from deploy.facts import BoxFacts, read_facts, warnings_about
from deploy.inventory import BoxPlace
from deploy.settings import SettingsSet
from deploy.wants import Absent, Clock, Directory, File, Manager, Want
from deploy.watchdog import watchdog_wants
from node.init import GivenSecrets, write_cluster
from node.init_answers import Answers

PI = read_facts("has_watchdog=yes\ncompatible=raspberrypi,4-model-b brcm,bcm2711\n")
NANO = read_facts("has_watchdog=yes\ncompatible=nvidia,jetson-nano nvidia,tegra210\n")
PC = read_facts("has_watchdog=yes\n")
OF_THE_IMAGE = "/usr/lib/systemd/system.conf.d/40-rpi-enable-watchdog.conf"


def text_of(wants: tuple[Want, ...]) -> str:
    """Return the drop-in that is written."""
    (file,) = (w for w in wants if isinstance(w, File))
    assert (file.path, file.mode, file.owner) == (places.WATCHDOG, "644", "root:root")
    return file.content.decode()


@pytest.mark.parametrize(
    ("facts", "setting", "why"),
    [
        # a Pi's timer counts to 15 s, and 15 s put one into a reboot loop
        (PI, "1min", "15 s"),
        # a Tegra's resets at two thirds of what is set or later: its own default
        (NANO, "2min", "Tegra"),
        (PC, "2min", "saturated"),
    ],
    ids=["a Pi", "a Nano", "a board that nobody knows"],
)
def test_pid_1_feeds_the_watchdog_of_each_board_as_that_board_can(
    facts: BoxFacts, setting: str, why: str
) -> None:
    wants = watchdog_wants(facts)
    directory, _, manager = wants
    assert directory == Directory(path=places.WATCHDOG.rpartition("/")[0])
    # after the file: PID 1 reads it when it is told to
    assert manager == Manager(name="RuntimeWatchdogUSec", value=setting)
    lines = text_of(wants).splitlines()
    settings = [line for line in lines if not line.startswith("#")]
    assert settings == ["[Manager]", f"RuntimeWatchdogSec={setting}"]
    assert why in " ".join(line for line in lines if line.startswith("#"))


def test_the_file_wins_over_what_an_image_brings() -> None:
    """Files of all the system.conf.d folders count in the order of their names."""
    assert places.WATCHDOG.rpartition("/")[2] > OF_THE_IMAGE.rpartition("/")[2]


def test_a_box_without_a_watchdog_gets_nothing() -> None:
    bare = replace(PI, has_watchdog=False)
    assert watchdog_wants(bare) == ()
    assert any("/dev/watchdog0" in note for note in warnings_about(bare))


@pytest.mark.parametrize("who", [OF_THE_IMAGE, "/etc/systemd/system.conf.d/50-watchdog.conf"])
def test_what_somebody_else_has_set_is_left_and_said(who: str) -> None:
    """Also where ours was there first: two files that say it would be one too many."""
    facts = replace(PI, watchdog_set_by=who)
    assert watchdog_wants(facts) == (Absent(path=places.WATCHDOG),)
    (note,) = (n for n in warnings_about(facts) if "watchdog" in n)
    assert who in note
    assert not any("watchdog" in n for n in warnings_about(PI))


@pytest.mark.parametrize("is_node", [True, False], ids=["a node", "a witness"])
def test_a_witness_is_not_ours_to_reset_but_its_clock_is_set(
    tmp_path: Path, *, is_node: bool
) -> None:
    answers = Answers(preferred_host="192.168.1.11", standby_host="192.168.1.12")
    place = BoxPlace(name="it", ssh="it", is_node=is_node, has_store=False, has_paper=False)
    wants = base_wants(
        Target(
            place=place,
            config=write_cluster(tmp_path, answers, GivenSecrets()).config,
            facts=replace(PI, can_set_ntp=True),
            settings=SettingsSet(set_id="-", files={}),
            release_id="-",
            secrets={},
        )
    )
    assert any(isinstance(want, Manager) for want in wants) is is_node
    assert Clock() in wants
