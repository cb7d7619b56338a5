"""Client order ids: who placed an order can be read off the order itself.

Layout, 18 characters of lower-case base 36, fixed width:

    h  cccc  eeeee  nn  iiiii  k
    |  |     |      |   |      check character (ISO 7064 MOD 37,36: finds every single wrong
    |  |     |      |   |      character and every swap of two neighbours)
    |  |     |      |   intent counter, unique within the epoch (60 466 176 values)
    |  |     |      node tag: hash of the node id (1 296 values; the epoch makes ids unique, the
    |  |     |      tag tells two nodes apart that were ever granted the same epoch)
    |  |     epoch (60 466 176 values: a grant every minute for 115 years)
    |  cluster tag: hash of the cluster id (1 679 616 values)
    always `h`: Gate prefixes `t-` except to ids that begin with `t`

18 lower-case letters and digits are what every supported venue accepts; Kraken's free text
allows no more. The counter starts at 0 with each grant: a new grant has a new epoch, so no id
can come twice. This file decides whose an order is; it does not decide what to do about it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from exchange.model import ClientOrderId

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 18
PREFIX = "h"
CLUSTER_WIDTH = 4
EPOCH_WIDTH = 5
NODE_WIDTH = 2
COUNTER_WIDTH = 5

_BASE = len(ALPHABET)
_CHARACTERS = frozenset(ALPHABET)
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
EPOCH_MAX = _BASE**EPOCH_WIDTH - 1
COUNTER_MAX = _BASE**COUNTER_WIDTH - 1


class Owner(StrEnum):
    """Whose an order is, seen from a node that holds `my_epoch`."""

    MINE = "mine"  # this grant placed it
    OLDER_EPOCH = "older_epoch"  # my cluster placed it under an earlier grant
    NEWER_EPOCH = "newer_epoch"  # my cluster has a later grant: I was deposed
    FOREIGN = "foreign"  # a person, another program, another cluster: never touched


@dataclass(frozen=True, slots=True, kw_only=True)
class IdParts:
    """What a client order id says."""

    cluster_tag: str
    epoch: int
    node_tag: str
    counter: int

    def __post_init__(self) -> None:
        """Refuse what does not fit the fixed width."""
        if not _is_base36(self.cluster_tag, CLUSTER_WIDTH):
            raise ValueError(f"cluster tag was {self.cluster_tag!r}")
        if not _is_base36(self.node_tag, NODE_WIDTH):
            raise ValueError(f"node tag was {self.node_tag!r}")
        if not 0 <= self.epoch <= EPOCH_MAX:
            raise ValueError(f"epoch was {self.epoch}; ids hold 0..{EPOCH_MAX}")
        if not 0 <= self.counter <= COUNTER_MAX:
            raise ValueError(f"intent counter was {self.counter}; ids hold 0..{COUNTER_MAX}")


def cluster_tag(cluster_id: str) -> str:
    """Return the four characters that stand for a cluster id in every order id."""
    return _hash_to_base36(f"cluster:{cluster_id}", CLUSTER_WIDTH)


def node_tag(node_id: str) -> str:
    """Return the two characters that stand for a node id in every order id.

    Two node ids of one cluster with the same tag are worth refusing in configuration.
    """
    return _hash_to_base36(f"node:{node_id}", NODE_WIDTH)


def encode(parts: IdParts) -> ClientOrderId:
    """Return the id; `decode` gives the parts back."""
    payload = (
        PREFIX
        + parts.cluster_tag
        + _to_base36(parts.epoch, EPOCH_WIDTH)
        + parts.node_tag
        + _to_base36(parts.counter, COUNTER_WIDTH)
    )
    return ClientOrderId(payload + _check_character(payload))


def decode(text: str | None) -> IdParts | None:
    """Return the parts of an id of ours (of any cluster); None when it is not one."""
    if text is None or not _is_base36(text, ID_LENGTH) or text[0] != PREFIX:
        return None
    if _check_character(text[:-1]) != text[-1]:
        return None
    node_at = 1 + CLUSTER_WIDTH + EPOCH_WIDTH
    counter_at = node_at + NODE_WIDTH
    return IdParts(
        cluster_tag=text[1 : 1 + CLUSTER_WIDTH],
        epoch=int(text[1 + CLUSTER_WIDTH : node_at], _BASE),
        node_tag=text[node_at:counter_at],
        counter=int(text[counter_at:-1], _BASE),
    )


def owner_of(client_order_id: str | None, *, cluster_tag: str, my_epoch: int) -> Owner:
    """Say whose an order is, from its client order id alone."""
    parts = decode(client_order_id)
    if parts is None or parts.cluster_tag != cluster_tag:
        return Owner.FOREIGN
    if parts.epoch == my_epoch:
        return Owner.MINE
    return Owner.OLDER_EPOCH if parts.epoch < my_epoch else Owner.NEWER_EPOCH


def highest_epoch(client_order_ids: Iterable[str | None], *, cluster_tag: str) -> int:
    """Return the highest epoch of this cluster among the ids, 0 if there is none.

    It is the floor at the venue: an epoch that is asked for must lie above it (R7).
    """
    decoded = (decode(text) for text in client_order_ids)
    return max(
        (
            parts.epoch
            for parts in decoded
            if parts is not None and parts.cluster_tag == cluster_tag
        ),
        default=0,
    )


def _is_base36(text: str, width: int) -> bool:
    return len(text) == width and _CHARACTERS.issuperset(text)


def _to_base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, value = divmod(number, _BASE)
        digits.append(ALPHABET[value])
    return "".join(reversed(digits))


def _hash_to_base36(text: str, width: int) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return _to_base36(int.from_bytes(digest[:8], "big") % _BASE**width, width)


def _check_character(payload: str) -> str:
    # ISO 7064 MOD 37,36, the pure hybrid system for alphanumeric strings.
    product = _BASE
    for character in payload:
        total = (product + _VALUES[character]) % _BASE or _BASE
        product = total * 2 % (_BASE + 1)
    return ALPHABET[(_BASE + 1 - product) % _BASE]
