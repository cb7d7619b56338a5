"""Who may speak at the peer endpoint, proven without a clock: HMAC over a fresh challenge.

Rules of this file: pure (time and randomness are parameters). A request is believed only if it is
signed over a challenge that this process issued a moment ago and that was not used before; an
answer only if it is signed over this very request, whose nonce its asker has just made up: whoever
sits in between and hands out an old challenge gets no use of the old answer to it. Who speaks to
whom, and in which direction, is part of what is signed: nothing can be sent back to its sender, to
another node or to another cluster. Challenges cost no memory until a signature was right, so that
a stranger who asks for many fills nothing.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

# How long a challenge may be answered. One slow round on a home network; halved, a board under
# load would have to ask twice; doubled, a message that was delayed could arrive that much later.
CHALLENGE_S: Final = 5.0
# Requests that were signed rightly within that time; far beyond what a pair sends.
USED_MAX: Final = 4096
KEY_MIN: Final = 24  # characters of `peer.key`; what `init` writes has 43


class Route(NamedTuple):
    """Who speaks to whom. `cluster_id` keeps two clusters with one key apart."""

    cluster_id: str
    sender: str
    receiver: str


def sign_request(
    key: str, route: Route, method: str, path: str, challenge: str, body: str, *, nonce: str = ""
) -> str:
    """Return the signature of a request, in hexadecimal.

    Args:
        key: the shared secret.
        route: who asks whom.
        method: of the request.
        path: of the request.
        challenge: that the receiver gave.
        body: of the request.
        nonce: random, of this request alone; without one its answer could be an old one.
    """
    return _mac(key, "request", route, (method, path, challenge, nonce), body)


def sign_answer(key: str, route: Route, status: int, request: str, body: str) -> str:
    """Return the signature of the answer to the request that has this signature."""
    return _mac(key, "answer", route, (str(status), request), body)


def is_signature(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _mac(key: str, kind: str, route: Route, words: tuple[str, ...], body: str) -> str:
    # Each part goes in with its length: no two lists of parts give one text.
    parts = ("hotspare-peer-1", kind, route.cluster_id, route.sender, route.receiver, *words, body)
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return _digest(_key(key), text.encode())


@lru_cache(maxsize=4)  # a process has one
def _key(key: str) -> bytes:
    return hashlib.sha256(b"hotspare peer key\n" + key.encode()).digest()


def _digest(secret: bytes, signed: bytes) -> str:
    mac = _begun(secret).copy()
    mac.update(signed)
    return mac.hexdigest()


@lru_cache(maxsize=8)  # a process has two
def _begun(secret: bytes) -> hmac.HMAC:
    return hmac.new(secret, digestmod="sha256")  # never updated: only its copies are


@dataclass(slots=True)
class ChallengeBook:
    """Issues challenges and accepts each once. `secret` is random, of this process alone."""

    secret: bytes
    _used: dict[str, float] = field(default_factory=dict)
    _floor_s: float = float("-inf")

    def issue(self, *, now_s: float, salt: str) -> str:
        """Return a fresh challenge; `salt` is random text without a colon."""
        stem = f"{now_s:.6f}:{salt}"
        return f"{stem}:{self._tag(stem)}"

    def accept(self, challenge: str, *, now_s: float) -> bool:
        """Tell whether it was issued here, lately, and never accepted before; it is used then."""
        stem, _, tag = challenge.rpartition(":")
        if not is_signature(tag, self._tag(stem)):
            return False
        issued_s = float(stem.partition(":")[0])
        if not 0 <= now_s - issued_s <= CHALLENGE_S or issued_s <= self._floor_s:
            return False
        self._used = {c: s for c, s in self._used.items() if now_s - s <= CHALLENGE_S}
        if challenge in self._used or len(self._used) >= USED_MAX:
            return False
        self._used[challenge] = issued_s
        return True

    def forget_before(self, now_s: float) -> None:
        """Refuse every challenge issued until now: what was signed over one comes too late."""
        self._floor_s = now_s

    def _tag(self, stem: str) -> str:
        return _digest(self.secret, stem.encode("utf-8", "replace"))[:32]
