"""The account of a replay: what the orders wanted do to it, candle by candle.

The fill model, on purpose simple and rather against the strategy:

- `decide()` is called once after each closed candle, with that candle as the last one.
- What it wants begins to work with the next candle. The position moves to `target` at that
  candle's open, at the taker fee.
- A resting buy fills when a later candle's low is *below* its price (a touch is no fill), at its
  price and the maker fee; a sell when the high is above. An order whose price is crossed at the
  open fills there at the taker fee; POST_ONLY is refused there instead, IOC and FOK fill there
  or are gone. Fills are whole: there are no partial fills.
- Within a candle sells fill before buys, and nothing that was bought in it is sold in it.
- Amounts are rounded down to the venue's step, prices to the side that waits longer; what is too
  small, or not covered by the account, is refused and counted with its reason. Fees are paid in
  quote.
- `wants_fills` changes nothing here: fills show in the portfolio at the next close.

It knows nothing of strategies and reports; see replay.py. It is pure.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from exchange.model import ZERO, Candle, MarketRules, Position, Side, TimeInForce
from strategy.model import Decision, DesiredOrder, Portfolio, WorkingOrder

# Binance's spot fee for both sides without discounts; others are near it.
FEE_RATE = Decimal("0.001")
INITIAL_QUOTE = Decimal(1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """The account and the fees of a replay; money in quote units."""

    initial_quote: Decimal = INITIAL_QUOTE
    maker_fee_rate: Decimal = FEE_RATE
    taker_fee_rate: Decimal = FEE_RATE
    calls_per_candle: int = 1  # 2 = ask twice, to find answers that change


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFill:
    """One fill; `reason` is the reason of the decision that wanted it."""

    open_ms: int
    tag: str
    side: Side
    amount: Decimal
    price: Decimal
    fee: Decimal
    reason: str


@dataclass(slots=True, kw_only=True)
class Account:
    """Quote and base, resting orders by tag, and what happened; money in quote units."""

    settings: ReplaySettings
    rules: MarketRules
    quote: Decimal
    base: Decimal = ZERO
    cost: Decimal = ZERO
    fees: Decimal = ZERO
    orders: dict[str, DesiredOrder] = field(default_factory=dict)
    sent: int = 0
    fills: list[ReplayFill] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def equity(self, price: Decimal) -> Decimal:
        """Return what everything is worth at a price."""
        return self.quote + self.base * price

    def locked(self, side: Side) -> Decimal:
        """Return what resting orders hold back: base for sells, quote with fees for buys."""
        resting = [order for order in self.orders.values() if order.side is side]
        if side is Side.SELL:
            return sum((order.amount for order in resting), ZERO)
        with_fee = 1 + self.settings.taker_fee_rate
        return sum((order.amount * order.price * with_fee for order in resting), ZERO)

    def portfolio(self) -> Portfolio:
        """Return what the strategy is shown."""
        position = Position(symbol=self.rules.symbol, amount=self.base, cost_quote=self.cost)
        working = tuple(
            WorkingOrder(tag=o.tag, side=o.side, amount=o.amount, filled=ZERO, price=o.price)
            for o in self.orders.values()
        )
        return Portfolio(
            position=position,
            orders=working,
            quote_free=max(ZERO, self.quote - self.locked(Side.BUY)),
            base_free=max(ZERO, self.base - self.locked(Side.SELL)),
        )

    def fill(self, order: DesiredOrder, price: Decimal, *, maker: bool, at: Candle) -> None:
        """Book one fill; whoever calls has checked that the account covers it."""
        rate = self.settings.maker_fee_rate if maker else self.settings.taker_fee_rate
        fee = order.amount * price * rate
        if order.side is Side.BUY:
            self.cost += order.amount * price + fee
        else:
            self.cost -= self.cost * order.amount / self.base
        self.base += order.side.sign * order.amount
        self.quote -= order.side.sign * order.amount * price + fee
        self.fees += fee
        self.fills.append(
            ReplayFill(
                open_ms=at.open_ms,
                tag=order.tag,
                side=order.side,
                amount=order.amount,
                price=price,
                fee=fee,
                reason="",
            ),
        )


def round_down(amount: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `amount` (amount >= 0)."""
    return amount // step * step


