"""Answers of the scripts, parsed into values; whatever does not fit is no answer at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from election.errors import StoreUnreachable
from election.model import (
    Incarnation,
    LeaseRecord,
    LeaseState,
    NodeId,
    Refusal,
    StoreReply,
    WriteId,
)
from election.resp import Reply

# Field of the ledger's hash in which its script keeps the size; never a document.
BYTES_FIELD: Final = "_bytes"
LAST_FIELD: Final = "_last"  # who wrote last
RESERVED: Final = frozenset({BYTES_FIELD, LAST_FIELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of one cluster; the braces keep them in one slot, should that ever matter."""

    lease: str
    ledger: str
    control: str
    members: str


def keys_of(cluster_id: str) -> Keys:
    """Return the keys of the cluster."""
    root = f"hotspare:{{{cluster_id}}}"
    return Keys(
        lease=f"{root}:lease",
        ledger=f"{root}:ledger",
        control=f"{root}:control",
        members=f"{root}:members",
    )


def text_of(reply: Reply) -> str:
    """Return a bulk string as text; bytes that are not UTF-8 are shown, not refused."""
    if not isinstance(reply, bytes):
        raise StoreUnreachable(f"unreadable answer: {type(reply).__name__} instead of text")
    return reply.decode("utf-8", "backslashreplace")


def list_of(reply: Reply, *, size: int | None = None) -> Sequence[Reply]:
    """Return the elements of an array, of the given size if one is given."""
    if not isinstance(reply, list) or (size is not None and len(reply) != size):
        raise StoreUnreachable("unreadable answer: not the array that the script returns")
    return reply


def fields_of(reply: Reply) -> Mapping[str, str]:
    """Return a flat array of fields and values as a mapping (answer to HGETALL)."""
    flat = list_of(reply)
    if len(flat) % 2:
        raise StoreUnreachable("unreadable answer: a field without a value")
    texts = [text_of(element) for element in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def parse_record(fields: Mapping[str, str]) -> LeaseRecord:
    """Parse the fields of a lease record.

    Raises:
        ValueError: a field is missing or is not what it must be.
    """
    try:
        return LeaseRecord(
            cluster_id=fields["cluster_id"],
            config_id=fields["config_id"],
            node_id=NodeId(fields["node_id"]),
            nonce=fields["nonce"],
            epoch=_whole(fields, "epoch"),
            max_epoch=_whole(fields, "max_epoch"),
            state=LeaseState(fields["state"]),
            ttl_ms=_whole(fields, "ttl_ms"),
            wid=WriteId(fields["wid"]),
            inc=Incarnation(fields["inc"]),
            drain_ms=_whole(fields, "drain_ms"),
            reserved_for=fields["reserved_for"],
            reason=fields["reason"],
            label=fields["label"],
            written_us=_whole(fields, "written_us"),
            version=_whole(fields, "version"),
        )
    except KeyError as error:
        raise ValueError(f"the lease record has no field {error}") from None


def _whole(fields: Mapping[str, str], name: str) -> int:
    try:
        return int(fields[name])
    except ValueError:
        raise ValueError(f"its field {name} is not a whole number") from None


def parse_store_reply(reply: Reply) -> StoreReply:
    """Parse what a lease script returns: {refusal, inc, detail, {field, value, ...}}.

    Raises:
        StoreUnreachable: it is not that; whether the script wrote is then unknown.
    """
    refusal, inc, detail, flat = list_of(reply, size=4)
    fields = fields_of(flat)
    try:
        return StoreReply(
            refusal=Refusal(text_of(refusal)),
            record=parse_record(fields) if fields else None,
            inc=Incarnation(text_of(inc)),
            detail=text_of(detail),
        )
    except ValueError as error:
        raise StoreUnreachable(f"unreadable answer: {error}") from None


def time_us_of(reply: Reply) -> int:
    """Return the answer to TIME in microseconds of the store's wall clock."""
    seconds, micros = list_of(reply, size=2)
    return int(text_of(seconds)) * 1_000_000 + int(text_of(micros))


def documents_of(fields: Mapping[str, str]) -> Mapping[str, str]:
    """Return the documents among the fields of the ledger's hash."""
    return {key: text for key, text in fields.items() if key not in RESERVED}
