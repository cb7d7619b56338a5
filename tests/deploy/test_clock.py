"""Who sets a box's clock: a deployment switches it on where it can, and says where it cannot."""

from dataclasses import replace

import pytest

from deploy.clock import clock_wants
from deploy.facts import BoxFacts, read_facts, warnings_about
from deploy.wants import Clock

UNSET = read_facts("can_set_ntp=yes\ntime_synchronised=no\n")
RUNNING = replace(UNSET, time_service="chrony", is_time_service_enabled=True)
STOPPED = replace(UNSET, is_time_service_enabled=True)
NOTHING = replace(UNSET, can_set_ntp=False)


def clock_notes(facts: BoxFacts) -> list[str]:
    """Return what the owner is told about the clock."""
    return [note for note in warnings_about(facts) if "clock" in note]


def test_where_nothing_sets_the_clock_timedatectl_is_told_to() -> None:
    assert clock_wants(UNSET) == (Clock(),)
    assert clock_notes(UNSET) == []


@pytest.mark.parametrize("facts", [RUNNING, STOPPED, NOTHING], ids=["runs", "stopped", "none"])
def test_what_is_there_is_left_alone(facts: BoxFacts) -> None:
    assert clock_wants(facts) == ()


def test_a_box_that_cannot_is_told_what_to_install() -> None:
    (note,) = clock_notes(NOTHING)
    assert "apt install systemd-timesyncd" in note


def test_a_service_that_is_switched_on_and_does_not_run_is_said() -> None:
    """Stopped by hand, or failed: timedatectl would say that it is done, and nothing would run."""
    (note,) = clock_notes(STOPPED)
    assert "systemctl status" in note


def test_a_service_that_waits_for_its_server_is_said_without_alarm() -> None:
    (note,) = clock_notes(RUNNING)
    assert "chrony" in note
    assert "(yet)" in note


@pytest.mark.parametrize("facts", [RUNNING, STOPPED, NOTHING], ids=["runs", "stopped", "none"])
def test_a_clock_that_is_set_is_nothing_to_say(facts: BoxFacts) -> None:
    """By whatever: in a container by the host, or by a service that nobody here has heard of."""
    assert clock_notes(replace(facts, is_time_synchronised=True)) == []
