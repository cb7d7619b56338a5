"""Whether the leader is about to hand over to this node: then it looks at the lease more often.

Rules of this file: only a request of a person that is younger than this process counts, for as
long as the leader keeps it; whether it is carried out the leader decides (successor.py), and who
may trade the stores alone say. It is asked after each look at the cluster, once a second.
"""

from dataclasses import dataclass

from node.parts import NodeParts
from node.role import Role
from node.successor import REQUEST_S


@dataclass(slots=True)
class Expecting:
    """Follows the newest switchover request; one for each process."""

    parts: NodeParts
    _version: int | None = None  # of the newest request seen, None before the first look
    _seen_at_s: float = 0.0
    _is_over: bool = True

    def step(self) -> None:
        """Take one look at the latches; tell the heartbeat while a handover is due."""
        parts = self.parts
        self._note_request()
        if parts.health.role is not Role.STANDBY:
            self._is_over = True  # it was carried out, or is about another node
        if parts.monotonic_s() - self._seen_at_s > REQUEST_S:
            self._is_over = True
        if not self._is_over and not parts.health.reasons:
            parts.heartbeat.expect_handover()

    def _note_request(self) -> None:
        watch, me = self.parts.watch, self.parts.node_id
        record = watch.latches.switchover
        version = 0 if record is None else record.version
        if self._version is None:
            if watch.has_looked:
                self._version = version
            return
        if record is None or version <= self._version:
            return
        self._version, self._seen_at_s = version, self.parts.monotonic_s()
        is_to_me = record.value.get("to") in (me, "", None)
        self._is_over = not is_to_me or record.value.get("from") == me
