"""R16: a dead process's lease is freed where it still holds, and nowhere else."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from election.clock import KernelClock
from election.connections import StoreConnection
from election.epoch_file import DiskEpochFile
from election.fence_note import FenceNote, read_end
from election.grant_note import GrantLeft, GrantNote, read_grant
from election.heartbeat import Heartbeat
from election.kernel_fence import NoFence
from election.model import (
    Granted,
    Incarnation,
    LeaseEvent,
    LeaseState,
    LeaseTiming,
    Released,
    StoreName,
    StoreReply,
    WriteId,
)
from election.post_mortem import AFTER_CRASH, Epitaph, release_after_death
from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    StartServer,
    address_of,
    admin_of,
    identity_of,
)

TIMING = LeaseTiming(ttl_ms=5000, renew_ms=500, request_timeout_ms=800, observe_ms=200)


def store_of(server: StoreServer, cluster_id: str) -> RedisStore:
    return RedisStore(
        address_of(server), cluster_id=cluster_id, request_timeout_ms=REQUEST_TIMEOUT_MS
    )


def hold(server: StoreServer, cluster_id: str, *, epoch: int = 7, nonce: str = "n1") -> Incarnation:
    """Let a process hold the lease in this store."""
    me, store = identity_of(cluster_id, nonce=nonce), store_of(server, cluster_id)
    seen = store.observe(identity=me, new_wid=WriteId("first"))
    assert seen.record is not None
    held = store.acquire(
        identity=me,
        epoch=epoch,
        ttl_ms=6000,
        expected_inc=seen.inc,
        expected_wid=seen.record.wid,
        new_wid=WriteId("w"),
        reason="",
    )
    assert held.is_ok
    store.close()
    return held.inc


def look(server: StoreServer, cluster_id: str) -> StoreReply:
    store = store_of(server, cluster_id)
    reply = store.observe(identity=identity_of(cluster_id), new_wid=WriteId("look"))
    store.close()
    return reply


def left_by(
    cluster_id: str,
    servers: list[StoreServer],
    incs: dict[str, Incarnation],
    *,
    epoch: int = 7,
    nonce: str = "n1",
) -> GrantLeft:
    return GrantLeft(
        identity=identity_of(cluster_id, nonce=nonce),
        epoch=epoch,
        incs={StoreName(name): inc for name, inc in incs.items()},
        addresses=tuple(address_of(server) for server in servers),
        pid=1,
        boot_id="",
        directory="",
        facts={},
    )


def release(left: GrantLeft, *, drain_ms: int = 0) -> dict[str, Epitaph]:
    passwords = {a.name: a.password for a in left.addresses}
    found = release_after_death(
        left, password_of=passwords.__getitem__, drain_ms=drain_ms, reason="killed"
    )
    return {str(e.store): e for e in found}


def test_what_the_dead_process_held_is_free(three: list[StoreServer], cluster_id: str) -> None:
    """Released in this incarnation, with the time to wait and a reason that says crash."""
    incs = {s.name: hold(s, cluster_id) for s in three}
    said = release(left_by(cluster_id, three, incs), drain_ms=1234)
    assert all(e.is_released for e in said.values())
    for server in three:
        reply = look(server, cluster_id)
        assert reply.record is not None
        assert reply.record.state is LeaseState.RELEASED
        assert reply.record.inc == reply.inc
        assert reply.record.drain_ms == 1234
        assert reply.record.reserved_for == ""
        assert reply.record.reason == f"{AFTER_CRASH}: killed"


@pytest.mark.parametrize(
    ("epoch", "nonce"), [(6, "n1"), (8, "n1"), (7, "of the next process"), (6, "n0")]
)
def test_an_old_note_frees_nothing(
    three: list[StoreServer], cluster_id: str, epoch: int, nonce: str
) -> None:
    """Nonce and epoch must both be those of the record: a stale note is harmless."""
    incs = {s.name: hold(s, cluster_id) for s in three}
    said = release(left_by(cluster_id, three, incs, epoch=epoch, nonce=nonce))
    assert [e.is_released for e in said.values()] == [False] * 3
    assert all(e.is_gone for e in said.values())
    for server in three:
        reply = look(server, cluster_id)
        assert reply.record is not None
        assert reply.record.state is LeaseState.HELD


def test_a_store_that_lives_again_is_not_trusted(start_any: StartServer, cluster_id: str) -> None:
    """H5: rolled back to the dead grant while another one leads, the store must not free it."""
    server = start_any("x")
    inc = hold(server, cluster_id)
    server.restart()
    hold(server, cluster_id)  # as if the old record had come back, in a new life
    said = release(left_by(cluster_id, [server], {"x": inc}))
    assert not said["x"].is_released
    assert "another life" in said["x"].said
    reply = look(server, cluster_id)
    assert reply.record is not None
    assert reply.record.state is LeaseState.HELD


def test_a_store_that_was_never_seen_is_not_asked(
    three: list[StoreServer], cluster_id: str
) -> None:
    """Without a known incarnation nothing is written there (R4)."""
    incs = {s.name: hold(s, cluster_id) for s in three}
    del incs[three[0].name]
    said = release(left_by(cluster_id, three, incs))
    assert [e.is_released for e in said.values()] == [False, True, True]
    reply = look(three[0], cluster_id)
    assert reply.record is not None
    assert reply.record.state is LeaseState.HELD


def test_a_store_that_hangs_holds_up_nobody(three: list[StoreServer], cluster_id: str) -> None:
    """Each store is asked at once, and the whole is bounded."""
    incs = {s.name: hold(s, cluster_id) for s in three}
    three[1].pause()
    said = release(left_by(cluster_id, three, incs))
    three[1].resume()
    assert [e.is_released for e in said.values()] == [True, False, True]
    assert three[1].name in said[three[1].name].store


def test_a_store_that_is_gone_is_said(three: list[StoreServer], cluster_id: str) -> None:
    """Refused connections are words, never an exception."""
    incs = {s.name: hold(s, cluster_id) for s in three}
    three[2].kill()
    said = release(left_by(cluster_id, three, incs))
    assert [e.is_released for e in said.values()] == [True, True, False]
    assert "nothing listens" in said[three[2].name].said


def test_a_wrong_password_is_said_without_it(start_any: StartServer, cluster_id: str) -> None:
    """The words name the cure and never show what was tried."""
    server = start_any("x", password="the right one")
    left = left_by(cluster_id, [server], {"x": Incarnation("a:b")})
    (said,) = release_after_death(
        left, password_of=lambda _: "the wrong one", drain_ms=0, reason="killed"
    )
    assert not said.is_released
    assert "password" in said.said
    assert "the wrong one" not in said.said


def test_a_user_that_may_only_release_is_enough(start_any: StartServer, cluster_id: str) -> None:
    """The stop hook's own, weaker login: one key, no listing, no flushing."""
    server = start_any("x")
    inc = hold(server, cluster_id)
    with admin_of(server) as admin:
        if int(admin.info("server")["redis_version"].split(".")[0]) < 6:
            pytest.skip("this server has no users")
        admin.execute_command(
            "ACL", "SETUSER", "releaser", "on", ">only release", "resetkeys",
            f"~hotspare:{{{cluster_id}}}:lease", "-@all", "+eval", "+info", "+time", "+type",
            "+hlen", "+hgetall", "+hset", "+select",
        )  # fmt: skip
    address = address_of(server)
    left = left_by(cluster_id, [server], {"x": inc})
    left = GrantLeft(
        identity=left.identity,
        epoch=left.epoch,
        incs=left.incs,
        addresses=(type(address)(name=address.name, host=address.host, port=address.port,
                                 username="releaser"),),
        pid=1, boot_id="", directory="", facts={},
    )  # fmt: skip
    (said,) = release_after_death(
        left, password_of=lambda _: "only release", drain_ms=0, reason="killed"
    )
    assert said.is_released, said.said


