"""`nodectl strategy check`: a file is tried in seconds, and what is wrong has its line."""

import subprocess
import sys
from pathlib import Path

import pytest

from strategy.candles_csv import load_candles
from strategy.check import CheckReport, check_strategy
from strategy.errors import StrategyRefused
from strategy.loading import SHIPPED
from strategy.render import COLUMNS, render_report
from strategy.replay_account import ReplaySettings
from strategy.sample_candles import guess_rules, sample_candles
from strategy.template import new_strategy
from tests.strategy.sources import GOOD, HEAD_LINES, body_line, write
from tests.support.candles import D, flat_candles, real_candles

CANDLES = sample_candles(60)


def verdict(report: CheckReport) -> list[str]:
    return [str(problem) for problem in report.problems]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_strategy_passes(name: str) -> None:
    """hold, trend and grid are what check asks for."""
    report = check_strategy(name)
    assert verdict(report) == []
    assert report.replay is not None
    assert (report.replay.fills > 0) == (name != "hold")
    assert not report.replay.refused


def test_example_passes_and_trades(tmp_path: Path) -> None:
    """What `strategy new` writes runs as it is, and does something on the made-up candles."""
    report = check_strategy(new_strategy("first", tmp_path))
    assert verdict(report) == []
    assert report.replay is not None
    assert report.replay.fills > 0
    assert report.replay.last.evidence


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        pytest.param("import time\n" + GOOD, body_line(1), "open_ms", id="impure"),
        pytest.param("x = {}\nreturn x['a']", body_line(2), "KeyError", id="an exception"),
        pytest.param("return Decision()", HEAD_LINES + 1, "evidence", id="nonsense"),
        pytest.param("load = __builtins__\nload['op' + 'en']('/etc/passwd')", body_line(2),
                     "may not read", id="reaching out"),
        pytest.param("global_twin = decide.__dict__\n"
                     "global_twin['n'] = global_twin.get('n', 0) + 1\n"
                     "return Decision(evidence=SEEN, reason=str(global_twin['n']))",
                     HEAD_LINES + 1, "asked twice", id="memory between calls"),
        pytest.param("names = {'ab', 'cd', 'ef', 'gh', 'ij', 'kl'}\n"
                     "return Decision(evidence=SEEN, reason=' '.join(names))",
                     HEAD_LINES + 1, "another process", id="the order of a set"),
        pytest.param("twin = state\ntwin['n'] = 1\n" + GOOD, HEAD_LINES + 1, "dict(state)",
                     id="a changed state"),
    ],
)  # fmt: skip
def test_check_finds(tmp_path: Path, body: str, line: int, says: str) -> None:
    """One problem, as `file:line: what, use this instead`."""
    path = write(tmp_path, body)
    report = check_strategy(path, CANDLES)
    (problem,) = report.problems
    assert not report.is_ok
    assert (problem.file, problem.line) == (str(path), line)
    assert says in str(problem)


def test_check_ends_a_strategy_that_does_not_end(tmp_path: Path) -> None:
    """It is told, not waited for."""
    report = check_strategy(write(tmp_path, "while True:\n    pass"), CANDLES, timeout_s=1.0)
    assert report.problems[0].line == HEAD_LINES + 1
    assert report.replay is None


def test_check_tells_a_worker_that_died(tmp_path: Path) -> None:
    """A library that ends the process is a problem with the process's own words."""
    report = check_strategy(
        write(tmp_path, "from faulthandler import _sigsegv\n_sigsegv()"), CANDLES
    )
    assert "ended with -11" in verdict(report)[0]


def test_check_uses_the_given_parameters_and_account(tmp_path: Path) -> None:
    """The same values a configuration would give."""
    settings = ReplaySettings(initial_quote=D(50))
    report = check_strategy("trend", parameters={"fast": "5"}, settings=settings, symbol="A/B")
    assert report.strategy is not None
    assert report.strategy.parameters["fast"] == 5
    assert report.symbol == "A/B"
    assert not check_strategy("trend", parameters={"fats": 5}).is_ok


def test_check_asks_for_enough_candles() -> None:
    """Fewer candles than the strategy's history: said so, with both numbers."""
    report = check_strategy("trend", CANDLES)
    assert "240" in verdict(report)[0]
    assert "60" in verdict(report)[0]


