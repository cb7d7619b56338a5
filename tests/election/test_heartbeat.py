"""The heartbeat with real threads and clocks; stores in memory, the fence recorded."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from election.epoch_file import DiskEpochFile
from election.errors import EpochFileUnusable
from election.fence_note import FILE_NAME
from election.model import (
    Anomaly,
    Granted,
    HolderChanged,
    Lapsed,
    LeaseEvent,
    Reincarnated,
    Released,
    StoreLost,
)
from election.ports import LeaseStore
from tests.support.heartbeat_rig import (
    DEADLINE_S,
    SHORT,
    Node,
    SlowStore,
    memory,
    released,
    start_holder,
    start_standby,
    wait_until,
)


@pytest.fixture
def stores() -> list[LeaseStore]:
    """Three stores whose last holder released: the first grant needs no ttl of waiting."""
    return [released(SlowStore(name, now_us=lambda: 0)) for name in "xyz"]


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    started: list[Node] = []
    yield started
    for node in started:
        node.end()


def test_standby_keeps_the_epochs_it_has_seen_on_its_disk(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """R7: stores that begin empty forget which epochs were used; a node that only watched, and is
    restarted then, does not.

    Found by simulation: the single store was lost, the standby restarted, and both nodes traded
    under one epoch, one after the other.
    """
    holder = start_holder(nodes, stores, tmp_path)
    epoch = holder.heartbeat.permit.epoch
    start_standby(nodes, stores, tmp_path)
    file = DiskEpochFile(tmp_path / "pi" / "epoch")
    wait_until(lambda: file.load() == epoch, "the standby to write the epoch down")


def test_grant_opens_gate_arms_fence_and_is_on_disk(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """R7: epoch above every one seen, durable; the permit and the fence follow the grant."""
    node = start_holder(nodes, stores, tmp_path)
    granted = node.last(Granted)
    assert isinstance(granted, Granted)
    assert granted.epoch >= 4
    assert (granted.previous, granted.previous_epoch) == ("old", 3)
    assert granted.was_released
    assert DiskEpochFile(tmp_path / "jetson" / "epoch").load() == granted.epoch
    assert node.heartbeat.permit.epoch == granted.epoch
    assert node.fence.is_armed()
    wait_until(lambda: len(node.heartbeat.grant_incarnations()) == 3, "all three stores held")
    view = node.heartbeat.view()
    assert (view.is_mine, view.epoch, view.holder) == (True, granted.epoch, "jetson")


def test_hung_work_loop_loses_the_lease_and_keeps_its_fence(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """Scenario 6: no progress, no renewal; the other takes over; a hung loop never disarms."""
    holder = start_holder(nodes, stores, tmp_path, SHORT)
    standby = start_standby(nodes, stores, tmp_path, SHORT)
    holder.works.clear()
    wait_until(lambda: standby.is_open, "the takeover")
    assert not holder.is_open
    lapsed = holder.last(Lapsed)
    assert isinstance(lapsed, Lapsed)
    assert "reading candles" in lapsed.reason
    assert not holder.heartbeat.settle_unless_hung()
    assert holder.fence.is_armed()
    granted = standby.last(Granted)
    assert isinstance(granted, Granted)
    assert granted.epoch > lapsed.epoch
    assert granted.silent_s is not None
    assert granted.silent_s >= SHORT.takeable_after_s
    # Had it been for a moment only, the loop's next step takes the fence away.
    holder.works.set()
    wait_until(lambda: not holder.fence.is_armed(), "the loop to settle")


def test_loop_that_waits_for_an_answer_may_settle_and_a_hung_one_may_not(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """The fence is for who is stuck: a turn that waits, longer than the guard, is not.

    Cut off from everything, a work loop waits for its last read when the lease lapses; its
    thread is free, and takes the fence away. After the hang limit it does not any more.
    """
    waiting = replace(SHORT, hang_limit_ms=2800)
    holder = start_holder(nodes, stores, tmp_path, waiting)
    settled: list[bool] = []

    def on_lapse(event: LeaseEvent) -> None:
        if isinstance(event, Lapsed):
            settled.append(holder.heartbeat.settle_unless_hung())

    holder.trouble = on_lapse
    holder.works.clear()  # no step is completed from here on
    for store in stores:
        memory(store).set_down(True)
    wait_until(lambda: bool(settled), "the lapse")
    age_s = holder.heartbeat.progress_age_s()
    assert age_s is not None
    if age_s < waiting.hang_limit_ms / 1000:  # else this machine stood still: that is a hang
        assert settled == [True]
        assert not holder.fence.is_armed()


def test_release_hands_over_at_once(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """R10: a released lease is taken without waiting for a ttl; the fence is gone."""
    holder = start_holder(nodes, stores, tmp_path)
    standby = start_standby(nodes, stores, tmp_path)
    holder.heartbeat.set_eligibility(("switchover",))
    holder.heartbeat.close_gate("switchover")
    assert not holder.is_open
    holder.heartbeat.release(drain_ms=0, reserved_for="pi", reason="switchover")
    wait_until(lambda: holder.count(Released) == 1, "the release")
    released_event = holder.last(Released)
    assert isinstance(released_event, Released)
    assert released_event.was_acknowledged
    wait_until(lambda: standby.is_open, "the successor")
    granted = standby.last(Granted)
    assert isinstance(granted, Granted)
    assert granted.was_released
    assert granted.reason == "switchover"
    wait_until(lambda: not holder.fence.is_armed(), "the loop to settle")
    assert holder.count(Lapsed) == 0


def test_closed_gate_keeps_the_lease(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """Draining happens under the lease: closing the gate gives nothing away."""
    holder = start_holder(nodes, stores, tmp_path)
    permit = holder.heartbeat.permit
    assert permit.begin_write(epoch=permit.epoch, needed_s=0.1)
    epoch = permit.epoch
    holder.heartbeat.close_gate("draining")
    assert not permit.begin_write(epoch=epoch, needed_s=0.1)
    assert holder.fence.is_armed()
    permit.end_write()
    assert not holder.fence.is_armed()
    first = holder.wid(stores[0])
    wait_until(lambda: holder.wid(stores[0]) != first, "a renewal after the closing")
    second = holder.wid(stores[0])
    wait_until(lambda: holder.wid(stores[0]) != second, "another renewal")
    assert holder.heartbeat.view().is_mine
    assert holder.count(Lapsed) == 0
    assert permit.epoch == epoch
    assert not holder.is_open
    assert not holder.fence.is_armed()


def test_one_dead_store_of_three_changes_nothing(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """L1: a store that times out delays neither the renewals nor the standby's view."""
    holder = start_holder(nodes, stores, tmp_path)
    memory(stores[1]).is_slow = True
    wait_until(lambda: holder.count(StoreLost) == 1, "the store to be noticed")
    epoch = holder.heartbeat.permit.epoch
    sent = holder.fence.at_boot_s
    assert sent is not None
    wait_until(lambda: (holder.fence.at_boot_s or 0) > sent + 2.0, "renewals without that store")
    assert holder.heartbeat.permit.epoch == epoch
    assert holder.count(Lapsed) == 0


