"""R0: after a fault of a clock the venue's time is measured anew before anything is signed."""

from unittest.mock import patch

import pytest

from election.instants import ClockFault
from exchange.clock_offset import VenueClock
from node.sim.simulation import Plan, Simulation


@pytest.mark.parametrize(
    ("strikes", "fault"), [("pause", ClockFault.LATE), ("set_wall", ClockFault.STEPPED)]
)
def test_what_was_measured_before_a_clock_fault_is_forgotten(
    strikes: str, fault: ClockFault
) -> None:
    """A holder that stood still, and a box whose wall clock was set, keep no measurement."""
    plan = Plan(seed=0, hours=0.1, stores=1, only=(strikes,))
    forget = VenueClock.invalidate
    with patch.object(VenueClock, "invalidate", autospec=True, side_effect=forget) as forgotten:
        report = Simulation(plan).run()
    faults = [
        entry
        for entry in report.timeline
        if entry.what == "lease.anomaly" and entry.details["code"] == fault
    ]
    assert faults
    assert forgotten.call_count == len(faults)
    assert report.violations == []
