"""R16: a process that died under its supervisor costs no ttl, and never a second leader."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from election.post_mortem import AFTER_CRASH
from node.crash_file import read_book
from tests.e2e.conftest import PairMaker
from tests.support.pair import JETSON, PI, Pair, grid_part, mover_part, plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Whoever takes over sooner than this after a death did so by a release; the reports say it too.
LONG_LEASE = {
    "ttl_ms": 12_000,
    "renew_ms": 1000,
    "request_timeout_ms": 1000,
    "observe_ms": 250,
    "guard_ms": 1000,
}
KILLED = {"SERVICE_RESULT": "signal", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"}


def state_dir(pair: Pair, node_id: str) -> Path:
    return pair.stage.directory / "state" / node_id


def hook(pair: Pair, node_id: str, said: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the stop hook as a supervisor does once every process of the unit is dead."""
    return subprocess.run(
        [sys.executable, "-m", "node.cli.main", "release", "--after-crash", "--state-dir",
         str(state_dir(pair, node_id))],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={**os.environ, **said},
        check=False,
    )  # fmt: skip


def wait_takeovers_told(pair: Pair, count: int) -> None:
    """A takeover from nobody is told as the return of the cluster."""
    kinds = ("took_over", "both_were_off")
    pair.wait(lambda: sum(len(pair.told(k, JETSON)) for k in kinds) >= count, "the message")


@pytest.fixture
def patient(make_pair: PairMaker) -> Pair:
    """A pair whose lease outlives the test unless somebody releases it."""
    return make_pair(plan_of(lease=LONG_LEASE))


def test_a_crash_under_a_supervisor_costs_no_ttl(patient: Pair) -> None:
    """SIGKILL: the hook frees the lease, the spare takes over at once and says why."""
    pair = patient
    pair.open()
    since = pair.stage.role_changes(PI)
    pair.kill(JETSON)
    said = hook(pair, JETSON, KILLED)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "the other node may take the lease now" in said.stdout
    report = pair.wait_active(PI, since=since)
    assert AFTER_CRASH in report["reason"]
    assert "signal KILL" in report["reason"]
    assert report["previous"] == JETSON
    pair.wait_order(PI)
    (book,) = read_book(state_dir(pair, JETSON)).crashes
    assert book.why_not_counted == ""
    pair.start(JETSON)
    assert pair.wait_told("error", JETSON)["event_id"].startswith("error:crash:")
    assert "ended unexpectedly while it traded" in pair.node(JETSON).console.read_text()
    pair.story.wait_spare(JETSON)
    pair.judge()


def test_a_refused_second_start_frees_nothing(patient: Pair) -> None:
    """Its stop hook runs too, while the holder lives: the claim keeps it from releasing."""
    pair = patient
    pair.open()
    second = pair.stage.nodectl("run", "--node", JETSON)
    assert second.returncode == 4
    said = hook(pair, JETSON, {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited"})
    assert said.returncode == 0
    assert "nothing released" in said.stdout
    assert {node for node, _ in pair.holders()} == {JETSON}
    pair.wait_order(JETSON)
    pair.judge()


def test_without_a_hook_the_next_start_releases(patient: Pair) -> None:
    """Whoever has the claim knows that the predecessor is dead, with or without a supervisor."""
    pair = patient
    pair.start(JETSON)
    pair.wait_active(JETSON)
    pair.wait_told("took_over", JETSON)
    (epoch,) = pair.epochs(JETSON)
    since = pair.stage.role_changes(JETSON)
    pair.kill(JETSON)
    pair.node(JETSON).start()
    report = pair.wait_active(JETSON, since=since)
    assert AFTER_CRASH in report["reason"]
    freed = pair.wait_event(JETSON, "lease.post_mortem")
    assert freed["lease_epoch"] == epoch
    pair.judge()


def test_an_order_under_way_makes_the_successor_wait(patient: Pair) -> None:
    """Bytes in the kernel's buffer leave after SIGKILL: the release says how long to wait."""
    pair = patient
    pair.open()
    since = pair.stage.role_changes(PI)
    order = pair.hold_back_an_order(JETSON)
    pair.kill(JETSON)
    said = hook(pair, JETSON, KILLED)
    pair.stage.paper.clear_faults()
    assert "may take effect for 1500 ms" in said.stdout
    pair.wait_active(PI, since=since)
    assert order
    pair.wait_order(PI)
    pair.judge()


def test_a_clean_stop_leaves_nothing_to_release(patient: Pair) -> None:
    """SIGTERM hands over in order; the hook after it finds nothing and is content."""
    pair = patient
    pair.open()
    since = pair.stage.role_changes(PI)
    assert pair.node(JETSON).stop(60.0) == 0
    said = hook(pair, JETSON, {"SERVICE_RESULT": "success", "EXIT_CODE": "exited"})
    assert (said.returncode, "nothing to release" in said.stdout) == (0, True), said.stdout
    pair.wait_active(PI, since=since)
    assert read_book(state_dir(pair, JETSON)).crashes == ()
    pair.judge()


def test_a_node_that_crashes_three_times_stays_out_until_a_person_looks(
    make_pair: PairMaker,
) -> None:
    """The third crash while trading within ten minutes latches; a restart lifts nothing."""
    pair = make_pair(plan_of(grid_part(), mover_part(), lease=LONG_LEASE))
    for told in range(3):
        since = pair.stage.role_changes(JETSON)
        pair.node(JETSON).start()
        pair.wait_active(JETSON, since=since)
        wait_takeovers_told(pair, told + 1)
        pair.node(JETSON).send(signal.SIGKILL)
        pair.node(JETSON).wait()
        assert hook(pair, JETSON, KILLED).returncode == 0
    for _ in range(2):  # also after one more restart
        pair.start(JETSON)
        pair.wait(
            lambda: any("crashes" in r for r in pair.member(JETSON).get("reasons", ())),
            "the reason on the member board",
        )
        pair.node(JETSON).stop(60.0)
    pair.start(JETSON)
    acts = [e for e in pair.told("error", JETSON) if "crash-loop" in e["event_id"]]
    assert len(acts) == 1
    since = pair.stage.role_changes(JETSON)
    cleared = pair.stage.nodectl("clear-crashes", "--reason", "power supply")
    assert cleared.returncode == 0, cleared.stderr
    pair.wait_active(JETSON, since=since)
    pair.judge()
