"""`nodectl drill plug` on boxes that really lose their power: no FIN, the store goes too."""

import json
import subprocess
import threading

import pytest

from tests.chaos.conftest import LabMaker
from tests.chaos.lab import Lab
from tests.support.pair import JETSON, PI, TTL_S, plan_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
SLACK = "[drills]\nslack_ms = 60000\n"


def drill_plug(lab: Lab, *options: str) -> dict[str, object]:
    """Run the drill on the Pi's box; pull the Jetson's plug when it says so, and put it back."""
    found: list[subprocess.CompletedProcess[str]] = []
    asked = threading.Thread(
        target=lambda: found.append(
            lab.stage.nodectl(
                *("drill", "plug", "--node", PI, "--yes", "--json", "--no-venue-check", *options),
                timeout_s=400,
            )
        )
    )
    asked.start()
    lab.pair.wait(
        lambda: any("drill" in latches for latches in lab.pair.latches()), "the drill to begin"
    )
    lab.pull(JETSON)
    lab.pair.wait_active(PI)
    lab.pair.wait_order(PI)
    lab.wait_phone("trades now")
    lab.plug(JETSON)
    asked.join(420)
    (done,) = found
    assert done.stdout, done.stderr
    return {**json.loads(done.stdout), "code": done.returncode, "said": done.stderr}


def test_drill_plug_with_a_witness(make_lab: LabMaker) -> None:
    """Three stores, one of them goes with the leader: measured from the last renewal, PASSED."""
    lab = make_lab(plan_of(extra_toml=SLACK))
    lab.pair.open()
    result = drill_plug(lab)
    assert (result["code"], result["outcome"]) == (0, "passed"), result
    seen = {name: after_s for name, after_s, _ in result["phases"]}  # type: ignore[attr-defined]
    report = lab.pair.events(PI, "lease.granted")[-1]
    # The contender saw the last renewal at the earliest when it was written (R5, R6).
    assert seen["granted"] >= float(report["silent_s"]) - 0.1
    assert seen["granted"] >= TTL_S
    assert seen["reconciled, trading"] >= seen["granted"]
    assert seen["alert delivered"] is not None
    assert seen["jetson a fit spare again"] is not None
    lab.wait_phone("drill passed")
    lab.judge()


def test_drill_plug_with_two_boxes(make_lab: LabMaker) -> None:
    """One store, on the Pi: the Jetson's plug costs a takeover, and the pair comes back."""
    lab = make_lab(plan_of(stores=1, extra_toml=SLACK))
    lab.pair.open()
    result = drill_plug(lab)
    assert (result["code"], result["outcome"]) == (0, "passed"), result
    lab.judge()
