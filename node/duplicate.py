"""Another living process with this node's id, seen while this one runs (R1). Pure.

The look at the start cannot see a copy that starts at the same instant (both boxes boot after a
power cut), nor one that no store showed then. So every later look counts too. Exactly one of the
two must go: whoever has the lease stays; between two that have none the lower nonce stays.

Rules of this file: it is told what the member board shows and answers in words; a beat that does
not advance is what a dead predecessor left behind and counts for nothing.
"""

from dataclasses import dataclass, field

from election.member_record import MemberReading
from node.role import Role, has_lease

# Beats of the other process, each higher than the one before: more than one late write.
SIGHTINGS = 3


def duplicate_in_words(node_id: str) -> str:
    """Return what is wrong and how to mend it."""
    return (
        f"another living process uses the node id {node_id}; stop it, or give "
        "this box its own id (was the SD card copied?)"
    )


@dataclass(slots=True)
class DuplicateWatch:
    """Counts the advancing beats of another process under this node's id."""

    node_id: str
    nonce: str
    _beats: dict[str, int] = field(default_factory=dict)
    _sightings: dict[str, int] = field(default_factory=dict)

    def step(self, seen: MemberReading | None, *, role: Role) -> str:
        """Take one look; return why this process must end, empty when it need not.

        Args:
            seen: the record under this node's id, None when no store showed one.
            role: of this process.
        """
        if seen is None or seen.nonce == self.nonce:
            return ""
        last = self._beats.get(seen.nonce)
        self._beats[seen.nonce] = max(seen.beat, last or 0)
        if last is None or seen.beat <= last:
            return ""
        self._sightings[seen.nonce] = self._sightings.get(seen.nonce, 0) + 1
        if self._sightings[seen.nonce] < SIGHTINGS or has_lease(role):
            return ""
        is_theirs = has_lease(_role_of(seen))
        return duplicate_in_words(self.node_id) if is_theirs or seen.nonce < self.nonce else ""


def _role_of(seen: MemberReading) -> Role:
    try:
        return Role(str(seen.body.get("role", "")))
    except ValueError:  # a newer release's word
        return Role.STANDBY
