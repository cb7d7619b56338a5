"""The log: what a line holds, what it never holds, and that a full disk does not stop the node."""

import ast
import errno
import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from node.config import LogConfig, LogLevel
from node.events import EVENTS, Level
from node.log_files import RETRY_S, LineWriter, RotatingFile
from node.log_lines import TEXT_LIMIT, Line, render_human, render_json
from node.log_reader import LogFilter, LogFollower, log_files, parse_since
from node.logs import FILE_NAME, LogHandle, log_event, setup_logs

SECRET = "very-secret-key"
PACKAGES = Path(__file__).parents[2]
FLUSH_S = 30.0


@pytest.fixture
def console() -> io.StringIO:
    """What people see."""
    return io.StringIO()


@pytest.fixture
def log(tmp_path: Path, console: io.StringIO) -> Iterator[LogHandle]:
    """A running log with a secret."""
    handle = setup_logs(
        LogConfig(level=LogLevel.DEBUG),
        directory=tmp_path,
        secret_values=[SECRET],
        environ={},
        stream=console,
        node="jetson",
        epoch=0,
        role="starting",
    )
    yield handle
    handle.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    """All lines of the JSON file."""
    return [json.loads(t) for t in (folder / FILE_NAME).read_text("utf-8").splitlines()]


def test_an_event_has_its_registered_level_stream_and_context(
    log: LogHandle, tmp_path: Path, console: io.StringIO
) -> None:
    """One JSON object a line, with node, epoch and role as they are now."""
    log_event("node.starting", version="1")
    log.set_context(epoch=5, role="active")
    log_event("order.filled", symbol="BTC/USDT", amount=Decimal("0.00000010"))
    assert log.flush(FLUSH_S)
    first, second = lines(tmp_path)
    assert (first["node"], first["epoch"], first["role"]) == ("jetson", 0, "starting")
    assert (second["epoch"], second["role"], second["stream"]) == (5, "active", "trades")
    assert second["amount"] == "0.00000010"
    assert second["level"] == EVENTS["order.filled"].level
    datetime.fromisoformat(second["ts"])
    assert "order.filled node=jetson epoch=5 role=active symbol=BTC/USDT" in console.getvalue()


def test_no_secret_reaches_a_sink(log: LogHandle, tmp_path: Path, console: io.StringIO) -> None:
    """Known values, secret fields and secret shapes, at any depth, also inside exceptions."""
    nested = {"a": [{"password": "p1p1p1p1"}, f"x{SECRET}y"], SECRET: 1}
    log_event("venue.unreachable", url="https://x/api?symbol=A&signature=abcdef0123", nested=nested)
    error = ValueError(f"refused {SECRET} and 123456789:AAFakeFakeFakeFakeFakeFake")
    log_event("node.task_failed", error=error, token="t0kent0ken")
    logger.error("a library says {}", SECRET)
    assert log.flush(FLUSH_S)
    everything = (tmp_path / FILE_NAME).read_text("utf-8") + console.getvalue()
    for word in (SECRET, "p1p1p1p1", "abcdef0123", "AAFake", "t0kent0ken"):
        assert word not in everything


def test_a_traceback_has_places_but_no_values(log: LogHandle, tmp_path: Path) -> None:
    """Frames as file, line and function; loguru's dump of variables is off."""
    api_key = "unknown-to-the-redactor"
    try:
        raise RuntimeError(f"broken after {len(api_key)}")  # noqa: TRY301  (it is the case)
    except RuntimeError as error:
        log_event("node.crashed", error=error)
        logger.exception("and by a library")
    assert log.flush(FLUSH_S)
    text = (tmp_path / FILE_NAME).read_text("utf-8")
    assert "unknown-to-the-redactor" not in text
    first = lines(tmp_path)[0]
    assert first["error"] == "RuntimeError: broken after 23"
    assert "test_logs.py" in first["frames"][-1]


