"""The table of what goes wrong leaves no number out, and has a test or a reason for each.

That the tests exist is held for every page: test_named_tests.py.
"""

import re
from pathlib import Path

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
