"""Stand-ins for the control records and the member board of three stores, in memory."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from election.control_record import ControlPut, ControlReading, ControlRecord, merge_controls
from election.member_record import MemberReading
from election.model import NodeId, StoreName

NAMES = tuple(StoreName(name) for name in "abc")


@dataclass(slots=True)
class MemoryControl:
    """Control records of three stores; `election.redis_control.ControlBoard` by shape.

    `down` names stores that do not answer; `problems` is what a reading finds wrong;
    `on_read` runs after a reading was taken and before
    it is handed over, in the caller's thread.
    """

    stores: dict[StoreName, dict[str, ControlRecord]] = field(
        default_factory=lambda: {name: {} for name in NAMES}
    )
    down: set[StoreName] = field(default_factory=set)
    problems: tuple[str, ...] = ()
    on_read: Callable[[], None] = lambda: None
    pushes: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def up(self) -> tuple[StoreName, ...]:
        return tuple(name for name in NAMES if name not in self.down)

    def read(self) -> ControlReading:
        with self.guard:
            records = merge_controls([dict(self.stores[name]) for name in self.up])
            reading = ControlReading(
                records=records,
                answered=self.up,
                total=len(NAMES),
                is_majority=2 * len(self.up) > len(NAMES),
                problems=self.problems,
                silent=dict.fromkeys(self.down, "no answer"),
            )
        self.on_read()
        return reading

    def put(
        self,
        kind: str,
        value: Mapping[str, object],
        by: str,
        at_ms: int,
        reason: str,
        *,
        above: int = 0,
    ) -> ControlPut:
        with self.guard:
            known = [self.stores[n][kind].version for n in self.up if kind in self.stores[n]]
            record = ControlRecord(
                kind=kind,
                version=max([above, *known]) + 1,
                value=value,
                by=by,
                at_ms=at_ms,
                reason=reason,
            )
            for name in self.up:
                self.stores[name][kind] = record
            return self._answer(record.version)

    def push(self, records: Iterable[ControlRecord]) -> ControlPut:
        with self.guard:
            self.pushes += 1
            for name in self.up:
                for record in records:
                    held = self.stores[name].get(record.kind)
                    if held is None or held.version < record.version:
                        self.stores[name][record.kind] = record
            return self._answer(0)

    def _answer(self, version: int) -> ControlPut:
        return ControlPut(
            accepted_by=self.up,
            is_majority=2 * len(self.up) > len(NAMES),
            version=version,
            problems={},
        )

    def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class MemoryMembers:
    """The member board; `election.redis_members.MemberBoard` by shape."""

    members: dict[NodeId, MemberReading] = field(default_factory=dict)
    published: list[Mapping[str, object]] = field(default_factory=list)
    refuse: str = ""

    def publish(self, node_id: NodeId, nonce: str, beat: int, body: Mapping[str, object]) -> None:
        if self.refuse:
            raise ValueError(self.refuse)
        self.published.append(body)
        self.members[node_id] = MemberReading(
            node_id=node_id, nonce=nonce, beat=beat, body=body, age_s=0.0, stores=NAMES
        )

    def read(self) -> Mapping[NodeId, MemberReading]:
        return dict(self.members)

    def close(self) -> None:
        """Nothing to close."""
