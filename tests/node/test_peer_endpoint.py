"""The peer endpoint on real sockets: who is believed, what strangers learn, what is bounded."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from election.errors import PeerUnreachable
from election.peer import parse_status
from election.peer_auth import CHALLENGE_S, ChallengeBook, Route, sign_request
from election.promise import parse_memory, parse_promise
from node.peer_client import CHALLENGE_PATH, STAND_DOWN_PATH, STATUS_PATH, PeerClient
from node.peer_http import (
    BODY_MAX,
    HEAD_MAX,
    Malformed,
    Message,
    exchange,
    parse_head,
    render_request,
)
from node.peer_server import CONNECTIONS_MAX, PeerServer
from tests.support.peer_rig import CLUSTER, KEY, Side, two_sides
from tests.support.status_cases import TWO, make_config


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """A holder and a standby, listening on loopback."""
    pair = two_sides(tmp_path, make_config(tmp_path, TWO))
    yield pair
    for side in pair:
        side.server.stop(5.0)


def signed(
    side: Side,
    path: str,
    *,
    method: str = "GET",
    body: str = "",
    sender: str = "",
    receiver: str = "",
    key: str = KEY,
    challenge: str = "",
) -> Message:
    """Return a request with a fresh challenge, signed as told."""
    given = challenge or ask(side, Message(method="GET", path=CHALLENGE_PATH)).body
    route = Route(
        cluster_id=CLUSTER, sender=sender or side.other, receiver=receiver or side.node_id
    )
    return Message(
        method=method,
        path=path,
        body=body,
        headers={
            "X-Hotspare-From": sender or side.other,
            "X-Hotspare-Challenge": given,
            "X-Hotspare-Signature": sign_request(key, route, method, path, given, body),
        },
    )


def ask(side: Side, message: Message) -> Message:
    return exchange("127.0.0.1", side.server.port, message, timeout_s=5.0)


# --- who is believed --------------------------------------------------------------------------


def test_a_node_that_knows_the_key_is_answered(sides: tuple[Side, Side]) -> None:
    """The status says who holds and what is seen; it comes signed."""
    holder, standby = sides
    status = standby.client_to("jetson", holder.server.port).status()
    assert (status.is_holder, status.epoch, status.node_id) == (True, 1, "jetson")
    assert set(status.lives) == {"x"}
    assert not holder.refused


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "another-key-0123456789-0123456789"},
        {"sender": "stranger"},
        {"sender": "jetson"},  # its own name: a reflected message
        {"receiver": "raspberrypi"},
        {"challenge": "1.0:abc:0123456789abcdef0123456789abcdef"},
        {"challenge": "x"},
    ],
)
def test_whoever_cannot_prove_it_learns_nothing(
    sides: tuple[Side, Side], changes: dict[str, str]
) -> None:
    """A bare refusal, the same whether the path exists or not; no name of a program."""
    holder = sides[0]
    answers = [ask(holder, signed(holder, path, **changes)) for path in (STATUS_PATH, "/nothing")]
    for answer in answers:
        assert (answer.status, answer.body) == (403, "")
        assert set(answer.headers) == {"content-type", "content-length", "connection"}
    assert answers[0] == answers[1]
    assert holder.refused


def test_a_request_counts_once(sides: tuple[Side, Side]) -> None:
    """A recorded request is refused: its challenge was used."""
    holder = sides[0]
    request = signed(holder, STATUS_PATH)
    assert ask(holder, request).status == 200
    assert ask(holder, request).status == 403
    assert "was used" in holder.refused[-1]


def test_a_changed_request_is_refused(sides: tuple[Side, Side]) -> None:
    """Method, path and body are part of what is signed."""
    holder = sides[0]
    request = signed(holder, STAND_DOWN_PATH, method="POST", body='{"step": "end"}')
    for changed in (
        Message(method="GET", path=request.path, body=request.body, headers=request.headers),
        Message(method="POST", path=STATUS_PATH, body=request.body, headers=request.headers),
        Message(method="POST", path=request.path, body='{"step": "x"}', headers=request.headers),
    ):
        assert ask(holder, changed).status == 403
    assert ask(holder, request).status == 200  # unharmed by the attempts: it was not used up


def test_challenges_end_by_age_and_by_command() -> None:
    """A challenge is good for seconds, once, and not from before a promise ended."""
    book = ChallengeBook(secret=b"s")
    old = book.issue(now_s=100.0, salt="a")
    assert not book.accept(old, now_s=100.1 + CHALLENGE_S)
    assert not book.accept(old, now_s=99.0)
    kept = book.issue(now_s=200.0, salt="b")
    book.forget_before(200.0)
    assert not book.accept(kept, now_s=200.1)
    assert book.accept(book.issue(now_s=200.2, salt="c"), now_s=200.3)
    assert not ChallengeBook(secret=b"other").accept(old, now_s=100.1)


def test_client_believes_only_signed_answers(sides: tuple[Side, Side]) -> None:
    """Another key, another node at that address, a server that is none: no status."""
    holder, standby = sides
    client = standby.client_to("jetson", holder.server.port, key="another-key-0123456789-012345")
    with pytest.raises(PeerUnreachable, match=r"peer\.key"):
        client.status()
    with pytest.raises(PeerUnreachable, match="refused"):
        standby.client_to("raspberrypi", holder.server.port, sender="jetson").status()
    assert KEY not in repr(client)


def test_an_old_answer_is_no_answer_to_a_new_request(sides: tuple[Side, Side]) -> None:
    """R14: whoever sits in between replays challenge and answer; the promise must not end by it."""
    holder, standby = sides
    recorded: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as between:

        def carry(*, is_replay: bool) -> None:
            for number in range(2):  # a challenge, then the request
                link, _ = between.accept()
                with link:
                    data = b""
                    while not _is_whole(data):
                        data += link.recv(4096)
                    if not is_replay:
                        recorded.append(holder.raw(data))
                    link.sendall(recorded[number])

        client = standby.client_to("jetson", between.getsockname()[1])
        for is_replay in (False, True):
            thread = threading.Thread(target=carry, kwargs={"is_replay": is_replay}, daemon=True)
            thread.start()
            if is_replay:
                with pytest.raises(PeerUnreachable, match="not signed"):
                    client.stand_down({"step": "end", "promise_id": ""}, timeout_s=10.0)
            else:
                answer = client.stand_down({"step": "end", "promise_id": ""}, timeout_s=10.0)
                assert answer["code"] == "done"
            thread.join(10.0)


def _is_whole(data: bytes) -> bool:
    head, mark, body = data.partition(b"\r\n\r\n")
    return bool(mark) and len(body) == parse_head(head)[1]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\ncut",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"x" * (HEAD_MAX + BODY_MAX + 10),
    ],
)
def test_client_survives_whatever_answers(answer: bytes, tmp_path: Path) -> None:
    """No redirect is followed, nothing is read without bound, every failure has one name."""
    del tmp_path
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.recv(4096)
                    link.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        client = PeerClient(
            host="127.0.0.1",
            port=server.getsockname()[1],
            route=Route(cluster_id=CLUSTER, sender="a", receiver="b"),
            key=KEY,
        )
        with pytest.raises(PeerUnreachable):
            client.status(timeout_s=2.0)


def test_client_gives_up_in_time() -> None:
    """A peer that accepts and never answers costs the time limit, no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = PeerClient(
            host="127.0.0.1",
            port=server.getsockname()[1],
            route=Route(cluster_id=CLUSTER, sender="a", receiver="b"),
            key=KEY,
        )
        started_s = time.monotonic()
        with pytest.raises(PeerUnreachable):
            client.status(timeout_s=0.5)
        assert time.monotonic() - started_s < 10


