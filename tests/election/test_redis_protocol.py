"""RESP2 without I/O: any cut of the bytes gives the same answers; anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from election.resp import (
    ANSWER_BYTES_MAX,
    Decoder,
    Garbled,
    Reply,
    ServerSaid,
    encode_command,
)


def encoded(reply: Reply) -> bytes:
    """Encode an answer as a server does."""
    match reply:
        case None:
            return b"$-1\r\n"
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        case int():
            return b":%d\r\n" % reply
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))
        case ServerSaid():
            return b"-%s\r\n" % str(reply).encode()


replies = st.recursive(
    st.none() | st.binary(max_size=40) | st.integers(-(2**63), 2**63 - 1),
    lambda children: st.lists(children, max_size=4),
    max_leaves=12,
)


@given(st.lists(replies, min_size=1, max_size=4), st.data())
def test_answers_are_the_same_however_the_bytes_are_cut(
    expected: list[Reply], data: st.DataObject
) -> None:
    """A network may cut anywhere."""
    raw = b"".join(map(encoded, expected))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    decoder = Decoder()
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        assert start in (end, 0) or decoder.take(len(expected)) is None
        decoder.feed(raw[start:end])
    assert decoder.take(len(expected)) == tuple(expected)
    assert decoder.take(1) is None


def test_an_error_answer_is_a_value_with_the_server_s_words() -> None:
    decoder = Decoder()
    decoder.feed(b"-WRONGTYPE not a hash\r\n+OK\r\n")
    taken = decoder.take(2)
    assert taken is not None
    error, ok = taken
    assert isinstance(error, ServerSaid)
    assert str(error) == "WRONGTYPE not a hash"
    assert ok == b"OK"


@pytest.mark.parametrize(
    "raw",
    [b"HTTP/1.1 200 OK\r\n", b"$x\r\n", b"*1.5\r\n", b"%1\r\n", b"\r\n", b"*1\r\n" * 20],
    ids=["http", "no size", "a fraction", "RESP3", "nothing", "too deep"],
)
def test_what_is_not_resp2_is_refused(raw: bytes) -> None:
    decoder = Decoder()
    decoder.feed(raw)
    with pytest.raises(Garbled):
        decoder.take(1)


def test_an_answer_without_end_is_refused() -> None:
    """Every buffer has a bound."""
    decoder = Decoder()
    decoder.feed(b"x" * ANSWER_BYTES_MAX)
    with pytest.raises(Garbled):
        decoder.feed(b"x")


def test_a_command_is_encoded_by_length_and_never_by_quoting() -> None:
    """What cannot be UTF-8 (a file name in a message) is shown, not refused."""
    assert encode_command(("SET", 'a\r\n"', 7, b"\xff")) == (
        b'*4\r\n$3\r\nSET\r\n$4\r\na\r\n"\r\n$1\r\n7\r\n$1\r\n\xff\r\n'
    )
    assert encode_command(("\udcff",)) == b"*1\r\n$6\r\n\\udcff\r\n"
