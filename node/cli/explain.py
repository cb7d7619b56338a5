"""nodectl explain: why an order was sent, or why none was, read back from the decision log."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from node.cli.common import (
    ConfigOption,
    JsonOption,
    NodeOption,
    ProfileOption,
    find_node_id,
    open_config,
    say,
)
from node.errors import CommandRefused
from node.log_reader import LogFollower, log_files, parse_since, render_line
from node.logs import FILE_NAME

app = typer.Typer(add_completion=False)
DECIDED, SKIPPED, INTENDED = "strategy.decided", "strategy.skipped", "order.intended"
FIRED, NOT_FIRED = " fired", " no"  # how active.py ends each condition

OrderArgument = Annotated[
    str | None, typer.Argument(metavar="[ORDER]", help="Client order id; none: latest decisions.")
]
SymbolOption = Annotated[str, typer.Option("--symbol", help="Only this market.")]
AtOption = Annotated[str, typer.Option("--at", help='Up to then: "10m" ago, or a time (UTC).')]
CountOption = Annotated[int, typer.Option("--last", "-l", min=1, help="How many decisions.")]
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What happened to one order, and the decision that asked for it, when it is in this log."""

    events: tuple[Line, ...]
    decision: Line | None


@app.command()
def explain(
    order: OrderArgument = None,
    config: ConfigOption = None,
    node: NodeOption = None,
    profile: ProfileOption = None,
    symbol: SymbolOption = "",
    at: AtOption = "",
    *,
    last: CountOption = 3,
    as_json: JsonOption = False,
) -> None:
    """Say why: each condition with value and threshold, fired or not, also when nothing was sent.

    Exit codes: 0 shown (also when no decision is in the log) · 1 no log, or no such order in it ·
    4 mend the configuration.
    """
    settings = open_config(config, profile)
    node_id = find_node_id(settings, node)
    path = settings.log_dir(node_id) / FILE_NAME
    if not log_files(path):
        raise CommandRefused(
            f"{path} is not there", mend="this node has not run here; is --node right?"
        )
    try:
        until = parse_since(at, now=datetime.now(UTC))
    except ValueError:
        raise CommandRefused(
            f"--at was {at!r}", mend='say "10m", "2h", "1d" or 2026-11-22T12:00:00'
        ) from None
    follower = LogFollower(path)
    try:
        if order is None:
            lines = find_decisions(follower.poll(), symbol=symbol, until=until, count=last)
            shown = [line for each in lines for line in _texts(each, as_json=as_json)]
            empty = "" if as_json else "no decision is in this log; the other box may have it"
            say("\n".join(shown) or empty)
            return
        found = find_order(follower.poll(), order)
    finally:
        follower.close()
    if not found.events:
        raise CommandRefused(
            f"order {order} is not in the log of {node_id}", mend="ask on the other box"
        )
    if found.decision is not None:
        say("\n".join(_texts(found.decision, as_json=as_json)))
    elif not as_json:
        say("its decision is not in this log; ask on the other box")
    for line in found.events:
        say(json.dumps(line, ensure_ascii=False) if as_json else render_line(line))


def find_decisions(
    lines: Iterable[Line], *, symbol: str, until: str, count: int
) -> tuple[Line, ...]:
    """Return the last decisions and skipped candles, oldest first."""
    return tuple(
        deque(
            (
                line
                for line in lines
                if line.get("event") in {DECIDED, SKIPPED}
                and symbol in ("", line.get("symbol"))
                and (not until or str(line.get("ts", "")) <= until)
            ),
            maxlen=count,
        )
    )


def find_order(lines: Iterable[Line], client_order_id: str) -> Explanation:
    """Return what the log says of an order, and the last decision of its market before it."""
    latest: dict[object, Line] = {}
    decision, events = None, []
    for line in lines:
        if line.get("event") == DECIDED:
            latest[line.get("symbol")] = line
        if line.get("client_order_id") != client_order_id:
            continue
        events.append(line)
        if line.get("event") == INTENDED:
            decision = latest.get(line.get("symbol"))
    return Explanation(events=tuple(events), decision=decision)


def _texts(line: Line, *, as_json: bool) -> Iterator[str]:
    if as_json:
        yield json.dumps(line, ensure_ascii=False)
        return
    yield f"{line.get('ts')} {line.get('symbol')} {line.get('strategy')}: {line.get('reason')}"
    yield f"  candle of {_instant(line.get('candle_open_ms'))}, close {line.get('close', '-')}"
    if line.get("event") == SKIPPED:
        yield f"  skipped, nothing was changed. {line.get('where', '')}".rstrip()
        return
    target = line.get("target")
    orders = line.get("orders")
    listed = "; ".join(map(str, orders)) if isinstance(orders, list) and orders else "none"
    yield f"  target {'unchanged' if target is None else target}; resting orders wanted: {listed}"
    evidence = line.get("evidence")
    for condition in evidence if isinstance(evidence, list) else ():
        text = str(condition)
        mark = "x" if text.endswith(FIRED) else " "
        yield f"  [{mark}] {text.removesuffix(FIRED).removesuffix(NOT_FIRED)}"


def _instant(candle_open_ms: object) -> str:
    if not isinstance(candle_open_ms, int):
        return "an unknown time"
    return f"{datetime.fromtimestamp(candle_open_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
