"""A whole process under the kernel fence: what freezes dies, and the next start says of what."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from election.fence_note import previous_end

# A node in small: heartbeat, kernel fence, one store in memory, and a work loop that can hang.
NODE = """
import sys, threading, time
from pathlib import Path
from election.clock import KernelClock
from election.epoch_file import DiskEpochFile
from election.fence_note import FenceNote
from election.heartbeat import Heartbeat
from election.kernel_fence import KernelFence
from election.memory_store import MemoryStore
from election.model import Granted, Identity, Lapsed, LeaseTiming, NodeId

state, how = Path(sys.argv[1]), sys.argv[2]
store = MemoryStore("x", now_us=lambda: 0)
heard = []
heartbeat = Heartbeat(
    identity=Identity(cluster_id="c", config_id="x", node_id=NodeId("n"), nonce="n1"),
    timing=LeaseTiming(ttl_ms=2000, renew_ms=250, request_timeout_ms=250, observe_ms=200,
                       guard_ms=500, hang_limit_ms=1000),
    stores=[store], epoch_file=DiskEpochFile(state / "epoch"), fence=KernelFence(),
    clock=KernelClock(), on_event=heard.append, note=FenceNote(state),
)
heartbeat.start()
heartbeat.set_eligibility(())
has_told = False
while True:
    heartbeat.progress("placing order 17")
    if how == "stop cleanly" and heartbeat.permit.remaining_s() > 0:
        heartbeat.stop(20)
        sys.exit(0)
    if not has_told and heartbeat.permit.remaining_s() > 0:
        has_told = True
        print("holds", flush=True)
        if how == "hang":
            time.sleep(600)
        if how == "lose the store":
            store.set_down(True)
    if any(isinstance(event, Lapsed) for event in heard) and heartbeat.settle():
        if heartbeat.permit.is_settled and how == "lose the store":
            time.sleep(2.5)  # longer than the fence would have stood
            sys.exit(5)
    time.sleep(0.02)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(how: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", NODE, str(tmp_path), how]
        started.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def wait_holds(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"


def test_hung_work_loop_is_killed_and_named(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """A hung loop never disarms; after the kill the next start says in words what froze."""
    process = start("hang")
    wait_holds(process)
    assert process.wait(60) == -signal.SIGKILL
    words = previous_end(tmp_path)
    assert "kernel fence" in words
    assert "placing order 17" in words


def test_stopped_process_is_killed_while_stopped(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Scenario 4: no order can leave after SIGCONT, for there is nobody left to continue."""
    process = start("run")
    wait_holds(process)
    os.kill(process.pid, signal.SIGSTOP)
    assert process.wait(60) == -signal.SIGKILL
    assert "kernel fence" in previous_end(tmp_path)


def test_healthy_process_that_loses_the_lease_lives_on(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """It closes its gate, takes the fence away and becomes standby."""
    process = start("lose the store")
    wait_holds(process)
    assert process.wait(60) == 5
    assert previous_end(tmp_path) == ""


def test_clean_stop_leaves_nothing_to_explain(
    start: Callable[[str], subprocess.Popen[str]], tmp_path: Path
) -> None:
    """The note is removed on a clean stop."""
    assert start("stop cleanly").wait(60) == 0
    assert previous_end(tmp_path) == ""
