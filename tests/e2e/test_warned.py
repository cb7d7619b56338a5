"""A box that is warned says so in its log and to the doctor, and joins what is told already."""

import json

import pytest

from node.backup.note import write_note
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


def test_a_backup_that_failed_reaches_phone_and_doctor(make_pair: PairMaker) -> None:
    """What the timer's process noted is told by the node, which alone may write its outbox."""
    pair = make_pair(plan_of())
    state = pair.stage.directory / "state" / PI
    state.mkdir(parents=True, mode=0o700)
    write_note(state, now_ms=1_800_000_000_000, problem="No space left on device")
    pair.start(PI)
    told = pair.wait_told("degraded", PI)
    assert told["event_id"].startswith("degraded:backup:")
    pair.wait(
        lambda: any("No space left" in w for w in pair.member(PI).get("warnings", ())),
        "the warning on the member board",
    )
