"""Asking the other node (or this one) directly: a fresh challenge, a signed request, an answer.

Rules of this file: blocking, bounded, and never a second try by itself. An answer that is not
signed over this very request is no answer. The key is never part of a message, a log or an error.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from election.errors import PeerUnreachable
from election.peer import PeerStatus, parse_status
from election.peer_auth import Route, is_signature, sign_answer, sign_request
from election.walks import Walk, run_walk
from node.config_model import Config
from node.peer_http import Message, exchange

CHALLENGE_PATH: Final = "/v1/challenge"
STATUS_PATH: Final = "/v1/status"
STAND_DOWN_PATH: Final = "/v1/stand-down"
FROM, CHALLENGE, SIGNATURE = "X-Hotspare-From", "X-Hotspare-Challenge", "X-Hotspare-Signature"
NONCE: Final = "X-Hotspare-Nonce"
TIMEOUT_S: Final = 1.5
STEP_S: Final = 12.0  # of a command: the node waits for its disk and for the other node
CHALLENGE_LENGTH_MAX: Final = 200


Carry = Callable[[Message, float], Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClient:
    """Speaks as `route.sender` to `route.receiver`.

    `carry` takes a request there and brings its answer within a time limit in seconds, or raises
    PeerUnreachable; `monotonic_s` is the clock of that limit.
    """

    host: str
    port: int
    route: Route
    key: str = field(repr=False)
    carry: Carry | None = field(default=None, repr=False)
    new_nonce: Callable[[], str] = field(default=lambda: secrets.token_hex(16), repr=False)
    monotonic_s: Callable[[], float] = field(default=time.monotonic, repr=False)

    def status(self, *, timeout_s: float = TIMEOUT_S) -> PeerStatus:
        """Return what the node says about itself.

        Raises:
            PeerUnreachable: no answer that can be believed.
        """
        return run_walk(self.status_walk(timeout_s=timeout_s))

    def status_walk(self, *, timeout_s: float = TIMEOUT_S) -> Walk[PeerStatus]:
        """Do the same, call by call."""
        text = yield from self._ask("GET", STATUS_PATH, "", timeout_s)
        try:
            status = parse_status(text)
        except ValueError as error:
            raise PeerUnreachable(f"{self.host}:{self.port}: {error}") from None
        if status.node_id != self.route.receiver or status.cluster_id != self.route.cluster_id:
            raise PeerUnreachable(
                f"{self.host}:{self.port}: {status.node_id} of {status.cluster_id} answered"
            )
        return status

    def stand_down(
        self, body: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S
    ) -> Mapping[str, Any]:
        """Send the one request that changes something; return what was answered.

        Raises:
            PeerUnreachable: no answer that can be believed; it may have been done.
        """
        return run_walk(self.stand_down_walk(body, timeout_s=timeout_s))

    def stand_down_walk(
        self, body: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S
    ) -> Walk[Mapping[str, Any]]:
        """Do the same, call by call."""
        asked = json.dumps(body, sort_keys=True)
        text = yield from self._ask("POST", STAND_DOWN_PATH, asked, timeout_s)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise PeerUnreachable(f"{self.host}:{self.port}: the answer is no JSON object")
        return answer

    def _ask(self, method: str, path: str, body: str, timeout_s: float) -> Walk[str]:
        carry = self._exchange if self.carry is None else self.carry
        deadline_s = self.monotonic_s() + timeout_s
        first = Message(method="GET", path=CHALLENGE_PATH)
        given_challenge: Message = yield partial(carry, first, timeout_s)
        challenge = given_challenge.body.strip()
        if not challenge.isascii() or not 0 < len(challenge) <= CHALLENGE_LENGTH_MAX:
            raise PeerUnreachable(f"{self.host}:{self.port}: it does not speak as a node does")
        nonce = self.new_nonce()
        signature = sign_request(self.key, self.route, method, path, challenge, body, nonce=nonce)
        headers = {
            FROM: self.route.sender,
            CHALLENGE: challenge,
            NONCE: nonce,
            SIGNATURE: signature,
        }
        left_s = max(deadline_s - self.monotonic_s(), 0.05)
        asked = Message(method=method, path=path, headers=headers, body=body)
        answer: Message = yield partial(carry, asked, left_s)
        back = Route(
            cluster_id=self.route.cluster_id,
            sender=self.route.receiver,
            receiver=self.route.sender,
        )
        expected = sign_answer(self.key, back, answer.status, signature, answer.body)
        given = answer.headers.get(SIGNATURE.lower(), "")
        if answer.status == 403 and not given:  # noqa: PLR2004
            raise PeerUnreachable(
                f"{self.host}:{self.port}: refused; is peer.key the same on both boxes, and is "
                f"{self.route.receiver} the node that runs there?"
            )
        if answer.status != 200 or not is_signature(given, expected):  # noqa: PLR2004
            raise PeerUnreachable(
                f"{self.host}:{self.port}: the answer is not signed with this cluster's peer.key"
            )
        return answer.body

    def _exchange(self, message: Message, timeout_s: float) -> Message:
        return exchange(self.host, self.port, message, timeout_s=timeout_s)


def peer_client(config: Config, *, sender: str, receiver: str, key: str) -> PeerClient:
    """Return a client that asks a node of this cluster; its `host` is configured."""
    node = config.nodes[receiver]
    assert node.host is not None, "a node without an address"
    route = Route(cluster_id=config.cluster_id, sender=sender, receiver=receiver)
    return PeerClient(host=node.host, port=node.peer_port, route=route, key=key)
