"""Replacing a lease store: what is asked, whether it may be done now, the file's text. Pure.

Rules of this file (R3): two store lists of one cluster must never both be in use, for two disjoint
majorities are one cut link away. So the change is durable in three places before the first node
uses the new list: in a majority of the old stores (each script refuses the old list there), in the
control records, and with those on both nodes' disks: a node whose file is old then knows it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from election.control_record import ControlRecord
from election.member_record import MemberReading
from election.model import LeaseState
from election.peek import ClusterPeek
from node.config_model import StoreConfig, store_list_id
from node.latches import STORES, Latches

FRESH_S: Final = 5.0
_PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The wish: one store of the list is replaced, or the only one gets two more (growing.py)."""

    old: tuple[StoreConfig, ...]
    new: tuple[StoreConfig, ...]

    @property
    def added(self) -> tuple[StoreConfig, ...]:
        """The stores that the old list does not have."""
        return tuple(s for s in self.new if s not in self.old)

    @property
    def removed(self) -> tuple[StoreConfig, ...]:
        """The stores that the new list does not have."""
        return tuple(s for s in self.old if s not in self.new)

    @property
    def old_id(self) -> str:
        """Hash of the old list."""
        return store_list_id(self.old)

    @property
    def new_id(self) -> str:
        """Hash of the new list."""
        return store_list_id(self.new)

    def record_value(self) -> dict[str, Any]:
        """Return what the control record says: which list counts, and whether nodes said so."""
        return {
            "config_id": self.new_id,
            "was": self.old_id,
            "stores": [f"{s.name} {s.host}:{s.port}" for s in self.new],
            "is_announced": False,
        }


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of HOST or HOST:PORT or [IPV6]:PORT.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+)(?::(\d{1,5}))?", text)
    port = 6379 if match is None or match[2] is None else int(match[2])
    if match is None or not 0 < port <= _PORT_MAX:
        raise ValueError(f"{text!r} is no address; say HOST or HOST:PORT")
    return match[1].strip("[]"), port


def plan_change(stores: Sequence[StoreConfig], old: str, address: str, name: str | None) -> Change:
    """Return the change that is asked for.

    Args:
        stores: the present list.
        old: name of the store to replace.
        address: where the new one is.
        name: of the new one; None keeps the name.

    Raises:
        ValueError: there is no such store, or the new one is in the list already.
    """
    found = next((s for s in stores if s.name == old), None)
    if found is None:
        raise ValueError(
            f"there is no store {old!r}; there are: {', '.join(s.name for s in stores)}"
        )
    host, port = parse_address(address)
    replacement = found.model_copy(update={"host": host, "port": port, "name": name or found.name})
    others = [s for s in stores if s is not found]
    if any((s.host, s.port) == (host, port) for s in others):
        raise ValueError(f"{address} is a store of this cluster already")
    if any(s.name == replacement.name for s in others):
        raise ValueError(f"{replacement.name!r} is the name of another store")
    if replacement == found:
        raise ValueError(f"{old} is at {address} already")
    new = tuple(replacement if s is found else s for s in stores)
    return Change(old=tuple(stores), new=new)


