"""What one store's answers prove, and from when on (R5, R6): an observation on its own."""

from dataclasses import replace

import pytest

from election.instants import Instant
from election.machine import LeaseMachine
from election.model import (
    Identity,
    Incarnation,
    LeaseRecord,
    LeaseState,
    LeaseTiming,
    NodeId,
    Refusal,
    StoreName,
    StoreReply,
    WriteId,
)
from election.observation import Observation

TIMING = LeaseTiming()
LIFE = Incarnation("run:replid")
ME = Identity(cluster_id="c", config_id="x", node_id=NodeId("me"), nonce="n-me")
RECORD = LeaseRecord(
    cluster_id="c",
    config_id="x",
    node_id=NodeId("rival"),
    nonce="n-rival",
    epoch=4,
    max_epoch=4,
    state=LeaseState.HELD,
    ttl_ms=6000,
    wid=WriteId("w1"),
    inc=LIFE,
)


def at(seconds: float) -> Instant:
    return Instant(boot_s=seconds, raw_s=seconds, wall_s=seconds)


def shown(record: LeaseRecord | None, refusal: Refusal = Refusal.NONE) -> StoreReply:
    return StoreReply(refusal=refusal, record=record, inc=LIFE)


def see(observation: Observation, reply: StoreReply, seconds: float) -> None:
    observation.note_reply(reply, sent=at(seconds), received=at(seconds))


def wait_s(observation: Observation, now_s: float) -> float | None:
    return observation.takeable_in_s(ME, TIMING, 0, at(now_s))


@pytest.mark.parametrize(
    "refusal",
    [Refusal.FOREIGN_CLUSTER, Refusal.OTHER_CONFIG, Refusal.NOT_MASTER, Refusal.UNREADABLE],
)
def test_a_record_that_could_not_be_read_starts_its_time_anew(refusal: Refusal) -> None:
    """Waiting through a time in which the record was unreadable proves nothing (R5, R11)."""
    observation = Observation(name=StoreName("x"))
    see(observation, shown(RECORD), 0.0)
    see(observation, shown(None, refusal), 3.0)
    assert wait_s(observation, 3.0) is None
    see(observation, shown(RECORD), 4.0)
    assert wait_s(observation, 4.0) == pytest.approx(6.12)


def test_a_record_seen_again_keeps_its_time_and_a_written_one_does_not() -> None:
    """The key is (incarnation, write id); its first sight is timed (R5)."""
    observation = Observation(name=StoreName("x"))
    see(observation, shown(RECORD), 0.0)
    see(observation, shown(RECORD), 2.0)
    assert wait_s(observation, 2.0) == pytest.approx(4.12)
    see(observation, shown(replace(RECORD, wid=WriteId("w2"))), 3.0)
    assert wait_s(observation, 3.0) == pytest.approx(6.12)


@pytest.mark.parametrize("names", [["x", "y"], ["x", "y", "z", "w"], ["x", "x", "y"], []])
def test_only_one_or_three_distinct_stores_are_taken(names: list[str]) -> None:
    """Two stores are worse than one; a store counts once (R2, R13)."""
    with pytest.raises(ValueError, match="1 or 3 distinct stores"):
        LeaseMachine(identity=ME, timing=TIMING, stores=[StoreName(n) for n in names], disk_epoch=0)
