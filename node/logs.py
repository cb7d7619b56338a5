"""Setting up the log: loguru hands every event to people (stderr) and to a JSON file.

`log_event("lease.granted", epoch=5)` is the only way to write; the name must be in EVENTS. What
loguru gets from elsewhere becomes `log.message`. No traceback ever shows the values of variables.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

from node.config_model import LogConfig
from node.events import EVENTS, EventSpec, Level
from node.log_files import LineSink, LineWriter, RotatingFile, StreamSink
from node.log_lines import (
    CONTEXT_FIELDS,
    Line,
    describe_traceback,
    render_human,
    render_json,
)

if TYPE_CHECKING:
    from loguru import Message, Record

FILE_NAME = "node.jsonl"
MEGABYTE = 1_000_000
FLUSH_S = 2.0  # a log that does not get rid of its last lines in this time is on a dead disk
UNNAMED = "log.message"
_LEVELS = {
    "TRACE": Level.DEBUG,
    "DEBUG": Level.DEBUG,
    "INFO": Level.INFO,
    "SUCCESS": Level.INFO,
    "WARNING": Level.WARNING,
    "ERROR": Level.ERROR,
    "CRITICAL": Level.ERROR,
}


Listener = Callable[[str, Mapping[str, Any]], None]
# Who is told of every event instead of loguru; only a simulation has one. It hears its own context
# and what was begun in it, not other threads of the process.
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def events_to(listener: Listener) -> Iterator[None]:
    """Hand every event of this context to `listener` and to nobody else, for a while."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def log_event(name: str, /, **fields: Any) -> None:
    """Write one event with its fields.

    A field that is an exception becomes its type and message; `error=` also gives the frames,
    at level error. A name that is not in EVENTS is our own bug: it is written as a warning and
    marked, because a log line must not stop trading.
    """
    listener = _listener.get()
    if listener is not None:
        listener(name, fields)
        return
    spec = EVENTS.get(name)
    extra: dict[str, Any] = {"event": name, "fields": fields}
    error = fields.get("error")
    if isinstance(error, BaseException) and spec is not None and spec.level is Level.ERROR:
        extra["fields"] = {**fields, "frames": describe_traceback(error)}
    if spec is None:
        extra["fields"] = {**fields, "is_unregistered": True}
    level = spec.level if spec is not None else Level.WARNING
    logger.bind(**extra).log(level.upper(), "{}", name)


class LogHandle:
    """The running log of this process; close it last."""

    def __init__(
        self, writer: LineWriter, *, sink_id: int, path: Path | None, context: dict[str, Any]
    ) -> None:
        """Keep the thread, loguru's number of the sink, and what every line carries."""
        self._writer = writer
        self._sink_id = sink_id
        self._context = context
        self.path = path

    def set_context(self, **context: Any) -> None:
        """Bind node, epoch or role to every following line of this process, from any thread."""
        unknown = set(context) - set(CONTEXT_FIELDS)
        assert not unknown, f"no such context: {unknown}"
        self._context.update(context)

    @property
    def dropped(self) -> int:
        """Lines that could not be written since the start."""
        return self._writer.dropped

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until everything so far was written; False when it took too long."""
        return self._writer.flush(timeout_s)

    def close(self) -> None:
        """Write what is queued and stop."""
        logger.remove(self._sink_id)
        self._writer.close(FLUSH_S)


def setup_logs(
    config: LogConfig,
    *,
    directory: Path | None,
    secret_values: Iterable[str],
    environ: Mapping[str, str],
    stream: TextIO | None = None,
    **context: Any,
) -> LogHandle:
    """Replace loguru's default sink by ours.

    Args:
        config: level and sizes.
        directory: where `node.jsonl` goes; None writes no file.
        secret_values: never appear in any line.
        environ: `JOURNAL_STREAM` in it means that standard error goes to journald.
        stream: instead of standard error.
        context: first values of node, epoch and role.
    """
    secrets = tuple(secret_values)
    bound = {name: context[name] for name in CONTEXT_FIELDS if name in context}
    is_journal = "JOURNAL_STREAM" in environ
    sinks: list[LineSink] = [StreamSink(stream if stream is not None else sys.stderr)]
    path = None if directory is None else directory / FILE_NAME
    if path is not None:
        size = config.max_file_mb * MEGABYTE
        sinks.append(RotatingFile(path, max_bytes=size, kept=config.kept_files))

    def render(line: Line) -> tuple[str, ...]:
        human = render_human(line, secrets, has_priority=is_journal)
        return (human,) if path is None else (human, render_json(line, secrets))

    def describe_drop(count: int, reason: str, place: int) -> str:
        spec = EVENTS["log.dropped"]
        fields = {"lines": count, "reason": reason}
        return render(_line_of(spec, time.time(), dict(bound), fields))[place]

    writer = LineWriter(tuple(sinks), describe_drop=describe_drop)
    logger.remove()

    def sink(message: "Message") -> None:
        writer.put(render(_line_from(message.record, dict(bound))))

    sink_id = logger.add(
        sink,
        level=config.level.upper(),
        format="{message}",
        backtrace=False,
        diagnose=False,
        catch=True,
    )
    return LogHandle(writer, sink_id=sink_id, path=path, context=bound)


def _line_of(
    spec: EventSpec, wall_s: float, context: Mapping[str, Any], fields: Mapping[str, Any]
) -> Line:
    return Line(
        wall_s=wall_s,
        level=spec.level,
        stream=spec.stream,
        event=spec.name,
        context=context,
        fields=fields,
    )


def _line_from(record: "Record", context: Mapping[str, Any]) -> Line:
    """Turn loguru's record into a line; a line without our event is a library's."""
    extra = record["extra"]
    name = extra.get("event", UNNAMED)
    fields = dict(extra.get("fields", {}))
    if "event" not in extra:
        fields["message"] = record["message"]
        fields["logger"] = record["name"] or ""
    if record["exception"] is not None and record["exception"].value is not None:
        fields["error"] = record["exception"].value
    spec = EVENTS.get(name, EVENTS[UNNAMED])
    return Line(
        wall_s=record["time"].timestamp(),
        level=_LEVELS.get(record["level"].name, Level.INFO),
        stream=spec.stream,
        event=name,
        context=context,
        fields=fields,
    )
