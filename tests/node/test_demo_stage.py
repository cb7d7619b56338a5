"""A wait on the stage ends at once when a node that ran has failed: the rest would be in vain."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.demo.node_process import NodeProcess
from node.demo.stage import Stage, StageTimeout

LONG_S = 600.0


def stage_with(folder: Path, code: str) -> tuple[Stage, NodeProcess]:
    """Return a stage whose one node is a process of the test's own."""
    node = NodeProcess(folder / "cluster.toml", "jetson")
    node.console.write_text("its last words\n")
    node.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    stage = object.__new__(Stage)
    stage.nodes = {"jetson": node}
    return stage, node


def end(node: NodeProcess) -> None:
    assert node.process is not None
    assert node.process.stdin is not None
    node.process.stdin.close()


def test_a_node_that_fails_ends_the_wait(tmp_path: Path) -> None:
    """With its name, its exit code and its last words."""
    stage, node = stage_with(tmp_path, "import sys; sys.stdin.read(); sys.exit(4)")
    looks = 0

    def never() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            end(node)
        return False

    began_s = time.monotonic()
    with pytest.raises(StageTimeout, match=r"jetson \(exit code 4\) ended\n.*\nits last words"):
        stage.wait_for(never, "something", timeout_s=LONG_S)
    assert time.monotonic() - began_s < LONG_S / 2


@pytest.mark.parametrize(
    "code", ["pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
)
def test_a_node_that_was_ended_does_not(tmp_path: Path, code: str) -> None:
    """An orderly end, a kill and the kernel fence are what stories are about."""
    stage, node = stage_with(tmp_path, f"import sys; sys.stdin.read(); {code}")
    end(node)
    assert stage.wait_for(lambda: not node.is_running, "its end", timeout_s=60.0)
    with pytest.raises(StageTimeout, match="waited 0 s"):
        stage.wait_for(lambda: False, "nothing", timeout_s=0.2)


def test_a_node_that_had_failed_before_does_not_end_a_later_wait(tmp_path: Path) -> None:
    """Only what ran when the wait began can end it."""
    stage, node = stage_with(tmp_path, "import sys; sys.exit(1)")
    assert node.wait(60.0) == 1
    assert stage.wait_for(lambda: True, "anything", timeout_s=60.0)
