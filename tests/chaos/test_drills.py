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


class Asked:
    """`nodectl drill plug` on the box of a node, as somebody there."""

    def __init__(self, lab: Lab, node: str, *options: str) -> None:
        lab.stage.shell_host = node
        self._found: list[subprocess.CompletedProcess[str]] = []
        arguments = ("drill", "plug", "--node", node, "--yes", "--json", "--no-venue-check")
        self._thread = threading.Thread(
            target=lambda: self._found.append(
                lab.stage.nodectl(*arguments, *options, timeout_s=400)
            )
        )
        self._thread.start()
        lab.pair.wait(
            lambda: any("drill" in latches for latches in lab.pair.latches()), "the drill to begin"
        )

    def result(self) -> dict[str, object]:
        """Wait for its end; return what it printed, with its exit code."""
        self._thread.join(420)
        (done,) = self._found
        assert done.stdout, done.stderr
        return {**json.loads(done.stdout), "code": done.returncode, "said": done.stderr}


def drill_plug(lab: Lab, *options: str) -> dict[str, object]:
    """Run the drill on the Pi's box; pull the Jetson's plug when it says so, and put it back."""
    asked = Asked(lab, PI, *options)
    lab.pull(JETSON)
    lab.pair.wait_active(PI)
    lab.pair.wait_order(PI)
    lab.wait_phone("trades now")
    lab.plug(JETSON)
    return asked.result()


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


def test_drill_plug_of_the_box_with_the_only_store(make_lab: LabMaker) -> None:
    """R16: refused, unless a stop is accepted; then the stop is safe, and it goes on by itself."""
    lab = make_lab(plan_of(stores=1, topology="two-boxes", extra_toml=SLACK))
    lab.pair.open()
    assert lab.stage.nodectl("switchover", "--to", PI).returncode == 0
    lab.pair.wait_active(PI)
    lab.pair.story.wait_spare(JETSON)
    refused = lab.stage.nodectl("drill", "plug", "--node", JETSON, "--yes")
    assert refused.returncode == 1
    assert "pulling its plug stops trading" in refused.stderr.replace("\n", " ")

    asked = Asked(lab, JETSON, "--accept-stop")
    lab.pull(PI)
    lab.hold_idle(3 * TTL_S)
    lab.plug(PI)
    result = asked.result()
    assert (result["code"], result["outcome"]) == (0, "passed"), result
    assert "trading stopped safely" in str(result["summary"])
    lab.wait_pair()
    lab.judge()