# --- what is bounded --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_MAX * 2) + b"\r\n\r\n",
        b"POST /v1/stand-down HTTP/1.1\r\nContent-Length: 999999\r\n\r\n",
        b"POST /v1/stand-down HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/stand-down HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"GET / HTTP/1.1\r\nno header\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"hello\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(sides: tuple[Side, Side], data: bytes) -> None:
    """Too long, twice, coded, garbage: a bare 403 (or the end of the connection)."""
    answer = sides[0].raw(data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 403")
    assert sides[1].client_to("jetson", sides[0].server.port).status().is_holder


def test_silent_connections_end_and_hold_nobody_up(sides: tuple[Side, Side]) -> None:
    """A stranger who opens many connections and says nothing does not keep the other node out."""
    holder, standby = sides
    links = [
        socket.create_connection(("127.0.0.1", holder.server.port), timeout=30)
        for _ in range(3 * CONNECTIONS_MAX)
    ]

    def is_answered() -> bool:
        try:
            return standby.client_to("jetson", holder.server.port).status().is_holder
        except PeerUnreachable:
            return False

    try:
        until_s = time.monotonic() + 30
        while not is_answered():  # each silent one is closed after its time
            assert time.monotonic() < until_s
        for link in links:
            link.settimeout(30)
            with contextlib.suppress(ConnectionResetError):
                assert link.recv(10) == b""  # closed by the server
    finally:
        for link in links:
            link.close()


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """The node goes on without its endpoint, with words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        holder, standby = two_sides(tmp_path, make_config(tmp_path, TWO))
        server = PeerServer(
            holder.desk,
            host="127.0.0.1",
            port=taken.getsockname()[1],
            cluster_id=CLUSTER,
            node_id="jetson",
            senders=frozenset(),
            key=KEY,
        )
        assert "in use" in server.start()
        for side in (holder, standby):
            side.server.stop(5.0)
        server.stop(5.0)


def test_request_is_what_it_says() -> None:
    """Bytes of a request: one length, connection closed after it."""
    raw = render_request("h:1", Message(method="GET", path="/x", headers={"A": "b"}, body="{}"))
    assert raw == (
        b"GET /x HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    )


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_head_is_a_message_or_malformed(raw: bytes) -> None:
    """Whatever a stranger sends has one of two outcomes."""
    with contextlib.suppress(Malformed):
        message, length = parse_head(raw)
        assert 0 <= length <= BODY_MAX
        assert message.status or message.method is not None


@settings(max_examples=300, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
))  # fmt: skip
def test_any_json_is_a_promise_or_refused(value: object) -> None:
    """What the other node says is checked field by field; nothing else is raised."""
    text = json.dumps(value)
    for parse in (parse_status, parse_memory, lambda t: parse_promise(json.loads(t))):
        with contextlib.suppress(ValueError):
            parse(text)
