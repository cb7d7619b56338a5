"""What is warned of, from when, and when it counts as over."""

from dataclasses import replace
from typing import Any

import pytest

from node.board_model import Address, BoardReading
from node.board_rates import WriteRate
from node.box_limits import BoxLimits
from node.box_warnings import (
    CALM_S,
    FLAPPING_CALM_S,
    LASTING_S,
    Change,
    Finding,
    Known,
    Warnings,
    expected_addresses,
    find_warnings,
    leased_notes,
)
from node.config_box import HealthConfig
from node.resources import Resources
from tests.node.test_doctor_losses import THREE, TWO

HEALTH = HealthConfig()
WELL = Resources(
    cpu_percent=1.0,
    memory_mb=90.0,
    disk_free_mb=9000.0,
    temperature_c=50.0,
    temperature_zone="cpu-thermal",
    uptime_s=1.0,
    board=BoardReading(
        memory_free_mb=2000.0,
        disk="mmcblk0",
        has_supply_alarm=False,
        supply_v=5.0,
        slowed_by="",
        is_clock_synchronised=True,
        addresses=(Address(text="192.168.1.11", is_leased=False),),
    ),
)
KNOWN = Known(
    cpu_percent=5.0,
    writes=WriteRate(mb_per_day=900.0, written_mb=450.0, measured_s=43_200.0),
    places={"192.168.1.11": "nodes.jetson.host"},
)


def board(**changes: Any) -> Resources:
    return replace(WELL, board=replace(WELL.board, **changes))


def bad(
    resources: Resources = WELL, *, health: HealthConfig = HEALTH, **known: Any
) -> dict[str, str]:
    """Return what is wrong, by name."""
    found = find_warnings(resources, health, replace(KNOWN, **known))
    return {name: finding.bad for name, finding in found.items() if finding.bad}


def test_healthy_board_has_a_finding_for_everything_and_nothing_bad() -> None:
    found = find_warnings(WELL, HEALTH, KNOWN)
    assert len(found) == 10
    assert all(f.is_well and not f.bad for f in found.values())


@pytest.mark.parametrize(
    ("name", "well", "over"),
    [
        ("disk", replace(WELL, disk_free_mb=1000.0), replace(WELL, disk_free_mb=999.0)),
        ("temperature", replace(WELL, temperature_c=75.0), replace(WELL, temperature_c=75.1)),
        ("memory", replace(WELL, memory_mb=250.0), replace(WELL, memory_mb=250.1)),
        ("box memory", board(memory_free_mb=100.0), board(memory_free_mb=99.0)),
        ("power", board(has_supply_alarm=False), board(has_supply_alarm=True)),
        ("power", board(supply_v=4.65), board(supply_v=4.64)),
        ("slowed", board(slowed_by=""), board(slowed_by="cpu-balanced")),
        ("clock", board(is_clock_synchronised=True), board(is_clock_synchronised=False)),
    ],
)
def test_bound_is_passed_on_one_side_only(name: str, well: Resources, over: Resources) -> None:
    """Both sides of each bound of the defaults."""
    assert bad(well) == {}
    assert set(bad(over)) == {name}


def test_rates_are_judged_on_both_sides_of_their_bounds() -> None:
    """Ten minutes of a busy box; a day of writes to a card, with what it is worked out from."""
    assert bad(cpu_percent=90.0) == {}
    assert set(bad(cpu_percent=90.1)) == {"processor"}
    assert bad(cpu_percent=100.0, health=HealthConfig(warn_cpu_percent=100)) == {}
    rate = WriteRate(mb_per_day=5000.0, written_mb=625.0, measured_s=10_800.0)
    assert bad(writes=rate) == {}
    text = bad(writes=replace(rate, mb_per_day=5000.6))["card"]
    assert "5001 MB a day (625 MB in the last 3 h)" in text
    assert bad(board(disk="nvme0n1"), writes=replace(rate, mb_per_day=1e6)) == {}


def test_what_a_board_does_not_say_is_no_finding() -> None:
    """A virtual machine has no card, no supply and no thermal zone."""
    silent = replace(WELL, disk_free_mb=None, temperature_c=None, board=BoardReading())
    known = Known(cpu_percent=None, writes=None, places=KNOWN.places)
    assert set(find_warnings(silent, HEALTH, known)) == {"memory"}


def test_what_is_switched_off_is_no_finding() -> None:
    off = HealthConfig(warn_clock_after_s=0, warn_box_memory_mb=0, warn_supply_v=0)
    worst = board(is_clock_synchronised=False, memory_free_mb=1.0, supply_v=4.0)
    assert bad(worst, health=off) == {}
    assert set(bad(board(has_supply_alarm=True), health=off)) == {"power"}


def test_warning_never_comes_after_the_limit_it_goes_before() -> None:
    """A limit that is stricter than the warning counts for both."""
    strict = HealthConfig(min_disk_free_mb=2000, max_temperature_c=60, max_memory_mb=80)
    assert set(bad(replace(WELL, disk_free_mb=1500, temperature_c=61), health=strict)) == {
        "disk",
        "temperature",
        "memory",
    }


def test_first_words_are_those_of_the_limits() -> None:
    """By them a warning joins the limit that was told already."""
    worst = replace(WELL, disk_free_mb=1.0, temperature_c=140.0, memory_mb=1e6)
    limits = {r.partition(":")[0] for r in BoxLimits().judge(0.0, worst, HEALTH)}
    warned = bad(worst)
    assert limits == set(warned)
    assert all(text.startswith(f"{name}: ") for name, text in warned.items())


