"""nodectl logs on a real log file, also while it grows and is rotated."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.log_files import RotatingFile
from node.logs import FILE_NAME
from tests.node.test_cli import CLOSED
from tests.support.nodectl import run_nodectl


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A cluster whose node jetson has logged something."""
    path = tmp_path / "cluster.toml"
    path.write_text(CLOSED, encoding="utf-8")
    file = RotatingFile(log_path(path), max_bytes=150, kept=3)
    for number, (event, level) in enumerate(
        [("lease.granted", "info"), ("order.filled", "info"), ("order.unknown", "error")]
    ):
        file.write(line(event, level=level, number=number))
    file.close()
    return path


def log_path(config: Path) -> Path:
    """Where jetson logs."""
    return config.parent / "state" / "jetson" / "log" / FILE_NAME


def line(event: str, *, level: str = "info", number: int = 0) -> str:
    """One line as the node writes it."""
    when = f"2026-11-22T12:00:{number:02d}.000Z"
    facts = {"ts": when, "level": level, "event": event, "stream": "trades", "number": number}
    return json.dumps(facts) + "\n"


def test_logs_filters_over_rotated_files(config: Path) -> None:
    """Oldest first, whichever file a line is in."""
    assert len(list(log_path(config).parent.iterdir())) > 1
    base = ("logs", "-c", config, "-n", "jetson")
    code, everything = run_nodectl(*base)
    assert code == 0
    assert [t.split()[2] for t in everything.splitlines()] == [
        "lease.granted",
        "order.filled",
        "order.unknown",
    ]
    newest = run_nodectl(*base, "--last", "1")[1]
    assert "order.unknown" in newest
    assert len(newest.splitlines()) == 1
    errors = run_nodectl(*base, "--level", "error", "--json")[1]
    assert [json.loads(t)["event"] for t in errors.splitlines()] == ["order.unknown"]
    assert run_nodectl(*base, "--since", "soon")[0] == 1


def test_logs_of_a_node_that_never_ran_says_so(config: Path) -> None:
    """No log is not an empty log."""
    code, said = run_nodectl("logs", "-c", config, "-n", "raspberrypi")
    assert code == 1
    assert "has not run here" in said


@pytest.fixture
def follower(config: Path) -> Iterator[subprocess.Popen[str]]:
    """`nodectl logs --follow --json` as its own process."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "node.cli.main", "logs", "--follow", "--json"),
            *("-c", str(config), "-n", "jetson", "--event", "order."),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    guard = threading.Timer(60, process.kill)  # a reader below must not wait for ever
    guard.start()
    yield process
    guard.cancel()
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_follow_prints_new_lines_over_a_rotation(
    config: Path, follower: subprocess.Popen[str]
) -> None:
    """New matching lines appear, in order, each once, although the file is exchanged."""
    assert follower.stdout is not None
    found = [json.loads(follower.stdout.readline())["number"] for _ in range(2)]
    assert found == [1, 2]
    file = RotatingFile(log_path(config), max_bytes=150, kept=3)
    for number in range(10, 13):
        file.write(line("lease.granted", number=number))
        file.write(line("order.filled", number=number))
        assert json.loads(follower.stdout.readline())["number"] == number
    file.close()
    follower.send_signal(signal.SIGINT)
    assert follower.wait(30) == 0
