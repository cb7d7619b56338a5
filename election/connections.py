"""One connection to one store, with the time limit of a whole call instead of retries.

redis-py's own client is dangerous here: it speaks RESP3 without falling back, retries ten times
behind the caller's back, waits five seconds, and sends a command again whose answer was lost. So
one bare connection of it is driven here: protocol 2, no retry, no health check, every byte under
the deadline of the call; after any failure the connection is thrown away, because a late answer
must never be read as the answer to the next question.

It does not decide when to ask again, and knows no scripts.
"""

import ipaddress
import queue
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from election.address import StoreAddress
from election.errors import StoreUnreachable
from election.redis_errors import unreachable
from election.redis_info import ServerFacts, facts_of, parse_info, refuse_server
from election.resp import Argument, Reply, ServerSaid, encode_argument

__all__ = ["NoScript", "StoreAddress", "StoreConnection"]


class _Wire(Protocol):
    """What is used of redis-py's bare connection, which is not typed throughout."""

    socket_timeout: float

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def can_read(self, timeout: float) -> bool: ...
    def update_current_socket_timeout(self, relaxed_timeout: float) -> None: ...
    def pack_commands(self, commands: list[tuple[bytes, ...]]) -> list[bytes]: ...
    def send_packed_command(self, command: list[bytes], check_health: bool) -> None: ...
    def read_response(self, *, timeout: float, disconnect_on_error: bool) -> Reply: ...


class StoreConnection:
    """One connection to one store; not safe for two threads at once.

    Each call opens the connection if there is none, and ends before `deadline_s` (of
    `time.monotonic`). Every failure raises `StoreUnreachable` and drops the connection. Nothing is
    ever sent twice.
    """

    def __init__(self, address: StoreAddress) -> None:
        self._address = address
        self._connection: _Wire | None = None
        self._facts: ServerFacts | None = None

    @property
    def address(self) -> StoreAddress:
        """The store's address."""
        return self._address

    @property
    def facts(self) -> ServerFacts | None:
        """What the server said when it was last connected; None before the first time."""
        return self._facts

    def call(self, *command: Argument, deadline_s: float) -> Reply:
        """Send one command and return its answer.

        Raises:
            StoreUnreachable: no usable answer, an error answer included.
            NoScript: the server does not know the script; nothing was done.
        """
        (reply,) = self.call_many((command,), deadline_s=deadline_s)
        if isinstance(reply, ServerSaid):
            if str(reply).startswith("NOSCRIPT"):
                raise NoScript(self._address.text)
            raise self._failed(reply)
        return reply

    def call_many(
        self, commands: Sequence[Sequence[Argument]], *, deadline_s: float
    ) -> tuple[Reply, ...]:
        """Send the commands at once, return all answers; an error answer is a value among them.

        Raises:
            StoreUnreachable: an answer is missing.
        """
        cut = self._address.cut
        if cut is not None and cut.is_cut(self._address.name):
            self.close()
            raise StoreUnreachable(f"{self._address.text}: cut off by a drill")
        try:
            connection = self._ready(deadline_s)
            return _exchange(connection, commands, deadline_s)
        except (RedisError, OSError, ServerSaid, ValueError) as error:
            # ValueError: redis-py on bytes that are not its protocol.
            raise self._failed(error) from None  # the cause could quote the password
        except StoreUnreachable:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _failed(self, error: Exception) -> StoreUnreachable:
        self.close()
        return unreachable(self._address.text, error, secret=self._address.password)

    def _ready(self, deadline_s: float) -> _Wire:
        """Return an open connection with nothing left to read on it."""
        if self._connection is not None and _is_stale(self._connection):
            self.close()  # nothing was sent yet, so opening another one repeats nothing
        if self._connection is None:
            self._connection = self._open(deadline_s)
        return self._connection

    def _open(self, deadline_s: float) -> _Wire:
        error: Exception = RedisTimeoutError("the name resolved to no address")
        for host in _resolve(self._address, deadline_s):
            connection = _new_connection(host, self._address.port, _left_s(deadline_s))
            try:
                connection.connect()
                self._facts = self._log_in(connection, deadline_s)
            except (RedisError, OSError, ServerSaid) as failure:
                connection.disconnect()
                error = failure
            except StoreUnreachable:
                connection.disconnect()
                raise
            else:
                return connection
        raise error

    def _log_in(self, connection: _Wire, deadline_s: float) -> ServerFacts:
        """Authenticate, select and look at the server in one round trip."""
        address = self._address
        commands: list[tuple[Argument, ...]] = []
        if address.username and address.password is not None:
            commands.append(("AUTH", address.username, address.password))
        elif address.password:
            commands.append(("AUTH", address.password))
        if address.db:
            commands.append(("SELECT", address.db))
        commands.append(("INFO",))
        replies = _exchange(connection, commands, deadline_s)
        for reply in replies:
            if isinstance(reply, ServerSaid):
                raise reply
        said = replies[-1]
        info = parse_info(said.decode("utf-8", "replace") if isinstance(said, bytes) else "")
        reason = refuse_server(info)
        if reason:
            raise StoreUnreachable(f"{address.text}: {reason}")
        return facts_of(info)


