"""What two nodes tell each other directly, and whether they speak to the same servers (R13).

Rules of this file: pure. Two nodes that name the same stores and are pointed at different servers
cannot see each other through them; each would hold a lease of its own. What proves it is an
overlap: a server has one life at a time, so two lives of one store that were both seen during the
same seconds are two servers. A restart that one node has seen and the other not yet never overlaps.
A proof is kept until a later answer refutes it; a peer that cannot be asked proves and refutes
nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from election.instants import Instant, is_later
from election.model import Incarnation, NodeId, StoreName

# Both lives must have been seen for longer than this at the same time (R13). Halved, the error of
# an age that crossed a slow network could matter; doubled, both would trade that much longer.
LASTING_S: Final = 2.0
# An answer older than this says nothing any more: three polls, each with its timeout.
FRESH_S: Final = 6.0
_FORMAT: Final = 1
_ENCODE: Final = json.JSONEncoder(sort_keys=True).encode


class SeenLife(NamedTuple):
    """The life of one store that a node saw last, and how long ago, on that node's clock."""

    inc: Incarnation
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """What one node says about itself, directly.

    `stood_down` is the id of the promise it gave ("" for none); `relies_on` the id of the promise
    that lets it trade on without a store; `ttl_ms` is its own. `old_list_id` is the list that the
    node may still use while the pair grows from it (quorum.py), empty for none.
    """

    cluster_id: str
    config_id: str
    node_id: NodeId
    nonce: str
    is_holder: bool
    epoch: int
    max_epoch: int
    ttl_ms: int
    lives: Mapping[StoreName, SeenLife]
    stood_down: str = ""
    relies_on: str = ""
    old_list_id: str = ""

    @property
    def list_ids(self) -> frozenset[str]:
        """The store lists that it may use."""
        return frozenset({self.config_id, self.old_list_id} - {""})


def render_status(status: PeerStatus) -> str:
    """Render as JSON."""
    lives = status.lives
    return _ENCODE(
        {
            "v": _FORMAT,
            "cluster_id": status.cluster_id,
            "config_id": status.config_id,
            "node_id": status.node_id,
            "nonce": status.nonce,
            "is_holder": status.is_holder,
            "epoch": status.epoch,
            "max_epoch": status.max_epoch,
            "ttl_ms": status.ttl_ms,
            "lives": {name: [life.inc, round(life.age_s, 3)] for name, life in lives.items()},
            "stood_down": status.stood_down,
            "relies_on": status.relies_on,
            "old_list_id": status.old_list_id,
        },
    )


def parse_status(text: str) -> PeerStatus:
    """Parse what another node said.

    Raises:
        ValueError: it is not one of this format.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the peer's status is not JSON") from None
    match body:
        case {
            "v": int(v),
            "cluster_id": str(cluster_id),
            "config_id": str(config_id),
            "node_id": str(node_id),
            "nonce": str(nonce),
            "is_holder": bool(is_holder),
            "epoch": int(epoch),
            "max_epoch": int(max_epoch),
            "ttl_ms": int(ttl_ms),
            "lives": dict(lives),
            "stood_down": str(stood_down),
            "relies_on": str(relies_on),
        } if v == _FORMAT:
            return PeerStatus(
                cluster_id=cluster_id,
                config_id=config_id,
                node_id=NodeId(node_id),
                nonce=nonce,
                is_holder=is_holder,
                epoch=epoch,
                max_epoch=max_epoch,
                ttl_ms=ttl_ms,
                lives={StoreName(str(name)): _life(life) for name, life in lives.items()},
                stood_down=stood_down,
                relies_on=relies_on,
                old_list_id=str(body.get("old_list_id", "")),  # absent in older releases
            )
        case {"v": int(v)} if v != _FORMAT:
            raise ValueError(f"the peer's status has format {v}, this program knows {_FORMAT}")
        case _:
            raise ValueError("the peer's status lacks a field, or one is of another type")


def _life(value: object) -> SeenLife:
    match value:
        case [str(inc), float(age_s) | int(age_s)] if 0 <= age_s < float("inf"):
            return SeenLife(inc=Incarnation(inc), age_s=float(age_s))
        case _:
            raise ValueError("the peer's status has a life of a store that cannot be read")


@dataclass(slots=True)
class _Span:
    """One life of a store as one node saw it: certainly there from `since` to `until`."""

    inc: Incarnation
    since_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One answer of the peer, with when it was asked for and received on this node's clock."""

    status: PeerStatus
    sent: Instant
    received: Instant


class ServerCheck:
    """Remembers what proves that two nodes speak to different servers. Not thread-safe."""

    def __init__(self, *, list_ids: frozenset[str], stores: Sequence[StoreName]) -> None:
        """Nothing is proven."""
        self._list_ids = list_ids
        self._stores = tuple(stores)
        self._own: dict[StoreName, _Span] = {}
        self._theirs: dict[StoreName, _Span] = {}
        self._proofs: dict[StoreName, str] = {}
        self._other_config = ""
        self._peer_nonce = ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nobody may trade, in words a person can act on; empty when nothing is proven."""
        other = (self._other_config,) if self._other_config else ()
        return (*other, *(self._proofs[name] for name in self._stores if name in self._proofs))

    def step(self, own: Mapping[StoreName, SeenLife], answer: Exchange) -> None:
        """Take in an answer, with what this node itself has seen as of `answer.received`."""
        status, now_s = answer.status, answer.received.boot_s
        peer = status.node_id
        if status.nonce != self._peer_nonce:  # another process: it may read another file
            self._peer_nonce = status.nonce
            self._theirs = {}
        self._other_config = ""
        if self._list_ids.isdisjoint(status.list_ids):
            self._other_config = (
                f"configuration: {peer} says directly that it has another store list than this "
                "node; make both cluster.toml equal and restart the node that changes"
            )
        asked_s = answer.sent.boot_s
        for name in self._stores:
            if name in own:
                seen_s = now_s - own[name].age_s
                _note(self._own, name, own[name].inc, seen_s, seen_s)
            if name in status.lives:
                life = status.lives[name]
                # It was answered at some moment between asking and receiving: each end of the
                # span takes the worse one.
                until_s = asked_s - life.age_s
                _note(self._theirs, name, life.inc, now_s - life.age_s, until_s)
            self._judge(name, peer)

    def _judge(self, name: StoreName, peer: NodeId) -> None:
        own, theirs = self._own.get(name), self._theirs.get(name)
        if own is None or theirs is None:
            return
        if own.inc == theirs.inc:
            self._proofs.pop(name, None)
            return
        overlap_s = min(own.until_s, theirs.until_s) - max(own.since_s, theirs.since_s)
        if overlap_s > LASTING_S:
            self._proofs[name] = (
                f"different servers: this node and {peer} both call a store {name!r} and speak to "
                "two servers; make its address in both cluster.toml lead to one and the same "
                "(use the IP address, not a name) and restart the node that changes"
            )


def _note(
    spans: dict[StoreName, _Span], name: StoreName, inc: Incarnation, since_s: float, until_s: float
) -> None:
    known = spans.get(name)
    if known is not None and known.inc == inc:
        known.until_s = max(known.until_s, until_s)
    else:
        spans[name] = _Span(inc, since_s, until_s)


def is_fresh(answer: Exchange | None, now: Instant) -> bool:
    """Tell whether an answer still says something about now."""
    if answer is None or is_later(now, answer.received):
        return False
    return now.boot_s - answer.received.boot_s <= FRESH_S
