"""A joint list over real servers: which ids the records bear, and who decides (R3).

x is the old list's only store; y and z are new. A node of the joint list writes x under the old
list's id and the two others under the new one's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from election.address import StoreAddress
from election.grant_note import GrantLeft
from election.majority import LedgerAnswer
from election.model import (
    Identity,
    Incarnation,
    LeaseState,
    Refusal,
    StoreName,
    StoreReply,
    WriteId,
)
from election.peek import majority_holder, peek
from election.post_mortem import release_after_death
from election.redis_control import ControlBoard
from election.redis_fleet import StoreFleet
from election.redis_ledger import RedisLedger
from election.redis_move import StoreMover
from election.redis_reply import keys_of
from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import REQUEST_TIMEOUT_MS, address_of, admin_of, identity_of

OLD_ID, NEW_ID = "c-old", "c-new"
X, Y, Z = (StoreName(n) for n in "xyz")
TRIES = 100  # a write that takes longer than the ledger's grace that often is another trouble


@dataclass(slots=True)
class Node:
    """What a node of one list does with each of its stores."""

    identity: Identity
    addresses: list[StoreAddress]
    incs: dict[StoreName, Incarnation]
    wids: int = 0

    def store(self, name: str) -> RedisStore:
        address = next(a for a in self.addresses if a.name == name)
        cluster_id = self.identity.cluster_id
        return RedisStore(address, cluster_id=cluster_id, request_timeout_ms=REQUEST_TIMEOUT_MS)

    def look(self, name: str) -> StoreReply:
        store = self.store(name)
        self.wids += 1
        wid = WriteId(f"{self.identity.nonce} {self.wids}")
        reply = store.observe(identity=self.identity, new_wid=wid)
        store.close()
        return reply

    def take(self, name: str, epoch: int) -> StoreReply:
        seen, store = self.look(name), self.store(name)
        if seen.record is None or not seen.is_ok:
            return seen
        self.wids += 1
        reply = store.acquire(
            identity=self.identity,
            epoch=epoch,
            ttl_ms=6000,
            expected_inc=seen.inc,
            expected_wid=seen.record.wid,
            new_wid=WriteId(f"{self.identity.nonce} {self.wids}"),
            reason="test",
        )
        store.close()
        self.incs[StoreName(name)] = reply.inc
        return reply

    @contextmanager
    def ledger(self) -> Iterator[RedisLedger]:
        ledger = RedisLedger(
            self.addresses,
            cluster_id=self.identity.cluster_id,
            identity=self.identity,
            incarnations=lambda: self.incs,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        yield ledger
        ledger.close()

    def write(self, epoch: int, text: str) -> LedgerAnswer:
        with self.ledger() as ledger:
            return ledger.write(epoch=epoch, puts={"a": text}, deletes=())

    def write_to(self, names: str, epoch: int, text: str) -> LedgerAnswer:
        """Write until these stores have all taken it: a slow one is not awaited for long.

        Over the same connections: a new one needs longer than that on a busy machine.
        """
        with self.ledger() as ledger:
            for _ in range(TRIES):
                answer = ledger.write(epoch=epoch, puts={"a": text}, deletes=())
                if set(answer.accepted_by) == set(names):
                    return answer
        raise AssertionError(f"taken by {answer.accepted_by}, not by {names}: {answer.problems}")

    def board(self) -> ControlBoard:
        return ControlBoard(self.addresses, self.identity.cluster_id, REQUEST_TIMEOUT_MS)


@dataclass(slots=True)
class Pair:
    """Nodes of the three lists, over the same three servers."""

    servers: list[StoreServer]
    old: Node
    joint: Node
    new: Node

    def config_of(self, name: str) -> str | None:
        server = next(s for s in self.servers if s.name == name)
        with admin_of(server) as admin:
            found = admin.hget(keys_of(self.old.identity.cluster_id).lease, "config_id")
        assert found is None or isinstance(found, str)
        return found


@pytest.fixture
def pair(three: list[StoreServer], cluster_id: str) -> Pair:
    addresses = [address_of(server) for server in three]
    needing = [replace(addresses[0], old_list=OLD_ID), *addresses[1:]]

    def node(name: str, config_id: str, listed: list[StoreAddress]) -> Node:
        return Node(identity_of(cluster_id, name, config_id=config_id), listed, {})

    return Pair(
        three,
        node("old", OLD_ID, addresses[:1]),
        node("joint", NEW_ID, needing),
        node("new", NEW_ID, addresses),
    )


# --- the lease records --------------------------------------------------------------------------


def test_old_and_joint_node_see_the_same_record(pair: Pair) -> None:
    """In the old store, and each respects what the other wrote there."""
    assert pair.old.take("x", 1).is_ok
    seen = pair.joint.look("x")
    assert seen.is_ok
    assert seen.record is not None
    assert (seen.record.node_id, seen.record.epoch) == ("old", 1)
    assert pair.joint.take("x", 2).is_ok
    assert pair.old.look("x").record == pair.joint.look("x").record


def test_joint_node_keeps_each_store_under_its_list(pair: Pair) -> None:
    """Whoever comes first makes the tombstone: it is of the list that the store is kept under."""
    for name in "xyz":
        assert pair.joint.take(name, 1).is_ok
    assert [pair.config_of(name) for name in "xyz"] == [OLD_ID, NEW_ID, NEW_ID]


def test_new_node_cannot_use_the_old_store_until_it_is_moved(pair: Pair) -> None:
    """It shares the two new ones with the joint list."""
    assert pair.joint.take("x", 1).is_ok
    assert pair.joint.take("y", 1).is_ok
    assert pair.new.take("x", 2).refusal is Refusal.OTHER_CONFIG
    assert pair.new.look("y").record == pair.joint.look("y").record
    mover = StoreMover(
        pair.new.addresses[0],
        cluster_id=pair.new.identity.cluster_id,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    seen = mover.observe(OLD_ID)
    assert mover.move(seen, old=OLD_ID, new=NEW_ID, max_epoch=0, is_silent=True).is_ok
    mover.close()
    assert pair.joint.look("x").refusal is Refusal.OTHER_CONFIG
    assert pair.old.look("x").refusal is Refusal.OTHER_CONFIG
    assert pair.new.take("x", 2).is_ok


def test_every_write_of_a_joint_node_goes_by_the_stores_own_list(pair: Pair) -> None:
    """Renewal, re-assertion and release too, not only the look and the grant."""
    store, me = pair.joint.store("x"), pair.joint.identity
    held = pair.joint.take("x", 4)
    renewed = store.renew(
        identity=me, epoch=4, ttl_ms=6000, expected_inc=held.inc, new_wid=WriteId("r1")
    )
    assert renewed.is_ok
    again = store.reassert(
        identity=me,
        epoch=4,
        ttl_ms=6000,
        expected_inc=held.inc,
        expected_wid=WriteId("r1"),
        new_wid=WriteId("r2"),
    )
    assert again.is_ok
    assert pair.config_of("x") == OLD_ID
    released = store.release(
        identity=me,
        epoch=4,
        expected_inc=held.inc,
        new_wid=WriteId("r3"),
        drain_ms=0,
        reserved_for="",
        reason="",
    )
    assert released.is_ok
    assert pair.old.look("x").record == released.record
    store.close()


# --- the ledger, and control records ------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "is_accepted"),
    [("xyz", True), ("xy", True), ("xz", True), ("yz", False), ("x", False)],
)
def test_ledger_write_counts_only_with_the_needed_store(
    pair: Pair, held: str, *, is_accepted: bool
) -> None:
    """A takeover by the old list reads the old store alone: it must not miss an intent."""
    for name in held:
        assert pair.joint.take(name, 1).is_ok
    answer = pair.joint.write_to(held, 1, "{}")
    assert answer.is_accepted is is_accepted
    assert bool(answer.reason) is not is_accepted


def test_ledger_write_of_an_old_node_is_of_the_old_store(pair: Pair) -> None:
    """A joint node that was overtaken there writes nothing any more, though two others take it."""
    for name in "xyz":
        assert pair.joint.take(name, 1).is_ok
    assert pair.old.take("x", 2).is_ok
    assert pair.old.write(2, '"of old"').is_accepted
    assert not pair.joint.write_to("yz", 1, '"of joint"').is_accepted


@pytest.mark.parametrize(
    ("down", "is_majority"), [("", True), ("y", True), ("x", False), ("yz", False)]
)
def test_decision_and_reading_count_only_with_the_needed_store(
    pair: Pair, down: str, *, is_majority: bool
) -> None:
    """A pause that a node of the old list cannot see would not bind it (S6)."""
    for server in pair.servers:
        if server.name in down:
            server.kill()
    board = pair.joint.board()
    put = board.put("pause", {"is_paused": True}, "ann", 1, "")
    assert put.is_majority is is_majority
    assert set(put.accepted_by) == set("xyz") - set(down)
    reading = board.read()
    assert reading.is_majority is is_majority
    assert board.push(reading.records.values()).is_majority is is_majority
    board.close()
    if "x" not in down:
        old = pair.old.board()
        assert old.read().records["pause"].value == {"is_paused": True}
        old.close()


# --- who is awaited -----------------------------------------------------------------------------


def test_fleet_of_a_joint_list_needs_its_old_store(pair: Pair) -> None:
    fleet = StoreFleet(pair.joint.addresses, request_timeout_ms=1000, purpose="test")
    assert fleet.quorum.needed == X
    assert not fleet.quorum.is_met((Y, Z))
    fleet.close()
    fleet = StoreFleet(pair.new.addresses, request_timeout_ms=1000, purpose="test")
    assert fleet.quorum.needed is None
    fleet.close()


# --- after a death, and at a glance -------------------------------------------------------------


def test_death_is_released_in_each_store_under_its_list(pair: Pair) -> None:
    """R16: also a node of the old list may take the lease at once."""
    incs = {StoreName(name): pair.joint.take(name, 7).inc for name in "xyz"}
    left = GrantLeft(
        identity=pair.joint.identity,
        epoch=7,
        incs=incs,
        addresses=tuple(pair.joint.addresses),
        pid=1,
        boot_id="",
        directory="",
        facts={},
    )
    said = release_after_death(left, password_of=lambda _: None, drain_ms=0, reason="killed")
    assert [e.is_released for e in said] == [True, True, True]
    assert [pair.config_of(name) for name in "xyz"] == [OLD_ID, NEW_ID, NEW_ID]
    seen = pair.old.look("x").record
    assert seen is not None
    assert seen.state is LeaseState.RELEASED


def test_glance_with_a_joint_list_sees_the_old_lists_holder(pair: Pair) -> None:
    """The old store alone may name the holder; an answer counts only with it."""
    assert pair.old.take("x", 3).is_ok
    cluster_id = pair.old.identity.cluster_id
    seen = peek(pair.joint.addresses, cluster_id=cluster_id, timeout_s=20.0)
    holder = majority_holder(seen)
    assert seen.has_majority
    assert holder is not None
    assert (holder.node_id, holder.epoch, holder.stores) == ("old", 3, ("x",))
    pair.servers[0].kill()
    seen = peek(pair.joint.addresses, cluster_id=cluster_id, timeout_s=20.0)
    assert len(seen.answered) == 2
    assert not seen.has_majority
    assert majority_holder(seen) is None
