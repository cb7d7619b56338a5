"""Charts as SVG text. Pure: values in, text out; no library, so that anyone can draw them again.

Rules of this file: one colour means one thing in every chart; a background of its own, because
pages are dark or light; every number that is drawn stands in the table beside it too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, ROW = 960, 230, 96, 44
INK, FAINT, PAPER = "#1f2933", "#cbd2d9", "#ffffff"
WAIT, TAKEOVER, STRATEGY, BOTH, MARK = "#7b8794", "#2b6cb0", "#68a0d8", "#c53030", "#dd6b20"
TEXT = 'font-family="Helvetica, Arial, sans-serif"'
TICKS_MAX = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row: medians of its parts in seconds, every run as a dot, and what was allowed."""

    label: str
    note: str
    parts: Sequence[tuple[float, str]]
    dots: Sequence[float]
    budget_s: float | None = None


def phases_chart(title: str, bars: Sequence[Bar], legend: Sequence[tuple[str, str]]) -> str:
    """Draw one bar a case: its median phases one after another, each run as a dot."""
    ends = [max([sum(v for v, _ in b.parts), *b.dots, b.budget_s or 0]) for b in bars]
    most_s = max(ends, default=1.0)
    top = 92
    height = top + ROW * len(bars) + 40
    body = [*_frame(title, legend, height), *_axis(most_s, top, height)]
    for place, bar in enumerate(bars):
        y = top + ROW * place
        body += [
            _text(LEFT - 10, y + 17, bar.label, anchor="end"),
            _text(LEFT - 10, y + 31, bar.note, anchor="end", size=11, colour=WAIT),
        ]
        x = float(LEFT)
        for value_s, colour in bar.parts:
            wide = _scale(value_s, most_s)
            body.append(_rect(x, y + 6, wide, 18, colour))
            x += wide
        body += [_dot(LEFT + _scale(dot, most_s), y + 31) for dot in bar.dots]
        if bar.budget_s is not None:
            at = LEFT + _scale(bar.budget_s, most_s)
            body.append(_line(at, y + 2, at, y + 38, MARK, 2))
    return _svg(height, body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One system under one fault, in seconds: nobody traded, two traded at once."""

    label: str
    nobody_s: float
    both_s: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One fault and what each system made of it."""

    title: str
    pairs: Sequence[Pair]


def rivals_chart(title: str, groups: Sequence[Group], legend: Sequence[tuple[str, str]]) -> str:
    """Draw two thin bars a system, grouped by fault."""
    rows = [pair for group in groups for pair in group.pairs]
    most_s = max((max(p.nobody_s, p.both_s) for p in rows), default=1.0)
    top, line, head = 92, 30, 34
    height = top + sum(head + line * len(group.pairs) for group in groups) + 40
    body = [*_frame(title, legend, height), *_axis(most_s, top, height)]
    y = float(top)
    for group in groups:
        body.append(_text(16, y + 22, group.title, weight="bold"))
        y += head
        for pair in group.pairs:
            body.append(_text(LEFT - 10, y + 15, pair.label, anchor="end"))
            nobody, both = _scale(pair.nobody_s, most_s), _scale(pair.both_s, most_s)
            body.append(_rect(LEFT, y + 2, nobody, 9, WAIT))
            body.append(_rect(LEFT, y + 13, both, 9, BOTH))
            if pair.note:
                at = LEFT + max(nobody, both) + 6
                body.append(_text(at, y + 17, pair.note, size=11))
            y += line
    return _svg(height, body)


def _frame(title: str, legend: Sequence[tuple[str, str]], height: float) -> list[str]:
    body = [_rect(0, 0, WIDTH, height, PAPER), _text(16, 28, title, size=17, weight="bold")]
    x = 16.0
    for words, colour in legend:
        body += [_rect(x, 44, 12, 12, colour), _text(x + 17, 55, words, size=12)]
        x += 36 + 6.4 * len(words)
    return body


def _axis(most_s: float, top: float, height: float) -> list[str]:
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 60) if most_s / s <= TICKS_MAX or s == 60)
    body = []
    for number in range(int(most_s / step) + 1):
        x = LEFT + _scale(number * step, most_s)
        body.append(_line(x, top - 6, x, height - 30, FAINT, 1))
        body.append(_text(x, height - 12, f"{number * step:g} s", anchor="middle", size=11))
    return body


def _scale(value_s: float, most_s: float) -> float:
    return max(0.0, value_s) / most_s * (WIDTH - LEFT - RIGHT)


def _rect(x: float, y: float, wide: float, high: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{colour}"/>'


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{INK}" fill-opacity="0.55"/>'


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, wide: float) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
        f'stroke="{colour}" stroke-width="{wide:g}"/>'
    )


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    size: int = 13,
    weight: str = "normal",
    colour: str = INK,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{colour}" {TEXT}>{escape(words)}</text>'
    )


def _svg(height: float, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img">'
    )
    return "\n".join([head, *body, "</svg>", ""])
