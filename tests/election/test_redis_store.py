"""The edge: what a network, a configuration or another program does to a store's answers."""

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from election.address import StoreAddress
from election.errors import StoreUnreachable
from election.model import Identity, LeaseState, Refusal, StoreName, StoreReply, WriteId
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
from tests.support.tcp_proxy import Fault, TcpProxy

CLUSTER = "test-edge"
ME = identity_of(CLUSTER)
SHORT_MS = 300
# A call that keeps to its 300 ms may still be late on a busy machine; one that waits for a
# second time limit, a retry or TCP itself would be far beyond this.
LATE_S = 10.0


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


def observe(store: RedisStore, wid: str = "observer", me: Identity = ME) -> str:
    """Return the wid that the store shows."""
    reply = store.observe(identity=me, new_wid=WriteId(wid))
    assert reply.record is not None
    return reply.record.wid


def acquire(store: RedisStore, me: Identity, wid: str) -> StoreReply:
    """Acquire over a fresh tombstone."""
    seen = store.observe(identity=me, new_wid=WriteId("tombstone"))
    return store.acquire(
        identity=me,
        epoch=4,
        ttl_ms=6000,
        expected_inc=seen.inc,
        expected_wid=WriteId("tombstone"),
        new_wid=WriteId(wid),
        reason="cold",
    )


def test_a_lost_answer_is_an_error_and_the_write_is_there(
    server: StoreServer, make_store: MakeStore
) -> None:
    """Unknown outcome: executed once, never sent again; reading back tells (R7, 2a.11)."""
    other = identity_of("test-warm")
    warm = RedisStore(
        address_of(server), cluster_id="test-warm", request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    assert acquire(warm, other, "warm").is_ok  # from here on the server knows the script
    warm.close()
    with TcpProxy(server.port) as proxy:
        store = make_store(address_of(server, port=proxy.port))
        seen = store.observe(identity=ME, new_wid=WriteId("tombstone"))
        proxy.fault = Fault.ANSWER_LOST
        with pytest.raises(StoreUnreachable, match="closed"):
            store.acquire(
                identity=ME,
                epoch=4,
                ttl_ms=6000,
                expected_inc=seen.inc,
                expected_wid=WriteId("tombstone"),
                new_wid=WriteId("mine"),
                reason="cold",
            )
        proxy.fault = Fault.NONE
        record = store.observe(identity=ME, new_wid=WriteId("unused")).record
    assert record is not None
    assert (record.state, record.epoch, record.wid) == (LeaseState.HELD, 4, "mine")


def test_a_lost_answer_of_a_known_script_was_executed_exactly_once(
    server: StoreServer, make_store: MakeStore
) -> None:
    """The command is not sent again behind the caller's back, as redis-py's default does."""
    with TcpProxy(server.port) as proxy, admin_of(server) as admin:
        store = make_store(address_of(server, port=proxy.port))
        observe(store)
        admin.flushall()
        admin.config_resetstat()
        proxy.fault = Fault.ANSWER_LOST
        with pytest.raises(StoreUnreachable):
            observe(store, "first")
        proxy.fault = Fault.NONE
        assert observe(store, "second") == "first"
        stats = admin.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 2
    assert stats["cmdstat_hset"]["calls"] == 1


def test_an_answer_that_comes_too_late_is_not_the_answer_to_the_next_call(
    server: StoreServer, make_store: MakeStore
) -> None:
    """After a failure the connection is thrown away, and with it the late answer."""
    stranger = identity_of(CLUSTER, config_id="other")
    with TcpProxy(server.port) as proxy:
        store = make_store(address_of(server, port=proxy.port), SHORT_MS)
        warm_up(store)
        proxy.fault, proxy.delay_s = Fault.DELAY, SHORT_MS / 1000 * 2
        with pytest.raises(StoreUnreachable, match="in time"):
            store.observe(identity=stranger, new_wid=WriteId("x"))  # would be "other config"
        proxy.fault = Fault.NONE
        assert first_answer(store).refusal is Refusal.NONE


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.BLACKHOLE, Fault.ANSWER_SWALLOWED])
@pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "not connected"])
def test_a_silent_network_ends_within_the_request_timeout(
    server: StoreServer, make_store: MakeStore, fault: Fault, is_connected: bool
) -> None:
    """Connecting, logging in and asking share one time limit."""
    with TcpProxy(server.port) as proxy:
        store = make_store(address_of(server, port=proxy.port), SHORT_MS)
        if is_connected:
            warm_up(store)
        proxy.fault = fault
        begun_s = time.monotonic()
        with pytest.raises(StoreUnreachable, match="in time"):
            observe(store)
        assert SHORT_MS / 1000 * 0.9 < time.monotonic() - begun_s < LATE_S


def first_answer(store: RedisStore) -> StoreReply:
    """Ask until there is an answer, however slow the machine is just now."""
    deadline_s = time.monotonic() + 30
    while True:
        try:
            return store.observe(identity=ME, new_wid=WriteId("observer"))
        except StoreUnreachable:
            if time.monotonic() > deadline_s:
                raise


def warm_up(store: RedisStore) -> None:
    """Connect."""
    assert first_answer(store).is_ok


def test_a_reset_connection_is_an_error_and_the_next_call_connects_again(
    server: StoreServer, make_store: MakeStore
) -> None:
    """One failure costs one call."""
    with TcpProxy(server.port) as proxy:
        store = make_store(address_of(server, port=proxy.port))
        observe(store, "first")
        proxy.fault = Fault.RESET
        with pytest.raises(StoreUnreachable):
            observe(store)
        proxy.fault = Fault.NONE
        assert observe(store) == "first"


def test_a_paused_server_ends_the_call_in_time_and_serves_again_after(
    server: StoreServer, make_store: MakeStore
) -> None:
    """A frozen store is as good as none, for as long as it is frozen."""
    store = make_store(address_of(server), SHORT_MS)
    warm_up(store)
    server.pause()
    begun_s = time.monotonic()
    with pytest.raises(StoreUnreachable, match="in time"):
        observe(store)
    assert time.monotonic() - begun_s < LATE_S
    server.resume()
    warm_up(store)


def test_a_restarted_server_is_reached_by_the_very_next_call(
    server: StoreServer, make_store: MakeStore
) -> None:
    """A connection that the server closed is noticed before anything is sent on it."""
    store = make_store(address_of(server))
    observe(store, "first life")
    server.restart()
    assert observe(store, "second life") == "second life"


def test_a_server_that_is_down_is_refused_with_a_remedy(
    server: StoreServer, make_store: MakeStore
) -> None:
    store = make_store(address_of(server))
    server.kill()
    with pytest.raises(StoreUnreachable, match="nothing listens there"):
        observe(store)


def test_a_script_that_the_server_forgot_is_sent_whole_and_runs_once(
    server: StoreServer, make_store: MakeStore
) -> None:
    """NOSCRIPT proves that nothing ran, so the text is the first execution."""
    with admin_of(server) as admin:
        store = make_store(address_of(server))
        observe(store, "a")
        admin.script_flush()
        admin.flushall()
        admin.config_resetstat()
        assert observe(store, "b") == "b"
        assert observe(store, "c") == "b"
        stats = admin.info("commandstats")
    assert stats["cmdstat_eval"]["calls"] == 1
    assert stats["cmdstat_evalsha"]["calls"] == 2
    assert stats["cmdstat_hset"]["calls"] == 1


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
