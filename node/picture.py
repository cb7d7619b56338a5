"""What stands at the venue and who is there, in words for a message. Pure.

Rules of this file: it words what others found; it judges nothing.
"""

from collections.abc import Mapping, Sequence

from exchange.journal import Journal
from node.bench import money
from node.role import Role
from node.watch import Member

BUSY = frozenset({Role.TAKEOVER.value, Role.ACTIVE.value, Role.DRAINING.value})


def positions_in(journal: Journal) -> str:
    """Say what the cluster's own fills add up to, by symbol."""
    shown = [
        f"{money(entry.record.position.amount)} {symbol}"
        for symbol, entry in sorted(journal.positions.items())
    ]
    return ", ".join(shown) or "none"


def resting_in(journal: Journal) -> str:
    """Say what works at the venue without anybody's help, as far as the journal knows."""
    count = len(journal.open_intents())
    return f"{count} orders rest there" if count else "nothing, no orders rest there"


def spare_at_start(peers: Sequence[Member], *, me: str, fresh_s: float) -> str:
    """Say who stands behind whom when `me` has just started; the lease decides it later."""
    fresh = [m for m in peers if m.age_s <= fresh_s]
    for member in fresh:
        if member.role in BUSY:
            return f"{me}, once it is fit; {member.node_id} trades"
    if fresh:
        names = ", ".join(sorted(m.node_id for m in fresh))
        return f"nobody trades yet; besides {me} there is {names}"
    return "none, no other node is there yet"


def missing_spare(
    peers: Mapping[str, Member], others: Sequence[str], *, fresh_s: float
) -> dict[str, str]:
    """Return the facts of a lost spare: who, in which state, why, last seen, what mends it."""
    if not others:
        return {"peer": "no other node", "state": "not configured"}
    name = others[0]
    member = peers.get(name)
    if member is not None and member.age_s <= fresh_s:
        return {
            "peer": name,
            "state": "not fit",
            "reason": "; ".join(member.reasons),
            "fix": f"mend that on {name}; its log says more: nodectl logs",
        }
    return {
        "peer": name,
        "state": "gone",
        "last_seen": "" if member is None else f"{member.age_s:.0f} s ago",
        "fix": f"look at power and network of {name}, and whether its service runs",
    }
