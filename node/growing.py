"""A pair with one store becomes one with three while it trades: what may be done now. Pure.

Rules of this file (R3, ADR 0056): the new stores are a majority of the new list by themselves, so
no node may use it while another one uses the old list. Between the two stands the joint list, with
`cluster.grown_from`: it needs the old store in every decision (election/quorum.py). First both
nodes get that, and one leads with it: so the new stores know of every lease that was granted; then
a control record says that the new list counts, and both keep it on disk; then each gets the new
list; at last the old store's record is moved to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from election.control_record import ControlRecord
from election.member_record import MemberReading
from election.peek import ClusterPeek, majority_holder
from node.config_model import Config
from node.latches import STORES, Latches
from node.replacing import Change, is_fresh, list_ids_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Where a pair stands on the way from one store to three."""

    change: Change
    record: ControlRecord | None  # which list counts, None while nobody said so
    joint: tuple[str, ...]  # nodes that need the old store in every decision
    behind: tuple[str, ...]  # nodes that use neither, or are not heard

    def record_value(self, *, is_announced: bool) -> dict[str, Any]:
        """Return what the control record says of the new list."""
        return {
            **self.change.record_value(),
            "grown_from": self.change.old[0].name,
            "is_announced": is_announced,
        }

    @property
    def is_told(self) -> bool:
        """True once a control record says that the new list counts."""
        return self.record is not None and self.record.value.get("config_id") == self.change.new_id

    @property
    def is_announced(self) -> bool:
        """True once every node was seen with the new list."""
        return self.is_told and bool(self.record and self.record.value.get("is_announced", False))


def growth_of(
    config: Config, latches: Latches, members: Mapping[str, MemberReading]
) -> Growth | None:
    """Return where the pair stands, None for one that does not grow and never did.

    Args:
        config: with `grown_from`, or with the list that comes of it.
        latches: as stores and disks have them.
        members: the last readings of all nodes.
    """
    record = latches.records.get(STORES)
    name = config.cluster.grown_from or (None if record is None else record.value.get("grown_from"))
    old = tuple(store for store in config.stores if store.name == name)
    if not old or len(config.stores) == 1:
        return None
    change = Change(old=old, new=config.stores)
    fresh = {node: m.body for node in config.nodes if is_fresh(m := members.get(node)) and m}
    joint = tuple(n for n, body in fresh.items() if body.get("old_list_id"))
    behind = tuple(
        node for node in config.nodes if change.new_id not in list_ids_of(fresh.get(node, {}))
    )
    return Growth(change=change, record=record, joint=joint, behind=behind)


def is_expected(latches: Latches, config: Config, said: str) -> bool:
    """Tell whether what a store refuses with is only that its record still has the old list.

    A node of the new list sees that of the old store until the last step; no person need hear it.
    """
    record = latches.records.get(STORES)
    if record is None or record.value.get("is_announced", False):
        return False
    was = record.value.get("was")
    is_new = record.value.get("config_id") == config.config_id and not config.cluster.grown_from
    return is_new and bool(record.value.get("grown_from")) and str(was) in said


def refuse_telling(growth: Growth, seen: ClusterPeek) -> str:
    """Return why it may not be said yet that the new list counts, empty when it may."""
    # once the new list counts, it is enough that the stores of that one answer
    is_enough = len(seen.answered) >= seen.quorum.size if growth.is_told else seen.has_majority
    if not is_enough:
        said = "; ".join(str(s.error) for s in seen.stores if s.error)
        return f"too few stores answer: {said}"
    known = None if growth.record is None else growth.record.value.get("config_id")
    if known not in {None, growth.change.old_id, growth.change.new_id}:
        return "this cluster.toml is old: another list counts; copy the other box's file first"
    if growth.behind and not growth.is_told:
        return (
            f"{', '.join(growth.behind)} does not show that it uses the joint list "
            "(cluster.grown_from): a node of the old list beside one of the new list would be a "
            "second trader"
        )
    holder = majority_holder(seen)
    if not growth.is_told and (holder is None or not seen.quorum.is_met(holder.stores)):
        return (
            "nobody leads with the joint list yet: the new stores must know of the last lease "
            "before they count without the old one"
        )
    return ""


def next_step(growth: Growth, nodes: Sequence[str]) -> str:
    """Return what a person does next on the way to three stores."""
    name = growth.change.old[0].name
    if growth.behind and not growth.is_told:
        return (
            f'put the new list with grown_from = "{name}" in [cluster] on '
            f"{', '.join(growth.behind)} and restart it, the spare first; then: nodectl stores "
            "settle"
        )
    if not growth.is_told:
        return "nodectl stores settle (with a leader: nodectl resume where the pair is paused)"
    # once all had the new list, a node that is not heard is just off, this year or next
    late = growth.joint if growth.is_announced else (*growth.joint, *growth.behind)
    waiting = [n for n in nodes if n in late]
    if waiting:
        return (
            f"take grown_from out of cluster.toml on {' and '.join(waiting)} and restart, the "
            "spare first; then again: nodectl stores settle"
        )
    return "" if growth.is_announced else "nodectl stores settle"
