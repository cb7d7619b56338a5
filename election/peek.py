"""One look at all stores, for a command line: read-only, bounded, and never an exception.

It creates nothing, not even the tombstone that an observer would write, and speaks the protocol
itself: importing redis-py would take half the time that a status command may take. What the parts
of the picture mean together (majority holder, merged boards) is decided by the pure functions at
the end.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from election.address import StoreAddress
from election.control_record import ControlRecord, merge_controls, parse_controls
from election.errors import StoreUnreachable
from election.member_record import MemberReading, merge_members, parse_members
from election.model import Incarnation, LeaseRecord, LeaseState, NodeId, StoreName
from election.one_shot import exchange, login_commands
from election.quorum import Quorum, quorum_of
from election.redis_errors import explain, unreachable
from election.redis_info import facts_of, parse_info, refuse_server
from election.redis_reply import documents_of, fields_of, keys_of, parse_record, time_us_of
from election.resp import Argument, Reply, ServerSaid

_US_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePeek:
    """What one store showed. With an `error` everything else is empty.

    `record_age_s` is by the store's own clock, for display. `info` is what the server says of
    itself (INFO). `problems` are parts that could not be read, and what should be mended on the
    server.
    """

    name: StoreName
    address_text: str
    error: str | None = None
    server_version: str = ""
    info: Mapping[str, str] = field(default_factory=dict)
    inc: Incarnation | None = None
    record: LeaseRecord | None = None
    record_age_s: float | None = None
    members: Mapping[NodeId, MemberReading] = field(default_factory=dict)
    control: Mapping[str, ControlRecord] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    is_needed: bool = False  # in every decision, while the pair grows from it (quorum.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPeek:
    """What all stores showed, in the order in which they were given."""

    stores: tuple[StorePeek, ...]

    @property
    def answered(self) -> tuple[StorePeek, ...]:
        """The stores that answered."""
        return tuple(store for store in self.stores if store.error is None)

    @property
    def quorum(self) -> Quorum:
        """Which stores decide."""
        return quorum_of((store.name, store.is_needed) for store in self.stores)

    @property
    def has_majority(self) -> bool:
        """True when the stores that answered decide."""
        return self.quorum.is_met([store.name for store in self.answered])


def peek(addresses: Sequence[StoreAddress], *, cluster_id: str, timeout_s: float) -> ClusterPeek:
    """Look at all stores at once; return after `timeout_s` at the latest, whatever they do."""
    deadline_s = time.monotonic() + timeout_s
    found: queue.SimpleQueue[StorePeek] = queue.SimpleQueue()
    for address in addresses:
        threading.Thread(
            target=lambda address=address: found.put(_look(address, cluster_id, deadline_s)),
            daemon=True,  # a resolver that hangs must not keep the command line from ending
            name=f"peek-{address.name}",
        ).start()
    seen: dict[StoreName, StorePeek] = {}
    with contextlib.suppress(queue.Empty):
        while len(seen) < len(addresses):
            store = found.get(timeout=max(deadline_s - time.monotonic(), 0.0) + _SCHEDULING_S)
            seen[store.name] = store
    return ClusterPeek(
        stores=tuple(
            seen.get(address.name) or _failed(address, f"{address.text}: no answer in time")
            for address in addresses
        )
    )


# The threads keep to the time limit themselves; they only need to be scheduled to say so.
_SCHEDULING_S: Final = 0.05


def _look(address: StoreAddress, cluster_id: str, deadline_s: float) -> StorePeek:
    try:
        return _picture(address, cluster_id, _ask(address, cluster_id, deadline_s))
    except StoreUnreachable as error:
        text = str(error)
        return _failed(address, text if address.text in text else f"{address.text}: {text}")
    except (OSError, ServerSaid, ValueError) as error:
        return _failed(address, str(unreachable(address.text, error, secret=address.password)))


def _failed(address: StoreAddress, error: str) -> StorePeek:
    return StorePeek(
        name=address.name,
        address_text=_short(address),
        error=error,
        is_needed=bool(address.old_list),
    )


def _short(address: StoreAddress) -> str:
    return f"{address.host}:{address.port}"


def _ask(address: StoreAddress, cluster_id: str, deadline_s: float) -> tuple[Reply, ...]:
    """Send everything at once; return the answers to the reads, INFO first."""
    keys = keys_of(cluster_id)
    login = login_commands(address)
    reads: tuple[tuple[Argument, ...], ...] = (
        ("INFO",),
        ("TIME",),
        ("HGETALL", keys.lease),
        ("HGETALL", keys.members),
        ("HGETALL", keys.control),
        ("HGETALL", keys.ledger),
    )
    replies = exchange(address, (*login, *reads), deadline_s)
    for reply in replies[: len(login) + 2]:  # without these nothing else means anything
        if isinstance(reply, ServerSaid):
            raise reply
    return replies[len(login) :]


def _picture(address: StoreAddress, cluster_id: str, replies: Sequence[Reply]) -> StorePeek:
    """Put the answers together; a part that cannot be read is a problem, not a failure."""
    info_reply, time_reply, lease, members_reply, control_reply, ledger = replies
    info = parse_info(
        info_reply.decode("utf-8", "replace") if isinstance(info_reply, bytes) else ""
    )
    refusal = refuse_server(info)
    if refusal:
        raise StoreUnreachable(f"{address.text}: {refusal}")
    facts = facts_of(info)
    now_us = time_us_of(time_reply)
    problems = list(facts.warnings)
    record = _record(_fields("lease", lease, problems), cluster_id, problems)
    members, unread_members = parse_members(
        _fields("members", members_reply, problems), now_us=now_us, store=address.name
    )
    control, unread_control = parse_controls(_fields("control", control_reply, problems))
    age_s = None if record is None else max(now_us - record.written_us, 0) / _US_PER_S
    return StorePeek(
        name=address.name,
        address_text=_short(address),
        is_needed=bool(address.old_list),
        server_version=facts.version,
        info=info,
        inc=facts.inc,
        record=record,
        record_age_s=age_s,
        members=members,
        control=control,
        documents=documents_of(_fields("ledger", ledger, problems)),
        problems=(*problems, *unread_members, *unread_control),
    )


def _fields(part: str, reply: Reply, problems: list[str]) -> Mapping[str, str]:
    if isinstance(reply, ServerSaid):
        problems.append(f"{part}: {explain(reply)}")
        return {}
    return fields_of(reply)


def _record(fields: Mapping[str, str], cluster_id: str, problems: list[str]) -> LeaseRecord | None:
    if not fields:
        return None
    try:
        record = parse_record(fields)
    except ValueError as error:
        key = keys_of(cluster_id).lease
        problems.append(f"lease: the record cannot be read: {error}; delete the key {key} by hand")
        return None
    if record.cluster_id != cluster_id:
        problems.append(f"lease: the record belongs to cluster {record.cluster_id}")
        return None
    return record


# --- what the picture means; pure -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderSeen:
    """The holder that a majority of all stores names, and since when it has been silent.

    `silent_s` is the smallest age among the records that name it, by the stores' own clocks.
    """

    node_id: NodeId
    nonce: str
    label: str
    epoch: int
    ttl_ms: int
    silent_s: float
    stores: tuple[StoreName, ...]


def majority_holder(seen: ClusterPeek) -> HolderSeen | None:
    """Return the holder named by a majority of all stores, the silent ones counted as against.

    While the pair grows the needed store alone may name another one than the others do: the later
    epoch is the holder, as in `Observed.named`.
    """
    votes: dict[tuple[LeaseState, str, int], list[StoreName]] = {}
    for store in seen.answered:
        if store.record is not None and store.record.state is LeaseState.HELD:
            votes.setdefault(_vote(store.record), []).append(store.name)
    named = [
        (epoch, len(names), nonce)
        for (_, nonce, epoch), names in votes.items()
        if seen.quorum.may_name(names)
    ]
    if not named:
        return None
    epoch, _, nonce = max(named)
    return _holder(seen, nonce, epoch)


def merged_members(seen: ClusterPeek) -> Mapping[NodeId, MemberReading]:
    """Return the freshest reading of each node."""
    return merge_members({store.name: store.members for store in seen.answered})


def merged_control(seen: ClusterPeek) -> Mapping[str, ControlRecord]:
    """Return the record of highest version of each kind."""
    return merge_controls(store.control for store in seen.answered)


def named_documents(seen: ClusterPeek) -> tuple[tuple[str, Mapping[str, str]], ...]:
    """Return what each store that answered is called, with its documents, to be merged."""
    return tuple((f"store {store.name}", store.documents) for store in seen.answered)


def _vote(record: LeaseRecord) -> tuple[LeaseState, str, int]:
    return record.state, record.nonce, record.epoch


def _holder(seen: ClusterPeek, nonce: str, epoch: int) -> HolderSeen:
    vote = (LeaseState.HELD, nonce, epoch)
    named = [
        (store, store.record)
        for store in seen.answered
        if store.record is not None and _vote(store.record) == vote
    ]
    _, record = named[0]
    return HolderSeen(
        node_id=record.node_id,
        nonce=nonce,
        label=record.label,
        epoch=epoch,
        ttl_ms=record.ttl_ms,
        silent_s=min(store.record_age_s or 0.0 for store, _ in named),
        stores=tuple(store.name for store, _ in named),
    )
