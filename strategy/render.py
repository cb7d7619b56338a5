"""A check report as text of at most 80 columns: the verdict first, then what was done and why."""

import textwrap
from datetime import UTC, datetime
from decimal import Context, Decimal

from strategy.check import SAMPLE_SOURCE, CheckReport
from strategy.model import Decision
from strategy.replay import ReplayReport
from strategy.replay_account import ReplayFill
from strategy.worker import BUDGET_S

COLUMNS = 80
LABEL_COLUMNS = 12
FILLS_SHOWN = 6
OUTPUT_LINES_SHOWN = 5
DISPLAYED = Context(prec=8)
# Else a person compares it with that of `nodectl status`, which covers the limits too.
FINGERPRINT_NOTE = "of file and parameters (a node adds its limits)"


def render_report(report: CheckReport) -> str:
    """Return the report for a terminal, without a line break at the end."""
    lines = [_render_verdict(report)]
    # Problems are wrapped, not cut: they are what a person must read to the end.
    for problem in report.problems:
        lines += textwrap.wrap(str(problem), COLUMNS, subsequent_indent="    ")
    if report.strategy is not None:
        declaration = report.strategy.declaration
        title = f"{declaration.name} {declaration.version}, {report.symbol} {declaration.timeframe}"
        lines += [
            _row("strategy", f"{title}, {declaration.history} candles of history"),
            *_render_parameters(report),
            _row("fingerprint", f"{report.strategy.fingerprint()} {FINGERPRINT_NOTE}"),
        ]
    if report.replay is not None:
        lines += _render_replay(report, report.replay)
    if report.output:
        shown = report.output.splitlines()[:OUTPUT_LINES_SHOWN]
        lines += ["", "printed", *(f"  {line}" for line in shown)]
    if report.replay is not None and report.is_ok:
        lines += ["", "asked twice and in a second process: the same answers"]
    return "\n".join(map(_cut, lines))


def _render_verdict(report: CheckReport) -> str:
    if report.is_ok:
        return f"OK: {report.file} can run in a node"
    count = len(report.problems)
    return f"NOT OK: {report.file} has {count} problem{'s' if count > 1 else ''}"


def _render_parameters(report: CheckReport) -> list[str]:
    assert report.strategy is not None
    given = [f"{name}={value}" for name, value in report.strategy.parameters.items()]
    parts = textwrap.wrap(", ".join(given) or "none", COLUMNS - LABEL_COLUMNS)
    return [_row("" if index else "parameters", part) for index, part in enumerate(parts)]


def _render_replay(report: CheckReport, replay: ReplayReport) -> list[str]:
    assert report.rules is not None
    base, quote = report.rules.base, report.rules.quote
    refused = sum(int(count) for count, _ in replay.refused)
    source = report.candles_from
    source = "made up, always the same" if source == SAMPLE_SOURCE else source
    lines = [
        _row("candles", f"{replay.candles}, {source}"),
        _row("", f"{_time(replay.first_ms)} to {_time(replay.last_ms)} UTC"),
        _row(
            "decisions",
            f"{replay.decisions}, slowest {report.slowest_ms:g} ms "
            f"(a node allows {BUDGET_S * 1000:g} ms)",
        ),
        _row("orders", f"{replay.orders} sent, {replay.fills} filled, {refused} refused"),
        _row("fees", f"{_money(replay.fees)} {quote}"),
        _row(
            "result",
            f"{_signed(replay.result)} {quote} on {report.settings.initial_quote} after fees "
            f"(buy and keep: {_signed(replay.hold_result)})",
        ),
        _row("drawdown", f"{_money(replay.drawdown)} {quote}, the deepest fall from a peak"),
        _row("position", f"{_number(replay.position)} {base} at the end"),
        "",
        "reasons, most frequent first",
        *(f"  {count:>6}  {text}" for count, text in replay.reasons),
    ]
    if replay.refused:
        lines += ["", "orders that were refused"]
        lines += [f"  {count:>6}  {text}" for count, text in replay.refused]
    if replay.last_fills:
        lines += ["", "last fills", *map(_render_fill, replay.last_fills[-FILLS_SHOWN:])]
    return [*lines, *_render_decision(replay.last)]


def _render_fill(fill: ReplayFill) -> str:
    amount, price = _number(fill.amount), _number(fill.price)
    what = f"{fill.side.value:<4} {amount:>9} at {price:<9} {fill.tag:<6}"
    return f"  {_time(fill.open_ms)} {what} {fill.reason}"


def _render_decision(decision: Decision) -> list[str]:
    target = "left alone" if decision.target is None else _number(decision.target)
    lines = [
        "",
        f"last decision: {decision.reason}",
        f"  position wanted: {target}, resting orders: {len(decision.orders)}",
    ]
    for item in decision.evidence:
        mark = "x" if item.has_fired else " "
        lines.append(f"  [{mark}] {item.condition}: {item.value} ({item.threshold})")
    return lines


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL_COLUMNS}}{text}"


def _cut(line: str) -> str:
    return line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"


def _time(open_ms: int) -> str:
    return f"{datetime.fromtimestamp(open_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _number(value: Decimal) -> str:
    # Files made from floats carry digits such as 0.10392000000000001 that nobody reads.
    return f"{DISPLAYED.create_decimal(value).normalize():f}"


def _money(value: Decimal) -> str:
    # Four significant digits or two decimals, whichever shows more: quotes differ in size.
    digits = max(2, 3 - value.adjusted()) if value else 2
    return f"{value:.{digits}f}"


def _signed(value: Decimal) -> str:
    return f"{'+' if value > 0 else ''}{_money(value)}"
