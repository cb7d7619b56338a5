"""Scripts that move a cluster to another list of stores, on a real server (R3, R4)."""

from collections.abc import Iterator

import pytest
from redis import Redis

from election.errors import StoreUnreachable
from election.model import Incarnation, LeaseState, Refusal, StoreReply, WriteId
from election.redis_ledger import LEDGER_BYTES_MAX
from election.redis_move import StoreMover
from election.redis_reply import keys_of
from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import REQUEST_TIMEOUT_MS, address_of, identity_of

OLD, NEW = "c1", "c2"


@pytest.fixture
def mover(shared_server: StoreServer, cluster_id: str) -> Iterator[StoreMover]:
    made = StoreMover(
        address_of(shared_server), cluster_id=cluster_id, request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    yield made
    made.close()


def acquire(store: RedisStore, cluster_id: str, config_id: str, epoch: int) -> StoreReply:
    me = identity_of(cluster_id, config_id=config_id)
    seen = store.observe(identity=me, new_wid=WriteId("o"))
    if seen.record is None or not seen.is_ok:
        return seen
    return store.acquire(
        identity=me,
        epoch=epoch,
        ttl_ms=6000,
        expected_inc=seen.inc,
        expected_wid=seen.record.wid,
        new_wid=WriteId(f"a{epoch}"),
        reason="",
    )


def release(store: RedisStore, cluster_id: str, held: StoreReply, epoch: int) -> None:
    assert store.release(
        identity=identity_of(cluster_id),
        epoch=epoch,
        expected_inc=held.inc,
        new_wid=WriteId("r"),
        drain_ms=0,
        reserved_for="",
        reason="",
    ).is_ok


def test_moved_store_refuses_the_old_list_for_good(
    store: RedisStore, mover: StoreMover, cluster_id: str
) -> None:
    """Who still uses the old list can do nothing there; who uses the new one begins above."""
    held = acquire(store, cluster_id, OLD, 7)
    release(store, cluster_id, held, 7)
    moved = mover.move(mover.observe(OLD), old=OLD, new=NEW, max_epoch=3, is_silent=False)
    assert moved.is_ok
    assert moved.record is not None
    assert (moved.record.state, moved.record.max_epoch) == (LeaseState.VOID, 7)
    old = identity_of(cluster_id, config_id=OLD)
    assert store.observe(identity=old, new_wid=WriteId("x")).refusal is Refusal.OTHER_CONFIG
    for refused in (
        acquire(store, cluster_id, OLD, 99),
        store.renew(identity=old, epoch=7, ttl_ms=1, expected_inc=held.inc, new_wid=WriteId("y")),
    ):
        assert refused.refusal is Refusal.OTHER_CONFIG
    assert acquire(store, cluster_id, NEW, 7).refusal is Refusal.EPOCH
    assert acquire(store, cluster_id, NEW, 8).is_ok


def test_held_lease_is_not_taken_away(
    store: RedisStore, mover: StoreMover, cluster_id: str
) -> None:
    """Only whoever has watched it for a whole ttl may say that the holder is silent (R6)."""
    acquire(store, cluster_id, OLD, 7)
    seen = mover.observe(OLD)
    refused = mover.move(seen, old=OLD, new=NEW, max_epoch=0, is_silent=False)
    assert refused.refusal is Refusal.NOT_MINE
    assert mover.move(seen, old=OLD, new=NEW, max_epoch=0, is_silent=True).is_ok


def test_a_write_in_between_refuses_the_move(
    store: RedisStore, mover: StoreMover, cluster_id: str
) -> None:
    """Compare-and-set: a renewal after the look is not written over."""
    held = acquire(store, cluster_id, OLD, 7)
    seen = mover.observe(OLD)
    assert store.renew(
        identity=identity_of(cluster_id),
        epoch=7,
        ttl_ms=6000,
        expected_inc=held.inc,
        new_wid=WriteId("later"),
    ).is_ok
    assert (
        mover.move(seen, old=OLD, new=NEW, max_epoch=0, is_silent=True).refusal is Refusal.CHANGED
    )


def test_another_life_of_the_server_refuses_the_move(mover: StoreMover) -> None:
    """A record that fell back may bear the write id that was seen; only the life differs (R4)."""
    seen = mover.observe(OLD)._replace(inc=Incarnation("of:yesterday"))
    refused = mover.move(seen, old=OLD, new=NEW, max_epoch=0, is_silent=True)
    assert refused.refusal is Refusal.INCARNATION
    assert mover.observe(OLD).is_ok


@pytest.mark.parametrize("max_epoch", [-1, 2**53], ids=["below nothing", "inexact"])
def test_epoch_that_is_no_count_refuses_the_move(mover: StoreMover, max_epoch: int) -> None:
    """The highest epoch is written for good; what a double cannot hold would break the next CAS."""
    refused = mover.move(mover.observe(OLD), old=OLD, new=NEW, max_epoch=max_epoch, is_silent=False)
    assert refused.refusal is Refusal.EPOCH
    assert mover.observe(OLD).is_ok


def test_new_store_starts_above_every_epoch(mover: StoreMover, cluster_id: str) -> None:
    """max_epoch is carried over and never falls."""
    seen = mover.observe(NEW)
    raised = mover.move(seen, old=NEW, new=NEW, max_epoch=41, is_silent=False)
    assert raised.record is not None
    assert raised.record.max_epoch == 41
    again = mover.move(mover.observe(NEW), old=NEW, new=NEW, max_epoch=5, is_silent=False)
    assert again.record is not None
    assert again.record.max_epoch == 41
    assert mover.observe(OLD).refusal is Refusal.OTHER_CONFIG


def envelope(epoch: int, seq: int) -> str:
    """Return a document's text as its writer stamps it."""
    return f'{{"v":1,"epoch":{epoch},"seq":{seq},"body":{{}}}}'


@pytest.mark.parametrize(
    ("kept", "carried", "is_written"),
    [
        pytest.param(envelope(3, 900), envelope(40, 1), True, id="of an older epoch"),
        pytest.param(envelope(3, 9), envelope(3, 10), True, id="earlier in the same epoch"),
        pytest.param(envelope(3, 10), envelope(3, 10), False, id="the same"),
        pytest.param(envelope(40, 1), envelope(3, 900), False, id="of a later epoch"),
        pytest.param(envelope(3, 10), envelope(3, 9), False, id="later in the same epoch"),
        pytest.param("{", envelope(1, 1), True, id="garbage"),
        pytest.param('{"epoch":"9","seq":1}', envelope(1, 1), True, id="no stamp"),
        pytest.param(envelope(1, 1), "{", False, id="garbage is carried"),
    ],
)
def test_server_that_was_used_before_keeps_nothing_older(
    mover: StoreMover, admin: Redis, cluster_id: str, kept: str, carried: str, is_written: bool
) -> None:
    """The newest text wins whichever side has it: an old position would move real money (S3)."""
    ledger = keys_of(cluster_id).ledger
    admin.hset(ledger, mapping={"position:BTC/USDT": kept})
    assert mover.carry({"position:BTC/USDT": carried}, config_id=NEW) == int(is_written)
    assert admin.hget(ledger, "position:BTC/USDT") == (carried if is_written else kept)


def test_documents_are_carried_once_and_never_over_a_holder(
    store: RedisStore, mover: StoreMover, admin: Redis, cluster_id: str
) -> None:
    """What is there and as new stays; a holder's journal is not touched."""
    ledger = keys_of(cluster_id).ledger
    admin.hset(ledger, mapping={"a": "mine", "_bytes": "9"})
    assert mover.carry({"a": "other", "b": "{}"}, config_id=NEW) == 1
    assert mover.carry({"a": "other", "b": "{}"}, config_id=NEW) == 0
    assert admin.hgetall(ledger) == {"a": "mine", "b": "{}"}
    assert acquire(store, cluster_id, NEW, 1).is_ok
    with pytest.raises(StoreUnreachable, match="held"):
        mover.carry({"c": "{}"}, config_id=NEW)
    with pytest.raises(StoreUnreachable, match="config id"):
        mover.carry({"c": "{}"}, config_id=OLD)


def test_documents_are_not_carried_where_they_do_not_fit(
    mover: StoreMover, admin: Redis, cluster_id: str
) -> None:
    """A key of another kind is told as such, and a full server would refuse the lease itself."""
    ledger = keys_of(cluster_id).ledger
    with pytest.raises(StoreUnreachable, match="bytes"):
        mover.carry({"a": "x" * LEDGER_BYTES_MAX}, config_id=NEW)
    assert not admin.exists(ledger)
    admin.set(ledger, "x")
    with pytest.raises(StoreUnreachable, match="not a hash"):
        mover.carry({"a": "{}"}, config_id=NEW)