# --- what a heartbeat leaves behind ------------------------------------------------------------


class Node:
    """A heartbeat over a real store, whose process the test declares dead."""

    def __init__(self, server: StoreServer, cluster_id: str, state: Path) -> None:
        identity = identity_of(cluster_id, nonce="n1")
        self.heard: list[LeaseEvent] = []
        self.note = GrantNote(
            state, identity=identity, addresses=[address_of(server)], facts={"window_ms": 1500}
        )
        self.heartbeat = Heartbeat(
            identity=identity,
            timing=TIMING,
            stores=[store_of(server, cluster_id)],
            epoch_file=DiskEpochFile(state / "epoch"),
            fence=NoFence(),
            clock=KernelClock(),
            on_event=self.heard.append,
            note=FenceNote(state),
            grant_note=self.note,
        )
        self.heartbeat.start()
        self.heartbeat.set_eligibility(())

    def wait(self, condition: Callable[[], object]) -> None:
        until_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < until_s, self.heard
            self.heartbeat.progress("turn")
            time.sleep(0.01)
        assert self.note.wait_written(20)

    def has(self, kind: type[LeaseEvent]) -> bool:
        return any(isinstance(event, kind) for event in self.heard)


@pytest.fixture
def node(start_any: StartServer, cluster_id: str, tmp_path: Path) -> Node:
    """A node that holds the lease."""
    found = Node(start_any("x"), cluster_id, tmp_path)
    found.wait(lambda: found.has(Granted))
    found.wait(lambda: read_grant(tmp_path) is not None)
    return found


