"""One exchange with one store on a connection of its own, for programs that ask once and end.

It speaks the protocol itself: importing redis-py takes longer than a status command or a stop
hook may. Nothing is sent twice; whoever wants a time limit gives a deadline.
"""

import socket
import time
from collections.abc import Sequence
from typing import Final

from election.address import StoreAddress
from election.resp import Argument, Decoder, Reply, encode_command

_CHUNK_BYTES: Final = 65_536


def login_commands(address: StoreAddress) -> tuple[tuple[Argument, ...], ...]:
    """Return what must be said before anything else: who asks, and which database."""
    commands: list[tuple[Argument, ...]] = []
    if address.password:
        name = (address.username,) if address.username else ()
        commands.append(("AUTH", *name, address.password))
    if address.db:
        commands.append(("SELECT", address.db))
    return tuple(commands)


def exchange(
    address: StoreAddress,
    commands: Sequence[Sequence[Argument]],
    deadline_s: float,
    *,
    connect_s: float | None = None,
) -> tuple[Reply, ...]:
    """Send everything at once and return all answers; error answers are values among them.

    Args:
        address: the store; a name is resolved by the system, which has no time limit of its own.
        commands: what to send, the login among it.
        deadline_s: of `time.monotonic`, for connecting and answering together.
        connect_s: for connecting alone, when that is to be shorter.

    Raises:
        OSError: no connection, or no whole answer in time.
        election.resp.Garbled: what came is not the protocol.
    """
    decoder = Decoder()
    limit_s = _left_s(deadline_s)
    limit_s = limit_s if connect_s is None else min(limit_s, connect_s)
    with socket.create_connection((address.host, address.port), limit_s) as connection:
        connection.settimeout(_left_s(deadline_s))
        connection.sendall(b"".join(map(encode_command, commands)))
        while (replies := decoder.take(len(commands))) is None:
            connection.settimeout(_left_s(deadline_s))
            data = connection.recv(_CHUNK_BYTES)
            if not data:
                raise ConnectionResetError("connection closed by server")
            decoder.feed(data)
    return replies


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time limit of the look is over")
    return left_s
