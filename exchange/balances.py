"""Balance report: does the account hold what the cluster's positions say it should?

For people only: deposits, withdrawals and a person's own orders move balances too, so nothing is
decided from a difference, and no order is invented to force it to zero.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from exchange.model import Balance, Snapshot
from exchange.positions import PositionRecord, assets_of


def compare_balances(
    snapshot: Snapshot,
    record_of: Callable[[str], PositionRecord],
    *,
    unsure: Collection[str],
) -> tuple[tuple[PositionRecord, ...], tuple[str, ...]]:
    """Return records that get their first baseline now, and notes on differences.

    Args:
        snapshot: with balances; without any there is nothing to compare.
        record_of: position record of a symbol after this pass.
        unsure: symbols whose position is not sure in this pass; they are left out.
    """
    if not snapshot.balances:
        return (), ()
    users: dict[str, int] = {}
    for symbol in snapshot.symbols:
        for asset in assets_of(symbol):
            users[asset] = users.get(asset, 0) + 1
    baselines, found = [], []
    for symbol in snapshot.symbols:
        base, _ = assets_of(symbol)
        # An asset that several symbols move cannot be told apart by its balance alone.
        if users[base] != 1 or symbol in unsure:
            continue
        record = record_of(symbol)
        total = snapshot.balances.get(base, Balance()).total
        if record.baseline_amount is None:
            baselines.append(replace(record, baseline_amount=total - record.position.amount))
            continue
        expected = record.baseline_amount + record.position.amount
        if total != expected:
            found.append(
                f"{base}: the account holds {total}, expected {expected} ({total - expected:+f})"
            )
    return tuple(baselines), tuple(found)
