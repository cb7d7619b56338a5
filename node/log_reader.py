"""Reading back the JSON log: which lines match, oldest first, over the rotated files.

Pure but for opening the files. A torn or foreign line is counted, never a reason to stop.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from node.events import Level

ORDER = {Level.DEBUG: 0, Level.INFO: 1, Level.WARNING: 2, Level.ERROR: 3}
SPAN = re.compile(r"^(\d+)\s*(s|m|h|d)$")
HEAD_FIELDS = frozenset({"ts", "level", "event", "stream"})
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """What to keep. Empty means everything; `since` is an instant in the file's own form."""

    level: Level = Level.DEBUG
    stream: str = ""
    event: str = ""
    symbol: str = ""
    since: str = ""

    def accepts(self, line: Mapping[str, Any]) -> bool:
        """Tell whether a line matches; `event` is a name or the beginning of one."""
        try:
            level = Level(str(line.get("level")))
        except ValueError:
            level = Level.INFO
        event = str(line.get("event", ""))
        return (
            ORDER[level] >= ORDER[self.level]
            and self.stream in ("", line.get("stream"))
            and (event == self.event or event.startswith(self.event))
            and self.symbol in ("", line.get("symbol"))
            and str(line.get("ts", "")) >= self.since
        )


def parse_since(text: str, *, now: datetime) -> str:
    """Return "10m", "2h", "1d" or an ISO time as an instant in the form of the file.

    Raises:
        ValueError: it is neither.
    """
    if not text:
        return ""
    span = SPAN.match(text.strip())
    if span is not None:
        when = now - timedelta(**{UNITS[span[2]]: int(span[1])})
    else:
        when = datetime.fromisoformat(text)
        when = when.astimezone(UTC) if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def log_files(path: Path) -> tuple[Path, ...]:
    """Return the file and its rotated ones, oldest first."""
    numbered = []
    for other in path.parent.glob(f"{path.name}.*"):
        suffix = other.name.removeprefix(f"{path.name}.")
        if suffix.isdigit():
            numbered.append((int(suffix), other))
    older = tuple(other for _, other in sorted(numbered, reverse=True))
    return (*older, path) if path.exists() else older


def parse_line(text: str) -> dict[str, Any] | None:
    """Return one line, None when it is no JSON object (torn by a power cut)."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def render_line(line: Mapping[str, Any]) -> str:
    """Return a line for people."""
    level = str(line.get("level", "?")).upper()
    parts = [str(line.get("ts", "?")), f"{level:<7}", str(line.get("event", "?"))]
    for key, value in line.items():
        if key in HEAD_FIELDS or value in (None, "", [], {}):
            continue
        if isinstance(value, str):
            parts.append(f'{key}="{value}"' if " " in value else f"{key}={value}")
        else:
            parts.append(f"{key}={json.dumps(value, ensure_ascii=False)}")
    return " ".join(parts)


class LogFollower:
    """Reads the log from its oldest line on, each line once, over any number of rotations."""

    def __init__(self, path: Path) -> None:
        """Know the file; nothing is opened yet."""
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def poll(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that came since the last call."""
        while True:
            yield from self._read_open_file()
            following = self._next_file()
            if following is None:
                return
            path, inode = following
            try:
                file = path.open("rb")
            except FileNotFoundError:  # renamed since it was listed: look again next time
                return
            if os.fstat(file.fileno()).st_ino != inode:
                file.close()
                return
            self.close()
            self._file = file

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _read_open_file(self) -> Iterator[dict[str, Any]]:
        if self._file is None:
            return
        data = self._rest + self._file.read()
        *whole, self._rest = data.split(b"\n")
        for text in whole:
            line = parse_line(text.decode("utf-8", "replace"))
            if line is not None:
                yield line

    def _next_file(self) -> tuple[Path, int] | None:
        """Return the file after the open one, None while the open one is the newest."""
        listed: list[tuple[Path, int]] = []
        for path in log_files(self._path):
            with contextlib.suppress(FileNotFoundError):
                listed.append((path, path.stat().st_ino))
        if self._file is None:
            return listed[0] if listed else None
        inode = os.fstat(self._file.fileno()).st_ino
        places = [place for place, (_, other) in enumerate(listed) if other == inode]
        if not places:  # rotated away altogether: go on with the oldest that is left
            return listed[0] if listed else None
        return listed[places[0] + 1] if places[0] + 1 < len(listed) else None
