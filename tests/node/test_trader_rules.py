"""Market rules: read once an hour, and again after the venue refused an order."""

from decimal import Decimal

import pytest

from exchange.memory_venue import Fault
from node.trader import RULES_S
from tests.support.trading_rig import SYMBOL, Rig, buy, wanting


def reads(rig: Rig) -> int:
    return rig.calls.count("market_rules")


async def trading() -> Rig:
    rig = Rig()
    rig.asked.answer = wanting(buy("a"))
    await rig.start()
    await rig.turn()
    assert reads(rig) == 1
    return rig


@pytest.mark.parametrize(("after_s", "again"), [(RULES_S - 60, 0), (RULES_S + 60, 1)])
async def test_rules_are_read_again_after_an_hour(after_s: float, again: int) -> None:
    """The venue changes them now and then; a grant may last for months."""
    rig = await trading()
    await rig.turn(after_s=after_s)
    assert reads(rig) == 1 + again


async def test_a_refused_order_lets_them_be_read_again() -> None:
    """Perhaps a filter changed: the next order is made by the present ones."""
    rig = await trading()
    rig.on_call = lambda name: Fault.REJECT if name == "place" else Fault.NONE
    rig.asked.answer = wanting(buy("b", "80"))
    await rig.turn(after_s=60.0)
    assert reads(rig) == 1
    rig.on_call = lambda _name: Fault.NONE
    rig.asked.answer = wanting(buy("c", "70"))
    await rig.turn(after_s=60.0)
    assert reads(rig) == 2
    assert rig.exchange.prices[SYMBOL] == Decimal(100)
