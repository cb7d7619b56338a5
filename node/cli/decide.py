"""What pause, resume and switchover share: write a decision, then wait until it shows."""

import time
from collections.abc import Callable, Mapping

from election.control_record import ControlRecord
from election.member_record import MemberReading
from election.peek import ClusterPeek, merged_control, merged_members
from election.redis_control import ControlBoard
from node.cli.common import look, wall_ms, who_asks
from node.config import Config
from node.errors import CommandRefused
from node.secrets import Secrets
from node.status_nodes import MEMBER_FRESH_S, PAUSED_REASON
from node.store_addresses import store_addresses

EFFECT_S = 15.0  # nodes look at the control records each second; a slow board needs a few
POLL_S = 0.25
NOT_SEEN = 3  # exit code: written, but its effect did not show in time


def decide(
    config: Config, secrets: Secrets, decisions: Mapping[str, Mapping[str, object]], reason: str
) -> None:
    """Write decisions so that a majority of the stores keeps them.

    A version is never below the time of day in seconds: where every store has just begun empty
    and no node could be asked, an older decision that a node's disk remembers would otherwise
    carry the higher version and undo this one (S6). A clock that is wrong costs only that.

    Raises:
        CommandRefused: no majority took one; what some did take may still count.
    """
    board = ControlBoard(
        store_addresses(config, secrets), config.cluster_id, config.lease.request_timeout_ms
    )
    try:
        for kind, value in decisions.items():
            at_ms = wall_ms()
            put = board.put(kind, value, who_asks(), at_ms, reason, above=at_ms // 1000)
            if not put.is_majority:
                said = "; ".join(f"{name}: {why}" for name, why in put.problems.items())
                raise CommandRefused(
                    f"the decision ({kind}) reached {len(put.accepted_by)} of "
                    f"{len(config.stores)} stores, no majority: {said}",
                    mend="look with `nodectl status`, bring the stores back, and say it again",
                )
    finally:
        board.close()


def records_of(seen: ClusterPeek) -> Mapping[str, ControlRecord]:
    """Return the newest decision of each kind."""
    return merged_control(seen)


def is_unknown(seen: ClusterPeek) -> bool:
    """Tell whether every store that answered has nothing of this cluster, not even a void lease."""
    return not any(s.record or s.members or s.control or s.documents for s in seen.answered)


def living(seen: ClusterPeek) -> dict[str, MemberReading]:
    """Return the nodes that were heard in the last seconds."""
    found = merged_members(seen)
    return {str(n): m for n, m in found.items() if m.age_s <= MEMBER_FRESH_S}


def wait_for(
    config: Config, secrets: Secrets, is_done: Callable[[ClusterPeek], bool], *, timeout_s: float
) -> bool:
    """Look until it is done or the time is over."""
    until_s = time.monotonic() + timeout_s
    while True:
        if is_done(look(config, secrets)):
            return True
        if time.monotonic() >= until_s:
            return False
        time.sleep(POLL_S)


def knows_pause(member: MemberReading, *, is_paused: bool) -> bool:
    """Tell whether a node acts on the pause (or on its end)."""
    said = member.body.get("is_paused")
    if isinstance(said, bool):
        return said is is_paused
    reasons = member.body.get("reasons")
    listed = [str(r) for r in reasons] if isinstance(reasons, list) else []
    return any(r.startswith(PAUSED_REASON) for r in listed) is is_paused


def wait_for_pause(config: Config, secrets: Secrets, *, is_paused: bool) -> str:
    """Wait until every living node acts on it; return what to say.

    Raises:
        CommandRefused: written, but a living node does not show it in time (exit code 3).
    """
    seen: dict[str, MemberReading] = {}

    def is_done(picture: ClusterPeek) -> bool:
        seen.clear()
        seen.update(living(picture))
        return all(knows_pause(m, is_paused=is_paused) for m in seen.values())

    if wait_for(config, secrets, is_done, timeout_s=EFFECT_S):
        heard = ", ".join(sorted(seen))
        return f"seen by {heard}" if heard else "no node runs; it counts from their start"
    slow = ", ".join(sorted(n for n, m in seen.items() if not knows_pause(m, is_paused=is_paused)))
    raise CommandRefused(
        f"it is written to the stores, but {slow} did not show it within {EFFECT_S:g} s",
        mend="look with `nodectl status` and `nodectl logs`",
        exit_code=NOT_SEEN,
    )
