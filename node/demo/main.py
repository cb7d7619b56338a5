"""`nodectl demo`: the pair on this machine, a real failover, judged by the checker.

Rules of this file: options in, processes and a story, a report and an exit code out. Whatever way
it ends (also by a signal), no process stays behind.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from node.config_model import LeaseConfig
from node.demo.checker import Verdict, check_run, load_run, render
from node.demo.stage import NODES, Stage, StagePlan, StageTimeout, StrategyPart, remove_stage
from node.demo.stores import ServerMissing, ServerUnusable
from node.demo.story import Story, play_three_stores, play_two_boxes

# A candle in 2.5 s: a story of a minute sees many decisions, and a pair that is kept for hours
# stays within the request weight that one node may use.
CANDLE_S = 2.5
# Four price points are a candle: seconds between two of them in a demo that is kept.
KEPT_POINT_S = 1.0
TIMEFRAME_S = {"1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400}
# history of `trend` (240 candles) and some
WARMUP = 260
KNOWN_QUOTES = ("USDT", "USDC", "BTC", "ETH", "EUR", "BNB")
DEFAULT_SEED = "4"
# Standard deviation of a candle: a lively market, so that a minute shows many orders.
VOLATILITY = 0.004


def main(arguments: Sequence[str]) -> int:
    """Play the demo; return 0 only when the checker holds."""
    options = _parser().parse_args(list(arguments))
    try:
        plan = build_plan(options)
    except ValueError as error:
        sys.stderr.write(f"nodectl demo: {error}\n")
        return 2
    with contextlib.ExitStack() as stack:
        stack.enter_context(_signals_as_exit())
        if options.directory is None:
            directory = Path(tempfile.mkdtemp(prefix="hotspare-demo-"))
            stack.callback(remove_stage, directory)
        else:
            directory = options.directory.resolve()
            refusal = _make_empty(directory)
            if refusal is not None:
                sys.stderr.write(f"nodectl demo: {refusal}; name another one\n")
                return 2
        return _play(options, plan, directory)


def _make_empty(directory: Path) -> str | None:
    """Make the directory; return why it cannot be used, None when it can."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        is_empty = not any(directory.iterdir())
    except OSError as error:
        return f"{directory} cannot be used: {error.strerror}"
    if not is_empty:
        return f"{directory} is not empty"
    return None if os.access(directory, os.W_OK | os.X_OK) else f"{directory} is not writable"


def _play(options: argparse.Namespace, plan: StagePlan, directory: Path) -> int:
    write = _quiet if options.json else _loud
    verdict: Verdict | None = None
    try:
        with Stage(directory, plan) as stage:
            story = Story(stage=stage, write=write)
            play = play_two_boxes if options.topology == "two-boxes" else play_three_stores
            play(story)
            if options.keep:
                _keep(stage, write)
            story.close()
            logs = [stage.nodes[node].log_path for node in NODES]
            verdict = check_run(load_run(stage.paper.log_path, logs))
            message = stage.nodes[NODES[1]].console.read_text("utf-8", "replace")
    except (ServerMissing, ServerUnusable, StageTimeout) as error:
        sys.stderr.write(f"nodectl demo: {error}\n")
        return 1
    report = story.figures | verdict.report()
    if options.json:
        print(json.dumps(report))
    else:
        print()
        print(takeover_message(message))
        print()
        print(render(verdict))
        print()
        lines = ten_lines(report, options.topology, ttl_ms=plan.lease["ttl_ms"])
        print("\n".join(lines))
        print()
        print("\n".join(TRY_NEXT))
    return 0 if verdict.holds else 1


