"""Should a node that is unwell hand over now, and to whom? Pure: troubles, spares, time in.

Rules of this file:

- A trouble must last before it counts, each kind on its own clock: a hiccup is no reason.
- What both boxes see is no reason: a rate limit or a ban counts the address that they may share,
  maintenance is the venue's; and a spare is a successor for a trouble with the venue only if its
  own proof is younger than the trouble.
- No bouncing: each hand-over for health makes the next one wait longer, and there are at most
  `MOVES_MAX` of them in any hour, whichever node makes them. Both nodes see every one.
- It says why: why it moves, and why it stays although something is wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# How the reason of such a hand-over begins: the successor counts it too.
UNWELL = "unwell: "
HOUR_S = 3600.0
MOVES_MAX = 4
# How long after the last hand-over for health the next may be, by how many the last hour had.
HOLD_S = (0.0, 120.0, 480.0, 1200.0)
# A proof is published with the age it had, and read up to a beat or two later.
PROOF_SLACK_S = 1.0


class Trouble(StrEnum):
    """What may be wrong with this node, in the order in which it is looked at."""

    JOURNAL = "journal"
    BOX = "box"
    VENUE = "venue"
    CLOCK = "clock"


# How long each must last. The clock is measured with the next call to the venue anyway.
PATIENCE_S: Mapping[Trouble, float] = {
    Trouble.JOURNAL: 15.0,
    Trouble.BOX: 15.0,
    Trouble.VENUE: 15.0,
    Trouble.CLOCK: 30.0,
}
OF_THE_VENUE = frozenset({Trouble.VENUE, Trouble.CLOCK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """A fit standby. `proof_age_s`: since its last signed call that worked, None if unknown."""

    node_id: str
    proof_age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do. At most one of the two is not empty; both are for people."""

    move_because: str = ""
    stay_because: str = ""
    is_held: bool = False  # it stays only because it moved too often


WELL = Advice()


@dataclass(slots=True)
class Succession:
    """Judges once a turn; remembers since when what is wrong, and the latest moves."""

    _since_s: dict[Trouble, float] = field(default_factory=dict)
    _moves_s: list[float] = field(default_factory=list)

    def note_move(self, now_s: float) -> None:
        """A hand-over for health happened, from this node or to it."""
        self._moves_s = [*self._recent(now_s), now_s]

    def recall(self, now_s: float, ages_s: Sequence[float]) -> None:
        """Count hand-overs that an earlier process of this node saw, so many seconds ago."""
        known = [now_s - age_s for age_s in ages_s]
        self._moves_s = sorted([*self._moves_s, *known])

    def moves(self, now_s: float) -> tuple[float, ...]:
        """Return when the hand-overs that still count happened, oldest first."""
        return tuple(self._recent(now_s))

    def judge(
        self, now_s: float, troubles: Mapping[Trouble, str], *, shared: str, spares: Sequence[Spare]
    ) -> Advice:
        """Return whether to move, and why or why not.

        Args:
            now_s: monotonic.
            troubles: what is wrong, in words.
            shared: why troubles with the venue are everybody's, empty when they are not.
            spares: the nodes that could take over now.
        """
        kept = self._since_s
        self._since_s = {kind: kept.get(kind, now_s) for kind in troubles}
        stays: list[Advice] = []
        for kind in Trouble:
            if kind not in troubles or now_s - self._since_s[kind] < PATIENCE_S[kind]:
                continue
            advice = self._judge_one(now_s, kind, troubles[kind], shared, spares)
            if advice.move_because:
                return advice
            stays.append(advice)
        return stays[0] if stays else WELL

    def _judge_one(
        self, now_s: float, kind: Trouble, text: str, shared: str, spares: Sequence[Spare]
    ) -> Advice:
        if kind in OF_THE_VENUE and shared:
            return Advice(stay_because=f"{text}; {shared}")
        if not spares:
            return Advice(stay_because=f"{text}; but no other node is fit to trade")
        if kind in OF_THE_VENUE and not self._has_proof(now_s, kind, spares):
            return Advice(
                stay_because=f"{text}; but the other node has not reached the venue since either"
            )
        wait_s = self._hold_s(now_s)
        if wait_s > 0:
            return Advice(
                stay_because=f"{text}; but the lease moved {len(self._recent(now_s))} times within "
                f"an hour because a node was unwell, so not again for {wait_s:.0f} s",
                is_held=True,
            )
        return Advice(move_because=text)

    def _has_proof(self, now_s: float, kind: Trouble, spares: Sequence[Spare]) -> bool:
        lasts_s = now_s - self._since_s[kind]
        return any(
            s.proof_age_s is not None and s.proof_age_s + PROOF_SLACK_S < lasts_s for s in spares
        )

    def _hold_s(self, now_s: float) -> float:
        """Return how long no further move is allowed; <= 0 when one is."""
        recent = self._recent(now_s)
        if not recent:
            return 0.0
        if len(recent) >= MOVES_MAX:
            return recent[-MOVES_MAX] + HOUR_S - now_s
        return recent[-1] + HOLD_S[len(recent)] - now_s

    def _recent(self, now_s: float) -> list[float]:
        return [at_s for at_s in self._moves_s if now_s - at_s < HOUR_S]
