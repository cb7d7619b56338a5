"""A row of the outbox as a message that people read: pure.

Rules of this file:
1. First line: verdict, age if it is late, what happened. It is read on a lock screen.
2. Then words, money and orders, the spare, what to type, and a last line that identifies it.
3. Text is put together and cut first and escaped last, so that a cut never splits an entity and
   no value can end a tag. Telegram counts 4096 characters after entity parsing; UTF-16 units
   are counted here, the strictest reading.
4. The short id in the last line is the same in every repeat, so that a double is recognised.

The facts of each kind stand in words.py (`facts_of`), and in docs/alerts.md.
"""

import hashlib
import html
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from alerts.changes import Row
from alerts.model import AlertEvent, Verdict
from alerts.outbox import PLAUSIBLE_WALL_MS, age_ms
from alerts.words import BUILT_IN, VARIANT, facts_of, fields_of, wording_of

TEXT_UNITS_MAX = 4096
"""Telegram's bound for a text message. Source: core.telegram.org/bots/api#sendmessage."""

VALUE_CHARS_MAX = 600
"""One value may not push the other facts out of the message."""

LATE_MS = 120_000
"""From two minutes on a message says its age: younger ones are read as "now"."""

NOT_KNOWN = "not known"

VERDICT_SIGN: Mapping[Verdict, str] = {
    Verdict.NOTHING_TO_DO: "🟢 Nothing to do",
    Verdict.LOOK: "🟡 Look",
    Verdict.ACT: "🔴 Act",
    Verdict.GOOD_AGAIN: "🟢 Good again",
}

_LINE_BREAKING = frozenset({"Zl", "Zp", "Cc"})
_ESCAPES_THAT_HIDE = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
"""Marks that reverse the text after them: a symbol name must not rewrite a sentence."""


MAY_COME_AGAIN = "(may be sent again: the disk of this node does not keep what was sent)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message in both forms; `plain` says the same without entities."""

    html: str
    plain: str


def render_row(
    row: Row,
    *,
    wall_ms: int,
    dropped: int = 0,
    is_possibly_told: bool = False,
    is_kept: bool = True,
) -> Message:
    """Return the message for a row.

    Args:
        row: what is told, and whether it may have been told before.
        wall_ms: Unix time now, for the age.
        dropped: events left out before, to be said in this message.
        is_possibly_told: the other node may have told it.
        is_kept: False when this node's disk does not keep that it is told now: after a restart
            nobody would know.
    """
    event = row.event
    is_repeat = row.is_possibly_sent or is_possibly_told
    head = render_headline(event, age=_late_words(event, wall_ms))
    if row.count > 1:
        head += f" ({row.count} times)"
    lines = [head]
    if is_repeat:
        lines.append(f"(possibly sent before, see {short_id(row.events[0].event_id)})")
    if not is_kept:
        lines.append(MAY_COME_AGAIN)
    lines += _body(event)
    lines += _earlier(row)
    if dropped:
        lines.append(f"Left out before this one: {dropped} older or lesser notes.")
    hint = wording_of(event.kind, event.facts).hint
    if hint:
        lines.append(f"You can type: {hint}")
    return _message(lines, last=_signature(row))


def render_headline(event: AlertEvent, *, age: str = "") -> str:
    """Return the first line: verdict, age, what happened."""
    sign = VERDICT_SIGN[event.verdict] + (f" ({age})" if age else "")
    return f"{sign}: {_filled(_headline(event), event)}"


def short_id(event_id: str) -> str:
    """Return a short mark that is the same for every telling of this event."""
    return "#" + hashlib.sha256(event_id.encode("utf-8", "replace")).hexdigest()[:5]


def render_age(age: int) -> str:
    """Return an age in milliseconds in words, for example `14 min ago`."""
    minutes = age // 60_000
    if minutes < 120:  # noqa: PLR2004 - two hours: below it minutes are still easy to grasp
        return f"{minutes} min ago"
    hours = minutes // 60
    if hours < 48:  # noqa: PLR2004 - two days: below it hours are still easy to grasp
        return f"{hours} h ago"
    return f"{hours // 24} days ago"


