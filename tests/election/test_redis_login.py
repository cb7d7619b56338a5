"""Logging in, and which servers are refused: the texts say what to mend, and hide secrets."""

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from election.address import StoreAddress
from election.errors import StoreUnreachable
from election.model import StoreName, WriteId
from election.redis_info import facts_of, parse_info, refuse_server
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

CLUSTER = "test-login"
ME = identity_of(CLUSTER)


@pytest.fixture
def server(start_server: StartServer) -> StoreServer:
    return start_server()


MakeStore = Callable[..., RedisStore]


@pytest.fixture
def make_store() -> Iterator[MakeStore]:
    made: list[RedisStore] = []

    def make(address: StoreAddress, timeout_ms: int = REQUEST_TIMEOUT_MS) -> RedisStore:
        store = RedisStore(address, cluster_id=CLUSTER, request_timeout_ms=timeout_ms)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


def observe(store: RedisStore, wid: str = "observer") -> str:
    """Return the wid that the store shows."""
    reply = store.observe(identity=ME, new_wid=WriteId(wid))
    assert reply.record is not None
    return reply.record.wid


SECRET = "correct horse"
REFUSALS: Mapping[str, tuple[str | None, str | None, str]] = {
    "a wrong password": (SECRET, "wr0ng-secret", "wrong"),
    "a missing password": (SECRET, None, "wants a password"),
    "a password that nobody asked for": (None, "wr0ng-secret", "has no password"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_login_that_fails_says_what_to_mend_without_the_password(
    start_server: StartServer, make_store: MakeStore, case: str
) -> None:
    """Secrets never reach an error."""
    theirs, mine, words = REFUSALS[case]
    server = start_server(password=theirs)
    address = StoreAddress(name=StoreName("x"), host="127.0.0.1", port=server.port, password=mine)
    store = make_store(address)
    with pytest.raises(StoreUnreachable, match=words) as caught:
        observe(store)
    error: BaseException | None = caught.value
    while error is not None:
        assert "wr0ng-secret" not in repr(error)
        error = error.__cause__
    assert "wr0ng-secret" not in repr(address)


def test_a_password_that_the_server_quotes_is_scrubbed(
    start_server: StartServer, make_store: MakeStore
) -> None:
    """A server without AUTH answers with the command it did not understand, arguments included."""
    renamed = start_server("y", rename_command='AUTH ""')
    store = make_store(
        StoreAddress(
            name=StoreName("y"), host="127.0.0.1", port=renamed.port, password="wr0ng-secret"
        )
    )
    with pytest.raises(StoreUnreachable, match="lacks or renamed") as caught:
        observe(store)
    assert "wr0ng-secret" not in str(caught.value)


def test_the_right_password_works(start_server: StartServer, make_store: MakeStore) -> None:
    server = start_server(password='p w"\\ é$#')
    assert observe(make_store(address_of(server)), "mine") == "mine"


def test_a_user_without_rights_is_refused_with_the_rights_to_grant(
    start_server: StartServer, make_store: MakeStore
) -> None:
    """Scripts run with the caller's rights (ACL, Redis 6 and later)."""
    server = start_server()
    with admin_of(server) as admin:
        for name, rights in (("no-info", "-info"), ("no-hset", "-hset")):
            admin.execute_command("ACL", "SETUSER", name, "on", ">pw", "~*", "+@all", rights)
    for name, words in (("no-info", "info"), ("no-hset", "hash")):
        address = StoreAddress(
            name=StoreName("x"),
            host="127.0.0.1",
            port=server.port,
            username=name,
            password="pw",
        )
        with pytest.raises(StoreUnreachable, match=words):
            observe(make_store(address))


def test_the_least_rights_that_are_documented_suffice(
    start_server: StartServer, make_store: MakeStore
) -> None:
    """What a deployment may grant: the scripts' commands on this cluster's keys alone."""
    server = start_server()
    rights = (
        f"~hotspare:{{{CLUSTER}}}:*",
        *("-@all", "+eval", "+evalsha", "+info", "+time", "+type"),
        *("+hget", "+hset", "+hdel", "+hlen", "+hexists", "+hstrlen", "+hgetall"),
    )
    with admin_of(server) as admin:
        admin.execute_command("ACL", "SETUSER", "node", "on", ">pw", *rights)
    address = StoreAddress(
        name=StoreName("x"), host="127.0.0.1", port=server.port, username="node", password="pw"
    )
    assert observe(make_store(address), "mine") == "mine"


def test_a_server_out_of_memory_is_refused_and_nothing_is_half_written(
    start_server: StartServer, make_store: MakeStore
) -> None:
    """OOM is treated as unreachable, with the remedy (R11)."""
    server = start_server()
    store = make_store(address_of(server))
    seen = observe(store, "before")
    with admin_of(server) as admin:
        admin.config_set("maxmemory", 1)
        inc = store.observe(identity=ME, new_wid=WriteId("unused")).inc
        with pytest.raises(StoreUnreachable, match="out of memory"):
            store.acquire(
                identity=ME,
                epoch=1,
                ttl_ms=6000,
                expected_inc=inc,
                expected_wid=WriteId(seen),
                new_wid=WriteId("after"),
                reason="",
            )
        assert admin.hget(keys_of(CLUSTER).lease, "wid") == "before"
        admin.config_set("maxmemory", 0)
    assert observe(store) == "before"


def test_a_server_that_wants_replicas_is_refused(
    start_server: StartServer, make_store: MakeStore
) -> None:
    """NOREPLICAS is treated as unreachable, with the remedy (R11)."""
    server = start_server(min_replicas_to_write="1")
    with pytest.raises(StoreUnreachable, match="min-replicas-to-write 0"):
        observe(make_store(address_of(server)))


def test_a_replica_and_a_server_with_replicas_are_refused(
    start_server: StartServer, make_store: MakeStore
) -> None:
    """A promoted replica would hand the lease out a second time (R12)."""
    source = start_server("source", repl_diskless_sync_delay="0")
    replica = start_server("replica")
    with admin_of(replica) as admin:
        admin.slaveof("127.0.0.1", source.port)
        deadline_s = time.monotonic() + 30
        while admin.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < deadline_s, "the replica never connected"
    with pytest.raises(StoreUnreachable, match="a replica must not keep the lease"):
        observe(make_store(address_of(replica)))
    with pytest.raises(StoreUnreachable, match="replica\\(s\\)"):
        observe(make_store(address_of(source)))


def test_an_evicting_server_is_used_with_a_warning(
    start_server: StartServer, make_store: MakeStore
) -> None:
    """The lease may be evicted under such a policy (2a.20); the tombstone rule keeps it safe."""
    store = make_store(address_of(start_server(maxmemory_policy="allkeys-lru")))
    observe(store)
    assert store.facts is not None
    assert "noeviction" in store.facts.warnings[0]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no-such-host.invalid", "does not resolve"),
        ("ä" * 80 + ".invalid", "does not resolve"),
    ],
    ids=["an unknown name", "no name at all"],
)
def test_a_name_that_does_not_resolve_is_refused(
    make_store: MakeStore, host: str, words: str
) -> None:
    """The resolver has no time limit of its own; the call's holds for it too."""
    store = make_store(StoreAddress(name=StoreName("x"), host=host, port=1))
    with pytest.raises(StoreUnreachable, match=words):
        observe(store)


