"""A TCP proxy between a client and a store that spoils the traffic on request."""

import contextlib
import socket
import struct
import threading
from enum import StrEnum
from typing import Self

_CHUNK = 65_536


class Fault(StrEnum):
    """What happens to the bytes that pass from now on."""

    NONE = "none"
    DELAY = "delay"  # requests reach the server later (by `delay_s`)
    DROP = "drop"  # requests never reach the server; the connection stays open
    BLACKHOLE = "blackhole"  # nothing passes either way, and nothing is closed
    HOLD = "hold"  # requests reach the server when the test says so (`let_go`)
    RESET = "reset"  # the client's connection is reset when it sends
    ANSWER_LOST = "answer_lost"  # the server executes; then the client's connection is closed
    ANSWER_SWALLOWED = "answer_swallowed"  # the server executes; the client hears nothing


class TcpProxy:
    """Listens on a port of its own and forwards to `target_port` on 127.0.0.1."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._held: list[tuple[socket.socket, bytes]] = []
        self._released = threading.Event()
        self.fault = Fault.NONE
        self.delay_s = 0.0
        self.connections = 0
        self.answers_lost = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()
        with self._guard:
            sockets, self._sockets = set(self._sockets), set()
        for one in sockets:
            _close(one)

    def hold(self) -> None:
        """Keep what clients send from now on, also when they have closed their connection."""
        self.fault = Fault.HOLD

    def go_on(self) -> None:
        """Pass what comes from now on; what is held stays held."""
        self.fault = Fault.NONE

    def let_go(self) -> int:
        """Let what is held reach the server, in order; return how many pieces that were."""
        with self._guard:
            held, self._held = self._held, []
        for server, data in held:
            server.sendall(data)
        self._released.set()
        return len(held)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
            except OSError:
                _close(client)
                continue
            server.settimeout(None)
            with self._guard:
                self._sockets |= {client, server}
            for pump in (self._pump_requests, self._pump_answers):
                threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK):
                match self.fault:
                    case Fault.DELAY:
                        self._ended.wait(self.delay_s)
                    case Fault.DROP | Fault.BLACKHOLE:
                        continue
                    case Fault.HOLD:
                        with self._guard:
                            self._held.append((server, data))
                        continue
                    case Fault.RESET:
                        linger = struct.pack("ii", 1, 0)
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        break
                server.sendall(data)
        with self._guard:
            is_held = any(one is server for one, _ in self._held)
        if is_held:  # a client that has gone does not take back what it sent
            self._released.wait(60.0)
        _close(client)
        _close(server)

    def _pump_answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_CHUNK):
                match self.fault:
                    case Fault.BLACKHOLE:
                        continue
                    case Fault.ANSWER_SWALLOWED:
                        self.answers_lost.release()
                        continue
                    case Fault.ANSWER_LOST:
                        self.answers_lost.release()
                        break
                client.sendall(data)
        _close(client)
        _close(server)


def _close(one: socket.socket) -> None:
    """Close, and wake whoever is blocked in recv on it."""
    with contextlib.suppress(OSError):
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) != struct.pack("ii", 1, 0):
            one.shutdown(socket.SHUT_RDWR)
    one.close()
