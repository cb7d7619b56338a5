"""Command line: `python -m exchange.paper --config FILE`, or flags for one symbol.

Prints one JSON line {"port", "pid", "log"} when it serves. Secrets come only from the accounts
file. Exit status 2: the configuration cannot be used; the reason is on stderr.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from exchange.paper.app import die_with_parent, serve
from exchange.paper.config import (
    ConfigError,
    PaperConfig,
    SymbolConfig,
    load_accounts,
    load_config,
)
from exchange.paper.wal import LogCorruptError, StateDirInUseError

UNUSABLE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the paper exchange; returns the exit status."""
    options = _build_parser().parse_args(arguments)
    if options.parent:
        die_with_parent(options.parent)
    try:
        config = _build_config(options)
        asyncio.run(serve(config, is_bound_to_stdin=options.bound_to_stdin))
    except (ConfigError, StateDirInUseError, LogCorruptError, OSError) as e:
        sys.stderr.write(f"paper exchange: {e}\n")
        return UNUSABLE
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exchange.paper", description="A local exchange that speaks Binance spot."
    )
    parser.add_argument("--config", type=Path, help="JSON file; the other flags are for one symbol")
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to serve; 0.0.0.0: other machines too"
    )
    parser.add_argument("--port", type=int, default=0, help="0: the system chooses")
    parser.add_argument("--state-dir", type=Path, help="where the log is kept")
    parser.add_argument("--accounts", type=Path, help="accounts file (mode 0600)")
    parser.add_argument("--symbol", help="BASE/QUOTE")
    parser.add_argument("--candles", help="CSV: timestamp_ms,open,high,low,close,volume")
    parser.add_argument("--seed", help="random walk instead of a file")
    parser.add_argument("--start-price", default="100", help="of the random walk")
    parser.add_argument("--timeframe", default="1m")
    parser.add_argument("--speed", type=float, default=1.0, help="candle time per clock time")
    parser.add_argument("--warmup", type=int, default=200, help="candles closed at the start")
    parser.add_argument("--rebase", action="store_true", help="move a file's times to now")
    parser.add_argument("--parent", type=int, default=0, help="die when this parent process dies")
    parser.add_argument("--bound-to-stdin", action="store_true", help="stop when stdin ends")
    return parser


def _build_config(options: argparse.Namespace) -> PaperConfig:
    if options.config is not None:
        return load_config(options.config)
    missing = [
        flag
        for flag, value in (
            ("--state-dir", options.state_dir),
            ("--accounts", options.accounts),
            ("--symbol", options.symbol),
        )
        if value is None
    ]
    if missing:
        raise ConfigError(f"give --config, or also {' '.join(missing)}")
    symbol = SymbolConfig(
        symbol=options.symbol,
        timeframe=options.timeframe,
        candles=options.candles,
        seed=options.seed,
        speed=options.speed,
        warmup=options.warmup,
        is_rebased=options.rebase,
        start_price=options.start_price,
    )
    return PaperConfig(
        state_dir=options.state_dir,
        accounts=load_accounts(options.accounts),
        symbols=(symbol,),
        host=options.host,
        port=options.port,
    )


if __name__ == "__main__":
    sys.exit(main())