def test_a_name_is_resolved_and_every_address_of_it_tried(
    server: StoreServer, make_store: MakeStore
) -> None:
    """localhost is often ::1 first, where nothing listens."""
    address = StoreAddress(name=StoreName("x"), host="localhost", port=server.port)
    assert observe(make_store(address), "mine") == "mine"


INFO = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\nconnected_slaves:0\r\n"


@pytest.mark.parametrize(
    ("replaced", "by", "words"),
    [
        ("standalone", "sentinel", "Sentinel"),
        ("standalone", "cluster", "Cluster"),
        ("role:master", "role:slave", "role:slave"),
        ("connected_slaves:0", "connected_slaves:2", "2 replica(s)"),
        ("7.0.15", "3.2.12", "3.2.12"),
        ("7.0.15", "unstable", "unstable"),
        ("role:master", "HTTP/1.1 400 Bad Request", "not understood"),
    ],
)
def test_a_server_of_the_wrong_kind_is_refused(replaced: str, by: str, words: str) -> None:
    """One plain server of 4.0 or later, without replicas (R2, R12)."""
    assert refuse_server(parse_info(INFO)) == ""
    reason = refuse_server(parse_info(INFO.replace(replaced, by)))
    assert words in reason


@pytest.mark.parametrize("version", ["4.0.9", "4.0.0", "5.0.14", "10.0.1"])
def test_a_server_from_4_0_on_is_accepted(version: str) -> None:
    """The Nano's own package is 4.0.9 (R2)."""
    info = parse_info(INFO.replace("7.0.15", version))
    assert refuse_server(info) == ""
    assert facts_of(info).version == f"Redis {version}"
