"""Which stores decide together: a majority; while a pair grows, the old list's only store too (R3).

Pure. Two sets of stores that both decide must share a store, else two nodes could hold a lease at
once. Any two majorities of one list do. One store and a majority of three need not: the two new
ones are a majority of the new list by themselves. A node that is on its way from the one list to
the other therefore decides with a majority of both (joint consensus, Ongaro and Ousterhout, "In
Search of an Understandable Consensus Algorithm", 2014, section 6): the old store and one more of
the three. Such a set meets the old list in its store, and the new list because it is one of its
majorities.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from election.model import StoreName


@dataclass(frozen=True, slots=True)
class Quorum:
    """All stores, and the one that is `needed` in every decision, None when none is."""

    stores: tuple[StoreName, ...]
    needed: StoreName | None = None
    size: int = field(init=False)  # how many stores decide

    def __post_init__(self) -> None:
        """Raises ValueError for a needed store that is not one of them."""
        if self.needed is not None and self.needed not in self.stores:
            raise ValueError(f"{self.needed!r} is none of {', '.join(self.stores)}")
        object.__setattr__(self, "size", len(self.stores) // 2 + 1)

    def is_met(self, names: Collection[StoreName]) -> bool:
        """Tell whether these stores decide; `names` are distinct ones of `stores`."""
        return len(names) >= self.size and (self.needed is None or self.needed in names)

    def may_name(self, names: Collection[StoreName]) -> bool:
        """Tell whether whom these stores name can be the holder, by the old or the new list.

        Looking takes less than deciding: while the pair grows, the other node may hold by the old
        store alone or by two of the three.
        """
        return len(names) >= self.size or (self.needed is not None and self.needed in names)

    def is_met_in_s(self, waits_s: Mapping[StoreName, float]) -> float | None:
        """Return after how long the stores decide, of which each is ready after its wait.

        Args:
            waits_s: seconds, of the stores for which that is known.

        Returns:
            Seconds, None when too few are known.
        """
        if not self.is_met(waits_s):
            return None
        if self.needed is None:
            return sorted(waits_s.values())[self.size - 1]
        others_s = self.others_in_s(waits_s)
        assert others_s is not None, "met without others"
        return max(waits_s[self.needed], others_s)

    def others_in_s(self, waits_s: Mapping[StoreName, float]) -> float | None:
        """Return after how long enough stores beside the needed one are ready, None if unknown."""
        others = sorted(wait for name, wait in waits_s.items() if name != self.needed)
        beside = self.size - (self.needed is not None)
        if beside <= 0:
            return 0.0
        return others[beside - 1] if len(others) >= beside else None


def quorum_of(stores: Iterable[tuple[StoreName, bool]]) -> Quorum:
    """Return the quorum of these stores, each with whether it is the needed one."""
    listed: Sequence[tuple[StoreName, bool]] = tuple(stores)
    needed = next((name for name, is_needed in listed if is_needed), None)
    return Quorum(tuple(name for name, _ in listed), needed)