def render_instant(wall_ms: int) -> str:
    """Return an instant in UTC; says so when the clock was not set."""
    if wall_ms < PLAUSIBLE_WALL_MS:
        return "a time not known (clock was not set)"
    return datetime.fromtimestamp(wall_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clean(value: str) -> str:
    """Return the value as one harmless, bounded line."""
    value = value.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be sent
    shown = "".join(
        " " if unicodedata.category(char) in _LINE_BREAKING else char
        for char in value[: 2 * VALUE_CHARS_MAX]
        if char not in _ESCAPES_THAT_HIDE
    )
    shown = " ".join(shown.split())
    if len(shown) > VALUE_CHARS_MAX or len(value) > 2 * VALUE_CHARS_MAX:
        return shown[: VALUE_CHARS_MAX - 1] + "…"
    return shown


def cut(text: str, units_max: int) -> str:
    """Return the text cut to this many UTF-16 units, with an ellipsis when cut."""
    if _units(text) <= units_max:
        return text
    kept: list[str] = []
    left = units_max - 1  # the ellipsis
    for char in text:
        left -= _units(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def _message(lines: Sequence[str], *, last: str) -> Message:
    room = TEXT_UNITS_MAX - _units(last) - 1
    body = cut("\n".join(lines), room)
    first, newline, rest = body.partition("\n")
    escaped_rest = html.escape(f"{rest}\n{last}" if newline else last, quote=False)
    return Message(
        html=f"<b>{html.escape(first, quote=False)}</b>\n{escaped_rest}", plain=f"{body}\n{last}"
    )


def _body(event: AlertEvent) -> list[str]:
    wording = wording_of(event.kind, event.facts)
    shown_lines = [
        line for line in wording.lines if line.must or all(_has(event, n) for n in line.facts)
    ]
    shown = set(fields_of(wording.headline)).union(*(line.facts for line in shown_lines))
    said = {event.facts[name] for name in shown if name in event.facts}
    others = [
        f"{clean(name).replace('_', ' ').capitalize()}: {clean(value)}"
        for name, value in event.facts.items()
        if name not in shown
        and name != VARIANT
        and value
        and value not in said  # not the same words twice
    ]
    return [_filled(line.text, event) for line in shown_lines] + others


def _earlier(row: Row) -> list[str]:
    if row.count == 1:
        return []
    before = row.events[:-1]
    lines = [f"This is the latest of {row.count}. Before it:"]
    hidden = row.count - len(row.events)
    if hidden:
        lines.append(f"• {hidden} more, not listed")
    lines += [f"• {_clock(event)} {_filled(_headline(event), event)}" for event in before]
    return lines


def _headline(event: AlertEvent) -> str:
    return wording_of(event.kind, event.facts).headline


def _clock(event: AlertEvent) -> str:
    if event.created_wall_ms < PLAUSIBLE_WALL_MS:
        return "--:--"
    return datetime.fromtimestamp(event.created_wall_ms / 1000, tz=UTC).strftime("%H:%M:%S")


def _signature(row: Row) -> str:
    event = row.event
    parts = [f"cluster {clean(event.cluster)}", f"epoch {event.epoch}", clean(event.node_id)]
    parts += [render_instant(event.created_wall_ms), short_id(row.events[0].event_id)]
    return cut(" · ".join(parts), TEXT_UNITS_MAX // 4)


def _late_words(event: AlertEvent, wall_ms: int) -> str:
    age = age_ms(event, wall_ms)
    return render_age(age) if age is not None and age >= LATE_MS else ""


def _has(event: AlertEvent, name: str) -> bool:
    return name in BUILT_IN or bool(event.facts.get(name, ""))


def _filled(template: str, event: AlertEvent) -> str:
    """Put the facts into the template; values are never read as templates themselves."""
    built_in = {
        "node": event.node_id,
        "cluster": event.cluster,
        "epoch": str(event.epoch),
        "at": render_instant(event.created_wall_ms),
    }
    parts: list[str] = []
    for text, name, _, _ in string.Formatter().parse(template):
        if text.startswith(".") and parts and parts[-1].endswith("."):
            text = text[1:]  # noqa: PLW2901 - a value that ends its sentence must not end it twice
        parts.append(text)
        if name:
            value = clean(built_in.get(name) or event.facts.get(name, ""))
            unit = " s" if name.endswith("_s") else ""
            parts.append(value + unit if value else NOT_KNOWN)
    return "".join(parts)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


__all__ = [
    "Message",
    "clean",
    "cut",
    "facts_of",
    "render_age",
    "render_headline",
    "render_instant",
    "render_row",
    "short_id",
]