def test_a_holder_leaves_what_it_holds(node: Node, tmp_path: Path) -> None:
    """The note names the epoch and the life of the store in which it is held."""
    left = read_grant(tmp_path)
    assert left is not None
    assert left.epoch == node.heartbeat.permit.epoch
    assert left.incs == node.heartbeat.grant_incarnations()
    assert left.why_void(tmp_path) == ""


def test_an_orderly_release_leaves_nothing(node: Node, tmp_path: Path) -> None:
    """After the stores took the release there is nothing to do for a stop hook."""
    node.heartbeat.release(drain_ms=0, reserved_for="", reason="stop")
    node.wait(lambda: node.has(Released))
    node.wait(lambda: read_grant(tmp_path) is None)
    node.heartbeat.stop(10)


def test_a_store_that_lives_again_is_noted_anew(
    start_any: StartServer, cluster_id: str, tmp_path: Path
) -> None:
    """After a re-assertion the note has the new life: the release would be refused otherwise."""
    server = start_any("x")
    node = Node(server, cluster_id, tmp_path)
    node.wait(lambda: node.has(Granted))
    before = dict(node.heartbeat.grant_incarnations())
    server.restart()
    node.wait(lambda: node.heartbeat.grant_incarnations() not in ({}, before))
    left = read_grant(tmp_path)
    assert left is not None
    assert left.incs == node.heartbeat.grant_incarnations() != before
    node.heartbeat.stop(10)


def test_writes_under_way_are_noted_before_they_can_leave(node: Node, tmp_path: Path) -> None:
    """What a killed process sent may still arrive: its note says that something was under way."""
    permit = node.heartbeat.permit
    assert permit.begin_write(epoch=permit.epoch, needed_s=0.1)
    end = read_end(tmp_path)
    assert end is not None
    assert end.in_flight == 1
    permit.end_write(lingers_s=600.0)
    end = read_end(tmp_path)
    assert end is not None
    assert end.in_flight == 0
    assert 0 < end.lingers_s <= 600.0
    node.heartbeat.stop(10)


def test_a_majority_that_is_gone_is_noted(
    start_any: StartServer, cluster_id: str, tmp_path: Path
) -> None:
    """A kill by the fence during an outage of the stores is no crash: the note must tell."""
    server = start_any("x")
    node = Node(server, cluster_id, tmp_path)
    node.wait(lambda: node.has(Granted))
    server.kill()

    def is_noted() -> bool:
        end = read_end(tmp_path)
        return end is not None and not end.has_majority

    node.wait(is_noted)
    node.heartbeat.stop(10)


def test_the_connection_of_nobody_is_left_open(three: list[StoreServer], cluster_id: str) -> None:
    """A hook leaves no thread that could speak later: every release was answered or refused."""
    incs = {s.name: hold(s, cluster_id) for s in three}
    release(left_by(cluster_id, three, incs))
    names = {t.name for t in threading.enumerate() if t.name.startswith("release-")}
    until_s = time.monotonic() + 10
    while names and time.monotonic() < until_s:
        names = {t.name for t in threading.enumerate() if t.name.startswith("release-")}
    assert names == set()
    probe = StoreConnection(address_of(three[0]))
    assert probe.call("TIME", deadline_s=time.monotonic() + 20)
    probe.close()