def play_candle(account: Account, decision: Decision, candle: Candle) -> None:
    """Let what was wanted after the last candle meet this one; changes the account."""
    first_fill = len(account.fills)
    _replace_orders(account, decision)
    _move_to_target(account, decision.target, candle)
    _fill_at_open(account, candle)
    _fill_resting(account, candle)
    for index in range(first_fill, len(account.fills)):
        account.fills[index] = replace(account.fills[index], reason=decision.reason)


def _replace_orders(account: Account, decision: Decision) -> None:
    wanted = {order.tag: _round(order, account.rules) for order in decision.orders}
    account.orders = {
        tag: order for tag, order in account.orders.items() if wanted.get(tag) == order
    }
    for tag, order in wanted.items():
        if tag in account.orders:
            continue
        problem = _find_refusal(account, order, order.price)
        if problem:
            account.refused[problem] += 1
        else:
            account.sent += 1
            account.orders[tag] = order


def _round(order: DesiredOrder, rules: MarketRules) -> DesiredOrder:
    # As the node does: the amount down, the price away from the market.
    price = round_down(order.price, rules.price_step)
    if order.side is Side.SELL and price != order.price:
        price += rules.price_step
    return replace(order, amount=round_down(order.amount, rules.amount_step), price=price)


def _find_refusal(account: Account, order: DesiredOrder, price: Decimal) -> str:
    rules = account.rules
    if order.amount < rules.amount_min or order.amount <= ZERO:
        return f"the amount is below the venue's minimum of {rules.amount_min} {rules.base}"
    if order.amount * price < rules.cost_min:
        return f"the value is below the venue's minimum of {rules.cost_min} {rules.quote}"
    portfolio = account.portfolio()
    if order.side is Side.SELL and order.amount > portfolio.base_free:
        return f"not enough {rules.base}"
    with_fee = order.amount * price * (1 + account.settings.taker_fee_rate)
    if order.side is Side.BUY and with_fee > portfolio.quote_free:
        return f"not enough {rules.quote}"
    return ""


def _move_to_target(account: Account, target: Decimal | None, candle: Candle) -> None:
    if target is None:
        return
    difference = target - account.base
    amount = round_down(abs(difference), account.rules.amount_step)
    if amount == ZERO:
        return
    order = DesiredOrder(
        tag="target",
        side=Side.BUY if difference > ZERO else Side.SELL,
        amount=amount,
        price=candle.open,
    )
    problem = _find_refusal(account, order, candle.open)
    if problem:
        account.refused[problem] += 1
    else:
        account.sent += 1
        account.fill(order, candle.open, maker=False, at=candle)


def _in_fill_order(account: Account) -> Iterator[tuple[str, DesiredOrder]]:
    # Sells first (lowest price first), then buys (highest price first): nearest to the market.
    orders = sorted(
        account.orders.items(),
        key=lambda item: (item[1].side is Side.BUY, -item[1].side.sign * item[1].price),
    )
    yield from orders


def _fill_at_open(account: Account, candle: Candle) -> None:
    for tag, order in _in_fill_order(account):
        crosses = (order.price - candle.open) * order.side.sign >= ZERO
        if crosses and order.time_in_force is TimeInForce.POST_ONLY:
            account.refused["POST_ONLY would have taken"] += 1
        elif crosses:
            del account.orders[tag]
            account.fill(order, candle.open, maker=False, at=candle)
            continue
        if crosses or order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            del account.orders[tag]


def _fill_resting(account: Account, candle: Candle) -> None:
    for tag, order in _in_fill_order(account):
        is_buy = order.side is Side.BUY
        if (is_buy and candle.low < order.price) or (not is_buy and candle.high > order.price):
            del account.orders[tag]
            account.fill(order, order.price, maker=True, at=candle)