def list_ids_of(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the store lists that a member says it may use; empty when it says none."""
    said = (body.get("config_id"), body.get("old_list_id"))
    return frozenset(str(list_id) for list_id in said if list_id)


# --- may it be done now -----------------------------------------------------------------------


def refuse_now(
    change: Change,
    seen: ClusterPeek,
    latches: Latches,
    members: Mapping[str, MemberReading],
    nodes: Sequence[str],
    without: Sequence[str],
) -> str:
    """Return why the change may not begin, empty when it may."""
    if not seen.has_majority:
        return (
            f"{len(seen.answered)} of {len(seen.stores)} present stores answer; a majority of them "
            "must be told"
        )
    known = latches.records.get(STORES)
    if known is not None and (refusal := _refuse_known(change, known)):
        return refusal
    if not latches.is_paused:
        return "the cluster is not paused"
    relying = [n for n in nodes if is_fresh(m := members.get(n)) and m and m.body.get("relies_on")]
    if relying:
        return (
            f"{relying[0]} trades by the promise of the other node, which cannot be carried over: "
            "end it first (nodectl stand-down --end)"
        )
    gone = [n for n in nodes if n not in without and not is_fresh(members.get(n))]
    if gone and known is None:
        return (
            f"{', '.join(gone)} is not heard: a node that does not run cannot learn that its "
            "cluster.toml becomes old"
        )
    return ""


def _refuse_known(change: Change, known: ControlRecord) -> str:
    """Return why the list that counts stands against the change, empty when it does not."""
    if known.value.get("config_id") not in {change.old_id, change.new_id}:
        return (
            "this cluster.toml is old: the store list was replaced by "
            f"{known.by}; copy the other box's cluster.toml first"
        )
    grown_from = known.value.get("grown_from")
    is_over = not grown_from or known.value.get("is_announced", False)
    if is_over or grown_from in {store.name for store in change.removed}:
        return ""
    return (
        f"the pair has not finished growing: the record on {grown_from} is still under the old "
        "list, and nothing could move it later (first: nodectl stores settle)"
    )


def acknowledged(record: ControlRecord, members: Mapping[str, MemberReading]) -> tuple[str, ...]:
    """Return the nodes that have this decision on their disk, or use the new list already."""
    wanted = record.value.get("config_id")
    return tuple(
        node
        for node, member in members.items()
        if member.body.get("config_id") == wanted or keeps(record, members, node)
    )


def keeps(record: ControlRecord, members: Mapping[str, MemberReading], node: str) -> bool:
    """Tell whether a node has this decision, or a later one, on its disk."""
    return node in members and _at_least(members[node].body.get("stores_kept"), record.version)


def is_free(seen: ClusterPeek) -> bool:
    """Tell whether a majority of the stores names no holder, so that nobody can hold.

    A store that was away when the lease was given up still names one: that is watched for a ttl.
    """
    free = [s for s in seen.answered if s.record is None or s.record.state is not LeaseState.HELD]
    return seen.quorum.is_met([s.name for s in free])


def highest_epoch(*pictures: ClusterPeek) -> int:
    """Return the highest epoch that any store has known."""
    return max(
        (
            max(s.record.epoch, s.record.max_epoch)
            for seen in pictures
            for s in seen.answered
            if s.record is not None
        ),
        default=0,
    )


def is_fresh(member: MemberReading | None) -> bool:
    """Tell whether a member was heard of lately."""
    return member is not None and member.age_s <= FRESH_S


def _at_least(value: object, version: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= version


# --- after it ---------------------------------------------------------------------------------


def refuse_resume(
    latches: Latches, members: Mapping[str, MemberReading], nodes: Sequence[str]
) -> str:
    """Return why a person must not resume yet, empty when nothing stands against it."""
    record = latches.records.get(STORES)
    if record is None:
        return ""
    wanted = str(record.value.get("config_id", ""))
    fresh = {n: str(m.body.get("config_id", "")) for n, m in members.items() if is_fresh(m)}
    old = sorted(n for n, config_id in fresh.items() if config_id != wanted)
    if old:
        return f"{', '.join(old)} still uses the store list from before it was replaced"
    missing = [n for n in nodes if n not in fresh]
    if missing and not record.value.get("is_announced", False):
        return (
            f"the store list was replaced and {', '.join(missing)} has not yet shown that it uses "
            "the new one"
        )
    return ""


def replaced_reason(latches: Latches, list_ids: frozenset[str]) -> str:
    """Return why a node of these lists must not act: another one counts; empty when not."""
    record = latches.records.get(STORES)
    if record is None or record.value.get("config_id") in {None, *list_ids}:
        return ""
    listed = record.value.get("stores")
    stores = ", ".join(str(s) for s in listed) if isinstance(listed, list) else "another list"
    return (
        f"the store list was replaced by {record.by} (now: {stores}): put the new cluster.toml on "
        "this box and restart the node"
    )


# --- the file ---------------------------------------------------------------------------------


def edit_file(text: str, change: Change) -> str:
    """Return cluster.toml with the store's name, host and port changed, all else kept.

    Raises:
        ValueError: the file does not show the store in one [[stores]] table of its own.
    """
    replaced, replacement = change.removed[0], change.added[0]
    lines = text.splitlines(keepends=True)
    begins = [i for i, line in enumerate(lines) if re.match(r"\s*\[\[\s*stores\s*\]\]", line)]
    for begin in begins:
        end = next(
            (i for i in range(begin + 1, len(lines)) if lines[i].lstrip().startswith("[")),
            len(lines),
        )
        block = lines[begin:end]
        if _value(block, "name") == replaced.name:
            return "".join([*lines[:begin], *_edited(block, replacement), *lines[end:]])
    raise ValueError(f"no [[stores]] table with name = {replaced.name!r} was found in it")


def _value(block: Sequence[str], key: str) -> str | None:
    for line in block:
        match = re.match(rf"\s*{key}\s*=\s*(?:\"([^\"]*)\"|(\S+))", line)
        if match is not None:
            return match[1] if match[1] is not None else match[2]
    return None


def _edited(block: Sequence[str], store: StoreConfig) -> list[str]:
    wanted = {"name": f'"{store.name}"', "host": f'"{store.host}"', "port": str(store.port)}
    found: set[str] = set()
    edited: list[str] = []
    for line in block:
        match = re.match(
            r"(\s*)(name|host|port)(\s*=\s*)(?:\"[^\"]*\"|[^\s#]+)(.*)", line, re.DOTALL
        )
        if match is None:
            edited.append(line)
            continue
        found.add(match[2])
        edited.append(f"{match[1]}{match[2]}{match[3]}{wanted[match[2]]}{match[4]}")
    if "port" not in found and store.port != 6379:  # noqa: PLR2004  (Redis' own, the default)
        place = 1 + max(i for i, line in enumerate(edited) if re.match(r"\s*(name|host)\s*=", line))
        edited.insert(place, f"port = {store.port}\n")
    return edited
