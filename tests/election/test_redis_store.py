"""The edge: what a network, a configuration or another program does to a store's answers."""

import time
from collections.abc import Callable, Iterator

import pytest

from election.address import StoreAddress
from election.errors import StoreUnreachable
from election.model import Identity, LeaseState, Refusal, StoreReply, WriteId
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
