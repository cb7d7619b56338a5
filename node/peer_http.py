"""The little of HTTP/1.1 that two nodes need, with every length and every wait bounded.

Rules of this file: a trading process listens here, so nothing that arrives may cost it more than
a few kilobytes and a few seconds: one request a connection, one small header, a body of announced
length. No redirects, no keep-alive, no compression, no transfer codings. What does not fit is
answered with a bare 403 and closed: whoever may ask knows how.
"""

import asyncio
import socket
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from election.errors import PeerUnreachable

HEAD_MAX: Final = 4096
BODY_MAX: Final = 16_384
REASONS: Final = {200: "OK", 403: "Forbidden"}
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_CHUNK: Final = 4096


class Message(NamedTuple):
    """A request or an answer. Header names are in lower case; `status` 0 is a request."""

    method: str = ""
    path: str = ""
    status: int = 0
    headers: Mapping[str, str] = NO_HEADERS
    body: str = ""


class Malformed(ValueError):  # noqa: N818  (named by what it is)
    """Not a message that is spoken here."""


def render_request(host: str, message: Message) -> bytes:
    """Return the bytes of a request."""
    body = message.body.encode()
    lines = [f"{message.method} {message.path} HTTP/1.1", f"Host: {host}"]
    return _render(lines, message.headers, body)


def render_answer(message: Message) -> bytes:
    """Return the bytes of an answer."""
    line = f"HTTP/1.1 {message.status} {REASONS[message.status]}"
    return _render([line], message.headers, message.body.encode())


def _render(lines: list[str], headers: Mapping[str, str], body: bytes) -> bytes:
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def parse_head(raw: bytes) -> tuple[Message, int]:
    """Return a message without its body, and the length of the body.

    Raises:
        Malformed: it is none.
    """
    try:
        first, *rest = raw.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        raise Malformed("bytes that are no ASCII") from None
    headers: dict[str, str] = {}
    for line in filter(None, rest):
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or name.lower() in headers:
            raise Malformed("a header line that is none")
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise Malformed("a transfer coding")
    announced = headers.get("content-length", "0")
    if not announced.isascii() or not announced.isdigit() or len(announced) > 6:  # noqa: PLR2004
        raise Malformed("a length that is none")
    if int(announced) > BODY_MAX:
        raise Malformed("a body that is too long")
    match first.split(" "):
        case [version, status, *_] if version.startswith("HTTP/1.") and status.isdigit():
            return Message(status=int(status[:3]), headers=headers), int(announced)
        case [method, path, version] if version.startswith("HTTP/1."):
            return Message(method=method, path=path, headers=headers), int(announced)
        case _:
            raise Malformed("no HTTP")


async def read_request(reader: asyncio.StreamReader) -> Message:
    """Read one request; the reader's limit bounds the head, the caller the time.

    Raises:
        Malformed: it is none, or too long.
        EOFError, OSError: the connection ended.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise Malformed("a header that is too long") from None
    if len(head) > HEAD_MAX:
        raise Malformed("a header that is too long")
    message, length = parse_head(head)
    if message.status:
        raise Malformed("an answer where a request was expected")
    return _with_body(message, await reader.readexactly(length))


def exchange(host: str, port: int, message: Message, *, timeout_s: float) -> Message:
    """Send one request and return its answer, within the time limit, connecting included.

    Raises:
        PeerUnreachable: there was no answer, or none that is spoken here.
    """
    deadline_s = time.monotonic() + timeout_s
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as link:
            link.settimeout(_left_s(deadline_s))
            link.sendall(render_request(where, message))
            raw = b""
            while len(raw) <= HEAD_MAX + BODY_MAX:
                link.settimeout(_left_s(deadline_s))
                piece = link.recv(_CHUNK)
                if not piece:
                    break
                raw += piece
    except OSError as error:
        raise PeerUnreachable(f"{where}: {error.strerror or str(error) or 'no answer'}") from None
    try:
        return _parse_answer(raw)
    except Malformed as error:
        raise PeerUnreachable(f"{where}: the answer was {error}") from None


def _parse_answer(raw: bytes) -> Message:
    head, mark, body = raw.partition(b"\r\n\r\n")
    if not mark or len(head) > HEAD_MAX:
        raise Malformed("no whole header")
    answer, length = parse_head(head)
    if not answer.status or len(body) != length:
        raise Malformed("a cut answer")
    return _with_body(answer, body)


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no answer in time")
    return left_s


def _with_body(message: Message, body: bytes) -> Message:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a body that is no UTF-8") from None
    return Message(
        method=message.method,
        path=message.path,
        status=message.status,
        headers=message.headers,
        body=text,
    )
