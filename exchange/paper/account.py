"""Balances of one account: free and locked per asset.

Rules of this file: an amount is never negative; every movement names where it comes from. It does
not decide whether an order is affordable, venue.py does that before it makes events.
"""

from collections.abc import Mapping
from decimal import Decimal

from exchange.paper.values import ZERO


class Balances:
    """Free and locked amounts. A movement that would go below zero is our bug: AssertionError."""

    def __init__(self, free: Mapping[str, Decimal]) -> None:
        """Start with everything free."""
        self._free: dict[str, Decimal] = dict(free)
        self._locked: dict[str, Decimal] = dict.fromkeys(free, ZERO)

    def free(self, asset: str) -> Decimal:
        """Return what can be used for a new order."""
        return self._free.get(asset, ZERO)

    def locked(self, asset: str) -> Decimal:
        """Return what open orders keep."""
        return self._locked.get(asset, ZERO)

    def assets(self) -> tuple[str, ...]:
        """Return the names of all assets ever held, sorted."""
        return tuple(sorted(self._free))

    def lock(self, asset: str, amount: Decimal) -> None:
        """Move an amount from free to locked; a negative amount moves it back."""
        self._set(asset, self.free(asset) - amount, self.locked(asset) + amount)

    def receive(self, asset: str, amount: Decimal) -> None:
        """Add an amount to free; a negative amount is paid out of free."""
        self._set(asset, self.free(asset) + amount, self.locked(asset))

    def _set(self, asset: str, free: Decimal, locked: Decimal) -> None:
        assert free >= ZERO, f"{asset}: free would be {free}"
        assert locked >= ZERO, f"{asset}: locked would be {locked}"
        self._free[asset] = free
        self._locked[asset] = locked
