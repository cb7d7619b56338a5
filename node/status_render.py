"""The status as text of at most 80 columns; the first line alone answers the first question.

Pure. Words are those that people use (leader, standby, taking over, stopped, gone).
"""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

from node.status_model import NodeView, OrderLine, StatusView, TakeoverLine, Verdict
from node.status_nodes import PAUSED_REASON

WIDTH = 80
ORDERS_SHOWN = 12  # a grid has about ten; the rest is counted
GAP = "  "
UNSEEN = "-"
# below (seconds): divisor, unit, digits; below ten seconds tenths matter
SPANS = ((10, 1, "s", 1), (120, 1, "s", 0), (7200, 60, "min", 0), (172_800, 3600, "h", 0))


def render_status(view: StatusView, *, zone: tzinfo = UTC) -> str:
    """Return the whole status, with a line end; no line is longer than 80 columns."""
    blocks = [
        [first_line(view, zone=zone), *_second_lines(view)],
        _nodes(view),
        _stores(view),
        _money(view),
        _orders(view),
        _takeover(view, zone),
        _remarks(view),
    ]
    lines = [line for block in blocks if block for line in [*block, ""]][:-1]
    return "\n".join(wrapped for line in lines for wrapped in _wrap(line)) + "\n"


def first_line(  # noqa: PLR0911  (one line for each thing that can be the first to say)
    view: StatusView, *, zone: tzinfo = UTC
) -> str:
    """Return who leads, since when, paused or not, spare or not."""
    spare = f"spare: {', '.join(view.spares)}" if view.spares else "NO SPARE"
    if view.verdict is Verdict.UNKNOWN and view.holder is None:
        return f"CANNOT TELL who trades: {view.headline}"
    if view.holder is None:
        paused = ", PAUSED" if view.is_paused else ""
        return f"NOBODY TRADES: {view.headline}{paused}, {spare}"
    if view.silent_s is not None:
        to = f" in {view.takeover_in_s:.1f} s" if view.takeover_in_s else " now"
        then = f"{view.spares[0]} takes over{to}" if view.spares else "NO SPARE"
        paused = "PAUSED, " if view.is_paused else ""
        return f"NOBODY TRADES: {paused}{view.holder} {view.headline}; {then}"
    since = _since(view, zone)
    leads = f"{view.holder} leads{since}"
    if view.is_paused:
        return f"PAUSED: {leads}, {spare}"
    if view.verdict is Verdict.UNKNOWN:
        return f"CANNOT TELL: {leads}, {view.headline}"
    if view.verdict is Verdict.NOBODY:
        return f"NOBODY TRADES: {view.holder} is {view.headline}{since}, {spare}"
    state = "not paused" if not view.is_loss_latched else view.headline.upper()
    return f"{leads}, {state}, {spare}"


def _since(view: StatusView, zone: tzinfo) -> str:
    """Return the time alone on the same day, else the day too; the first line must stay short."""
    if view.since_wall_ms is None:
        return ""
    since = datetime.fromtimestamp(view.since_wall_ms / 1000, zone)
    taken = datetime.fromtimestamp(view.taken_wall_ms / 1000, zone)
    shape = "%H:%M:%S %Z" if since.date() == taken.date() else "%Y-%m-%d %H:%M %Z"
    return f" since {since.strftime(shape).strip()}"


def _second_lines(view: StatusView) -> list[str]:
    epoch = f", epoch {view.epoch}" if view.epoch is not None else ""
    lines = [f"cluster {view.cluster_id}{epoch}"]
    if view.is_paused:
        lines.append(f"paused: {view.pause_reason}; go on with: nodectl resume")
    if view.is_loss_latched:
        lines.append("daily loss limit reached: no new risk; go on with: nodectl resume")
    if view.topology:
        lines.append(view.topology)
    return lines


def _nodes(view: StatusView) -> list[str]:
    head = ("node", "role", "seen", "venue", "clock", "temp", "mem", "up", "version")
    lines = table(head, [_node_row(node) for node in view.nodes])
    for node in view.nodes:
        if node.venue_error:
            lines.append(f"  {node.node_id}: venue: {node.venue_error}")
        words = "" if node.node_id == view.holder else " cannot take over"
        lines += [
            f"  {node.node_id}{words}: {reason}"
            for reason in node.reasons
            if reason != f"venue: {node.venue_error}" and not reason.startswith(PAUSED_REASON)
        ]
        lines += [f"  {node.node_id} warns: {warning}" for warning in node.warnings]
    return lines


def _node_row(node: NodeView) -> tuple[str, ...]:
    venue = {None: UNSEEN, True: "ok", False: "DOWN"}[node.is_venue_ok]
    return (
        node.node_id,
        node.role or "not seen",
        _span(node.seen_s),
        venue,
        _unit(node.clock_error_ms, "ms", sign="±"),
        _unit(node.temperature_c, "°C"),
        _unit(node.memory_mb, "MB"),
        _span(node.uptime_s),
        node.version or UNSEEN,
    )


