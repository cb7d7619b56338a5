"""Plan: from what is wanted and what was found to an immutable, printable list of steps.

Rules of this file:
- cancels come first; a replacement is never in the plan of the cancel that makes room for it: it
  comes in a later pass, when the venue has proven the old order gone;
- an order of an older epoch is adopted when it matches a wanted order within one tick and one
  amount step, otherwise cancelled; this is all that makes takeover stricter: it is the same
  loop, not another path;
- where something is unclear no new risk is added; cancels and pure reductions stay allowed;
- a wanted order whose tag is spent (filled or refused since the decision) is not placed again;
- a move to a target is a *limit* order, IOC, bounded by `max_slippage_percent` from the best
  price, not a market order: the venue itself then enforces the worst price, also when the book
  is empty or our ticker is old, and what is left is planned again from the new position.

It proposes only; executor.py walks the steps through the one write path.
"""

from decimal import Decimal
from typing import Final

from exchange.findings import Working, may_still
from exchange.identity import Owner
from exchange.intents import ORPHAN_TAG
from exchange.model import ZERO, MarketRules, Side
from exchange.placements import Placements, round_amount, round_price
from exchange.risk import PERCENT
from exchange.steps import Adopt, Block, Cancel, Keep, Plan, Resolve, Step
from exchange.wanted import PlanInput, TradingMode, Wanted, WantedOrder

# A working sell may fall short of the wanted amount by this much without being replaced: fees
# taken in base make the position slightly smaller than what was bought.
SELL_SHORTFALL_PERCENT: Final = Decimal(1)


def make_plan(inputs: PlanInput) -> Plan:
    """Return the steps that bring the venue closer to what is wanted."""
    findings = inputs.findings
    if findings.deposed_by is not None:
        reason = f"deposed: epoch {findings.deposed_by} was seen at the venue"
        return Plan(epoch=inputs.epoch, steps=(Block(symbol="*", reason=reason),))
    first: list[Step] = [
        Resolve(symbol=u.symbol, client_order_id=u.client_order_id, reason=u.why)
        for u in findings.unclear
    ]
    first += [Block(symbol=s, reason=why) for s, why in sorted(findings.blocked.items())]
    by_symbol: dict[str, list[Working]] = {symbol: [] for symbol in inputs.wanted}
    for item in findings.working:
        by_symbol.setdefault(item.order.symbol, []).append(item)
    held: list[Step] = []
    placements = Placements(inputs=inputs)
    for symbol, working in sorted(by_symbol.items()):
        wanted, rules = inputs.wanted.get(symbol), inputs.rules.get(symbol)
        if wanted is None or inputs.mode_of(symbol) is TradingMode.HANDS_OFF:
            reason = "no decision yet" if wanted is None else "hands off"
            held += [_keep(item, reason) for item in working]
        elif rules is None or not rules.is_active:
            reason = "its market rules are not known" if rules is None else "its market is closed"
            held += [_keep(item, reason) for item in working]
            held.append(Block(symbol=symbol, reason=reason))
        else:
            steps, busy = _match(inputs, wanted, rules, working)
            held += steps
            unclear = [u for u in findings.unclear if u.symbol == symbol]
            placements.add(
                wanted,
                rules,
                busy=busy,
                may_still={side: may_still(working, unclear, side) for side in Side},
            )
    cancels = [step for step in held if isinstance(step, Cancel)]
    others = [step for step in held if not isinstance(step, Cancel)]
    return Plan(epoch=inputs.epoch, steps=(*first, *cancels, *others, *placements.steps))


def _match(
    inputs: PlanInput, wanted: Wanted, rules: MarketRules, working: list[Working]
) -> tuple[list[Step], frozenset[str]]:
    """Decide each working order: keep, adopt or cancel; return also the tags that are taken."""
    by_tag = {order.tag: order for order in wanted.orders if order.tag not in wanted.spent}
    steps: list[Step] = []
    served: set[str] = set()
    # An unclear order under a tag may be working: a second one could double it.
    busy = {u.tag for u in inputs.findings.unclear if u.symbol == wanted.symbol}
    # Newest epoch first: of two orders under one tag the one of the later grant stays.
    for item in sorted(working, key=lambda w: (-w.record.intent.epoch, w.record.client_order_id)):
        tag = item.record.intent.tag
        busy.add(tag)
        if tag == ORPHAN_TAG:
            candidates = list(by_tag.values())
        else:
            candidates = [by_tag[tag]] if tag in by_tag else []
        match = next((c for c in candidates if c.tag not in served and _fits(item, c, rules)), None)
        if match is None:
            reason = "differs from what is wanted" if candidates else "is not wanted"
            steps.append(_cancel(item, reason))
            continue
        served.add(match.tag)
        busy.add(match.tag)
        steps.append(_keep_or_adopt(inputs, item, match.tag))
    if ORPHAN_TAG in busy:
        # An orphan that is being cancelled may stand for any wanted order.
        orphans_left = any(isinstance(s, Cancel) and s.tag == ORPHAN_TAG for s in steps) or any(
            u.tag == ORPHAN_TAG and u.symbol == wanted.symbol for u in inputs.findings.unclear
        )
        busy |= set(by_tag) if orphans_left else set()
    return steps, frozenset(busy)


def _fits(item: Working, wanted: WantedOrder, rules: MarketRules) -> bool:
    """Say whether a working order is the wanted one: exactly mine, nearly an older epoch's."""
    order = item.order
    if order.side is not wanted.side or order.price is None:
        return False
    is_mine = item.owner is Owner.MINE
    price = round_price(wanted.price, wanted.side, rules)
    amount = round_amount(wanted.amount, rules)
    if abs(order.price - price) > (ZERO if is_mine else rules.price_step):
        return False
    if order.side is Side.SELL and order.amount <= amount:
        return amount - order.amount <= amount * SELL_SHORTFALL_PERCENT / PERCENT
    return abs(order.amount - amount) <= (ZERO if is_mine else rules.amount_step)


def _keep_or_adopt(inputs: PlanInput, item: Working, tag: str) -> Step:
    record = item.record
    is_inherited = item.owner is Owner.OLDER_EPOCH and record.adopted_epoch < inputs.epoch
    if is_inherited or record.intent.tag != tag:
        return Adopt(symbol=item.order.symbol, client_order_id=record.client_order_id, tag=tag)
    return _keep(item)


def _keep(item: Working, reason: str = "") -> Keep:
    return Keep(
        symbol=item.order.symbol,
        client_order_id=item.record.client_order_id,
        tag=item.record.intent.tag,
        reason=reason,
    )


def _cancel(item: Working, reason: str) -> Cancel:
    return Cancel(
        symbol=item.order.symbol,
        client_order_id=item.record.client_order_id,
        tag=item.record.intent.tag,
        reason=reason,
    )
