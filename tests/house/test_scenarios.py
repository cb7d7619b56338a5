"""The table of what goes wrong names tests that exist, and leaves no number out."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scenarios.md"
COUNT = 50
REASON = "not run"


def rows() -> dict[int, str]:
    """Return the last cell of each numbered row."""
    found: dict[int, str] = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].isdigit():
            assert int(cells[0]) not in found, f"{cells[0]} stands twice"
            found[int(cells[0])] = cells[2]
    return found


def named(cell: str) -> list[tuple[str, str]]:
    """Return (file, test) of each test that a cell names."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cell)


def test_scenarios_every_number_stands_once_with_a_test_or_a_reason() -> None:
    found = rows()
    assert sorted(found) == list(range(1, COUNT + 1))
    empty = [n for n, cell in found.items() if not named(cell) and not cell.startswith(REASON)]
    assert empty == []


@pytest.mark.parametrize("page", ["scenarios.md", "guarantees.md", "chaos.md"])
def test_scenarios_every_named_test_exists(page: str) -> None:
    """Also on the other pages that say what shows a promise."""
    missing = []
    for file, test in named((ROOT / "docs" / page).read_text()):
        path = ROOT / file
        tree = ast.parse(path.read_text()) if path.is_file() else ast.parse("")
        tests = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        if test not in tests:
            missing.append(f"{file}::{test}")
    assert missing == []