def _stores(view: StatusView) -> list[str]:
    rows = []
    for store in view.stores:
        if store.error:
            rows.append((store.name, "NOT SEEN", UNSEEN, UNSEEN, store.address, UNSEEN))
            continue
        names = store.names or f"nobody ({store.state or 'empty'})"
        epoch = UNSEEN if store.epoch is None else str(store.epoch)
        rows.append((store.name, names, epoch, _span(store.age_s), store.address, store.server))
    return table(("store", "names", "epoch", "renewed", "address", "server"), rows)


def _money(view: StatusView) -> list[str]:
    used = "; ".join(f"{s.name} {' '.join(s.symbols)}" for s in view.strategies)
    mark = f" (fingerprint {view.fingerprint[:12]})" if view.fingerprint else ""
    lines = [f"strategy   {used}{mark}"]
    if view.realised_today is None:
        return [*lines, "positions  not seen"]
    held = [p for p in view.positions if p.amount]
    if not held:
        lines.append("position   flat")
    for position in held:
        average = position.average_price
        price = "" if average is None else f" at {_money_text(average)}"
        lines.append(f"position   {position.symbol} {_amount(position.amount)}{price}")
    limit = _amount(view.daily_loss_limit)
    sign = "+" if view.realised_today > 0 else ""
    lines.append(
        f"today      {sign}{_money_text(view.realised_today)} {view.quote} realised, "
        f"loss limit {limit}"
    )
    return lines


def _orders(view: StatusView) -> list[str]:
    if view.realised_today is None:
        return ["orders     not seen"]
    if not view.orders:
        return ["orders     none"]
    unclear = f", {len(view.unclear)} UNCLEAR (no new risk there)" if view.unclear else ""
    lines = [f"orders     {len(view.orders) - len(view.unclear)} working{unclear}"]
    shown = sorted(view.orders, key=lambda o: not o.is_unclear)[:ORDERS_SHOWN]
    lines += [_order_line(order) for order in shown]
    if len(view.orders) > len(shown):
        lines.append(f"  and {len(view.orders) - len(shown)} more")
    return lines


def _order_line(order: OrderLine) -> str:
    price = "market" if order.price is None else _amount(order.price)
    filled = f", filled {_amount(order.filled)}" if order.filled else ""
    state = "UNCLEAR" if order.is_unclear else order.state
    return (
        f"  {order.client_order_id}  {order.side:<4} {_amount(order.amount)} {order.symbol} "
        f"at {price}, {order.tag}, {state}{filled}, {_span(order.age_s)}"
    )


def _takeover(view: StatusView, zone: tzinfo) -> list[str]:
    if view.last_takeover is None:
        return []
    return [f"last takeover: {takeover_text(view.last_takeover, zone=zone)}"]


def takeover_text(takeover: TakeoverLine, *, zone: tzinfo = UTC) -> str:
    """Return one takeover in a line."""
    gap = "" if takeover.gap_s is None else f", gap {takeover.gap_s:.1f} s"
    reason = f", {takeover.reason}" if takeover.reason else ""
    return (
        f"{_when(takeover.at_wall_ms, zone)} {takeover.node_id}, epoch {takeover.epoch}{gap}"
        f"{reason}; orders kept {takeover.orders_kept}, cancelled {takeover.orders_cancelled}, "
        f"unclear {takeover.orders_unclear}"
    )


def _remarks(view: StatusView) -> list[str]:
    return [f"! {remark}" for remark in view.remarks]


# --- small words -----------------------------------------------------------------------------


def _when(wall_ms: int | None, zone: tzinfo) -> str:
    if wall_ms is None:
        return "?"
    when = datetime.fromtimestamp(wall_ms / 1000, zone)
    return when.strftime("%Y-%m-%d %H:%M:%S %Z").strip()


def _span(seconds: float | None) -> str:
    """Return a duration in the largest unit that still tells something."""
    if seconds is None:
        return UNSEEN
    for limit, divisor, unit, digits in SPANS:
        if seconds < limit:
            return f"{seconds / divisor:.{digits}f} {unit}"
    return f"{seconds / 86400:.0f} d"


def _unit(value: float | None, unit: str, *, sign: str = "") -> str:
    return UNSEEN if value is None else f"{sign}{value:.0f} {unit}"


def _amount(value: Decimal) -> str:
    """Return an exact amount without useless zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money_text(value: Decimal) -> str:
    """Return money for reading: two digits, more where two would show nothing."""
    rounded = format(value, ".2f")
    return rounded if abs(value) >= 1 or value == 0 else format(value, ".3g")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with the cells below each other."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return [
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def _wrap(line: str) -> list[str]:
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, drop_whitespace=True, break_on_hyphens=False
    )
