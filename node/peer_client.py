"""Asking the other node (or this one) directly: a fresh challenge, a signed request, an answer.

Rules of this file: blocking, bounded, and never a second try by itself. An answer that is not
signed over this very request is no answer. The key is never part of a message, a log or an error.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from election.errors import PeerUnreachable
from election.peer import PeerStatus, parse_status
from election.peer_auth import Route, is_signature, sign_answer, sign_request
from node.config_model import Config
from node.peer_http import Message, exchange

CHALLENGE_PATH: Final = "/v1/challenge"
STATUS_PATH: Final = "/v1/status"
STAND_DOWN_PATH: Final = "/v1/stand-down"
FROM, CHALLENGE, SIGNATURE = "X-Hotspare-From", "X-Hotspare-Challenge", "X-Hotspare-Signature"
NONCE: Final = "X-Hotspare-Nonce"
TIMEOUT_S: Final = 1.5
CHALLENGE_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClient:
    """Speaks as `route.sender` to `route.receiver`."""

    host: str
    port: int
    route: Route
    key: str = field(repr=False)

    def status(self, *, timeout_s: float = TIMEOUT_S) -> PeerStatus:
        """Return what the node says about itself.

        Raises:
            PeerUnreachable: no answer that can be believed.
        """
        text = self._ask("GET", STATUS_PATH, "", timeout_s)
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
        text = self._ask("POST", STAND_DOWN_PATH, json.dumps(body, sort_keys=True), timeout_s)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise PeerUnreachable(f"{self.host}:{self.port}: the answer is no JSON object")
        return answer

    def _ask(self, method: str, path: str, body: str, timeout_s: float) -> str:
        deadline_s = time.monotonic() + timeout_s
        first = Message(method="GET", path=CHALLENGE_PATH)
        challenge = exchange(self.host, self.port, first, timeout_s=timeout_s).body.strip()
        if not challenge.isascii() or not 0 < len(challenge) <= CHALLENGE_LENGTH_MAX:
            raise PeerUnreachable(f"{self.host}:{self.port}: it does not speak as a node does")
        nonce = secrets.token_hex(16)
        signature = sign_request(self.key, self.route, method, path, challenge, body, nonce=nonce)
        headers = {
            FROM: self.route.sender,
            CHALLENGE: challenge,
            NONCE: nonce,
            SIGNATURE: signature,
        }
        left_s = max(deadline_s - time.monotonic(), 0.05)
        asked = Message(method=method, path=path, headers=headers, body=body)
        answer = exchange(self.host, self.port, asked, timeout_s=left_s)
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


def peer_client(config: Config, *, sender: str, receiver: str, key: str) -> PeerClient:
    """Return a client that asks a node of this cluster; its `host` is configured."""
    node = config.nodes[receiver]
    assert node.host is not None, "a node without an address"
    route = Route(cluster_id=config.cluster_id, sender=sender, receiver=receiver)
    return PeerClient(host=node.host, port=node.peer_port, route=route, key=key)
