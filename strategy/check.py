"""Tries a strategy on candles in seconds: `nodectl strategy check`.

The file runs in the same kind of process as in a node (no keys, sockets or files), twice: once
as in a node, once with another hash seed and every question asked twice. Both must agree, or
the two nodes of a pair would not either.
"""

import ast
import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exchange.model import Candle, MarketRules
from strategy import codec
from strategy.candles_csv import load_candles
from strategy.declaration import decide_line
from strategy.errors import AnswerBroken, StrategyRefused
from strategy.loading import LoadedStrategy, load_strategy
from strategy.model import Market, Problem
from strategy.process import MEMORY_LIMIT_MB, worker_command, worker_environment
from strategy.replay import ReplayReport, encode_request
from strategy.replay_account import ReplaySettings
from strategy.sample_candles import SAMPLE_CANDLES, guess_rules, sample_candles
from strategy.worker import BUDGET_S

# A year of 5-minute candles takes about this long on a Pi; a strategy that blocks is told after.
TIMEOUT_S = 120.0
SAMPLE_SOURCE = "made up"
PURE = "use only market, portfolio and state: no memory between calls, no order of sets"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was found out about a strategy file.

    `replay` is None when the file could not be run to the end. `slowest_ms` is the longest
    single `decide()`. `output` is what the strategy printed, bounded.
    """

    file: str
    problems: tuple[Problem, ...]
    strategy: LoadedStrategy | None = None
    symbol: str = ""
    candles_from: str = ""
    replay: ReplayReport | None = None
    settings: ReplaySettings = field(default_factory=ReplaySettings)
    rules: MarketRules | None = None
    slowest_ms: float = 0.0
    output: str = ""

    @property
    def is_ok(self) -> bool:
        """True when a node would run this strategy without complaint."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    replay: ReplayReport | None = None
    slowest_ms: float = 0.0
    output: str = ""
    problem: Problem | None = None


def check_strategy(
    source: str | Path,
    candles: Path | tuple[Candle, ...] | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    symbol: str | None = None,
    rules: MarketRules | None = None,
    settings: ReplaySettings | None = None,
    timeout_s: float = TIMEOUT_S,
) -> CheckReport:
    """Check a strategy file and replay it; never raises for what is wrong with the strategy.

    Args:
        source: shipped name or path.
        candles: a CSV file, candles, or None for made-up ones.
        parameters: values to use instead of the declared defaults.
        symbol: default is the first one declared.
        rules: the venue's rules; default are rules that fit the prices.
        settings: account and fees of the replay.
        timeout_s: longest time for the whole replay.
    """
    settings = settings or ReplaySettings()
    try:
        loaded = load_strategy(source, parameters)
        given = load_candles(candles) if isinstance(candles, Path) else candles
    except StrategyRefused as error:
        return CheckReport(file=str(source), problems=error.problems)
    declaration = loaded.declaration
    candles_from = str(candles) if isinstance(candles, Path) else SAMPLE_SOURCE
    if given is None:
        count = SAMPLE_CANDLES + declaration.history
        given = sample_candles(count, timeframe=declaration.timeframe)
    elif not isinstance(candles, Path):
        candles_from = "given"
    if len(given) < declaration.history:
        what = f"{len(given)} candles, the strategy asks for {declaration.history}"
        problem = Problem(file=candles_from, line=1, what=what, instead="give more candles")
        return CheckReport(file=loaded.file, problems=(problem,), strategy=loaded)
    symbol = symbol or declaration.symbols[0]
    market = Market(
        symbol=symbol,
        timeframe=declaration.timeframe,
        candles=given,
        rules=rules or guess_rules(symbol, given),
        parameters=loaded.parameters,
    )
    first, second = _run_twice(loaded, market, settings, timeout_s)
    return CheckReport(
        file=loaded.file,
        problems=tuple(_find_problems(loaded, first, second)),
        strategy=loaded,
        symbol=symbol,
        candles_from=candles_from,
        replay=first.replay,
        settings=settings,
        rules=market.rules,
        slowest_ms=first.slowest_ms,
        output=first.output,
    )


