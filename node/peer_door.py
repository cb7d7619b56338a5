"""The door of the peer endpoint: who is believed, what the desk is asked, how answers are signed.

Rules of this file: no socket, no thread, no clock: the time is told. Whoever cannot sign learns
nothing, not even whether a path exists.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from election.peer_auth import ChallengeBook, Route, is_signature, sign_answer, sign_request
from election.walks import Walk
from node.peer_client import (
    CHALLENGE,
    CHALLENGE_LENGTH_MAX,
    CHALLENGE_PATH,
    FROM,
    NONCE,
    SIGNATURE,
    STAND_DOWN_PATH,
    STATUS_PATH,
)
from node.peer_http import Malformed, Message

NO: Final = Message(status=403)


class Desk(Protocol):
    """Who answers; called from the endpoint's threads."""

    def status(self) -> str:
        """Return this node's status as JSON; at once."""
        ...

    def stand_down(self, sender: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what a signed request asks; may block for a few seconds."""
        ...


class PeerDoor:
    """Answers the requests of those who are believed. Used by one thread at a time."""

    def __init__(
        self,
        desk: Desk,
        *,
        cluster_id: str,
        node_id: str,
        senders: frozenset[str],
        key: str,
        secret: bytes,
        on_refused: Callable[[str], None],
    ) -> None:
        """Nobody has asked yet.

        Args:
            desk: who answers.
            cluster_id: of this node.
            node_id: of this node.
            senders: who may speak here.
            key: the shared secret.
            secret: random, of this process alone; marks its challenges.
            on_refused: told why a request was not answered.
        """
        self._desk, self._key, self._on_refused = desk, key, on_refused
        self._book = ChallengeBook(secret=secret)
        # Of what each sender asks, and of what it is answered.
        self._routes = {
            sender: (
                Route(cluster_id=cluster_id, sender=sender, receiver=node_id),
                Route(cluster_id=cluster_id, sender=node_id, receiver=sender),
            )
            for sender in senders
        }

    def forget_challenges(self, now_s: float) -> None:
        """Refuse whatever was signed over a challenge issued until now."""
        self._book.forget_before(now_s)

    def answer(self, request: Message, *, now_s: float, salt: str) -> Walk[Message]:
        """Answer a request; what the desk does on the way may block.

        Args:
            request: as it arrived.
            now_s: seconds of this process's own clock.
            salt: random text, for a challenge.

        Raises:
            Malformed: somebody who is believed asks for what cannot be read.
        """
        if (request.method, request.path) == ("GET", CHALLENGE_PATH):
            return Message(status=200, body=self._book.issue(now_s=now_s, salt=salt))
        sender = request.headers.get(FROM.lower(), "")
        if not self._is_believed(request, sender, now_s):
            return NO
        match (request.method, request.path):
            case ("GET", path) if path == STATUS_PATH:
                body = self._desk.status()
            case ("POST", path) if path == STAND_DOWN_PATH:
                asked = _object_of(request.body)
                done: Mapping[str, Any] = yield partial(self._desk.stand_down, sender, asked)
                body = json.dumps(dict(done), sort_keys=True)
            case _:
                return NO
        _, back = self._routes[sender]
        signature = sign_answer(self._key, back, 200, request.headers[SIGNATURE.lower()], body)
        return Message(status=200, headers={SIGNATURE: signature}, body=body)

    def _is_believed(self, request: Message, sender: str, now_s: float) -> bool:
        """Check who speaks: the signature first, so that strangers use no challenge up."""
        challenge = request.headers.get(CHALLENGE.lower(), "")
        given = request.headers.get(SIGNATURE.lower(), "")
        if sender not in self._routes or len(challenge) > CHALLENGE_LENGTH_MAX:
            self._on_refused("an unknown sender")
            return False
        route, _ = self._routes[sender]
        expected = sign_request(
            self._key,
            route,
            request.method,
            request.path,
            challenge,
            request.body,
            nonce=request.headers.get(NONCE.lower(), ""),
        )
        if not is_signature(given, expected):
            self._on_refused(f"a signature that is not {sender}'s; is peer.key the same?")
            return False
        if not self._book.accept(challenge, now_s=now_s):
            self._on_refused("a challenge that is old or was used")
            return False
        return True


def _object_of(text: str) -> Mapping[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("a body that is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("a body that is no object")
    return body
