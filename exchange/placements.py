"""Placements of one plan: drafts rounded, clamped, judged, and given their ids.

Rules of this file: amounts are rounded down, a buy price down, a sell price up, so that rounding
never pays; a sell is clamped to what the cluster may still sell; each placement counts against
the limits of the next one in the same plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final

from exchange.identity import IdParts, encode
from exchange.intents import TARGET_TAG
from exchange.model import (
    ZERO,
    MarketRules,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
)
from exchange.risk import PERCENT, RiskFacts, check_order, is_reducing
from exchange.steps import Place, Skip
from exchange.wanted import PlanInput, TradingMode, Wanted

_TWO: Final = Decimal(2)


def round_amount(amount: Decimal, rules: MarketRules) -> Decimal:
    """Round an amount down to the market's step: never more than was wanted."""
    return (amount / rules.amount_step).to_integral_value(ROUND_DOWN) * rules.amount_step


def round_price(price: Decimal, side: Side, rules: MarketRules) -> Decimal:
    """Round a price to the market's step: a buy down, a sell up, never worse than wanted."""
    rounding = ROUND_DOWN if side is Side.BUY else ROUND_UP
    return (price / rules.price_step).to_integral_value(rounding) * rules.price_step


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    tag: str
    side: Side
    amount: Decimal
    price: Decimal
    time_in_force: TimeInForce


@dataclass(slots=True, kw_only=True)
class Placements:
    """Collects the placements of one plan; lives only inside `make_plan`."""

    inputs: PlanInput
    steps: list[Place | Skip] = field(default_factory=list)
    placed: int = 0

    def add(
        self,
        wanted: Wanted,
        rules: MarketRules,
        *,
        busy: frozenset[str],
        may_still: Mapping[Side, Decimal],
    ) -> None:
        """Add what is wanted in one symbol and not there yet.

        Args:
            wanted: of this symbol.
            rules: its filters.
            busy: tags that are served or must wait.
            may_still: what its working and unclear orders may still buy and sell.
        """
        if self.inputs.mode_of(wanted.symbol) is TradingMode.CANCEL_ONLY:
            return
        drafts = [
            _Draft(
                tag=order.tag,
                side=order.side,
                amount=order.amount,
                price=order.price,
                time_in_force=order.time_in_force,
            )
            for order in wanted.orders
            if order.tag not in busy and order.tag not in wanted.spent
        ]
        target = self._draft_target(wanted, rules, busy)
        if target is not None:
            drafts.insert(0, target)
        added = dict(may_still)
        for draft in drafts:
            self._add_draft(draft, rules, added)

    def _draft_target(
        self, wanted: Wanted, rules: MarketRules, busy: frozenset[str]
    ) -> _Draft | None:
        symbol = wanted.symbol
        if wanted.target is None or TARGET_TAG in wanted.spent:
            return None
        delta = wanted.target - self.inputs.findings.journal.position(symbol).position.amount
        if round_amount(abs(delta), rules) == ZERO:
            return None
        ticker = self.inputs.tickers.get(symbol)
        if ticker is None or TARGET_TAG in busy:
            reason = "there is no ticker" if ticker is None else "its last order is not done yet"
            self.steps.append(Skip(symbol=symbol, tag=TARGET_TAG, reason=reason))
            return None
        side = Side.BUY if delta > ZERO else Side.SELL
        best = ticker.ask if side is Side.BUY else ticker.bid
        return _Draft(
            tag=TARGET_TAG,
            side=side,
            amount=abs(delta),
            price=best * (1 + side.sign * self.inputs.max_slippage_percent / PERCENT),
            time_in_force=TimeInForce.IOC,
        )

    def _add_draft(self, draft: _Draft, rules: MarketRules, added: dict[Side, Decimal]) -> None:
        """Round, judge and add one draft; `added` is what the symbol may still buy and sell."""
        inputs, symbol = self.inputs, rules.symbol
        ticker = inputs.tickers.get(symbol)
        facts = RiskFacts(
            position_amount=inputs.findings.journal.position(symbol).position.amount,
            buys_amount=added[Side.BUY],
            sells_amount=added[Side.SELL],
            open_orders=len(inputs.findings.working) + self.placed,
            orders_last_minute=inputs.orders_last_minute + self.placed,
            reference_price=None if ticker is None else (ticker.bid + ticker.ask) / _TWO,
            is_loss_latched=inputs.is_loss_latched,
        )
        wanted_amount = draft.amount
        if draft.side is Side.SELL:
            wanted_amount = min(wanted_amount, facts.sellable)
        amount = round_amount(wanted_amount, rules)
        price = round_price(draft.price, draft.side, rules)
        reason = self._refuse(draft, rules, amount, price, facts)
        if reason:
            self.steps.append(Skip(symbol=symbol, tag=draft.tag, reason=reason))
            return
        parts = IdParts(
            cluster_tag=inputs.cluster_tag,
            epoch=inputs.epoch,
            node_tag=inputs.node_tag,
            counter=inputs.first_counter + self.placed,
        )
        intent = OrderIntent(
            client_order_id=encode(parts),
            symbol=symbol,
            side=draft.side,
            type=OrderType.LIMIT,
            time_in_force=draft.time_in_force,
            amount=amount,
            price=price,
            tag=draft.tag,
            epoch=inputs.epoch,
            node_id=inputs.node_id,
            created_wall_ms=inputs.now_wall_ms,
        )
        self.placed += 1
        added[draft.side] += amount
        self.steps.append(Place(intent=intent, facts=facts))

    def _refuse(
        self,
        draft: _Draft,
        rules: MarketRules,
        amount: Decimal,
        price: Decimal,
        facts: RiskFacts,
    ) -> str:
        """Return why a draft is not placed, empty when it is."""
        symbol = rules.symbol
        if draft.side is Side.SELL and facts.sellable == ZERO:
            return "nothing to sell: the position is empty or other orders already sell it"
        if amount == ZERO or amount < rules.amount_min:
            return f"amount {amount:f} is below the market's minimum {rules.amount_min:f}"
        if amount * price < rules.cost_min:
            return f"value {amount * price:f} is below the market's minimum {rules.cost_min:f}"
        if not is_reducing(side=draft.side, amount=amount, facts=facts):
            if symbol in self.inputs.findings.blocked:
                return f"no new risk: {self.inputs.findings.blocked[symbol]}"
            if self.inputs.mode_of(symbol) is TradingMode.REDUCE_ONLY:
                return "no new risk: only reductions are allowed now"
        refusal = check_order(
            side=draft.side, amount=amount, price=price, facts=facts, limits=self.inputs.limits
        )
        return "" if refusal is None else f"risk: {refusal}"
