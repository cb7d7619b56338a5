"""Golden texts of all messages. `python -m tests.alerts.golden_texts` writes them anew."""

from pathlib import Path

from alerts.model import Kind
from alerts.render import render_row
from tests.alerts.builders import WALL_MS
from tests.alerts.samples import sample, special_rows

GOLDEN = Path(__file__).parent / "golden"


def render_all() -> dict[str, str]:
    """Name -> plain text, a line, and the HTML."""
    rows = {kind.value: (sample(kind), 0, 0) for kind in Kind} | dict(special_rows())
    texts: dict[str, str] = {}
    for name, (row, age_ms, dropped) in rows.items():
        message = render_row(row, wall_ms=WALL_MS + age_ms, dropped=dropped)
        texts[name] = f"{message.plain}\n\n--- HTML ---\n{message.html}\n"
    return texts


def main() -> None:
    """Replace the golden texts."""
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.glob("*.txt"):
        path.unlink()
    for name, text in render_all().items():
        (GOLDEN / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
