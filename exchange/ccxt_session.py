"""The HTTP session given to ccxt: one request per call, whatever happens.

aiohttp re-sends GET, PUT and DELETE by itself when a connection drops before an answer, and
follows redirects (a 307 re-POSTs an order to another place). ccxt passes no switch for either, so
it is handed this facade, which has the five methods that ccxt looks up by name. Nothing is opened
before the first request, so that it can be built outside an event loop.
"""

import ssl
from typing import Any, Final

import aiohttp
import certifi

# An idle connection is dropped by us before the venue drops it: a request on a connection that
# the other side has just closed has an unknown outcome for no good reason.
KEEP_ALIVE_S: Final = 15.0
# Share of a request's time in which the connection must stand. What is left is too short for an
# answer, so a larger share would only turn "not sent" into "unknown".
CONNECT_SHARE: Final = 0.9


class OnceSession:
    """Sends each request at most once and follows no redirect."""

    def __init__(self, *, is_encrypted: bool) -> None:
        """Read the trusted certificates now: that takes long enough to count in a write."""
        self.ssl_context: ssl.SSLContext | bool = False
        if is_encrypted:
            self.ssl_context = ssl.create_default_context(cafile=certifi.where())
        self.headers: dict[str, str] = {}  # ccxt copies them into each request
        self._inner: aiohttp.ClientSession | None = None
        self._is_closed = False

    def get(self, url: Any, **options: Any) -> Any:
        """Send a GET; ccxt awaits the returned context."""
        return self._request("GET", url, **options)

    def post(self, url: Any, **options: Any) -> Any:
        """Send a POST."""
        return self._request("POST", url, **options)

    def put(self, url: Any, **options: Any) -> Any:
        """Send a PUT."""
        return self._request("PUT", url, **options)

    def delete(self, url: Any, **options: Any) -> Any:
        """Send a DELETE."""
        return self._request("DELETE", url, **options)

    def patch(self, url: Any, **options: Any) -> Any:
        """Send a PATCH."""
        return self._request("PATCH", url, **options)

    async def close(self) -> None:
        """Close all connections; no request can be sent afterwards."""
        self._is_closed = True
        if self._inner is not None:
            await self._inner.close()

    def _request(self, method: str, url: Any, **options: Any) -> Any:
        if self._is_closed:
            raise SessionClosed("the connection to the venue was closed by us")
        if self._inner is None:
            self._inner = self._open()
        once = {**options, "allow_redirects": False, "timeout": _split(options["timeout"])}
        return self._inner.request(method, url, **once)

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.ssl_context, keepalive_timeout=KEEP_ALIVE_S)
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        # No public switch exists; tests show by behaviour that this one works.
        session._retry_connection = False  # noqa: SLF001
        return session


class SessionClosed(Exception):  # noqa: N818  (says what happened; nothing was sent)
    """A request was tried after `close`."""


def _split(timeout: aiohttp.ClientTimeout) -> aiohttp.ClientTimeout:
    # Were connecting bounded by the total only, a request that never found the venue could not
    # be told from one that was sent and not answered.
    total_s = timeout.total
    assert total_s is not None, "every request has a total timeout"
    connect_s = total_s * CONNECT_SHARE
    return aiohttp.ClientTimeout(
        total=total_s, connect=connect_s, sock_connect=connect_s, sock_read=timeout.sock_read
    )