def test_two_dead_stores_of_three_close_the_gate(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """Without a majority the lease lapses in words; with it back a higher epoch is granted."""
    holder = start_holder(nodes, stores, tmp_path, SHORT)
    first = holder.heartbeat.permit.epoch
    for store in stores[:2]:
        memory(store).set_down(True)
    wait_until(lambda: holder.count(Lapsed) == 1, "the lapse")
    assert not holder.is_open
    lapsed = holder.last(Lapsed)
    assert isinstance(lapsed, Lapsed)
    assert "connection refused" in lapsed.reason
    for store in stores[:2]:
        memory(store).set_down(False)
    wait_until(lambda: holder.is_open, "the next grant")
    assert holder.heartbeat.permit.epoch > first


@pytest.mark.parametrize("loss", ["kept", "wiped", "flushed"])
def test_store_that_begins_another_life_is_repaired(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path, loss: str
) -> None:
    """R8, R11: restart, wipe and flush are re-asserted under the same epoch, and told."""
    holder = start_holder(nodes, stores[:1], tmp_path)
    before = dict(holder.heartbeat.grant_incarnations())
    epoch = holder.heartbeat.permit.epoch
    store = memory(stores[0])
    if loss == "flushed":
        store.flush()
    else:
        store.restart(keep=loss == "kept")
    if loss != "flushed":
        wait_until(lambda: holder.count(Reincarnated) == 1, "the new life to be told")
        assert holder.heartbeat.grant_incarnations() != before
    wait_until(lambda: holder.heartbeat.view().holder == "jetson", "the record to be back")
    assert holder.heartbeat.permit.epoch == epoch
    assert holder.count(Lapsed) == 0


def test_floor_above_the_epoch_ends_the_grant(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """R7: a higher epoch seen at the venue deposes, whatever the stores say."""
    holder = start_holder(nodes, stores, tmp_path, SHORT)
    holder.heartbeat.raise_floor(900)
    wait_until(lambda: holder.count(Lapsed) == 1, "the grant to end")
    wait_until(lambda: holder.heartbeat.permit.epoch > 900, "a grant above the floor")


def test_node_with_reasons_does_not_contend(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """R7: only an eligible node asks; when the reasons go, it does."""
    node = Node("jetson", stores, tmp_path / "jetson")
    nodes.append(node)
    node.begin(("venue unreachable",))
    wait_until(
        lambda: node.heartbeat.view().ineligible == ("venue unreachable",), "the only reason"
    )
    wait_until(lambda: (node.heartbeat.view().takeover_in_s or 1) <= 0, "the lease to be takeable")
    assert node.count(Granted) == 0
    node.heartbeat.set_eligibility(())
    wait_until(lambda: node.is_open, "the grant")


class BrokenFile:
    """A disk that cannot be read or written."""

    warning = ""

    def load(self) -> int:
        raise EpochFileUnusable("input/output error")

    def store(self, epoch: int) -> None:
        raise EpochFileUnusable(f"input/output error storing {epoch}")


def test_broken_disk_is_not_eligible(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """Scenario 41: an epoch that is not durable is never asked for."""
    node = Node("jetson", stores, tmp_path / "jetson", epoch_file=BrokenFile()).begin()
    nodes.append(node)
    wait_until(lambda: node.has_anomaly("epoch_file"), "the broken disk to be told")
    wait_until(
        lambda: any("input/output error" in r for r in node.heartbeat.view().ineligible),
        "the reason to be shown",
    )
    assert node.count(Granted) == 0


def test_broken_fence_is_not_eligible(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """If the fence cannot be armed the gate stays closed, and the lease is given back."""
    node = Node("jetson", stores, tmp_path / "jetson")
    node.fence.is_broken = True
    nodes.append(node.begin())
    wait_until(lambda: node.has_anomaly("fence_unavailable"), "the broken fence to be told")
    assert not node.is_open
    assert node.count(Granted) == 0
    assert any("fence" in reason for reason in node.heartbeat.view().ineligible)
    wait_until(lambda: node.heartbeat.view().holder is None, "the attempt to be released")


def test_crashed_coordinator_closes_tells_and_stays_fenced(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """Pitfall 25: a heartbeat that dies does so loudly, and the process with it."""
    holder = start_holder(nodes, stores, tmp_path)

    def fail(event: LeaseEvent) -> None:
        if isinstance(event, Anomaly):
            return
        raise RuntimeError("the event could not be published")

    holder.trouble = fail
    memory(stores[0]).restart()  # provokes an event
    wait_until(lambda: not holder.heartbeat.is_alive, "the crash")
    wait_until(lambda: holder.has_anomaly("heartbeat_crashed"), "the crash to be told")
    assert not holder.is_open
    holder.heartbeat.settle()
    assert holder.fence.is_armed()
    assert any("crashed" in reason for reason in holder.heartbeat.view().ineligible)


def test_stuck_coordinator_loses_the_gate_by_time(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """Scenario 7: validity is the truth, whatever the thread's state; the fence stays armed."""
    holder = start_holder(nodes, stores, tmp_path, SHORT)
    goes_on = threading.Event()
    holder.trouble = lambda _: (goes_on.wait(DEADLINE_S), None)[1]
    memory(stores[0]).restart()
    wait_until(lambda: not holder.is_open, "the gate to close by itself")
    holder.heartbeat.settle()
    assert holder.fence.is_armed()
    goes_on.set()
    wait_until(lambda: holder.count(Lapsed) == 1, "the coordinator to say so once it runs")
    wait_until(lambda: not holder.fence.is_armed(), "the loop to settle")


def test_holder_change_is_told_to_the_standby(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """A standby hears who holds the lease."""
    start_holder(nodes, stores, tmp_path)
    standby = start_standby(nodes, stores, tmp_path)
    change = standby.last(HolderChanged)
    assert isinstance(change, HolderChanged)
    assert change.holder == "jetson"


def test_stop_ends_threads_and_removes_the_note(
    nodes: list[Node], stores: list[LeaseStore], tmp_path: Path
) -> None:
    """A clean stop leaves no thread, no armed fence and nothing to explain."""
    holder = start_holder(nodes, stores, tmp_path)
    assert (tmp_path / "jetson" / FILE_NAME).exists()
    holder.end()
    assert not holder.fence.is_armed()
    assert not holder.heartbeat.is_alive
    assert not (tmp_path / "jetson" / FILE_NAME).exists()
    wait_until(
        lambda: not any(t.name.startswith("lease-") for t in threading.enumerate()),
        "every thread to end",
    )
