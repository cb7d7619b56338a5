"""Who is there: spare lost and back, nobody trades, preferred node fit again. Pure.

Each judgement is a small state with one `step` that returns what to tell, once per change.
`now_s` is monotonic. Ages come from the store's own clock and serve alerts and display only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from election.model import NEVER_S


class Member(NamedTuple):
    """A node as the member board shows it."""

    node_id: str
    age_s: float
    role: str
    reasons: tuple[str, ...]


class Notice(StrEnum):
    """What a watch asks to tell."""

    SPARE_LOST = "spare_lost"
    SPARE_BACK = "spare_back"
    NOBODY_TRADES = "nobody_trades"
    PREFERRED_FIT = "preferred_fit"
    UNFIT = "unfit"


def find_spares(members: Mapping[str, Member], *, me: str, fresh_s: float) -> tuple[str, ...]:
    """Return the nodes that could take over now: fresh, standby, and without a reason not to."""
    return tuple(
        sorted(
            m.node_id
            for m in members.values()
            if m.node_id != me and m.age_s <= fresh_s and m.role == "standby" and not m.reasons
        )
    )


@dataclass(slots=True)
class SpareWatch:
    """Tells once when the last spare goes and once when one is back, after `settle_s`.

    A change must last `settle_s`, so that a node that restarts does not alarm anybody.
    """

    settle_s: float
    has_spare: bool = False
    changed_at_s: float | None = None

    def reset(self, *, has_spare: bool) -> None:
        """Begin from what the last message already told."""
        self.has_spare = has_spare
        self.changed_at_s = None

    def step(self, *, has_spare: bool, now_s: float) -> Notice | None:
        """Take one look; return what to tell, if anything."""
        if has_spare == self.has_spare:
            self.changed_at_s = None
            return None
        if self.changed_at_s is None:
            self.changed_at_s = now_s
        if now_s - self.changed_at_s < self.settle_s:
            return None
        self.has_spare = has_spare
        self.changed_at_s = None
        return Notice.SPARE_BACK if has_spare else Notice.SPARE_LOST


@dataclass(slots=True)
class TradingWatch:
    """Tells once per episode that nobody trades.

    `patience_s` is the longest a healthy takeover may take.
    """

    patience_s: float
    silent_since_s: float | None = None
    has_told: bool = False

    def step(self, *, is_somebody_trading: bool, now_s: float) -> Notice | None:
        """Take one look; return what to tell, if anything."""
        if is_somebody_trading:
            self.silent_since_s = None
            self.has_told = False
            return None
        if self.silent_since_s is None:
            self.silent_since_s = now_s
        if self.has_told or now_s - self.silent_since_s < self.patience_s:
            return None
        self.has_told = True
        return Notice.NOBODY_TRADES


@dataclass(slots=True)
class PreferredWatch:
    """Tells once in a leader's time that the preferred node has been well for `stable_for_s` (R15).

    A preferred node that flaps begins its wait anew and is not told of again: the leader of the
    day has heard it once, and `nodectl status` shows how it is.
    """

    stable_for_s: float
    well_since_s: float = NEVER_S
    has_told: bool = False

    def step(self, *, is_mine_to_say: bool, is_preferred_fit: bool, now_s: float) -> Notice | None:
        """Take one look; return what to tell, if anything."""
        if not is_mine_to_say:
            self.has_told = False
        if not (is_mine_to_say and is_preferred_fit):
            self.well_since_s = NEVER_S
            return None
        if self.well_since_s == NEVER_S:
            self.well_since_s = now_s
        if self.has_told or now_s - self.well_since_s < self.stable_for_s:
            return None
        self.has_told = True
        return Notice.PREFERRED_FIT


@dataclass(slots=True)
class FitWatch:
    """Tells once when this node has not become fit within `patience_s` of trying.

    A wrong key or store list is there from the start, so no holder ever loses this node as a
    spare; once it was fit, the holder tells (`SpareWatch`).
    """

    patience_s: float
    unfit_since_s: float | None = None
    is_over: bool = False

    def step(self, *, is_fit: bool, now_s: float) -> Notice | None:
        """Take one look; return what to tell, if anything."""
        self.is_over = self.is_over or is_fit
        if self.is_over:
            return None
        if self.unfit_since_s is None:
            self.unfit_since_s = now_s
        if now_s - self.unfit_since_s < self.patience_s:
            return None
        self.is_over = True
        return Notice.UNFIT
