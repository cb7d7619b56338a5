"""The Redis protocol, version 2 (RESP2): bytes to values and back, without any I/O.

Used by the one-shot look (peek.py), which must start faster than redis-py can be imported (0.2 s
on a PC, more than a second on a Nano); its values are those of all store answers here.
Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from collections.abc import Sequence
from typing import Final

# Larger than a full ledger (1 MB) with everything else; more is not an answer of ours.
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
_NESTING_MAX: Final = 8  # answers here nest twice


class ServerSaid(Exception):  # noqa: N818  (an answer, kept as a value; its text is the server's)
    """An error answer, with the server's own text including its code."""


class Garbled(ValueError):  # noqa: N818
    """The bytes are not RESP2."""


Reply = bytes | int | None | list["Reply"] | ServerSaid
Argument = str | bytes | int


def encode_argument(argument: Argument) -> bytes:
    """Encode as UTF-8; what cannot be (a file name in a message) is shown, not refused."""
    if isinstance(argument, bytes):
        return argument
    return str(argument).encode("utf-8", "backslashreplace")


def encode_command(command: Sequence[Argument]) -> bytes:
    """Encode one command."""
    parts = [encode_argument(argument) for argument in command]
    bulk = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n%s" % (len(parts), bulk)


class Decoder:
    """Collects bytes until answers are whole."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            Garbled: far more than any answer of ours.
        """
        self._data += data
        if len(self._data) > ANSWER_BYTES_MAX:
            raise Garbled(f"an answer of more than {ANSWER_BYTES_MAX} bytes")

    def take(self, count: int) -> tuple[Reply, ...] | None:
        """Return the first `count` answers, None while they are not whole.

        Raises:
            Garbled: not RESP2.
        """
        replies: list[Reply] = []
        position = 0
        for _ in range(count):
            step = self._parse(position, 0)
            if step is None:
                return None
            reply, position = step
            replies.append(reply)
        del self._data[:position]
        return tuple(replies)

    def _parse(self, start: int, depth: int) -> tuple[Reply, int] | None:
        """Parse one answer; None when it is not whole."""
        end = self._data.find(b"\r\n", start)
        if end < 0:
            return None
        kind, line = self._data[start : start + 1], bytes(self._data[start + 1 : end])
        after = end + 2
        match kind:
            case b"+":
                return line, after
            case b"-":
                return ServerSaid(line.decode("utf-8", "replace")), after
            case b":":
                return _number(line), after
            case b"$":
                return self._parse_bulk(_number(line), after)
            case b"*" if depth < _NESTING_MAX:
                return self._parse_array(_number(line), after, depth)
            case _:
                raise Garbled(f"an answer that begins with {bytes(kind)!r}")

    def _parse_bulk(self, size: int, start: int) -> tuple[Reply, int] | None:
        if size < 0:
            return None, start
        end = start + size
        if len(self._data) < end + 2:
            return None
        return bytes(self._data[start:end]), end + 2

    def _parse_array(self, size: int, start: int, depth: int) -> tuple[Reply, int] | None:
        if size < 0:
            return None, start
        elements: list[Reply] = []
        for _ in range(size):
            step = self._parse(start, depth + 1)
            if step is None:
                return None
            element, start = step
            elements.append(element)
        return elements, start


def _number(line: bytes) -> int:
    try:
        return int(line)
    except ValueError:
        raise Garbled(f"{line[:40]!r} instead of a number") from None
