"""What the venue's own record of placements must show, whoever traded. Pure, and standard library
alone, so that the checker of the demo can use it too.

An id carries the epoch of the grant that placed it (docs/architecture.md). Two things must hold: no
id arrives twice, and no placement of an older epoch comes after one of a newer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 18
CLUSTER_AT = slice(1, 5)
EPOCH_AT = slice(5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One order as it arrived at the venue. `order`: its place in the order of arrival."""

    client_order_id: str
    order: int
    at_ms: int


def epoch_of(client_order_id: object) -> int | None:
    """Return the epoch inside a client order id, None when it is no id of a cluster."""
    text = str(client_order_id or "")
    if len(text) != ID_LENGTH or text[0] != "h" or any(c not in BASE36 for c in text):
        return None
    return int(text[EPOCH_AT], 36)


def find_twice(client_order_ids: Iterable[str]) -> tuple[str, ...]:
    """Return what to say of each id that arrived more than once, whatever became of it."""
    counts = Counter(client_order_ids)
    return tuple(f"{cid} arrived {count} times" for cid, count in counts.items() if count > 1)


def find_overlaps(placements: Sequence[Placement]) -> tuple[str, ...]:
    """Return what to say of each placement of an older epoch after a newer one's."""
    problems: list[str] = []
    newest, holder = 0, ""
    for placement in sorted(placements, key=lambda each: each.order):
        epoch = epoch_of(placement.client_order_id)
        if epoch is None:
            continue
        if epoch < newest:
            problems.append(
                f"{placement.client_order_id} of epoch {epoch} arrived after {holder} of epoch "
                f"{newest}"
            )
        else:
            newest, holder = epoch, placement.client_order_id
    return tuple(problems)


def ours(placements: Iterable[Placement], cluster_tag: str) -> tuple[Placement, ...]:
    """Return the placements of one cluster, by the tag in their ids."""
    return tuple(
        placement
        for placement in placements
        if epoch_of(placement.client_order_id) is not None
        and placement.client_order_id[CLUSTER_AT] == cluster_tag
    )
