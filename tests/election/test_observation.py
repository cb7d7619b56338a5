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
from election.observed import Observed
from election.quorum import Quorum

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

XYZ = Quorum(tuple(StoreName(n) for n in "xyz"))


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
    assert (observation.view().is_reachable, observation.view().error) == (False, refusal.value)
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


def test_store_is_lost_after_the_second_silence_and_back_with_the_next_word() -> None:
    """One lost answer is noise; a store that is lost is told once, and told back once."""
    observation = Observation(name=StoreName("x"))
    see(observation, shown(RECORD), 0.0)
    assert [observation.note_failure("timeout") for _ in range(3)] == [False, True, False]
    was_lost = [observation.is_lost]
    back = observation.note_reply(shown(RECORD), sent=at(1.0), received=at(1.0))
    was_lost.append(observation.is_lost)
    observation.note_failure("timeout")
    was_lost.append(observation.is_lost)
    again = observation.note_reply(shown(RECORD), sent=at(2.0), received=at(2.0))
    assert was_lost == [True, False, False]
    assert (back.is_back, again.is_back) == (True, False)


@pytest.mark.parametrize(
    ("silent", "has_majority"), [("", True), ("x", True), ("xy", False), ("xyz", False)]
)
def test_majority_of_the_configured_stores_answers(silent: str, *, has_majority: bool) -> None:
    """What the note for the stop hook says: a death while it was False was the network's."""
    observed = Observed(XYZ, identity=ME, timing=TIMING)
    for name in silent:
        for _ in range(2):
            observed[StoreName(name)].note_failure("timeout")
    assert observed.has_majority is has_majority


def test_one_store_is_takeable_when_its_time_is_over_and_no_moment_before() -> None:
    """R6, R13: a holder repairs a store of somebody else's only then."""
    observed = Observed(XYZ, identity=ME, timing=TIMING)
    store = StoreName("y")
    assert not observed.is_takeable(store, at(100.0))
    see(observed[store], shown(RECORD), 3.0)
    assert not observed.is_takeable(store, at(3.0 + 6.119))
    assert observed.is_takeable(store, at(3.0 + 6.121))


def test_lives_of_the_stores_that_were_seen_are_remembered() -> None:
    """What the note for the stop hook releases by, whoever is named there (R16)."""
    observed = Observed(XYZ, identity=ME, timing=TIMING)
    see(observed[StoreName("y")], shown(RECORD), 3.0)
    assert observed.incarnations() == {"y": LIFE}
    assert [o.life for o in observed] == [None, (LIFE, at(3.0)), None]


def test_view_shows_what_is_known_of_a_store() -> None:
    """For status pages: nothing yet, an answer with its round trip, and a silence after it."""
    observation = Observation(name=StoreName("x"))
    nothing = observation.view()
    assert (nothing.name, nothing.is_reachable, nothing.error) == ("x", False, "no answer yet")
    assert (nothing.inc, nothing.record, nothing.round_trip_ms) == (None, None, None)
    observation.note_reply(shown(RECORD), sent=at(1.0), received=at(1.25))
    known = observation.view()
    assert (known.is_reachable, known.error) == (True, "")
    assert (known.inc, known.record, known.round_trip_ms) == (LIFE, RECORD, 250.0)
    for _ in range(2):
        observation.note_failure("timeout")
    lost = observation.view()
    assert (lost.is_reachable, lost.error, lost.record) == (False, "timeout", RECORD)