@pytest.mark.parametrize("name", ["ETHBTC-5m.csv", "XRPETH-1m.csv", "XRPUSDT-perp-5m.csv"])
@pytest.mark.parametrize("strategy", ["trend", "grid"])
def test_shipped_strategy_passes_on_recorded_candles(strategy: str, name: str) -> None:
    """Real prices of three markets, from 0.001 to 1 in quote, with their gaps and digits."""
    candles = real_candles(name)[:800]
    report = check_strategy(strategy, candles)
    assert verdict(report) == []
    assert report.replay is not None
    assert report.replay.fills > 0


def test_check_reads_a_recorded_file(tmp_path: Path) -> None:
    """The path given is the path shown."""
    path = tmp_path / "candles.csv"
    lines = [f"{c.open_ms},{c.open},{c.high},{c.low},{c.close},{c.volume}" for c in CANDLES]
    path.write_text("timestamp_ms,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    assert load_candles(path) == CANDLES
    assert check_strategy("hold", path).candles_from == str(path)


HEADER = "timestamp_ms,open,high,low,close,volume\n"
ROW = "60000,1,2,0.5,1.5,10\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("", 1, id="an empty file"),
        pytest.param("time,price\n1,2\n", 1, id="another header"),
        pytest.param(HEADER + "60000,1,2,0.5,1.5\n", 2, id="a column missing"),
        pytest.param(HEADER + ROW + "soon,1,2,0.5,1.5,10\n", 3, id="no time"),
        pytest.param(HEADER + ROW + "120000,1,2,0.5,x,10\n", 3, id="no price"),
        pytest.param(HEADER + ROW + "120000,1,2,0.5,NaN,10\n", 3, id="a price that is none"),
        pytest.param(HEADER + ROW + "120000,1,2,0.5,3,10\n", 3, id="a close above the high"),
        pytest.param(HEADER + ROW + ROW, 3, id="a time twice"),
        pytest.param(HEADER + ROW + "0,1,2,0.5,1.5,10\n", 3, id="backwards in time"),
    ],
)
def test_bad_candle_file_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    """Silently dropped candles would show another strategy."""
    path = tmp_path / "candles.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StrategyRefused) as refused:
        load_candles(path)
    assert refused.value.problems[0].line == line
    assert not check_strategy("hold", path).is_ok


def test_absent_candle_file_is_refused(tmp_path: Path) -> None:
    """Also a directory and bytes that are no text."""
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("none.csv", ".", "bytes.csv"):
        with pytest.raises(StrategyRefused):
            load_candles(tmp_path / name)


@pytest.mark.parametrize(
    ("symbol", "price", "amount_step", "price_step", "cost_min"),
    [
        ("BTC/USDT", 95000, "0.00001", "1", "5"),
        ("ETH/USDT", 2000, "0.0001", "0.1", "5"),
        ("ETH/BTC", "0.0984", "0.0001", "0.000001", "0.0001"),
    ],
)
def test_guessed_rules_fit_the_prices(
    symbol: str, price: str, amount_step: str, price_step: str, cost_min: str
) -> None:
    """Five digits of price, a step worth well below the smallest order."""
    rules = guess_rules(symbol, flat_candles([price]))
    assert (rules.amount_step, rules.price_step) == (D(amount_step), D(price_step))
    assert rules.cost_min == D(cost_min)


def test_report_fits_a_terminal_and_starts_with_the_verdict(tmp_path: Path) -> None:
    """At most 80 columns, whatever the names and numbers; problems are wrapped, never cut."""
    name = "x" * 31
    good = check_strategy(new_strategy(name, tmp_path))
    bad = check_strategy(write(tmp_path, "import time, random, socket\nopen('x')\n" + GOOD))
    crowded = check_strategy(
        write(tmp_path, "print('y' * 200)\n" + GOOD.replace("'fine'", "'z' * 150"), "c.py"), CANDLES
    )
    for report in (good, bad, crowded):
        lines = render_report(report).splitlines()
        assert max(map(len, lines)) <= COLUMNS
        assert lines[0].startswith("OK" if report.is_ok else "NOT OK")
        assert not any(line != line.rstrip() for line in lines)
    text = "".join(line.strip() for line in render_report(bad).splitlines())
    assert "has no sockets" in text.replace("\n", "")


def test_strategy_package_starts_fast() -> None:
    """Reading and checking a file needs none of the large libraries."""
    large = ("ccxt", "redis", "pydantic", "rich")
    code = f"import sys, strategy.render; print([m for m in {large} if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
