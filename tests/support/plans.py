"""Builders of plan inputs for tests: one symbol, a price of 100, epoch 2 of the Pi."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from exchange.findings import Findings, Unclear, Working
from exchange.identity import Owner, node_tag
from exchange.intents import IntentRecord
from exchange.journal import Change, Journal
from exchange.model import (
    MarketRules,
    OrderStatus,
    OrderType,
    Position,
    Side,
    Ticker,
    VenueOrder,
    VenueOrderId,
)
from exchange.plan import make_plan
from exchange.positions import PositionRecord
from exchange.steps import Plan
from exchange.wanted import PlanInput, Wanted, WantedOrder
from tests.support.desk import WIDE_LIMITS
from tests.support.journals import CLUSTER, SYMBOL, make_id, make_record

RULES = MarketRules(
    symbol=SYMBOL,
    base="ETH",
    quote="USDT",
    amount_step=Decimal("0.01"),
    price_step=Decimal("0.1"),
    amount_min=Decimal("0.01"),
    cost_min=Decimal(5),
)
TICKER = Ticker(symbol=SYMBOL, bid=Decimal("99.9"), ask=Decimal("100.1"), last=Decimal(100))


def buy(tag: str = "b1", amount: str = "1", price: str = "99") -> WantedOrder:
    return WantedOrder(tag=tag, side=Side.BUY, amount=Decimal(amount), price=Decimal(price))


def sell(tag: str = "s1", amount: str = "1", price: str = "101") -> WantedOrder:
    return WantedOrder(tag=tag, side=Side.SELL, amount=Decimal(amount), price=Decimal(price))


def at_work(
    counter: int = 0,
    *,
    epoch: int = 2,
    tag: str = "b1",
    side: Side = Side.BUY,
    amount: str = "1",
    price: str = "99",
    filled: str = "0",
    adopted_epoch: int = 0,
) -> Working:
    record: IntentRecord = replace(
        make_record(counter, epoch=epoch, tag=tag, side=side, amount=amount, price=price),
        adopted_epoch=adopted_epoch,
    )
    order = VenueOrder(
        symbol=SYMBOL,
        venue_order_id=VenueOrderId(str(counter)),
        client_order_id=record.client_order_id,
        side=side,
        type=OrderType.LIMIT,
        status=OrderStatus.OPEN,
        amount=Decimal(amount),
        filled=Decimal(filled),
        price=Decimal(price),
    )
    owner = Owner.MINE if epoch == 2 else Owner.OLDER_EPOCH
    return Working(order=order, record=record, owner=owner)


def unclear(tag: str = "b1", side: Side = Side.BUY, may_fill: str = "1") -> Unclear:
    return Unclear(
        client_order_id=make_id(9),
        symbol=SYMBOL,
        tag=tag,
        side=side,
        may_fill=Decimal(may_fill),
        past_deadline_ms=-1,
        why="it may still arrive",
    )


def propose(
    wanted: Wanted | None,
    *,
    working: Sequence[Working] = (),
    unclears: Sequence[Unclear] = (),
    position: str = "0",
    deposed_by: int | None = None,
    **changes: Any,
) -> Plan:
    """Plan as epoch 2 of the Pi, with a ticker at 100."""
    journal, _ = Journal().edit(
        epoch=1,
        intents=[w.record for w in working],
        positions=[PositionRecord(position=Position(symbol=SYMBOL, amount=Decimal(position)))],
    )
    findings = Findings(
        journal=journal,
        change=Change(),
        working=tuple(working),
        unclear=tuple(unclears),
        blocked={SYMBOL: "something is unclear"} if unclears else {},
        deposed_by=deposed_by,
    )
    fields: Mapping[str, Any] = {
        "wanted": {} if wanted is None else {SYMBOL: wanted},
        "findings": findings,
        "rules": {SYMBOL: RULES},
        "tickers": {SYMBOL: TICKER},
        "limits": WIDE_LIMITS,
        "cluster_tag": CLUSTER,
        "node_tag": node_tag("raspberrypi"),
        "node_id": "raspberrypi",
        "epoch": 2,
        "first_counter": 40,
        "now_wall_ms": 0,
        **changes,
    }
    return make_plan(PlanInput(**fields))


def kinds(plan: Plan) -> list[Any]:
    return [type(step) for step in plan.steps]


def want(*orders: WantedOrder, target: str | None = None) -> Wanted:
    return Wanted(symbol=SYMBOL, orders=orders, target=None if target is None else Decimal(target))