class NoScript(Exception):  # noqa: N818  (named by what the caller does: send the text)
    """The server does not know the script's hash; it did nothing."""


def _new_connection(host: str, port: int, timeout_s: float) -> _Wire:
    """Build, without connecting, a connection that never retries and never says hello."""
    connection_class: Any = Connection  # its constructor is not typed
    connection: _Wire = connection_class(
        host=host,
        port=port,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        protocol=2,
        driver_info=None,  # no CLIENT SETINFO: a round trip more, unknown before Redis 7.2
    )
    return connection


def _exchange(
    connection: _Wire, commands: Sequence[Sequence[Argument]], deadline_s: float
) -> tuple[Reply, ...]:
    """Write all commands, read all answers; error answers are returned as values."""
    connection.socket_timeout = _left_s(deadline_s)
    connection.update_current_socket_timeout(-1)  # -1: the value that was just set
    packed = connection.pack_commands(
        [tuple(map(encode_argument, command)) for command in commands]
    )
    connection.send_packed_command(packed, check_health=False)
    return tuple(_read(connection, deadline_s) for _ in commands)


def _read(connection: _Wire, deadline_s: float) -> Reply:
    try:
        return connection.read_response(timeout=_left_s(deadline_s), disconnect_on_error=False)
    except ResponseError as error:
        # redis-py cuts the code off from some errors and keeps it beside them.
        code, text = error.status_code or "", str(error)
        return ServerSaid(text if text.startswith(code) else f"{code} {text}")


def _left_s(deadline_s: float) -> float:
    """Return the seconds left, or raise as the socket would."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise RedisTimeoutError("the time limit of the call is over")
    return left_s


def _is_stale(connection: _Wire) -> bool:
    """Tell whether the server closed the connection, or something unasked lies on it."""
    try:
        return connection.can_read(0)
    except (RedisError, OSError):
        return True


def _resolve(address: StoreAddress, deadline_s: float) -> tuple[str, ...]:
    """Return the IP addresses of the host within the deadline.

    The system's resolver has no time limit of its own; it runs in a thread that is left behind
    when it does not come back in time.
    """
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        pass
    else:
        return (address.host,)
    answers: queue.SimpleQueue[tuple[str, ...] | OSError] = queue.SimpleQueue()
    threading.Thread(
        target=_look_up, args=(address.host, address.port, answers), daemon=True, name="resolve"
    ).start()
    try:
        answer = answers.get(timeout=_left_s(deadline_s))
    except queue.Empty:
        raise socket.gaierror(f"no answer for {address.host} in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _look_up(host: str, port: int, answers: "queue.SimpleQueue[tuple[str, ...] | OSError]") -> None:
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that cannot be one
        answers.put(socket.gaierror(str(error)))
    else:
        answers.put(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)))
