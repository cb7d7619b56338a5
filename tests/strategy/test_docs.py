"""What docs/strategies.md shows is what happens: its strategies run, its outputs are real."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from strategy.check import check_strategy
from strategy.render import render_report

PAGE = Path(__file__).parents[2] / "docs" / "strategies.md"
TEXT = PAGE.read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
STRATEGIES = {
    match[1]: block
    for block in PYTHON
    if "STRATEGY = Declaration(" in block and (match := re.search(r'name="(\w+)"', block))
}
OUTPUT = re.compile(
    r"<!-- check: (?P<file>\S+) -->\n```text\n\$ nodectl strategy check \S+\n(?P<text>.*?)\n```",
    flags=re.DOTALL,
)
# The only figure that differs from machine to machine.
SLOWEST = re.compile(r"slowest [0-9.e+-]+ ms")

BROKEN = """\
import time

from strategy.model import Decision, Declaration, Evidence

STRATEGY = Declaration(
    name="broken", version="1", symbols=("ETH/USDT",), timeframe="5m", history=60
)
SEEN = []


def decide(market, portfolio, state):
    SEEN.append(time.time())
"""
FILES = {"cross.py": STRATEGIES["cross"], "broken.py": BROKEN}


def real_output(directory: Path, file: str) -> str:
    """What check prints for a file of this page, run where the file lies."""
    (directory / file).write_text(FILES[file], encoding="utf-8")
    before = Path.cwd()
    os.chdir(directory)
    try:
        return render_report(check_strategy(Path(file)))
    finally:
        os.chdir(before)


def replaced(text: str, output_of: Callable[[str], str]) -> str:
    """The page with the outputs that `output_of` gives for each file."""

    def to_block(match: re.Match[str]) -> str:
        file = match["file"]
        shown = output_of(file)
        return f"<!-- check: {file} -->\n```text\n$ nodectl strategy check {file}\n{shown}\n```"

    return OUTPUT.sub(to_block, text)


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategy_of_the_page_passes_check(tmp_path: Path, name: str) -> None:
    """Each complete strategy on the page can be copied and run."""
    path = tmp_path / f"{name}.py"
    path.write_text(STRATEGIES[name], encoding="utf-8")
    report = check_strategy(path)
    assert [str(problem) for problem in report.problems] == []
    assert report.replay is not None
    assert report.replay.fills > 0


def test_page_shows_strategies_and_the_loop_before() -> None:
    """One loop, at least three strategies; all of it is Python."""
    assert len(PYTHON) == len(STRATEGIES) + 1
    assert len(STRATEGIES) >= 3
    for block in PYTHON:
        compile(block, str(PAGE), "exec")


@pytest.mark.parametrize("file", FILES)
def test_output_on_the_page_is_real(tmp_path: Path, file: str) -> None:
    """To renew it: python -m tests.strategy.test_docs"""
    shown = {match["file"]: match["text"] for match in OUTPUT.finditer(TEXT)}
    assert shown.keys() == FILES.keys()
    found = real_output(tmp_path, file)
    assert SLOWEST.sub("slowest", shown[file]) == SLOWEST.sub("slowest", found)


def main() -> None:
    """Write the outputs of this machine into the page."""
    import tempfile  # noqa: PLC0415  (only when the page is renewed)

    with tempfile.TemporaryDirectory() as directory:
        text = replaced(TEXT, lambda file: real_output(Path(directory), file))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
