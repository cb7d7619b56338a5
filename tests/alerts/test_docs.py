"""docs/alerts.md and the table of notes say what the code does."""

import re
from pathlib import Path

from alerts.model import Kind
from alerts.notes import NOTES
from tests.alerts.docs_page import PAGE, render_page

PACKAGE = Path(__file__).parents[2] / "alerts"


def test_page_is_current() -> None:
    """Tables and examples are those of the code; `python -m tests.alerts.docs_page` mends it."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == render_page(page)
    assert page.count("<!-- begin: ") == 5
    for kind in Kind:
        assert f"| `{kind}` |" in page


def test_every_note_is_in_the_table_and_used() -> None:
    """What is reported has a level and a meaning; what has one is reported."""
    used: set[str] = set()
    for path in PACKAGE.glob("*.py"):
        if path.name != "notes.py":
            source = path.read_text(encoding="utf-8")
            used |= set(re.findall(r'"((?:alert|command)\.[a-z_]+)"', source))
    assert used == set(NOTES)
