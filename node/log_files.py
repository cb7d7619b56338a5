"""Where log lines go: a capped, rotating file and a stream, through one bounded queue.

The writer thread keeps a stalled SD card or a full pipe out of the work loop. When a line cannot
be written it is counted, never raised: a full disk must not stop the node. Once writing works
again the count is written first.
"""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

QUEUE_LIMIT = 5000  # lines; at 300 bytes about 1.5 MB, minutes of a busy node
# A broken file is opened again that often: a count of lines would keep a quiet standby silent for
# hours after its disk has room again.
RETRY_S = 1.0


class LineSink(Protocol):
    """Something that takes finished lines."""

    def write(self, text: str) -> None:
        """Write one line. Raises OSError or ValueError when it cannot."""
        ...

    def close(self) -> None:
        """Flush and close; never raises."""
        ...


class StreamSink:
    """An open text stream such as standard error."""

    def __init__(self, stream: TextIO) -> None:
        """Keep the stream; it is not closed with the sink."""
        self._stream = stream

    def write(self, text: str) -> None:
        """Write and flush."""
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        """Flush only: the stream belongs to the process."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class RotatingFile:
    """A file of at most `max_bytes`, with `kept` older ones named .1 (newest) to .N."""

    def __init__(self, path: Path, *, max_bytes: int, kept: int) -> None:
        """Nothing is opened before the first line."""
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._descriptor: int | None = None
        self._size = 0

    def write(self, text: str) -> None:
        """Append one line, rotating first when it would not fit."""
        data = text.encode("utf-8")
        if self._descriptor is None:
            self._open()
        if self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        assert self._descriptor is not None
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            self.close()
            raise
        self._size += written
        if written < len(data):
            # the disk filled in the middle: end the half line, so that the next one is readable
            with contextlib.suppress(OSError):
                self._size += os.write(self._descriptor, b"\n")
            self.close()
            raise OSError(f"{self._path}: only {written} of {len(data)} bytes were written")

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size
        self._end_torn_line()

    def _end_torn_line(self) -> None:
        """A killed process may have left half a line; the next one must stand by itself."""
        if not self._size:
            return
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n" and self._descriptor is not None:
                self._size += os.write(self._descriptor, b"\n")

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept, 0, -1):
            older = self._numbered(number)
            if number == self._kept:
                older.unlink(missing_ok=True)
            elif older.exists():
                older.rename(self._numbered(number + 1))
        self._path.rename(self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


@dataclass(slots=True)
class _Broken:
    """Lines lost on one sink since it last worked."""

    dropped: int = 0
    reason: str = ""
    tried_s: float = 0.0


class LineWriter:
    """Hands lines to sinks from its own thread. `put` never blocks and never raises."""

    def __init__(
        self,
        sinks: tuple[LineSink, ...],
        *,
        describe_drop: Callable[[int, str, int], str],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread.

        Args:
            sinks: in the order of the texts given to `put`.
            describe_drop: makes the line that reports (count, reason, place of the sink).
            monotonic_s: tells when a broken sink may be tried again.
        """
        self._monotonic_s = monotonic_s
        self._sinks = sinks
        self._describe_drop = describe_drop
        self._broken = [_Broken() for _ in sinks]
        self._overflow = 0
        self._dropped_total = 0
        self._queue: queue.Queue[tuple[str, ...] | threading.Event | None] = queue.Queue(
            QUEUE_LIMIT
        )
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Lines that were lost on some sink since the start."""
        return self._dropped_total

    def put(self, texts: tuple[str, ...]) -> None:
        """Queue one text for each sink; counts it as lost when the queue is full."""
        try:
            self._queue.put_nowait(texts)
        except queue.Full:
            self._overflow += 1
            self._dropped_total += 1

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far was written or lost."""
        done = threading.Event()
        try:
            self._queue.put(done, timeout=timeout_s)
        except queue.Full:
            return False
        return done.wait(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Write what is queued, then end the thread; gives up after the timeout."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                break
            if isinstance(item, threading.Event):
                item.set()
                continue
            overflow, self._overflow = self._overflow, 0
            for place in range(len(self._sinks)):
                if overflow:
                    self._write(place, self._describe_drop(overflow, "too many lines", place))
                self._write(place, item[place])
        for sink in self._sinks:
            sink.close()

    def _write(self, place: int, text: str) -> None:
        state = self._broken[place]
        now_s = self._monotonic_s()
        if state.dropped and now_s - state.tried_s < RETRY_S:
            state.dropped += 1
            self._dropped_total += 1
            return
        try:
            if state.dropped:
                report = self._describe_drop(state.dropped, state.reason, place)
                self._sinks[place].write(report)
                state.dropped = 0
            self._sinks[place].write(text)
        except (OSError, ValueError) as error:
            state.tried_s = now_s
            state.dropped += 1
            state.reason = str(error)
            self._dropped_total += 1