def test_address_that_is_gone_is_named_with_what_is_there_instead() -> None:
    """And whether that has an end, as one from DHCP has."""
    moved = board(
        addresses=(
            Address(text="127.0.0.1", is_leased=False),
            Address(text="fe80::1", is_leased=False),
            Address(text="192.168.1.57", is_leased=True),
        )
    )
    text = bad(moved)["address"]
    assert "192.168.1.11 (nodes.jetson.host)" in text
    assert text.endswith("it has 192.168.1.57 (leased, by DHCP)")
    assert "it has none" in bad(board(addresses=()))["address"]


def test_fixed_address_with_an_end_is_noted() -> None:
    """Before it moves; only the one that cluster.toml names."""
    leased = (
        Address(text="192.168.1.11", is_leased=True),
        Address(text="192.168.1.57", is_leased=True),
    )
    (note,) = leased_notes(leased, KNOWN.places)
    assert note.startswith("192.168.1.11 (nodes.jetson.host) is leased")
    assert leased_notes(WELL.board.addresses, KNOWN.places) == ()
    assert leased_notes(None, KNOWN.places) == ()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.168.1.11", {"192.168.1.11": "nodes.jetson.host"}),
        ("FD00:0::2", {"fd00::2": "nodes.jetson.host"}),
        ("jetson.lan", {}),
        ("127.0.0.1", {}),
        ("0.0.0.0", {}),
        (None, {}),
    ],
)
def test_expected_addresses_are_fixed_ones_only(host: str | None, expected: dict[str, str]) -> None:
    """A name is the name server's business; loopback is always there."""
    node = THREE.nodes["jetson"].model_copy(update={"host": host})
    config = THREE.model_copy(update={"nodes": {**THREE.nodes, "jetson": node}, "stores": ()})
    assert expected_addresses(config, "jetson") == expected


def test_store_on_this_box_is_looked_for_too() -> None:
    """The other node looks for it there; the witness is no box of a node."""
    assert expected_addresses(TWO, "raspberrypi") == {
        "192.168.1.12": "nodes.raspberrypi.host",
        "192.168.1.11": "the host of store raspberrypi",
    }
    assert expected_addresses(TWO, "jetson") == {"192.168.1.11": "nodes.jetson.host"}


# --- raising and taking back ---------------------------------------------------------------------


def finding(bad: str = "", *, is_well: bool | None = None, **changes: float) -> Finding:
    well = not bad if is_well is None else is_well
    return Finding(bad=bad, is_well=well, good="good", meaning="m", fix="f", **changes)


def step(warnings: Warnings, now_s: float, given: Finding) -> list[bool]:
    return [change.is_raised for change in warnings.judge(now_s, {"heat": given})]


def test_warning_is_raised_once_after_it_has_lasted() -> None:
    """A peak is none."""
    warnings = Warnings()
    assert step(warnings, 0.0, finding("hot")) == []
    assert step(warnings, LASTING_S - 1, finding()) == []
    assert step(warnings, LASTING_S, finding("hot")) == []
    assert step(warnings, 2 * LASTING_S - 1, finding("hot")) == []
    assert step(warnings, 2 * LASTING_S, finding("hotter")) == [True]
    assert warnings.texts == ("hotter",)
    assert step(warnings, 1000.0, finding("hottest")) == []
    assert warnings.texts == ("hottest",)


def test_warning_ends_beyond_the_margin_and_after_a_calm_time() -> None:
    """Within the bound but near it is neither."""
    warnings = Warnings()
    step(warnings, 0.0, finding("hot", lasting_s=0.0))
    assert step(warnings, 10.0, finding(is_well=False)) == []
    assert step(warnings, 500.0, finding(is_well=False)) == []
    assert step(warnings, 510.0, finding()) == []
    assert step(warnings, 510.0 + CALM_S - 1, finding()) == []
    assert step(warnings, 510.0 + CALM_S - 0.5, finding(is_well=False)) == []
    assert step(warnings, 600.0, finding()) == []
    (change,) = warnings.judge(600.0 + CALM_S, {"heat": finding()})
    assert (change.is_raised, change.lasted_s) == (False, 600.0 + CALM_S)
    assert warnings.texts == ()


def test_figure_that_swings_around_the_bound_is_one_message() -> None:
    """An hour between 74 and 76 degrees."""
    warnings = Warnings()
    told: list[Change] = []
    for turn in range(360):
        resources = replace(WELL, temperature_c=76.0 if turn % 10 else 74.0)
        told += warnings.judge(10.0 * turn, find_warnings(resources, HEALTH, KNOWN))
    assert [change.is_raised for change in told] == [True]


def test_undervoltage_at_every_peak_of_load_is_one_message() -> None:
    """The board's alarm lasts a moment and comes back: it counts at once, and for long."""
    warnings = Warnings()
    told: list[Change] = []
    for turn in range(360):
        resources = board(has_supply_alarm=turn % 60 == 0)
        told += warnings.judge(10.0 * turn, find_warnings(resources, HEALTH, KNOWN))
    assert [(c.name, c.is_raised) for c in told] == [("power", True)]
    end_s = 10.0 * 300
    for now_s in (end_s + 610.0, end_s + 610.0 + FLAPPING_CALM_S):
        told += warnings.judge(now_s, find_warnings(WELL, HEALTH, KNOWN))
    assert [c.is_raised for c in told] == [True, False]


def test_what_cannot_be_read_for_a_while_neither_raises_nor_ends_a_warning() -> None:
    warnings = Warnings()
    assert step(warnings, 0.0, finding("hot", lasting_s=0.0)) == [True]
    assert warnings.judge(1e6, {}) == ()
    assert warnings.texts == ("hot",)


def test_every_warning_says_what_it_means_and_what_mends_it() -> None:
    """For a phone at night."""
    for found in find_warnings(WELL, HEALTH, KNOWN).values():
        assert found.good
        assert found.meaning
        assert found.fix
