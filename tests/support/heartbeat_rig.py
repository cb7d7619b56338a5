"""Heartbeats with real threads and clocks, over stores in memory; their work loops can hang."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from election.clock import KernelClock
from election.epoch_file import DiskEpochFile
from election.errors import StoreUnreachable
from election.fence_note import FenceNote
from election.heartbeat import Heartbeat
from election.memory_store import MemoryStore
from election.model import (
    Anomaly,
    Granted,
    Identity,
    Incarnation,
    LeaseEvent,
    LeaseTiming,
    NodeId,
    StoreReply,
    WriteId,
)
from election.ports import EpochFile, LeaseStore
from tests.support.manual_clock import RecordingFence

# For tests in which the holder must not lapse, however busy the machine is.
PATIENT = LeaseTiming(
    ttl_ms=40_000, renew_ms=300, request_timeout_ms=300, observe_ms=150, hang_limit_ms=30_000
)


# For tests that wait for a ttl to pass.
SHORT = LeaseTiming(
    ttl_ms=3000,
    renew_ms=300,
    request_timeout_ms=300,
    observe_ms=150,
    guard_ms=400,
    hang_limit_ms=1500,
)


DEADLINE_S = 60.0


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    """Wait for a condition; a slow machine only makes it later."""
    changed = threading.Event()
    until = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < until, f"waited in vain for: {what}"
        changed.wait(0.01)


class SlowStore(MemoryStore):
    """A store whose answers can be held back until the request timeout."""

    is_slow = False

    def renew(
        self,
        *,
        identity: Identity,
        epoch: int,
        ttl_ms: int,
        expected_inc: Incarnation,
        new_wid: WriteId,
    ) -> StoreReply:
        if self.is_slow:
            threading.Event().wait(PATIENT.request_timeout_ms / 1000)
            raise StoreUnreachable("timeout")
        return super().renew(
            identity=identity,
            epoch=epoch,
            ttl_ms=ttl_ms,
            expected_inc=expected_inc,
            new_wid=new_wid,
        )


class Node:
    """A heartbeat with a work loop that can hang."""

    def __init__(
        self,
        name: str,
        stores: list[LeaseStore],
        state: Path,
        *,
        timing: LeaseTiming = PATIENT,
        epoch_file: EpochFile | None = None,
    ) -> None:
        state.mkdir(exist_ok=True)
        self.events: list[LeaseEvent] = []
        self.fence = RecordingFence()
        self.trouble: Callable[[LeaseEvent], None] = lambda _: None
        self.heartbeat = Heartbeat(
            identity=Identity(
                cluster_id="c", config_id="x", node_id=NodeId(name), nonce=f"nonce-{name}"
            ),
            timing=timing,
            stores=stores,
            epoch_file=epoch_file or DiskEpochFile(state / "epoch"),
            fence=self.fence,
            clock=KernelClock(),
            on_event=self.hear,
            note=FenceNote(state),
        )
        self.works, self.is_over = threading.Event(), threading.Event()
        self.works.set()
        self.loop = threading.Thread(target=self.work, daemon=True)

    def hear(self, event: LeaseEvent) -> None:
        self.events.append(event)
        self.trouble(event)

    def work(self) -> None:
        while not self.is_over.wait(0.02):
            if self.works.is_set():
                self.heartbeat.progress("reading candles")

    def begin(self, reasons: tuple[str, ...] = ()) -> "Node":
        self.heartbeat.start()
        self.heartbeat.set_eligibility(reasons)
        self.loop.start()
        return self

    def count(self, kind: type[LeaseEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    def last(self, kind: type[LeaseEvent]) -> LeaseEvent:
        return [event for event in self.events if isinstance(event, kind)][-1]

    def has_anomaly(self, code: str) -> bool:
        return any(isinstance(event, Anomaly) and event.code == code for event in self.events)

    def wid(self, store: LeaseStore) -> str:
        reply = store.observe(identity=self.heartbeat.identity, new_wid=WriteId("unused"))
        return "" if reply.record is None else reply.record.wid

    @property
    def is_open(self) -> bool:
        return self.heartbeat.permit.remaining_s() > 0

    def end(self) -> None:
        self.trouble = lambda _: None
        self.is_over.set()
        self.heartbeat.stop(20)


def released(store: MemoryStore) -> MemoryStore:
    someone = Identity(cluster_id="c", config_id="x", node_id=NodeId("old"), nonce="old")
    seen = store.observe(identity=someone, new_wid=WriteId("w0"))
    assert seen.record is not None
    store.acquire(
        identity=someone, epoch=3, ttl_ms=3000, expected_inc=seen.inc,
        expected_wid=seen.record.wid, new_wid=WriteId("w1"), reason="",
    )  # fmt: skip
    store.release(
        identity=someone, epoch=3, expected_inc=seen.inc, new_wid=WriteId("w2"),
        drain_ms=0, reserved_for="", reason="",
    )  # fmt: skip
    return store


def start_holder(
    nodes: list[Node], stores: list[LeaseStore], state: Path, timing: LeaseTiming = PATIENT
) -> Node:
    node = Node("jetson", stores, state / "jetson", timing=timing).begin()
    nodes.append(node)
    wait_until(lambda: node.count(Granted) > 0 and node.is_open, "the first grant")
    return node


def start_standby(
    nodes: list[Node], stores: list[LeaseStore], state: Path, timing: LeaseTiming = PATIENT
) -> Node:
    node = Node("pi", stores, state / "pi", timing=timing).begin()
    nodes.append(node)
    wait_until(lambda: node.heartbeat.view().holder == "jetson", "the standby to see the holder")
    return node


def memory(store: LeaseStore) -> SlowStore:
    assert isinstance(store, SlowStore)
    return store
