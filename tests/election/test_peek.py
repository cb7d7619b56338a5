"""The one-shot look: what it shows, what it cannot see, and that it changes nothing."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from election.address import StoreAddress
from election.model import Incarnation, LeaseRecord, LeaseState, NodeId, StoreName, WriteId
from election.peek import (
    ClusterPeek,
    StorePeek,
    majority_holder,
    merged_control,
    merged_members,
    named_documents,
    peek,
)
from election.redis_control import ControlBoard
from election.redis_ledger import RedisLedger
from election.redis_members import MemberBoard
from election.redis_reply import keys_of
from election.redis_store import RedisStore
from node.demo.stores import StoreServer
from tests.support.redis_servers import (
    REQUEST_TIMEOUT_MS,
    StartServer,
    address_of,
    admin_of,
    identity_of,
)
from tests.support.tcp_proxy import Fault, TcpProxy

CLUSTER = "test-peek"
ME = identity_of(CLUSTER)
LONG_S = 20.0
SHORT_S = 0.3
LATE_S = 10.0


def look(*addresses: StoreAddress, timeout_s: float = LONG_S) -> ClusterPeek:
    return peek(addresses, cluster_id=CLUSTER, timeout_s=timeout_s)


def fill(servers: list[StoreServer]) -> None:
    """Let the Jetson hold the lease everywhere, with a document, a decision and a member."""
    addresses = [address_of(server) for server in servers]
    incs: dict[StoreName, Incarnation] = {}
    for address in addresses:
        store = RedisStore(address, cluster_id=CLUSTER, request_timeout_ms=REQUEST_TIMEOUT_MS)
        seen = store.observe(identity=ME, new_wid=WriteId("tombstone"))
        held = store.acquire(
            identity=ME,
            epoch=5,
            ttl_ms=6000,
            expected_inc=seen.inc,
            expected_wid=WriteId("tombstone"),
            new_wid=WriteId("held"),
            reason="cold",
        )
        assert held.is_ok
        incs[address.name] = held.inc
        store.close()
    ledger = RedisLedger(
        addresses,
        cluster_id=CLUSTER,
        identity=ME,
        incarnations=lambda: incs,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    assert len(ledger.write(epoch=5, puts={"position:X": "{}"}, deletes=()).accepted_by) > 0
    ledger.close()
    board = ControlBoard(addresses, CLUSTER, REQUEST_TIMEOUT_MS)
    assert board.put("pause", {"is_paused": True}, "ann", 1, "").is_majority
    board.close()
    members = MemberBoard(addresses, cluster_id=CLUSTER, request_timeout_ms=REQUEST_TIMEOUT_MS)
    assert members.publish(NodeId("jetson"), "n", 3, {"role": "active"}).accepted_by
    members.close()


def test_a_look_shows_everything_that_a_store_keeps(start_server: StartServer) -> None:
    server = start_server(password="pass word", maxmemory_policy="allkeys-lru")
    fill([server])
    (store,) = look(address_of(server)).stores
    assert (store.name, store.error) == ("x", None)
    assert store.address_text == f"127.0.0.1:{server.port}"
    assert store.server_version.split()[0] in {"Redis", "Valkey"}
    assert store.record is not None
    assert (store.record.node_id, store.record.epoch) == ("jetson", 5)
    assert store.inc == store.record.inc
    assert store.record_age_s is not None
    assert 0 <= store.record_age_s < 60
    assert store.members[NodeId("jetson")].body == {"role": "active"}
    assert store.control["pause"].by == "ann"
    assert store.documents == {"position:X": "{}"}
    assert len(store.problems) == 1
    assert "noeviction" in store.problems[0]


def test_a_look_creates_nothing(start_server: StartServer) -> None:
    """Not even the tombstone that an observer writes."""
    server = start_server()
    (store,) = look(address_of(server)).stores
    assert (store.error, store.record, store.record_age_s) == (None, None, None)
    assert (store.members, store.control, store.documents) == ({}, {}, {})
    with admin_of(server) as admin:
        assert admin.dbsize() == 0


def test_stores_that_cannot_be_seen_have_an_error_and_hide_nothing_else(
    start_server: StartServer,
) -> None:
    """One down, one with another password; the third shows what there is."""
    good, down, closed = start_server("x"), start_server("y"), start_server("z", password="s")
    fill([good])
    down.kill()
    wrong = StoreAddress(
        name=StoreName("z"), host="127.0.0.1", port=closed.port, password="wr0ng-secret"
    )
    seen = look(address_of(good), address_of(down), wrong)
    errors = [store.error for store in seen.stores]
    assert [store.name for store in seen.stores] == ["x", "y", "z"]
    assert errors[0] is None
    assert "nothing listens there" in str(errors[1])
    assert "wrong" in str(errors[2])
    assert "wr0ng-secret" not in repr(seen)
    assert named_documents(seen) == (("store x", {"position:X": "{}"}),)
    assert majority_holder(seen) is None, "one of three is no majority"


@pytest.mark.parametrize("fault", [Fault.BLACKHOLE, Fault.ANSWER_SWALLOWED, Fault.ANSWER_LOST])
def test_a_look_ends_in_time_whatever_the_network_does(
    start_any: StartServer, fault: Fault
) -> None:
    server = start_any()
    with TcpProxy(server.port) as proxy:
        proxy.fault = fault
        begun_s = time.monotonic()
        (store,) = look(address_of(server, port=proxy.port), timeout_s=SHORT_S).stores
        assert time.monotonic() - begun_s < LATE_S
    assert store.error is not None


def test_a_look_at_a_frozen_server_ends_in_time(start_server: StartServer) -> None:
    server = start_server()
    server.pause()
    begun_s = time.monotonic()
    (store,) = look(address_of(server), timeout_s=SHORT_S).stores
    assert time.monotonic() - begun_s < LATE_S
    assert "in time" in str(store.error)
    server.resume()


def test_parts_that_cannot_be_read_are_problems_and_hide_nothing_else(
    start_server: StartServer,
) -> None:
    server = start_server()
    fill([server])
    keys = keys_of(CLUSTER)
    with admin_of(server) as admin:
        admin.hset(keys.lease, "state", "free")
        admin.delete(keys.ledger)
        admin.set(keys.ledger, "x")
        admin.hset(keys.control, "loss_limit", "{")
        admin.hset(keys.members, "raspberrypi", "{")
    (store,) = look(address_of(server)).stores
    assert (store.error, store.record, store.documents) == (None, None, {})
    assert set(store.control) == {"pause"}
    assert set(store.members) == {"jetson"}
    assert len(store.problems) == 4


def test_a_record_of_another_cluster_is_a_problem_and_not_shown(
    start_server: StartServer,
) -> None:
    """It names nobody of this cluster (R11)."""
    server = start_server()
    fill([server])
    with admin_of(server) as admin:
        admin.hset(keys_of(CLUSTER).lease, "cluster_id", "prod-somebody")
    (store,) = look(address_of(server)).stores
    assert (store.error, store.record, store.record_age_s) == (None, None, None)
    assert "prod-somebody" in store.problems[0]


@contextmanager
def another_program(speak: Callable[[bytes], bytes]) -> Iterator[int]:
    """Something that is not a store: answers each chunk as it likes."""
    import socket  # noqa: PLC0415  (this helper alone)

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            client, _ = listener.accept()
            with client:
                client.sendall(speak(client.recv(65_536)))
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"$9\r\nshort",
        b"*1\r\n" * 50,
        b"$-7\r\n" * 6,
        b":x\r\n",
        b"+OK\r\n" * 6,
        b"*2\r\n:1\r\n:2\r\n" * 6,
    ],
    ids=["http", "closed", "cut", "nested", "nil", "no number", "six OKs", "six pairs"],
)
def test_a_program_that_is_no_store_is_an_error_and_never_an_exception(answer: bytes) -> None:
    with another_program(lambda _: answer) as port:
        address = StoreAddress(name=StoreName("x"), host="127.0.0.1", port=port)
        (store,) = look(address).stores
    assert store.error is not None
    assert "store x" in store.error


@pytest.mark.parametrize(
    "info",
    ["role:slave", "redis_mode:sentinel\r\nrole:master", "role:master\r\nconnected_slaves:1"],
)
def test_a_server_of_the_wrong_kind_is_an_error(info: str) -> None:
    """A replica shows an old record, which would be taken for the truth (R12)."""
    text = f"redis_version:7.0.0\r\n{info}\r\n".encode()
    answer = b"$%d\r\n%s\r\n" % (len(text), text) + b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n" + b"*0\r\n" * 4
    with another_program(lambda _: answer) as port:
        (store,) = look(StoreAddress(name=StoreName("x"), host="127.0.0.1", port=port)).stores
    assert store.error is not None


def test_a_name_that_does_not_resolve_is_an_error() -> None:
    for host in ("no-such-host.invalid", "ä" * 80, ""):
        (store,) = look(StoreAddress(name=StoreName("x"), host=host, port=1)).stores
        assert store.error is not None


def test_a_look_at_no_stores_is_empty() -> None:
    assert look().stores == ()


def test_a_look_imports_neither_redis_nor_ccxt_nor_asyncio() -> None:
    """A status command has half a second; redis-py's import alone takes 0.2 s of it."""
    code = (
        "import sys, election.peek\n"
        "print([m for m in ('redis', 'ccxt', 'asyncio', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


# --- what the picture means ------------------------------------------------------------------


def shown(
    name: str,
    *,
    nonce: str = "a",
    epoch: int = 3,
    state: LeaseState = LeaseState.HELD,
    age_s: float = 1.0,
    error: str | None = None,
    is_needed: bool = False,
) -> StorePeek:
    record = LeaseRecord(
        cluster_id=CLUSTER,
        config_id="c1",
        node_id=NodeId(f"node-{nonce}"),
        nonce=nonce,
        epoch=epoch,
        max_epoch=epoch,
        state=state,
        ttl_ms=6000,
        wid=WriteId("w"),
        inc=Incarnation("i"),
        label=f"label-{nonce}",
    )
    if error is not None:
        return StorePeek(name=StoreName(name), address_text="", error=error, is_needed=is_needed)
    return StorePeek(
        name=StoreName(name),
        address_text="",
        record=record,
        record_age_s=age_s,
        is_needed=is_needed,
    )


def test_the_holder_is_who_a_majority_of_all_stores_names() -> None:
    seen = ClusterPeek(
        stores=(shown("x", age_s=2.0), shown("y", age_s=0.5), shown("z", nonce="b", epoch=2))
    )
    holder = majority_holder(seen)
    assert holder is not None
    assert (holder.node_id, holder.label, holder.epoch) == ("node-a", "label-a", 3)
    assert (holder.silent_s, holder.ttl_ms, holder.stores) == (0.5, 6000, ("x", "y"))


@pytest.mark.parametrize(
    "stores",
    [
        (),
        (shown("x"), shown("y", error="down"), shown("z", error="down")),
        (shown("x"), shown("y", epoch=2), shown("z", nonce="b")),
        (shown("x", state=LeaseState.RELEASED), shown("y", state=LeaseState.RELEASED)),
        (shown("x", state=LeaseState.VOID),),
    ],
    ids=["no stores", "one of three answers", "three opinions", "released", "void"],
)
def test_without_a_majority_there_is_no_holder(stores: tuple[StorePeek, ...]) -> None:
    """Silent stores count as against: they may name anybody."""
    assert majority_holder(ClusterPeek(stores=stores)) is None


@pytest.mark.parametrize(
    ("x", "y", "z", "named"),
    [
        (("o", 5), ("j", 4), ("j", 4), ("o", 5, ("x",))),
        (("j", 4), ("n", 5), ("n", 5), ("n", 5, ("y", "z"))),
        (("j", 5), ("n", 5), ("n", 5), ("n", 5, ("y", "z"))),
        (("o", 5), None, None, ("o", 5, ("x",))),
        (("j", 5), ("j", 5), ("n", 6), ("j", 5, ("x", "y"))),
        (None, ("n", 5), ("n", 5), ("n", 5, ("y", "z"))),
        (None, ("n", 5), None, None),
    ],
    ids=[
        "old store later than a dead joint holder",
        "new stores later than a dead joint holder",
        "one epoch: the majority",
        "old store alone",
        "one new store alone names nobody",
        "old store silent",
        "old store silent, one new one",
    ],
)
def test_while_the_pair_grows_the_later_of_two_that_are_named_is_the_holder(
    x: tuple[str, int] | None,
    y: tuple[str, int] | None,
    z: tuple[str, int] | None,
    named: tuple[str, int, tuple[str, ...]] | None,
) -> None:
    """x is needed: it names a holder of the old list alone, y and z one of the new list."""
    found = majority_holder(
        ClusterPeek(
            stores=tuple(
                shown(name, error="down", is_needed=name == "x")
                if vote is None
                else shown(name, nonce=vote[0], epoch=vote[1], is_needed=name == "x")
                for name, vote in zip("xyz", (x, y, z), strict=True)
            )
        )
    )
    shown_as = None if found is None else (found.nonce, found.epoch, found.stores)
    assert shown_as == named


@pytest.mark.parametrize(
    ("silent", "has_majority"), [("", True), ("y", True), ("x", False), ("yz", False)]
)
def test_while_the_pair_grows_answers_count_only_with_the_old_store(
    silent: str, *, has_majority: bool
) -> None:
    seen = ClusterPeek(
        stores=tuple(
            shown(n, error="down" if n in silent else None, is_needed=n == "x") for n in "xyz"
        )
    )
    assert seen.has_majority is has_majority


def test_boards_are_merged_over_the_stores_that_answered(start_any: StartServer) -> None:
    """The highest version of a decision, the freshest beat of a node."""
    servers = [start_any(name) for name in ("x", "y")]
    fill(servers)
    board = ControlBoard([address_of(servers[1])], CLUSTER, REQUEST_TIMEOUT_MS)
    board.put("pause", {"is_paused": False}, "bob", 2, "")
    board.close()
    seen = look(*map(address_of, servers))
    assert merged_control(seen)["pause"].by == "bob"
    assert merged_members(seen)[NodeId("jetson")].stores == ("x", "y")
    assert majority_holder(seen) is not None
