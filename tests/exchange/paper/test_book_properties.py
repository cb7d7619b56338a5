"""Whatever is sent, in whatever order: no money is made or lost, and nothing is overfilled."""

import json
from collections import defaultdict
from copy import deepcopy
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exchange.paper.book import Market
from exchange.paper.codec import parse_event, render_event
from exchange.paper.config import SymbolConfig
from exchange.paper.refusals import Refused
from exchange.paper.values import (
    ZERO,
    AccountOpened,
    Event,
    FillMade,
    NewOrder,
    OrderAccepted,
    OrderType,
    Side,
    Status,
    TimeInForce,
)
from exchange.paper.venue import PaperVenue

SYMBOL = "ETHBTC"
ACCOUNTS = ("main", "other")
OPENING = (("BTC", Decimal(2)), ("ETH", Decimal(10)))
RULES = SymbolConfig(
    symbol="ETH/BTC", seed="0", price_step="0.00001", amount_step="0.001", open_orders_max=5
).rules(Decimal("0.05"))

prices = st.integers(4500, 5500).map(lambda n: n * RULES.price_step)
amounts = st.integers(1, 12_000).map(lambda n: n * RULES.amount_step)
volumes = st.integers(0, 3_000).map(lambda n: n * RULES.amount_step)
accounts = st.sampled_from(ACCOUNTS)
client_ids = st.sampled_from(["a", "b", "c"])
sides = st.sampled_from(Side)


def new_venue() -> PaperVenue:
    market = Market(rules=RULES, spread=RULES.price_step)
    market.show(price=Decimal("0.05"), depth=Decimal(10))
    return PaperVenue(markets=[market], maker_fee=Decimal("0.001"), taker_fee=Decimal("0.002"))


def held(venue: PaperVenue) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    """Free and locked of every account and asset."""
    return {
        (name, asset): (balances.free(asset), balances.locked(asset))
        for name, balances in venue.accounts.items()
        for asset in balances.assets()
    }


