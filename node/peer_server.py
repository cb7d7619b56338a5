"""The listening side of the peer endpoint: a thread and a loop of its own.

Rules of this file: it neither waits for the work loop nor holds it up. Whoever cannot sign learns
nothing, not even whether a path exists; the number of connections and the time of each are
bounded. What is asked is done in the order in which it was believed, one after the other: a late
promise must not overtake its end. What is answered is decided by the desk (peer_desk.py).
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from node.peer_door import NO, Desk, PeerDoor
from node.peer_http import HEAD_MAX, Malformed, Message, read_request, render_answer

# One node and one person speak here; a few more for connections that end slowly.
CONNECTIONS_MAX: Final = 16
READ_S: Final = 2.0  # a request must have arrived within it
ANSWER_S: Final = 10.0  # standing down asks the other node and waits for this disk
START_S: Final = 5.0


class PeerServer:
    """Serves one node's endpoint until `stop`."""

    def __init__(
        self,
        desk: Desk,
        *,
        host: str,
        port: int,
        cluster_id: str,
        node_id: str,
        senders: frozenset[str],
        key: str,
        on_refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Bind nothing yet.

        Args:
            desk: who answers.
            host: address to listen at.
            port: TCP port, 0 for any free one.
            cluster_id: of this node.
            node_id: of this node.
            senders: who may speak here.
            key: the shared secret.
            on_refused: told why a request was not answered; from the server's thread.
        """
        self._host, self._port, self._on_refused = host, port, on_refused
        self._door = PeerDoor(
            desk,
            cluster_id=cluster_id,
            node_id=node_id,
            senders=senders,
            key=key,
            secret=secrets.token_bytes(32),
            on_refused=on_refused,
        )
        # Challenges carry a time; a random origin keeps this box's uptime to itself.
        self._origin_s = time.monotonic() - secrets.randbelow(10**9)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="peer-endpoint", daemon=True)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="peer-desk")
        self._ready = threading.Event()
        self._stopping: asyncio.Event | None = None
        self._open = 0
        self.error = ""

    @property
    def port(self) -> int:
        """The port that is listened at, once `start` has returned without an error."""
        return self._port

    def start(self) -> str:
        """Listen; return why that is not possible, empty when it is."""
        self._thread.start()
        if not self._ready.wait(START_S):
            return "the endpoint did not start in time"
        return self.error

    def stop(self, timeout_s: float) -> None:
        """Close the port and end the thread."""
        stopping = self._stopping
        if stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(stopping.set)
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def forget_challenges(self) -> None:
        """Refuse whatever was signed over a challenge issued until now."""
        self._door.forget_challenges(self._now_s())

    def _now_s(self) -> float:
        return time.monotonic() - self._origin_s

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        try:
            server = await asyncio.start_server(
                self._on_connection, self._host, self._port, limit=HEAD_MAX
            )
        except OSError as error:
            self.error = f"{self._host}:{self._port}: {error.strerror or error}"
            return
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._stopping.wait()

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._open >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        self._open += 1
        try:
            try:
                async with asyncio.timeout(READ_S):
                    request = await read_request(reader)
                async with asyncio.timeout(ANSWER_S):
                    answer = await self._answer(request)
            except Malformed as error:
                self._on_refused(str(error))
                answer = NO
            writer.write(render_answer(answer))
            async with asyncio.timeout(READ_S):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, TimeoutError):
            writer.transport.abort()
        finally:
            self._open -= 1

    async def _answer(self, request: Message) -> Message:
        walk = self._door.answer(request, now_s=self._now_s(), salt=secrets.token_hex(16))
        loop = asyncio.get_running_loop()
        try:
            call = next(walk)
            while True:
                call = walk.send(await loop.run_in_executor(self._pool, call))
        except StopIteration as end:
            answer: Message = end.value
            return answer
