"""Texts of strategy files for tests."""

from pathlib import Path

HEAD = """\
from decimal import Decimal
from exchange.model import Side
from strategy.model import Decision, Declaration, DesiredOrder, Evidence, Parameter

STRATEGY = Declaration(
    name="mine", version="1", symbols=("ETH/USDT",), timeframe="1m", history=1
)

SEEN = (Evidence(condition="seen", value="1", threshold="1", has_fired=True),)

"""
HEAD_LINES = HEAD.count("\n")


def source(body: str) -> str:
    """A file whose decide() has the given body, indented by four."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    return f"{HEAD}def decide(market, portfolio, state):\n{lines}"


def body_line(number: int) -> int:
    """The file's line of the body's line `number`, which counts from 1."""
    return HEAD_LINES + 1 + number


def write(directory: Path, body: str, name: str = "mine.py") -> Path:
    """Write a strategy file and return its path."""
    path = directory / name
    path.write_text(source(body), encoding="utf-8")
    return path


GOOD = "return Decision(evidence=SEEN, state=state, reason='fine')"