class AnyTrading(RuleBasedStateMachine):
    """Two accounts do anything; the price does anything."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = new_venue()
        self.log: list[Event] = []
        self.now_ms = 1

    def commit(self, events: list[Event]) -> None:
        for event in events:
            self.venue.apply(event)
        self.log += events

    @initialize()
    def open_accounts(self) -> None:
        for uid, name in enumerate(ACCOUNTS):
            self.commit(self.venue.plan_account(name, uid, OPENING, self.now_ms))

    def place(self, new: NewOrder) -> list[Event]:
        """Place and commit; a refused order must leave no trace."""
        self.now_ms += 1
        before, taken = held(self.venue), dict(self.venue.markets[SYMBOL].taken)
        try:
            events = self.venue.plan_place(new, self.now_ms)
        except Refused:
            assert held(self.venue) == before
            assert self.venue.markets[SYMBOL].taken == taken
            return []
        self.commit(events)
        return events

    @rule(
        account=accounts,
        client_id=client_ids,
        side=sides,
        kind=st.sampled_from([OrderType.LIMIT, OrderType.LIMIT_MAKER]),
        lasting=st.sampled_from(TimeInForce),
        price=prices,
        amount=amounts,
    )
    def place_limit(
        self,
        account: str,
        client_id: str,
        side: Side,
        kind: OrderType,
        lasting: TimeInForce,
        price: Decimal,
        amount: Decimal,
    ) -> None:
        """A limit order never executes beyond its limit; IOC and FOK never rest."""
        open_ids = {o.client_order_id for o in self.venue.open_orders(account, SYMBOL)}
        new = NewOrder(
            account=account,
            symbol=SYMBOL,
            client_order_id=client_id,
            side=side,
            type=kind,
            time_in_force=lasting if kind is OrderType.LIMIT else TimeInForce.GTC,
            price=price,
            quantity=amount,
        )
        events = self.place(new)
        fills = [event.fill for event in events if isinstance(event, FillMade)]
        for fill in fills:
            assert fill.price <= price if side is Side.BUY else fill.price >= price
        if events:
            assert client_id not in open_ids
            placed = self.venue.orders(account, SYMBOL)[-1]
            if kind is OrderType.LIMIT_MAKER:
                assert fills == []
            if new.time_in_force is not TimeInForce.GTC:
                assert not placed.status.is_open
            if new.time_in_force is TimeInForce.FOK:
                assert placed.executed in (ZERO, placed.quantity)

    @rule(account=accounts, side=sides, amount=amounts, is_quote=st.booleans())
    def place_market(self, account: str, side: Side, amount: Decimal, is_quote: bool) -> None:
        """A market order never rests, and spends no more quote than asked."""
        quote = amount * Decimal("0.05") if is_quote else ZERO
        new = NewOrder(
            account=account,
            symbol=SYMBOL,
            client_order_id="market",
            side=side,
            type=OrderType.MARKET,
            time_in_force=TimeInForce.GTC,
            price=ZERO,
            quantity=ZERO if is_quote else amount,
            quote_quantity=quote,
        )
        if self.place(new):
            placed = self.venue.orders(account, SYMBOL)[-1]
            assert placed.status in (Status.FILLED, Status.EXPIRED)
            if is_quote:
                assert ZERO < placed.executed_quote <= quote

    @rule(account=accounts, client_id=client_ids)
    def cancel(self, account: str, client_id: str) -> None:
        """Only an open order can be cancelled."""
        open_ids = {o.client_order_id for o in self.venue.open_orders(account, SYMBOL)}
        try:
            events = self.venue.plan_cancel(
                account, SYMBOL, order_id=None, client_order_id=client_id, now_ms=self.now_ms
            )
        except Refused:
            assert client_id not in open_ids
            return
        assert client_id in open_ids
        self.commit(events)

    @rule(account=accounts)
    def cancel_all(self, account: str) -> None:
        """Nothing of the account is open afterwards."""
        if self.venue.open_orders(account, SYMBOL):
            self.commit(self.venue.plan_cancel_all(account, SYMBOL, self.now_ms))
        assert self.venue.open_orders(account, SYMBOL) == []

    @rule(price=prices, volume=volumes)
    def move(self, price: Decimal, volume: Decimal) -> None:
        """Resting orders fill at their own price, and no side gets more than the volume."""
        self.now_ms += 1
        self.venue.markets[SYMBOL].show(price=price, depth=Decimal(10))
        events = self.venue.plan_point(SYMBOL, price=price, volume=volume, now_ms=self.now_ms)
        given: dict[Side, Decimal] = defaultdict(Decimal)
        for event in events:
            assert isinstance(event, FillMade)
            order = self.venue.order(event.fill.order_id)
            assert order is not None
            assert event.fill.price == order.price
            assert order.price >= price if order.side is Side.BUY else order.price <= price
            given[order.side] += event.fill.quantity
        assert all(amount <= volume for amount in given.values())
        self.commit(events)

    @invariant()
    def locked_is_what_open_orders_need(self) -> None:
        """locked = sum of open orders, per account and asset."""
        for name, balances in self.venue.accounts.items():
            needed: dict[str, Decimal] = defaultdict(Decimal)
            for order in self.venue.open_orders(name, SYMBOL):
                asset, amount = order.locks(RULES)
                needed[asset] += amount
            for asset in balances.assets():
                assert balances.locked(asset) == needed[asset]
                assert balances.free(asset) >= ZERO

    @invariant()
    def money_is_conserved_less_fees(self) -> None:
        """Opening balance plus what fills moved less commissions = what is there."""
        for name, balances in self.venue.accounts.items():
            expected = dict(OPENING)
            for fill in self.venue.fills(name, SYMBOL):
                sign = 1 if fill.side is Side.BUY else -1
                expected["ETH"] += sign * fill.quantity
                expected["BTC"] -= sign * fill.quantity * fill.price
                expected[fill.commission_asset] -= fill.commission
                assert fill.commission >= ZERO
            for asset, amount in expected.items():
                assert balances.free(asset) + balances.locked(asset) == amount

    @invariant()
    def fills_add_up_to_what_orders_say(self) -> None:
        """No order is overfilled; its fills are what it executed; trade ids never repeat."""
        executed: dict[int, Decimal] = defaultdict(Decimal)
        trade_ids = []
        for name in self.venue.accounts:
            for fill in self.venue.fills(name, SYMBOL):
                executed[fill.order_id] += fill.quantity
                trade_ids.append(fill.trade_id)
            for order in self.venue.orders(name, SYMBOL):
                assert executed[order.order_id] == order.executed <= order.quantity
                assert (order.status is Status.FILLED) == (order.executed == order.quantity)
        assert len(set(trade_ids)) == len(trade_ids)

    @invariant()
    def only_limit_orders_are_open_and_not_too_many(self) -> None:
        """MAX_NUM_ORDERS holds."""
        for name in self.venue.accounts:
            found = self.venue.open_orders(name, SYMBOL)
            assert len(found) <= RULES.open_orders_max
            assert all(order.type is not OrderType.MARKET for order in found)

    def teardown(self) -> None:
        """What a restart reads from the log is what was there."""
        replayed = new_venue()
        for event in self.log:
            line = json.loads(json.dumps(render_event(event)))
            parsed = parse_event(line)
            assert parsed == event
            assert parsed is not None
            replayed.apply(parsed)
        assert held(replayed) == held(self.venue)
        for name in self.venue.accounts:
            assert replayed.orders(name, SYMBOL) == self.venue.orders(name, SYMBOL)
            assert replayed.fills(name, SYMBOL) == self.venue.fills(name, SYMBOL)
            assert replayed.open_orders(name, None) == self.venue.open_orders(name, None)


TestAnyTrading = AnyTrading.TestCase
TestAnyTrading.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,  # correctness must not depend on how fast a shared core is
    suppress_health_check=[HealthCheck.too_slow],
)


def test_planning_alone_changes_no_state() -> None:
    """Plans are events; until they are applied, orders and balances are what they were."""
    venue = new_venue()
    venue.apply(AccountOpened(account="main", uid=1, balances=OPENING, venue_ms=1))
    before = deepcopy(held(venue))
    new = NewOrder(
        account="main",
        symbol=SYMBOL,
        client_order_id="a",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price=Decimal("0.05"),
        quantity=Decimal(1),
    )
    events = venue.plan_place(new, 2)
    assert isinstance(events[0], OrderAccepted)
    assert held(venue) == before
    assert venue.open_orders("main", SYMBOL) == []
