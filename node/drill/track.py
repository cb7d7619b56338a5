"""What repeated looks at the stores add up to: last renewal, grant, return. Pure.

Rules of this file: instants are the looker's own monotonic seconds. A record's age is a difference
on one store's clock, so "when it was written" is exact whatever any wall clock says. What counts
is what a majority of the stores shows: a node that is cut off may go on renewing in its own store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from election.model import LeaseState, NodeId
from election.peek import ClusterPeek, majority_holder, merged_members, named_documents
from exchange.journal import merge
from node.config_model import Config
from node.role import Role
from node.status_nodes import MEMBER_FRESH_S, node_view


@dataclass(slots=True, kw_only=True)
class Track:
    """One drill as the stores show it; `step` takes each look."""

    config: Config
    holder: str
    epoch: int
    target: str
    last_renewal_s: float | None = None
    noticed_s: float | None = None
    granted_s: float | None = None
    new_holder: str | None = None
    new_epoch: int | None = None
    is_trading: bool = False
    spares: tuple[str, ...] = ()
    longest_gap_s: float = 0.0
    was_cut: set[str] = field(default_factory=set)
    store_silent_s: float = 0.0
    was_store_silent: bool = False
    last_order_ms: int | None = None
    _fresh: set[str] = field(default_factory=set)
    _bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _times: Mapping[str, Any] = field(default_factory=dict)
    _renewed_at_s: float | None = None

    def step(self, seen: ClusterPeek, now_s: float) -> None:
        """Take one look that began at `now_s`; answers come within milliseconds, or never."""
        members = merged_members(seen)
        self._fresh = {str(n) for n, m in members.items() if m.age_s <= MEMBER_FRESH_S}
        for node_id, member in members.items():
            if str(node_id) in self._fresh:
                self._bodies[str(node_id)] = member.body
        self._note_last_order()
        self._note_cut()
        self.spares = self._find_spares(seen)
        self._note_renewals(seen, now_s)
        found = majority_holder(seen)
        if found is None:
            self.new_holder, self.is_trading = None, False
            return
        self.new_holder, self.is_trading = str(found.node_id), self._trades(str(found.node_id))
        if found.epoch > self.epoch:
            if found.epoch != self.new_epoch:
                self.granted_s = self._written_s(seen, found.epoch, now_s, is_first=True)
            self.new_epoch = found.epoch
        self._note_times(seen)

    @property
    def times(self) -> Mapping[str, Any]:
        """What the new holder's takeover document says of its times; empty while there is none."""
        return self._times

    def body(self, node_id: str) -> Mapping[str, Any]:
        """Return the last fresh member record of a node."""
        return self._bodies.get(node_id, {})

    def is_running(self, drill_id: str) -> bool:
        """Tell whether a node still shows this drill."""
        shown = [body.get("drill") for body in self._bodies.values()]
        return any(isinstance(d, Mapping) and d.get("running") == drill_id for d in shown)

    def _note_last_order(self) -> None:
        """The old leader's last order; its next life begins to count anew."""
        shift = self.body(self.holder).get("shift")
        at_ms = shift.get("last_order_venue_ms") if isinstance(shift, Mapping) else None
        if self.new_epoch is None and isinstance(at_ms, int):
            self.last_order_ms = at_ms

    def _note_cut(self) -> None:
        for node_id, body in self._bodies.items():
            drill = body.get("drill")
            if isinstance(drill, Mapping) and drill.get("running"):
                self.was_cut.add(f"{node_id} {drill['running']}")

    def _note_renewals(self, seen: ClusterPeek, now_s: float) -> None:
        lease = self.config.lease
        renewed_s = self._written_s(seen, self.epoch, now_s, is_first=False)
        if renewed_s is not None and self.new_epoch is None:
            self.last_renewal_s = max(renewed_s, self.last_renewal_s or renewed_s)
        newest_s = max(
            (at for epoch in {self.epoch, self.new_epoch} - {None}
             if (at := self._written_s(seen, epoch, now_s, is_first=False)) is not None),
            default=None,
        )  # fmt: skip
        if newest_s is not None:
            if self._renewed_at_s is not None:
                self.longest_gap_s = max(self.longest_gap_s, newest_s - self._renewed_at_s)
            self._renewed_at_s = max(newest_s, self._renewed_at_s or newest_s)
            self.longest_gap_s = max(self.longest_gap_s, now_s - self._renewed_at_s)
        patience_s = (2 * lease.renew_ms + lease.request_timeout_ms) / 1000
        last_s = self.last_renewal_s
        is_silent = last_s is not None and now_s - last_s > patience_s
        if is_silent and self.noticed_s is None and self.new_epoch is None:
            self.noticed_s = now_s
        if not is_silent and self.new_epoch is None:
            self.noticed_s = None  # it was late, not silent
        self.store_silent_s = self._silence_of(seen, self.target)
        # The only store carries the member board too: then its silence is the only sign.
        self.was_store_silent |= self.store_silent_s > patience_s

    def _written_s(
        self, seen: ClusterPeek, epoch: int | None, now_s: float, *, is_first: bool
    ) -> float | None:
        """Return when a majority had been written under this epoch, None when none was."""
        at_s = {
            store.name: now_s - (store.record_age_s or 0.0)
            for store in seen.answered
            if store.record is not None
            and store.record.state is LeaseState.HELD
            and store.record.epoch == epoch
        }
        if is_first:
            return seen.quorum.is_met_in_s(at_s)
        last_s = seen.quorum.is_met_in_s({name: -written_s for name, written_s in at_s.items()})
        return None if last_s is None else -last_s

    def _silence_of(self, seen: ClusterPeek, name: str) -> float:
        ages = [s.record_age_s or 0.0 for s in seen.answered if s.name == name and s.record]
        return ages[0] if ages else 0.0

    def _trades(self, node_id: str) -> bool:
        is_active = str(self.body(node_id).get("role", "")) == Role.ACTIVE.value
        return node_id in self._fresh and is_active

    def _find_spares(self, seen: ClusterPeek) -> tuple[str, ...]:
        holder = majority_holder(seen)
        name = None if holder is None else str(holder.node_id)
        members = merged_members(seen)
        views = (
            node_view(
                node, members.get(NodeId(node)), holder=name, is_known=True, is_silent=False,
                config=self.config,
            )
            for node in self.config.nodes
        )  # fmt: skip
        return tuple(view.node_id for view in views if view.is_spare)

    def _note_times(self, seen: ClusterPeek) -> None:
        if self.new_epoch is None:
            return
        merged = merge(named_documents(seen))
        entry = merged.journal.takeovers.get(self.new_epoch)
        if entry is not None:
            self._times = entry.body


def tickets_of(seen: ClusterPeek) -> Mapping[str, str]:
    """Return the ticket that each living node shows."""
    found: dict[str, str] = {}
    for node_id, member in merged_members(seen).items():
        drill = member.body.get("drill")
        if member.age_s <= MEMBER_FRESH_S and isinstance(drill, Mapping) and drill.get("ticket"):
            found[str(node_id)] = str(drill["ticket"])
    return found


def running_of(seen: ClusterPeek) -> tuple[str, ...]:
    """Return the drills that living nodes show as running."""
    found: set[str] = set()
    for member in merged_members(seen).values():
        drill = member.body.get("drill")
        if member.age_s <= MEMBER_FRESH_S and isinstance(drill, Mapping) and drill.get("running"):
            found.add(str(drill["running"]))
    return tuple(sorted(found))
