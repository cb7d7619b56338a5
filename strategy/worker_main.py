"""The worker process: `python -m strategy.worker_main PARENT_PID MEMORY_LIMIT_MB`.

Reads one JSON object per line on stdin and answers each with one line on what was stdout. The
strategy's own prints are captured. It ends when stdin ends, and by signal when its parent dies.

Requests: {"op":"load","file","text"}, {"op":"decide","market","portfolio","state"} and, for
`nodectl strategy check`, {"op":"replay",...}. Answers: {"ok":...,"output":text} or
{"kind":skip kind,"reason":text,"where":"file:line","output":text}; `is_spent` asks the node for
a new worker. An `id` in a request is given back with its answer.
"""

import contextlib
import io
import linecache
import os
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from strategy import codec
from strategy.errors import AnswerBroken, DecisionNonsense
from strategy.guard import (
    follow_parent,
    give_way_when_memory_ends,
    install_guard,
    limit_resources,
)
from strategy.model import Decision, Evidence, Market, Portfolio, SkipKind
from strategy.process import ANSWER_BYTES_MAX
from strategy.replay import Decide, answer_replay
from strategy.validation import check_decision, shorten

MODULE_NAME = "strategy_file"
OUTPUT_CHARS_MAX = 2000
REASON_CHARS_MAX = 500


class BoundedText(io.TextIOBase):
    """What the strategy printed, up to a bound; the rest is counted, not kept."""

    def __init__(self) -> None:
        """Start empty."""
        self._parts: list[str] = []
        self._room = OUTPUT_CHARS_MAX
        self._dropped = 0

    def writable(self) -> bool:
        """Text can be written."""
        return True

    def write(self, text: str) -> int:
        """Keep what fits."""
        kept = text[: self._room]
        if kept:
            self._parts.append(kept)
            self._room -= len(kept)
        self._dropped += len(text) - len(kept)
        return len(text)

    def text(self) -> str:
        """Return what was kept, with a note on what was not."""
        tail = f"… and {self._dropped} more characters" if self._dropped else ""
        return "".join(self._parts) + tail


class Session:
    """One loaded strategy, asked line by line."""

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        # True after memory ran out: what was half done then may never be freed.
        self.is_spent = False
        self._decide: Decide | None = None
        self._file = ""

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request; whatever the strategy does becomes an answer."""
        captured = BoundedText()
        with contextlib.redirect_stdout(captured), contextlib.redirect_stderr(captured):
            answer = self._answer_guarded(request)
        given = {"id": request.get("id"), "output": captured.text(), "is_spent": self.is_spent}
        return {**answer, **given}

    def _answer_guarded(self, request: Mapping[str, Any]) -> dict[str, Any]:
        # BaseException: SystemExit and KeyboardInterrupt raised by a strategy are its failures
        # too, and must be told with their line like any other.
        try:
            return {"ok": self._dispatch(request)}
        except DecisionNonsense as error:
            return _skip(SkipKind.NONSENSE, str(error), self._file_line_of_decide())
        except BaseException as error:  # noqa: BLE001  (see above)
            self.is_spent = isinstance(error, MemoryError)
            return _skip(SkipKind.EXCEPTION, describe(error), find_line(error, self._file))

    def _dispatch(self, request: Mapping[str, Any]) -> Any:
        match request.get("op"):
            case "load":
                return self._load(str(request["file"]), str(request["text"]))
            case "decide":
                return self._ask(request)
            case "replay":
                return self._replay(request)
            case other:
                raise AnswerBroken(f"unknown request {other!r}")

    def _load(self, file: str, text: str) -> bool:
        self._file = file
        # Tracebacks show the lines that were loaded, also if the file has changed since.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        module = types.ModuleType(MODULE_NAME)
        module.__file__ = file
        sys.modules[MODULE_NAME] = module  # dataclasses look their module up
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102  (what the worker is for)
        decide = getattr(module, "decide", None)
        if not callable(decide):
            raise DecisionNonsense("the file has no function decide()")
        self._decide = decide
        return True

    def _loaded(self) -> Decide:
        if self._decide is None:
            raise AnswerBroken("asked before anything was loaded")
        return self._decide

    def _ask(self, request: Mapping[str, Any]) -> Any:
        market: Market = codec.parse_market(request["market"])
        portfolio: Portfolio = codec.parse_portfolio(request["portfolio"])
        decision = ask(self._loaded(), market, portfolio, request["state"])
        return codec.encode_decision(decision)

    def _replay(self, request: Mapping[str, Any]) -> Any:
        decide, slowest_s = self._loaded(), 0.0

        def timed(market: Market, portfolio: Portfolio, state: Mapping[str, Any]) -> Decision:
            nonlocal slowest_s
            started_s = time.perf_counter()
            decision = ask(decide, market, portfolio, state)
            slowest_s = max(slowest_s, time.perf_counter() - started_s)
            return decision

        report = answer_replay(timed, request)
        return {"report": report, "slowest_ms": round(slowest_s * 1000, 1)}

    def _file_line_of_decide(self) -> str:
        code = getattr(self._decide, "__code__", None)
        return f"{self._file}:{code.co_firstlineno}" if code else self._file


def ask(
    decide: Decide,
    market: Market,
    portfolio: Portfolio,
    state: Mapping[str, Any],
) -> Decision:
    """Call `decide()` and return its decision with long texts cut; raises DecisionNonsense."""
    decision = decide(market, portfolio, state)
    problems = check_decision(decision)
    if problems:
        raise DecisionNonsense("; ".join(problems[:5]))
    evidence = tuple(
        Evidence(
            condition=shorten(item.condition),
            value=shorten(item.value),
            threshold=shorten(item.threshold),
            has_fired=item.has_fired,
        )
        for item in decision.evidence
    )
    return replace(decision, evidence=evidence, reason=shorten(decision.reason))


def describe(error: BaseException) -> str:
    """Return an exception as one bounded line."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return " ".join(text.split())[:REASON_CHARS_MAX]


def find_line(error: BaseException, file: str) -> str:
    """Return `file:line` of the innermost frame in the strategy's file, else an empty text."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"{file}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return f"{file}:{lines[-1]}" if lines else ""


def _skip(kind: SkipKind, reason: str, where: str) -> dict[str, Any]:
    return {"kind": kind.value, "reason": reason, "where": where}


def encode_answer(answer: Mapping[str, Any]) -> bytes:
    """Return the line of an answer, replaced by a refusal when it is too large."""
    line = codec.encode_line(answer)
    if len(line) <= ANSWER_BYTES_MAX:
        return line
    reason = f"the decision has {len(line)} bytes, the limit is {ANSWER_BYTES_MAX}"
    return codec.encode_line({**_skip(SkipKind.NONSENSE, reason, ""), "id": answer.get("id")})


def serve(requests: Iterator[bytes], answers: BinaryIO) -> None:
    """Answer until the requests end."""
    session = Session()
    for line in requests:
        answers.write(encode_answer(session.answer(codec.parse_line(line))))
        answers.flush()


def take_stdout() -> BinaryIO:
    """Return the pipe of the answers, and send file descriptor 1 to stderr.

    Also C code that prints then cannot write into the answers.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def main(arguments: list[str]) -> int:
    """Run the worker until its stdin ends."""
    parent_pid, memory_limit_mb = (int(argument) for argument in arguments)
    follow_parent(parent_pid)
    answers = take_stdout()
    steps: tuple[Callable[[], None], ...] = (
        give_way_when_memory_ends,
        lambda: limit_resources(memory_limit_mb),
        install_guard,
    )
    for step in steps:
        step()
    serve(iter(sys.stdin.buffer.readline, b""), answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