def _find_problems(loaded: LoadedStrategy, first: _Run, second: _Run) -> list[Problem]:
    if first.problem is not None:
        return [first.problem]
    if second.problem is not None:
        return [second.problem]
    assert first.replay is not None
    assert second.replay is not None
    line = decide_line(ast.parse(loaded.text))
    found: list[tuple[str, str]] = []
    if second.replay.unstable_ms is not None:
        at = datetime.fromtimestamp(second.replay.unstable_ms / 1000, UTC)
        found.append((f"asked twice, decide() answered differently ({at:%Y-%m-%d %H:%M})", PURE))
    elif first.replay.digest != second.replay.digest:
        found.append(("in another process decide() answered differently", PURE))
    if first.replay.has_changed_state:
        found.append(("decide() changed the state it was given", "change a copy: dict(state)"))
    if first.slowest_ms > BUDGET_S * 1000:
        what = f"decide() took {first.slowest_ms / 1000:.1f} s, the budget is {BUDGET_S:g} s"
        found.append((what, "compute less, or ask for less history"))
    return [
        Problem(file=loaded.file, line=line, what=what, instead=instead) for what, instead in found
    ]


def _run_twice(
    loaded: LoadedStrategy,
    market: Market,
    settings: ReplaySettings,
    timeout_s: float,
) -> tuple[_Run, _Run]:
    doubled = replace(settings, calls_per_candle=2)
    with ThreadPoolExecutor(max_workers=2) as pool:
        as_in_node = pool.submit(_run, loaded, market, settings, 0, timeout_s)
        otherwise = pool.submit(_run, loaded, market, doubled, 1, timeout_s)
        return as_in_node.result(), otherwise.result()


def _run(
    loaded: LoadedStrategy,
    market: Market,
    settings: ReplaySettings,
    hash_seed: int,
    timeout_s: float,
) -> _Run:
    load = {"op": "load", "file": loaded.file, "text": loaded.text}
    replay = encode_request(market, settings, loaded.declaration.history)
    try:
        done = subprocess.run(  # noqa: S603  (our own worker, no shell)
            worker_command(parent_pid=os.getpid(), memory_limit_mb=MEMORY_LIMIT_MB),
            input=codec.encode_line(load) + codec.encode_line(replay),
            env=worker_environment(hash_seed=hash_seed),
            capture_output=True,
            timeout=timeout_s,
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        what, instead = f"no end after {timeout_s:g} s", "look for a loop that does not end"
        line = decide_line(ast.parse(loaded.text))
        return _Run(problem=Problem(file=loaded.file, line=line, what=what, instead=instead))
    return _read_answers(loaded, done)


def _read_answers(loaded: LoadedStrategy, done: subprocess.CompletedProcess[bytes]) -> _Run:
    output = ""
    answer: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        answer = codec.parse_line(line)
        output += str(answer.get("output", ""))
        if "ok" not in answer:
            return _Run(problem=_to_problem(loaded, answer), output=output)
    found = answer.get("ok")
    if not isinstance(found, dict):
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        what = f"the process ended with {done.returncode}{': ' if said else ''}{''.join(said)}"
        return _Run(problem=Problem(file=loaded.file, line=1, what=what), output=output)
    try:
        report = codec.parse_value(ReplayReport, found["report"], "report")
    except AnswerBroken as error:
        problem = Problem(file=loaded.file, line=1, what=str(error))
        return _Run(problem=problem, output=output)
    return _Run(replay=report, slowest_ms=float(found["slowest_ms"]), output=output)


def _to_problem(loaded: LoadedStrategy, answer: Mapping[str, Any]) -> Problem:
    file, _, line = str(answer.get("where", "")).rpartition(":")
    reason = str(answer.get("reason", "no reason"))
    number = int(line) if line.isdecimal() else 1
    return Problem(file=file or loaded.file, line=number, what=reason)
