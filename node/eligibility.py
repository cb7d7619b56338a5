"""May this node contend? Pure: facts in, reasons out; no reason means eligible (R7).

A fact that nobody knows yet counts against the node: eligibility is proven, not assumed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

STARTING = "still starting"
PAUSED = "the cluster is paused"
CRASHES = "crashes"


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibilityFacts:
    """What is known about this node now.

    `account` is what the node's own signed call returned, `expected_account` what the holder
    published (None when no holder ever did). `peer_list_ids` are those of fresh members only.
    """

    is_ready: bool
    is_paused: bool
    pause_reason: str
    venue_error: str  # empty: the last signed call worked
    account: str | None
    expected_account: str | None
    clock_error_ms: float | None
    clock_error_ms_max: float
    list_ids: frozenset[str]  # of the store lists that this node may use (R3)
    peer_list_ids: tuple[tuple[str, frozenset[str]], ...]  # (node id, its lists)
    resource_reasons: tuple[str, ...]
    journal_error: str
    fence_error: str
    crash_loop: str = ""
    fatal: str
    peer_reasons: tuple[str, ...] = ()  # why nobody may trade (R13), and a promise given (R14)


def judge_eligibility(facts: EligibilityFacts) -> tuple[str, ...]:
    """Return why this node may not contend, in words a person can act on."""
    reasons: list[str] = []
    if facts.fatal:
        reasons.append(facts.fatal)
    if not facts.is_ready:
        reasons.append(STARTING)
    if facts.is_paused:
        reasons.append(f"{PAUSED}: {facts.pause_reason}")
    reasons.extend(_judge_venue(facts))
    reasons.extend(
        f"configuration: {node} has another store list than this node; make both equal"
        for node, list_ids in facts.peer_list_ids
        if facts.list_ids.isdisjoint(list_ids)
    )
    reasons.extend(facts.peer_reasons)
    reasons.extend(facts.resource_reasons)
    if facts.journal_error:
        reasons.append(f"journal: {facts.journal_error}")
    if facts.fence_error:
        reasons.append(f"kernel fence: {facts.fence_error}")
    if facts.crash_loop:
        reasons.append(f"{CRASHES}: {facts.crash_loop}")
    return tuple(reasons)


def own_reasons(reasons: Sequence[str]) -> tuple[str, ...]:
    """Return the reasons that are this node's alone: a pause is the cluster's, a start passes."""
    return tuple(r for r in reasons if r != STARTING and not r.startswith(PAUSED))


def _judge_venue(facts: EligibilityFacts) -> list[str]:
    reasons: list[str] = []
    if facts.venue_error:
        reasons.append(f"venue: {facts.venue_error}")
    elif facts.account is None:
        reasons.append("venue: no signed call has worked yet")
    elif facts.expected_account is not None and facts.account != facts.expected_account:
        reasons.append(
            f"wrong account: this node's API key belongs to account {facts.account}, the cluster "
            f"trades {facts.expected_account}; give this node a key of that account"
        )
    if facts.clock_error_ms is None:
        reasons.append("clock: the offset to the venue is not known")
    elif facts.clock_error_ms > facts.clock_error_ms_max:
        reasons.append(
            f"clock: the offset to the venue is uncertain by {facts.clock_error_ms:.0f} ms, "
            f"allowed are {facts.clock_error_ms_max:.0f} ms"
        )
    return reasons


def without_figures(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Return the reasons without their numbers: a countdown in a reason is no change of it."""
    return tuple(re.sub(r"\d+(\.\d+)?", "#", reason) for reason in reasons)