def build_plan(options: argparse.Namespace) -> StagePlan:
    """Return what the demo builds.

    Raises:
        ValueError: the candle file's symbol or timeframe cannot be told from its name.
    """
    stores = 1 if options.topology == "two-boxes" else 3
    if options.candles is None:
        return StagePlan(
            stores=stores,
            parts=(
                StrategyPart(
                    use="grid",
                    symbol="ETH/USDT",
                    parameters={"step_percent": 0.2},
                    paper=_walk(options.seed, "1", "2000", "50"),
                ),
                StrategyPart(
                    use="trend",
                    symbol="BTC/USDT",
                    parameters={"fast": 5, "slow": 15, "band_percent": 0.02},
                    paper=_walk(options.seed, "2", "40000", "20"),
                ),
            ),
            balances={"USDT": "10000"},
            risk={"max_orders_per_minute": 120, "daily_loss_limit": "200"},
        )
    if not options.candles.is_file():
        raise ValueError(f"{options.candles}: no such candle file")
    symbol, timeframe = read_name(options.candles.name, options.symbol, options.timeframe)
    quote = symbol.split("/")[1]
    # Budgets and limits in the file's own quote currency: a hundredth of the account an order.
    unit = {"BTC": 0.01, "ETH": 0.2}.get(quote, 50.0)
    speed = TIMEFRAME_S[timeframe] / CANDLE_S
    return StagePlan(
        stores=stores,
        parts=(
            StrategyPart(
                use="grid",
                symbol=symbol,
                timeframe=timeframe,
                parameters={"step_percent": 0.2, "quote_budget": unit * 4},
                paper={
                    "candles": str(options.candles.resolve()),
                    "speed": speed,
                    "warmup": WARMUP,
                    "amount_step": "0.001",
                },
            ),
            StrategyPart(
                use="trend",
                symbol=f"LTC/{quote}" if symbol != f"LTC/{quote}" else f"XRP/{quote}",
                timeframe=timeframe,
                parameters={
                    "fast": 5,
                    "slow": 15,
                    "band_percent": 0.02,
                    "quote_value": unit * 0.8,
                },
                paper=_walk(options.seed, "2", str(unit), "5000")
                | {"timeframe": timeframe, "speed": speed, "amount_step": "0.001"},
            ),
        ),
        balances={quote: str(unit * 100)},
        risk={
            "max_order_value": str(unit),
            "max_position_value": str(unit * 4),
            "daily_loss_limit": str(unit),
            "max_orders_per_minute": 120,
        },
    )


def read_name(name: str, symbol: str | None, timeframe: str | None) -> tuple[str, str]:
    """Tell symbol and timeframe of a candle file such as `ETHBTC-5m.csv`.

    Raises:
        ValueError: the name does not say them and the options do not either.
    """
    found = re.match(r"(?P<pair>[A-Z0-9]{4,})-(?P<timeframe>[0-9]+[mh])", name)
    if symbol is None and found is not None:
        pair = found["pair"]
        quote = next((q for q in KNOWN_QUOTES if pair.endswith(q) and pair != q), None)
        symbol = None if quote is None else f"{pair.removesuffix(quote)}/{quote}"
    if timeframe is None and found is not None:
        timeframe = found["timeframe"]
    if symbol is None or symbol.count("/") != 1:
        raise ValueError(f"{name} does not say which market it is; add --symbol ETH/BTC")
    if timeframe not in TIMEFRAME_S:
        raise ValueError(f"{name} does not say its timeframe; add --timeframe 5m")
    return symbol, timeframe


def takeover_message(console: str) -> str:
    """Return the message about the first takeover, as the console sink wrote it."""
    lines = console.splitlines()
    start = next((i for i, line in enumerate(lines) if "trades now, gap" in line), None)
    if start is None:
        return "(no takeover message was written)"
    end = start + 1
    while end < len(lines) and lines[end].startswith("  "):
        end += 1
    return "\n".join(["The message that a phone would have got:", *lines[start:end]])


def ten_lines(report: dict[str, Any], topology: str, *, ttl_ms: int) -> list[str]:
    """Return the ten plain lines at the end."""
    where = "one store, on the Pi" if topology == "two-boxes" else "three stores, any two decide"
    return [
        (
            f" 1. Topology: {where}; lease ttl {ttl_ms / 1000:g} s here, "
            f"{LeaseConfig().ttl_ms / 1000:g} s by default."
        ),
        (
            f" 2. The holder was killed with an order in flight; the spare was active "
            f"{report['takeover_s']} s later."
        ),
        f" 3. Its first order reached the exchange {report['first_order_s']} s after the kill.",
        f" 4. The planned switchover took {report['switchover_s']} s.",
        f" 5. Orders accepted by the exchange: {report['orders']}.",
        f" 6. Orders sent twice: {report['orders_doubled']}.",
        f" 7. Orders lost: {report['orders_lost']}.",
        (
            f" 8. Unknown outcomes that were found out: {report['unknown_resolved']}; orders "
            f"adopted {report['adopted']}, cancelled {report['cancelled']}."
        ),
        f" 9. Messages told: {report['alerts']}, each role change once.",
        f"10. All invariants hold: {'yes' if report['invariants_ok'] else 'NO'}.",
    ]