def test_an_unregistered_name_is_written_and_marked(log: LogHandle, tmp_path: Path) -> None:
    """It is our bug, but a log line must not stop trading."""
    log_event("no.such_event", value=1)
    assert log.flush(FLUSH_S)
    (line,) = lines(tmp_path)
    assert (line["event"], line["level"], line["is_unregistered"]) == (
        "no.such_event",
        "warning",
        True,
    )


def test_every_event_in_the_source_is_registered() -> None:
    """The first argument of log_event is a literal that EVENTS knows."""
    unknown = []
    for path in sorted((PACKAGES / "node").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            if call.func.id != "log_event" or not call.args:
                continue
            names = [name for name in literals(call.args[0]) if name not in EVENTS]
            unknown += [f"{path.name}:{call.lineno} {name}" for name in names]
    assert unknown == []


def test_every_registered_event_is_written_somewhere() -> None:
    """The reference page lists what a log may contain, not what somebody once planned."""
    packages = ("alerts", "election", "exchange", "node", "strategy")
    sources = (path for name in packages for path in (PACKAGES / name).rglob("*.py"))
    table = PACKAGES / "node" / "events.py"
    text = "\n".join(path.read_text("utf-8") for path in sources if path != table)
    assert [name for name in EVENTS if f'"{name}"' not in text] == []


def literals(node: ast.expr) -> list[str]:
    """The literal texts that an expression may be."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return literals(node.body) + literals(node.orelse)
    return []


def test_event_names_are_dotted_lower_case() -> None:
    """Names are constants that a filter can rely on."""
    for name, spec in EVENTS.items():
        assert name.count(".") == 1
        assert name == name.lower() == spec.name
        assert spec.doc.endswith(".")


def test_journald_gets_priorities(tmp_path: Path) -> None:
    """systemd reads <N> at the start of a line; the time is its own business."""
    console = io.StringIO()
    handle = setup_logs(
        LogConfig(),
        directory=None,
        secret_values=[],
        environ={"JOURNAL_STREAM": "8:1"},
        stream=console,
    )
    log_event("order.unknown", symbol="BTC/USDT")
    handle.close()
    assert console.getvalue().startswith("<3>ERROR")
    assert handle.path is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.decimals(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_value_becomes_one_line(value: Any) -> None:
    """Whatever a field holds, the line is one line, valid JSON, and bounded."""
    line = Line(
        wall_s=0.0, level=Level.INFO, stream="s", event="e", context={}, fields={"v": value}
    )
    text = render_json(line, [])
    assert text.count("\n") == 1
    json.loads(text)
    assert render_human(line, [], has_priority=False).count("\n") == 1


class Nasty:
    """A value whose text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_value_without_text_and_a_huge_one_are_written() -> None:
    """A venue's HTML page or a broken object must not break or flood the log."""
    fields = {"nasty": Nasty(), "page": "x" * 100_000}
    line = Line(wall_s=0.0, level=Level.INFO, stream="s", event="e", context={}, fields=fields)
    found = json.loads(render_json(line, []))
    assert "Nasty" in found["nasty"]
    assert len(found["page"]) == TEXT_LIMIT


def test_the_file_is_rotated_and_capped(tmp_path: Path) -> None:
    """At most `kept` older files of at most the given size; nothing is lost before the oldest."""
    path = tmp_path / "x.jsonl"
    file = RotatingFile(path, max_bytes=100, kept=2)
    for number in range(40):
        file.write(f"{number:09d}\n")
    file.close()
    found = log_files(path)
    assert [p.name for p in found] == ["x.jsonl.2", "x.jsonl.1", "x.jsonl"]
    assert all(p.stat().st_size <= 100 for p in found)
    kept = [int(t) for p in found for t in p.read_text().split()]
    assert kept == list(range(40 - len(kept), 40))
    assert oct(path.stat().st_mode)[-3:] == "600"


def test_a_torn_line_of_a_killed_process_stands_alone(tmp_path: Path) -> None:
    """After a power cut the next line must be readable."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"b": ')
    file = RotatingFile(path, max_bytes=1000, kept=1)
    file.write('{"c": 3}\n')
    file.close()
    assert path.read_text().splitlines() == ['{"a": 1}', '{"b": ', '{"c": 3}']


class FullDisk:
    """A sink whose disk is full until somebody makes room."""

    def __init__(self) -> None:
        self.is_full = True
        self.attempts = 0
        self.texts: list[str] = []

    def write(self, text: str) -> None:
        """Fail as write(2) does."""
        self.attempts += 1
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.texts.append(text)

    def close(self) -> None:
        """Nothing to do."""


def test_a_full_disk_loses_lines_counts_them_and_recovers() -> None:
    """The other sink goes on; once there is room, the next line after a second is written, behind
    the count of the lost ones: a standby that logs a line an hour must not stay silent for days."""
    broken, healthy = FullDisk(), FullDisk()
    healthy.is_full = False
    now_s = [100.0]
    writer = LineWriter(
        (healthy, broken),
        describe_drop=lambda n, why, place: f"{n} {why} {place}",
        monotonic_s=lambda: now_s[0],
    )
    for number in range(10):
        writer.put((f"h{number}", f"b{number}"))
    assert writer.flush(FLUSH_S)
    assert (len(healthy.texts), writer.dropped, broken.attempts) == (10, 10, 1)
    broken.is_full = False
    now_s[0] += RETRY_S
    writer.put(("h", "takeover.finished"))
    assert writer.flush(FLUSH_S)
    writer.close(FLUSH_S)
    assert broken.texts[0].startswith("10 ")
    assert "No space left" in broken.texts[0]
    assert broken.texts[1:] == ["takeover.finished"]
    assert len(healthy.texts) == 11


def test_a_read_only_folder_does_not_stop_the_node(tmp_path: Path) -> None:
    """The JSON file cannot be made: people still see every line, the loss is counted."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    console = io.StringIO()
    handle = setup_logs(
        LogConfig(), directory=blocked, secret_values=[], environ={}, stream=console
    )
    log_event("node.ready")
    assert handle.flush(FLUSH_S)
    assert handle.dropped == 1
    handle.close()
    assert "node.ready" in console.getvalue()


def test_reading_back_filters_by_level_stream_event_symbol_and_time(
    log: LogHandle, tmp_path: Path
) -> None:
    """`nodectl logs` finds what was written, and passes over what is torn."""
    log_event("order.filled", symbol="BTC/USDT")
    log_event("order.unknown", symbol="ETH/USDT")
    log_event("lease.granted", epoch=3)
    log_event("reconcile.finished")
    assert log.flush(FLUSH_S)
    path = tmp_path / FILE_NAME
    with path.open("a") as file:
        file.write('{"torn": \n[1]\n')

    def found(**wanted: Any) -> list[str]:
        return [str(x["event"]) for x in LogFollower(path).poll() if LogFilter(**wanted).accepts(x)]

    everything = found()
    assert everything == ["order.filled", "order.unknown", "lease.granted", "reconcile.finished"]
    assert found(level=Level.INFO) == everything[:3]
    assert found(level=Level.ERROR) == ["order.unknown"]
    assert found(stream="trades", symbol="BTC/USDT") == ["order.filled"]
    assert found(event="order.") == everything[:2]
    assert found(since="2999") == []


def test_since_takes_spans_and_times() -> None:
    """10m, 2h, 1d and ISO times; nonsense is refused."""
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert parse_since("10m", now=now) == "2026-11-22T11:50:00.000Z"
    assert parse_since("1d", now=now) == "2026-11-21T12:00:00.000Z"
    assert parse_since("2026-11-22T11:00:00+01:00", now=now) == "2026-11-22T10:00:00.000Z"
    assert parse_since("", now=now) == ""
    with pytest.raises(ValueError, match="soon"):
        parse_since("soon", now=now)
