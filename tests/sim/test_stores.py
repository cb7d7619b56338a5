"""A simulated store answers as the real ones do: the cases of the ledger, control and member tests.

The lease record is `election.memory_store.MemoryStore`, which runs in the contract tests beside
real servers (tests/election/test_store_contract.py).
"""

from collections.abc import Callable

import pytest

from election.control_record import ControlRecord
from election.errors import StoreUnreachable
from election.majority import OLDER, STORED
from election.model import Identity, NodeId, WriteId
from node.sim.stores import SimStore

JETSON = Identity(cluster_id="sim", config_id="c", node_id=NodeId("jetson"), nonce="n1")
PI = Identity(cluster_id="sim", config_id="c", node_id=NodeId("raspberrypi"), nonce="n2")
LATER = Identity(cluster_id="sim", config_id="c", node_id=NodeId("jetson"), nonce="n3")


class Bench:
    """One store in which the Jetson holds epoch 1."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.store = SimStore("x", now_s=lambda: self.now_s)
        self.grant(JETSON, 1)
        self.believed = self.store.lease.inc

    def grant(self, identity: Identity, epoch: int) -> None:
        seen = self.store.lease.observe(identity=identity, new_wid=WriteId("seen"))
        assert seen.record is not None
        reply = self.store.lease.acquire(
            identity=identity,
            epoch=epoch,
            ttl_ms=6000,
            expected_inc=seen.inc,
            expected_wid=seen.record.wid,
            new_wid=WriteId(f"{identity.nonce}-{epoch}"),
            reason="test",
        )
        assert reply.is_ok

    def write(self, identity: Identity = JETSON, epoch: int = 1, **puts: str) -> None:
        self.store.write_ledger(
            identity=identity,
            epoch=epoch,
            expected_inc=self.believed,
            puts=puts,
            deletes=["gone"],
        )


def test_holder_puts_deletes_and_reads() -> None:
    """Puts and deletes go together."""
    bench = Bench()
    bench.write(a="1", gone="x")
    assert bench.store.read_ledger() == {"a": "1"}


def release(bench: Bench) -> None:
    bench.store.lease.release(
        identity=JETSON,
        epoch=1,
        expected_inc=bench.believed,
        new_wid=WriteId("released"),
        drain_ms=0,
        reserved_for="",
        reason="",
    )


def look_only_after_restart(bench: Bench) -> None:
    bench.store.restart(keep=True)
    bench.believed = bench.store.lease.inc


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b.grant(JETSON, 2),
        lambda b: b.grant(PI, 2),
        lambda b: b.grant(LATER, 2),
        release,
        lambda b: b.store.flush(),
        lambda b: b.store.restart(keep=True),
        lambda b: b.store.restart(keep=False),
        look_only_after_restart,
        lambda b: b.store.set_down(is_down=True),
    ],
    ids=[
        "a later epoch",
        "the other node",
        "another process of this node",
        "released",
        "flushed",
        "another life with data",
        "another life without",
        "seen but not put back",
        "down",
    ],
)
def test_whoever_does_not_hold_the_lease_there_writes_nothing(
    spoil: Callable[[Bench], None],
) -> None:
    """The fence of the journal: incarnation, nonce, epoch and state=held in that same store."""
    bench = Bench()
    bench.write(a="1")
    spoil(bench)
    with pytest.raises(StoreUnreachable):
        bench.write(a="2")
    assert bench.store.ledger.get("a") != "2"


def test_older_data_come_back_as_a_whole() -> None:
    """A rollback restores the lease record, the documents and the latches of one moment."""
    bench = Bench()
    bench.write(a="1")
    old = bench.store.data()
    bench.write(a="2")
    bench.store.put_control(pause(1))
    bench.store.roll_back(old)
    assert bench.store.read_ledger() == {"a": "1"}
    assert bench.store.read_control().records == {}
    assert bench.store.lease.inc != bench.believed


def pause(version: int, by: str = "person") -> ControlRecord:
    return ControlRecord(
        kind="pause", version=version, value={"is_paused": True}, by=by, at_ms=0, reason=""
    )


def test_version_is_never_replaced_by_a_lower_one_nor_by_another_text() -> None:
    """lua/control_put.lua: the higher version wins, the same text is stored already."""
    store = Bench().store
    assert store.put_control(pause(3)) == (STORED, 3, "")
    assert store.put_control(pause(3)) == (STORED, 3, "")
    assert store.put_control(pause(3, by="another"))[:2] == (OLDER, 3)
    assert store.put_control(pause(2))[:2] == (OLDER, 3)
    assert store.put_control(pause(4)) == (STORED, 4, "")


def test_age_of_a_member_is_told_by_the_store() -> None:
    """No two clocks are compared."""
    bench = Bench()
    bench.store.publish(NodeId("jetson"), "n1", 5, {"role": "active"})
    bench.now_s += 2.5
    (reading,) = bench.store.read_members().values()
    assert (reading.beat, reading.age_s, reading.stores) == (5, 2.5, ("x",))
