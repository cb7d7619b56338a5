"""The demo as its user runs it: exit codes, report, and no process left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.candles import real_candles_path

ROOT = Path(__file__).parents[2]
FIGURES = {
    "takeover_s",
    "first_order_s",
    "switchover_s",
    "orders",
    "orders_doubled",
    "orders_lost",
    "unknown_resolved",
    "adopted",
    "cancelled",
    "alerts",
    "invariants_ok",
}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "node.cli.main", "demo", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.parametrize("topology", ["three-stores", "two-boxes"])
def test_demo_holds_and_reports(topology: str) -> None:
    """Exit 0 only if the checker holds; the report has every figure."""
    done = demo("--json", "--topology", topology)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert set(report) == FIGURES
    assert report["invariants_ok"] is True
    assert (report["orders_doubled"], report["orders_lost"]) == (0, 0)
    assert report["orders"] > 0
    assert report["unknown_resolved"] >= 1  # the one whose answer was held back
    assert report["takeover_s"] > 0
    assert report["adopted"] > 0  # the grid's resting orders are kept, not cancelled and sent anew


def test_demo_plays_on_recorded_candles() -> None:
    """Files from the venue's public archive: the market is read off the file's name."""
    path = real_candles_path("ETHBTC-5m.csv")
    done = demo("--json", "--candles", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["invariants_ok"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("--candles", "nowhere.csv"),
        ("--topology", "four-stores"),
        ("--candles", __file__),
        ("--directory", __file__),
        ("--directory", f"{__file__}/inside"),
        ("--directory", str(Path(__file__).parent)),
    ],
    ids=[
        "a file that is not there",
        "a topology that is not there",
        "a name without a market",
        "a file for a directory",
        "a directory in a file",
        "a directory that is not empty",
    ],
)
def test_demo_wrong_options_are_refused(arguments: tuple[str, ...]) -> None:
    done = demo(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_demo_kept_is_judged_after_ctrl_c_and_ends_with_ten_lines(tmp_path: Path) -> None:
    """--keep goes on until Ctrl-C; the story then closes, the checker judges, the code is 0.

    The signal goes to the whole process group, as a terminal sends it. The walk is another one.
    """
    command = [sys.executable, "-u", "-m", "node.cli.main", "demo", "--keep", "--seed", "11"]
    process = subprocess.Popen(
        [*command, "--directory", str(tmp_path / "demo")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "goes on until Ctrl-C" in line:
                os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0, "".join(told)
    finally:
        process.kill()
        process.wait()
    lines = "".join(told).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(" 1. "))
    assert [line[:4] for line in lines[start : start + 10]] == [f"{n:2}. " for n in range(1, 11)]
    assert "All invariants hold: yes" in lines[start + 9]
    assert lines[start + 10 : start + 12] == ["", "Try next:"]
    assert lines[start + 12 :]
    assert all(line.startswith("  ") for line in lines[start + 12 :])


@pytest.fixture
def kept_demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "node.cli.main",
            "demo",
            "--directory",
            str(tmp_path / "demo"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_demo_leaves_no_process_behind(
    kept_demo: subprocess.Popen[str], number: signal.Signals
) -> None:
    """However it ends: nodes, workers, stores and exchange end with it."""
    assert kept_demo.stdout is not None
    for line in kept_demo.stdout:
        if "is a fit spare" in line:
            break
    family = psutil.Process(kept_demo.pid).children(recursive=True)
    assert len(family) >= 6  # two nodes with workers, three stores, the exchange
    os.kill(kept_demo.pid, number)
    kept_demo.wait(60)
    wait_until(lambda: not [p for p in family if is_alive(p)], 60)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited too long"
        os.sched_yield()
