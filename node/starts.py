"""Starts that fail in a row: what counts, when a person is told of it, and in which words.

Pure. A node that cannot start (wrong configuration, missing secrets, a refused identity, a broken
environment) cannot say so, and its supervisor starts it again for ever. So the stop hook counts:
an end before READY is a failed start, `LIMIT` of them in a row are told once, and after that it is
quiet until a start has succeeded. An end that a person asked for is no failure.
"""

import json
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

# One failure is a store that boots later, two are bad luck. At a pace of a few seconds a person
# hears of it within a minute.
LIMIT = 3
# A message that does not leave is tried again after this, then twice as long, up to the most: the
# network of a box that has just booted comes after its services.
RETRY_S = 10.0
RETRY_S_MAX = 600.0
WORDS_MAX = 700
_FORMAT = 1
_ASKED_FOR = "success"  # systemd's word for an end that was asked for
_EXITS = {
    "1": "failed",
    "4": "configuration or secrets must be mended",
    "70": "a bug, or a broken installation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """Where a message goes; `api_url` is the Bot API's."""

    chat_id: int
    api_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one run of the process ended, as its supervisor says it.

    `result`, `code`, `status` are systemd's $SERVICE_RESULT, $EXIT_CODE, $EXIT_STATUS; `run_id`
    names this one run. `at_boottime_s` is CLOCK_BOOTTIME of `boot_id`; wall time is for people.
    """

    result: str
    code: str
    status: str
    run_id: str
    boot_id: str
    at_boottime_s: float
    at_wall_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBook:
    """What is remembered between two starts.

    `serial` grows with every change. `ready_of` is the run that reached READY last. `failed` counts
    in a row, since `since_wall_ms`. `is_told` ends the telling; `tries` of it failed, and the next
    is due at `next_try_s` (CLOCK_BOOTTIME of `boot_id`). `chat` is the last one that was good.
    """

    serial: int = 0
    ready_of: str = ""
    failed: int = 0
    since_wall_ms: int = 0
    is_told: bool = False
    tries: int = 0
    next_try_s: float = 0.0
    boot_id: str = ""
    chat: Chat | None = None


def note_ready(book: StartBook, *, run_id: str, chat: Chat | None) -> StartBook:
    """Return the book after a start that succeeded: nothing failed, and this chat is good."""
    return StartBook(serial=book.serial + 1, ready_of=run_id, chat=chat or book.chat)


def note_end(book: StartBook, ended: Ended) -> StartBook:
    """Return the book after the end of a run; the same one when that was no failed start."""
    if ended.result in {"", _ASKED_FOR} or book.ready_of == ended.run_id:
        return book
    if book.is_told:
        return book  # quiet from here on: no card is worn for a count that nobody reads
    return replace(
        book,
        serial=book.serial + 1,
        failed=book.failed + 1,
        since_wall_ms=book.since_wall_ms or ended.at_wall_ms,
    )


def is_due(book: StartBook, ended: Ended) -> bool:
    """Tell whether a message is to be sent now."""
    if book.is_told or book.failed < LIMIT:
        return False
    return book.boot_id != ended.boot_id or ended.at_boottime_s >= book.next_try_s


def note_try(book: StartBook, ended: Ended, *, was_told: bool, wait_s: float = 0.0) -> StartBook:
    """Return the book after an attempt to tell; `wait_s` is what the receiver asked for."""
    pause_s = max(wait_s, min(RETRY_S_MAX, RETRY_S * 2.0 ** min(book.tries, 10)))
    return replace(
        book,
        serial=book.serial + 1,
        is_told=was_told,
        tries=book.tries + 1,
        next_try_s=ended.at_boottime_s + pause_s,
        boot_id=ended.boot_id,
    )


def render_message(
    book: StartBook, ended: Ended, *, box: str, cluster: str, words: str, since: str
) -> str:
    """Return the message, verdict first; `words` must be without secrets already.

    Args:
        book: the count.
        ended: the last end.
        box: what people call the node.
        cluster: its cluster, empty when that cannot be read.
        words: what it said last, empty when nothing is known.
        since: the first failure, as people read it.
    """
    said = " ".join(words.split())
    said = said if len(said) <= WORDS_MAX else said[: WORDS_MAX - 1] + "…"
    return "\n".join(
        (
            f"🔴 Act: {box} cannot start" + (f" (cluster {cluster})" if cluster else ""),
            f"{book.failed} starts in a row failed since {since}; the last one {in_words(ended)}.",
            f"It said: {said}" if said else "It left no words; its log says more.",
            "What it means: this box is no spare and does not trade. It is started again for ever, "
            "and you hear of it once: nothing more comes until a start has succeeded.",
            "On that box: journalctl -u hotspare-node -n 50, then nodectl config check. "
            "Does the other one trade? nodectl status",
        )
    )


def in_words(ended: Ended) -> str:
    """Say how the last start ended."""
    match ended.result:
        case "timeout":
            return "was not ready in time"
        case "oom-kill":
            return "was killed because memory ran out"
        case "watchdog":
            return "hung"
        case "protocol":
            return "ended before it was ready"
        case _ if ended.code in {"killed", "dumped"}:
            return f"was ended by signal {ended.status or 'of unknown number'}"
        case _:
            meaning = _EXITS.get(ended.status, "")
            return f"ended with exit code {ended.status or 'unknown'}" + (
                f" ({meaning})" if meaning else ""
            )


def render_book(book: StartBook) -> str:
    """Return the book as JSON text."""
    chat = book.chat
    return json.dumps(
        {
            "v": _FORMAT,
            "serial": book.serial,
            "ready_of": book.ready_of,
            "failed": book.failed,
            "since_wall_ms": book.since_wall_ms,
            "is_told": book.is_told,
            "tries": book.tries,
            "next_try_s": book.next_try_s,
            "boot_id": book.boot_id,
            "chat": None if chat is None else {"chat_id": chat.chat_id, "api_url": chat.api_url},
        },
        indent=1,
    )


def parse_book(text: str) -> StartBook:
    """Parse what `render_book` wrote.

    Raises:
        ValueError: it is not that.
    """
    try:
        body = json.loads(text)
        if body["v"] != _FORMAT:
            raise ValueError(f"format {body['v']}, this release reads {_FORMAT}")
        return StartBook(
            serial=int(body["serial"]),
            ready_of=str(body["ready_of"]),
            failed=int(body["failed"]),
            since_wall_ms=int(body["since_wall_ms"]),
            is_told=bool(body["is_told"]),
            tries=max(0, int(body["tries"])),
            next_try_s=_finite(body["next_try_s"]),
            boot_id=str(body["boot_id"]),
            chat=_chat(body["chat"]),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a book of starts: {type(error).__name__} {error}") from None


def _chat(value: Any) -> Chat | None:
    if value is None:
        return None
    return Chat(chat_id=int(value["chat_id"]), api_url=str(value["api_url"]))


def _finite(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError("not a book of starts: a time without end")
    return number
