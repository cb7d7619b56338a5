"""Positions, orders and takeovers as the merged journal has them. Pure; see status.py."""

from decimal import Decimal
from typing import Any

from exchange.intents import IntentRecord, IntentState
from exchange.journal import Journal, Merged
from node.status_model import OrderLine, PositionLine, TakeoverLine


def list_positions(journal: Journal, today: str) -> tuple[PositionLine, ...]:
    """Return one line for each symbol ever held; `today` is an ISO date, UTC."""
    lines = []
    for symbol in sorted(journal.positions):
        position = journal.positions[symbol].record.position
        lines.append(
            PositionLine(
                symbol=symbol,
                amount=position.amount,
                average_price=position.average_price,
                # realised_quote counts since `day`; an older day's result is not today's
                realised_today=position.realised_quote if position.day == today else Decimal(0),
            )
        )
    return tuple(lines)


def list_orders(
    merged: Merged, now_wall_ms: int, *, is_holder_silent: bool
) -> tuple[OrderLine, ...]:
    """Return the orders that are not over, by symbol, side and price."""
    alive = [r for r in merged.journal.intents.values() if not r.state.is_final]
    alive.sort(key=lambda r: (r.intent.symbol, r.intent.side, r.intent.price or 0, r.intent.tag))
    return tuple(_order_line(r, now_wall_ms, is_holder_silent) for r in alive)


def _order_line(record: IntentRecord, now_wall_ms: int, is_holder_silent: bool) -> OrderLine:
    intent = record.intent
    is_unclear = record.state is IntentState.UNKNOWN
    # what a living holder is just sending is not unclear; what a silent one left behind is
    is_unclear = is_unclear or (is_holder_silent and record.is_in_flight)
    return OrderLine(
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        amount=intent.amount,
        filled=record.filled,
        price=intent.price,
        tag=intent.tag,
        state=record.state,
        is_unclear=is_unclear,
        age_s=max(0.0, (now_wall_ms - intent.created_wall_ms) / 1000),
    )


def last_takeover_of(journal: Journal, remarks: list[str]) -> TakeoverLine | None:
    """Return the newest takeover on record, None when there was none."""
    lines = takeover_lines(journal, remarks)
    return lines[-1] if lines else None


def takeover_lines(journal: Journal, remarks: list[str]) -> tuple[TakeoverLine, ...]:
    """Return the takeovers on record, oldest first; unreadable ones are named in `remarks`."""
    lines = []
    for epoch in sorted(journal.takeovers):
        body = journal.takeovers[epoch].body
        try:
            gap = body.get("gap_s")
            line = TakeoverLine(
                epoch=epoch,
                node_id=str(body["node_id"]),
                at_wall_ms=int(body["at_wall_ms"]),
                gap_s=None if gap is None else float(gap),
                reason=str(body.get("reason", "")),
                orders_kept=_count(body.get("orders_kept")),
                orders_cancelled=_count(body.get("orders_cancelled")),
                orders_unclear=_count(body.get("orders_unclear")),
            )
        except (KeyError, TypeError, ValueError) as error:
            remarks.append(f"the record of takeover {epoch} is unreadable: {error}")
            continue
        lines.append(line)
    return tuple(lines)


def _count(value: Any) -> int:
    """Counts are kept as numbers or as the list of what was counted."""
    return len(value) if isinstance(value, list) else int(value or 0)
