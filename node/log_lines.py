"""What a log line looks like: one JSON object for machines, one short line for people.

Pure. Values are made harmless here: secrets masked, lengths bounded, anything unprintable turned
into text, so that writing a line can never raise.
"""

import json
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Any

from node.events import Level
from node.redact import MASK, redact

TEXT_LIMIT = 2000  # one value; a venue's HTML page must not fill the disk
ITEMS_LIMIT = 50  # of a list or mapping
DEPTH_LIMIT = 4
FRAMES_LIMIT = 12  # of a traceback: the innermost tell most
SECRET_FIELDS = frozenset({"api_key", "api_secret", "secret", "token", "password", "signature"})
# systemd reads these at the start of a line as its priority; see sd-daemon(3)
PRIORITIES: Mapping[Level, str] = {
    Level.DEBUG: "<7>",
    Level.INFO: "<6>",
    Level.WARNING: "<4>",
    Level.ERROR: "<3>",
}
CONTEXT_FIELDS = ("node", "epoch", "role")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event on its way to the sinks. `context` is node, epoch and role."""

    wall_s: float
    level: Level
    stream: str
    event: str
    context: Mapping[str, Any]
    fields: Mapping[str, Any]


def render_json(line: Line, secret_values: Iterable[str]) -> str:
    """Return the line as one JSON object, with a line end."""
    values = tuple(secret_values)
    head = {
        "ts": _timestamp(line.wall_s),
        "level": str(line.level),
        "event": line.event,
        "stream": line.stream,
    }
    body = {
        str(key): _plain(value, values, field=str(key))
        for key, value in (*line.context.items(), *line.fields.items())
        if key not in head
    }
    return json.dumps({**head, **body}, ensure_ascii=False, allow_nan=False) + "\n"


def render_human(line: Line, secret_values: Iterable[str], *, has_priority: bool) -> str:
    """Return the line for people, with a line end; `has_priority` prefixes systemd's `<N>`."""
    values = tuple(secret_values)
    parts = [line.event]
    for key, value in (*line.context.items(), *line.fields.items()):
        plain = _plain(value, values, field=str(key))
        if plain in (None, "", [], {}):
            continue
        if isinstance(plain, str):
            text = " ".join(plain.split())
            parts.append(f'{key}="{text}"' if " " in text else f"{key}={text}")
        else:
            parts.append(f"{key}={json.dumps(plain, ensure_ascii=False)}")
    prefix = PRIORITIES[line.level] if has_priority else f"{_timestamp(line.wall_s)} "
    return f"{prefix}{line.level.upper():<7} {' '.join(parts)}\n"


def _timestamp(wall_s: float) -> str:
    try:
        when = datetime.fromtimestamp(wall_s, UTC)
    except (OverflowError, ValueError, OSError):
        return str(wall_s)  # a board whose clock is nonsense still logs
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def _plain(value: Any, secret_values: tuple[str, ...], *, field: str = "", depth: int = 0) -> Any:
    """Return the value as JSON can hold it, bounded and without secrets."""
    match value:
        case None | bool():
            plain: Any = value
        case _ if field in SECRET_FIELDS:
            plain = MASK
        case StrEnum():
            plain = str(value)
        case int():
            plain = value
        case float() if isfinite(value):
            plain = value
        case Decimal() if value.is_finite():
            plain = format(value, "f")
        case BaseException():
            plain = _text(describe_exception(value), secret_values)
        case Mapping() if depth < DEPTH_LIMIT:
            plain = {
                _text(str(k), secret_values): _plain(
                    v, secret_values, field=str(k), depth=depth + 1
                )
                for k, v in list(value.items())[:ITEMS_LIMIT]
            }
        case list() | tuple() | set() | frozenset() if depth < DEPTH_LIMIT:
            plain = [_plain(v, secret_values, depth=depth + 1) for v in list(value)[:ITEMS_LIMIT]]
        case _:
            plain = _text(_safe_str(value), secret_values)
    return plain


def _safe_str(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  (a log line must not fail because of a value's own __str__)
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def _text(text: str, secret_values: tuple[str, ...]) -> str:
    clean = redact(text, secret_values).encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= TEXT_LIMIT else clean[: TEXT_LIMIT - 1] + "…"


def describe_exception(error: BaseException) -> str:
    """Return type and message, and where it was raised; never the values of variables."""
    said = _safe_str(error)
    name = type(error).__name__
    return f"{name}: {said}" if said else name


def describe_traceback(error: BaseException) -> list[str]:
    """Return the innermost frames as `file:line function`, outermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_LIMIT:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