TRY_NEXT = (
    "Try next:",
    "  make demo DEMO='--keep'                    keep it running and look: nodectl status --watch",
    "  make demo DEMO='--topology two-boxes'      what two boxes alone can and cannot do",
    "  make demo DEMO='--candles ETHBTC-5m.csv'   on real candles of your own",
    "  .venv/bin/nodectl strategy new mine        write an own strategy",
    "  .venv/bin/nodectl init                     make your own cluster",
)


def _walk(seed: str, salt: str, start_price: str, volume: str) -> dict[str, Any]:
    return {
        "seed": f"{seed}-{salt}",
        "speed": TIMEFRAME_S["1m"] / CANDLE_S,
        "warmup": WARMUP,
        "start_price": start_price,
        "volume": volume,
        "volatility": VOLATILITY,
    }


def _keep(stage: Stage, write: Any) -> None:
    """Go on until Ctrl-C, which ends the story as if it had been played out: it is judged."""
    nodectl = Path(sys.executable).with_name("nodectl")
    with contextlib.suppress(KeyboardInterrupt):
        write("")
        write(f"It goes on until Ctrl-C. Look at it from another terminal, in {stage.directory}:")
        for verb in ("status --watch", "history", "run --node jetson    (after you killed it)"):
            write(f"  HOTSPARE_CONFIG={stage.config_path} {nodectl} {verb}")
        walk_slowly(stage.paper)


class Market(Protocol):
    """What moves the prices of the paper exchange."""

    def pause(self) -> None:
        """Stop walking by itself."""

    def advance(self, *, points: int) -> None:
        """Walk some price points now."""


def walk_slowly(market: Market, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Walk the market by hand, a price point a second, until somebody interrupts it.

    The story's pace of a candle a second uses up a minute's request weight in half of it: the
    holder would then count as cut off from the venue until the minute is over.
    """
    is_paused = False
    while True:
        with contextlib.suppress(OSError):  # the one who looks around may have killed the exchange
            if not is_paused:
                market.pause()
                is_paused = True
            market.advance(points=1)
        sleep(KEPT_POINT_S)


def _loud(text: str) -> None:
    print(text, flush=True)


def _quiet(text: str) -> None:
    """Say nothing: the report alone goes to standard output."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nodectl demo",
        description="Two nodes, three lease stores and a local exchange on this machine: the "
        "holder is killed, the other takes over, and a checker reads the logs.",
        epilog="Exit codes: 0 the checker holds, 1 it does not or the demo could not be played, "
        "2 wrong options, 130 after Ctrl-C before --keep began. Lease servers: "
        "$HOTSPARE_STORE_SERVER, else valkey-server or "
        "redis-server on PATH, else the one that comes with the requirements.",
    )
    parser.add_argument("--topology", choices=("three-stores", "two-boxes"), default="three-stores")
    parser.add_argument("--candles", type=Path, help="CSV of candles, such as ETHBTC-5m.csv")
    parser.add_argument("--symbol", help="market of the candle file, such as ETH/BTC")
    parser.add_argument("--timeframe", help="timeframe of the candle file, such as 5m")
    parser.add_argument("--seed", default=DEFAULT_SEED, help="of the random walks")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C, then judge")
    parser.add_argument("--json", action="store_true", help="print only the report, as JSON")
    parser.add_argument("--directory", type=Path, help="keep all files there (must be empty)")
    return parser


@contextlib.contextmanager
def _signals_as_exit() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that everything that was started is ended."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
