"""A box that is warned says so in its log and to the doctor, and joins what is told already."""

import json

import pytest

from tests.e2e.conftest import PairMaker
from tests.support.pair import PI, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
PETABYTE_MB = 1_000_000_000


def test_warning_reaches_log_board_and_doctor(make_pair: PairMaker) -> None:
    """A disk that is too small for its limit: the limit is told, the warning joins it."""
    pair = make_pair(plan_of(extra_toml=f"[health]\nmin_disk_free_mb = {PETABYTE_MB}\n"))
    pair.start(PI)
    warned = pair.wait_event(PI, "box.warned")
    assert warned["reason"].startswith("disk: ")
    told = pair.wait_told("degraded", PI)
    assert "resources:" in told["event_id"]
    pair.wait(lambda: pair.member(PI).get("warnings"), "the warning on the member board")
    done = pair.stage.nodectl("doctor", "--json", "--node", PI)
    boxes = [f for f in json.loads(done.stdout)["findings"] if f["area"] == "box"]
    assert any(f["what"].startswith("Raspberry Pi: disk: ") for f in boxes), done.stdout
    assert not pair.told("recovered", PI)
