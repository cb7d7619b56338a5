"""What a measurement of the stores means for the lease's timing. Pure.

A *round* is one question to every store at one moment. A renewal counts when a majority of the
stores answered its round within the request timeout; its validity runs from the moment it was
*sent* (R8). So the figure that decides is the *worst age*: from the send of one counted renewal
to the answer of the next counted one, for the unluckiest of the phases that a renewal stream could
have had. The permit survives while that stays below 0.9·ttl - guard.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from election.model import LeaseTiming
from node.durations import show_duration

MARGIN_WANTED = 3.0  # so that a night three times as bad as the measured one costs nothing
MARGIN_POOR = 1.5
P99 = 0.99
# A ttl that people can read: rounded up to half a second.
TTL_STEP_MS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question to one store; `took_s` is None when it did not answer in time.

    `late_s`: how much later than it could have this box asked; a slow box, not a slow network.
    """

    took_s: float | None
    error: str = ""
    late_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One question to all stores, sent at `sent_s` (monotonic seconds), by store in order."""

    sent_s: float
    answers: tuple[Answer, ...]

    def counted_after_s(self) -> float | None:
        """Return after how long a majority had answered, None when none did."""
        took = sorted(a.took_s for a in self.answers if a.took_s is not None)
        needed = len(self.answers) // 2 + 1
        return took[needed - 1] if len(took) >= needed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """How one store answered. Times are None when it never did."""

    name: str
    asked: int
    lost: int
    median_ms: float | None
    p99_ms: float | None
    worst_ms: float | None
    jitter_ms: float | None
    longest_silence_s: float
    last_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The whole measurement. `worst_age_s` is None when fewer than two renewals would count.

    `longest_own_gap_s`: between two questions to one store, as far as this box made it so.
    """

    lasted_s: float
    rounds: int
    renewals_lost: int
    lost_in_a_row: int
    worst_age_s: float | None
    longest_own_gap_s: float
    stores: tuple[StoreFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Whether the timing suits this network. `margin` is validity over worst age."""

    is_suitable: bool
    is_poor: bool
    margin: float | None
    words: tuple[str, ...]
    lines: tuple[str, ...]  # for cluster.toml, empty when nothing should change


def measure(
    rounds: Sequence[Round], names: Sequence[str], timing: LeaseTiming, *, pace_s: float
) -> Measured:
    """Return the figures of a series of rounds that were sent `pace_s` apart."""
    stride = max(1, round(timing.renew_ms / 1000 / pace_s))
    phases = [rounds[phase::stride] for phase in range(min(stride, len(rounds)))]
    ages = [age for phase in phases if (age := _worst_age_s(phase)) is not None]
    gaps = [
        after.sent_s + b.late_s - before.sent_s - a.late_s
        for before, after in pairwise(rounds)
        for a, b in zip(before.answers, after.answers, strict=True)
    ]
    return Measured(
        lasted_s=rounds[-1].sent_s - rounds[0].sent_s if rounds else 0.0,
        rounds=len(rounds),
        renewals_lost=max((_lost(phase) for phase in phases), default=0),
        lost_in_a_row=max((_lost_in_a_row(phase) for phase in phases), default=0),
        worst_age_s=max(ages, default=None),
        longest_own_gap_s=max(gaps, default=0.0),
        stores=tuple(
            _store_figures(name, [(r.sent_s, r.answers[place]) for r in rounds])
            for place, name in enumerate(names)
        ),
    )


def advise(measured: Measured, timing: LeaseTiming, *, node_gap_s: float | None) -> Advice:
    """Judge whether ttl, renew and request timeout suit what was measured.

    Args:
        measured: the figures.
        timing: as configured.
        node_gap_s: the running nodes' own longest pause between heartbeats, None when unknown.
    """
    if measured.worst_age_s is None:
        words = ("too few questions were answered to judge the timing: see the stores above",)
        return Advice(is_suitable=False, is_poor=True, margin=None, words=words, lines=())
    # A node's own pauses (a slow box, a stalled disk) count like a slow network.
    worst_s = max(measured.worst_age_s, node_gap_s or 0.0)
    margin = timing.gate_s / worst_s
    fit_in_a_row = max(0, math.floor((timing.gate_s - worst_s) / (timing.renew_ms / 1000)))
    lost = (
        f"{measured.lost_in_a_row} renewals in a row would have been lost; after the worst moment "
        f"{fit_in_a_row} more could have been lost before the leader had to stop"
    )
    kept = (
        f"validity {timing.gate_s:.1f} s (0.9·ttl - guard) against at worst {worst_s:.2f} s from "
        f"one counted renewal to the next: margin {margin:.1f}x, wanted {MARGIN_WANTED:g}x"
    )
    found = [lost, kept]
    is_node_slow = node_gap_s is not None and node_gap_s > measured.worst_age_s
    if is_node_slow and margin < MARGIN_WANTED:
        found.append(
            f"the slowest part is a node itself: it paused {node_gap_s:.2f} s between heartbeats"
        )
    lines: list[str] = []
    if margin < MARGIN_WANTED:
        ttl_ms = suggest_ttl_ms(worst_s, timing)
        lines.append(f"ttl_ms = {ttl_ms}")
        found.append(
            f"a ttl of {ttl_ms / 1000:g} s would have kept {MARGIN_WANTED:g}x; a power cut then "
            f"costs {show_duration((ttl_ms - timing.ttl_ms) / 1000)} more"
        )
    slow = _slow_words(measured, timing)
    found += slow
    return Advice(
        is_suitable=margin >= MARGIN_WANTED and not slow,
        is_poor=margin < MARGIN_POOR,
        margin=margin,
        words=(_verdict(margin, has_slow=bool(slow)), *found),
        lines=tuple(lines),
    )


def suggest_ttl_ms(worst_s: float, timing: LeaseTiming) -> int:
    """Return the smallest ttl that keeps the wanted margin and the sums of the lease rules."""
    needed_s = (MARGIN_WANTED * worst_s + timing.guard_ms / 1000) / 0.9
    sums_ms = (2 * timing.renew_ms + timing.request_timeout_ms + timing.guard_ms) / 0.9
    return math.ceil(max(needed_s * 1000, sums_ms + 1) / TTL_STEP_MS) * TTL_STEP_MS


def _verdict(margin: float, *, has_slow: bool) -> str:
    if margin < 1:
        return "the timing does NOT suit this network: the leader would have lost the lease"
    if margin < MARGIN_POOR:
        return "the timing hardly suits this network: one worse minute would cost the lease"
    if margin < MARGIN_WANTED:
        return "the timing suits this network with a thin margin"
    if has_slow:
        return "the ttl suits this network, the request timeout is tight"
    return "the timing suits this network"


def _slow_words(measured: Measured, timing: LeaseTiming) -> list[str]:
    half_ms = timing.request_timeout_ms / 2
    return [
        f"store {s.name}: 99 of 100 answers within {s.p99_ms:.0f} ms, more than half of the "
        f"request timeout ({timing.request_timeout_ms} ms): look at its network or box"
        for s in measured.stores
        if s.p99_ms is not None and s.p99_ms > half_ms
    ]


def _worst_age_s(rounds: Sequence[Round]) -> float | None:
    counted = [(r.sent_s, r.sent_s + took) for r in rounds if (took := r.counted_after_s())]
    ages = [acked_s - before_s for (before_s, _), (_, acked_s) in pairwise(counted)]
    if counted and rounds:
        # What was lost at the end counts too: nobody knows when the next one would have come.
        ages.append(rounds[-1].sent_s - counted[-1][0])
    return max(ages) if len(counted) > 1 else None


def _lost(rounds: Sequence[Round]) -> int:
    return sum(1 for r in rounds if r.counted_after_s() is None)


def _lost_in_a_row(rounds: Sequence[Round]) -> int:
    longest = running = 0
    for each in rounds:
        running = running + 1 if each.counted_after_s() is None else 0
        longest = max(longest, running)
    return longest


def _store_figures(name: str, asked: Sequence[tuple[float, Answer]]) -> StoreFigures:
    took = sorted(a.took_s for _, a in asked if a.took_s is not None)
    answered_at = [sent + a.took_s for sent, a in asked if a.took_s is not None]
    edges = [asked[0][0], *answered_at, asked[-1][0]] if asked else []
    silences = [after - before for before, after in pairwise(edges)]
    return StoreFigures(
        name=name,
        asked=len(asked),
        lost=len(asked) - len(took),
        median_ms=_ms(took, 0.5),
        p99_ms=_ms(took, P99),
        worst_ms=took[-1] * 1000 if took else None,
        jitter_ms=None if not took else ((_ms(took, P99) or 0.0) - (_ms(took, 0.5) or 0.0)),
        longest_silence_s=max(silences, default=0.0),
        last_error=next((a.error for _, a in reversed(asked) if a.error), ""),
    )


def _ms(ordered: Sequence[float], share: float) -> float | None:
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000
