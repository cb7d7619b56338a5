"""Starts that fail in a row: what counts, when it is told, how often it is tried."""

from dataclasses import replace

import pytest

from node.starts import (
    LIMIT,
    RETRY_S,
    RETRY_S_MAX,
    Chat,
    Ended,
    StartBook,
    in_words,
    is_due,
    note_end,
    note_ready,
    note_try,
    parse_book,
    render_book,
    render_message,
)

CHAT = Chat(chat_id=42, api_url="https://api.telegram.org")
FAILED = Ended(
    result="exit-code",
    code="exited",
    status="4",
    run_id="run-9",
    boot_id="boot-1",
    at_boottime_s=100.0,
    at_wall_ms=1_800_000_000_000,
)


def after(count: int, book: StartBook | None = None) -> StartBook:
    book = book or StartBook()
    for number in range(count):
        book = note_end(book, replace(FAILED, run_id=f"run-{number}"))
    return book


@pytest.mark.parametrize("count", range(LIMIT))
def test_few_failures_are_not_told(count: int) -> None:
    assert not is_due(after(count), FAILED)


def test_the_last_of_the_limit_is_told_at_once() -> None:
    book = after(LIMIT)
    assert (book.failed, book.since_wall_ms, is_due(book, FAILED)) == (
        LIMIT,
        FAILED.at_wall_ms,
        True,
    )


@pytest.mark.parametrize("result", ["success", ""])
def test_an_end_that_was_asked_for_or_that_nobody_explains_changes_nothing(result: str) -> None:
    """A person's `systemctl stop` of a node that hangs at its start; a hook run by hand."""
    book = after(2)
    assert note_end(book, replace(FAILED, result=result)) == book


def test_the_end_of_a_run_that_was_ready_is_no_failed_start() -> None:
    """A crash while trading has its own book and its own message."""
    book = note_ready(StartBook(), run_id="run-9", chat=CHAT)
    assert note_end(book, FAILED) == book


def test_a_start_that_succeeds_ends_the_count_and_remembers_the_chat() -> None:
    book = note_ready(note_try(after(LIMIT), FAILED, was_told=True), run_id="run-10", chat=CHAT)
    assert (book.failed, book.is_told, book.chat) == (0, False, CHAT)
    assert is_due(after(LIMIT, book), FAILED)
    assert note_ready(book, run_id="run-11", chat=None).chat == CHAT


def test_what_was_told_is_not_told_again_and_wears_no_card() -> None:
    """Quiet until a start succeeded: not even the count is written."""
    told = note_try(after(LIMIT), FAILED, was_told=True)
    assert note_end(told, replace(FAILED, run_id="later")) == told
    assert not is_due(told, replace(FAILED, at_boottime_s=1e9))


def test_a_message_that_did_not_leave_is_tried_later_and_later() -> None:
    book = note_try(after(LIMIT), FAILED, was_told=False)
    early = replace(FAILED, at_boottime_s=100.0 + RETRY_S - 0.1)
    due = replace(FAILED, at_boottime_s=100.0 + RETRY_S)
    assert (is_due(book, early), is_due(book, due)) == (False, True)
    again = note_try(book, due, was_told=False)
    assert again.next_try_s == due.at_boottime_s + 2 * RETRY_S
    for _ in range(40):
        again = note_try(again, due, was_told=False)
    assert again.next_try_s == due.at_boottime_s + RETRY_S_MAX


def test_the_receivers_own_pause_is_kept() -> None:
    book = note_try(after(LIMIT), FAILED, was_told=False, wait_s=300.0)
    assert book.next_try_s == FAILED.at_boottime_s + 300.0


def test_another_boot_is_tried_at_once() -> None:
    """CLOCK_BOOTTIME began anew: the old instant means nothing."""
    book = note_try(after(LIMIT), FAILED, was_told=False)
    assert is_due(book, replace(FAILED, boot_id="boot-2", at_boottime_s=1.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "exit code 4 (configuration or secrets must be mended)"),
        ({"status": "203"}, "exit code 203"),
        ({"result": "timeout", "code": "killed", "status": "TERM"}, "was not ready in time"),
        ({"result": "signal", "code": "killed", "status": "KILL"}, "ended by signal KILL"),
        ({"result": "oom-kill", "code": "killed", "status": "KILL"}, "memory ran out"),
        ({"result": "watchdog", "code": "killed", "status": "ABRT"}, "hung"),
        ({"result": "protocol", "code": "exited", "status": "0"}, "before it was ready"),
    ],
)
def test_each_end_has_its_words(changes: dict[str, str], words: str) -> None:
    assert words in in_words(replace(FAILED, **changes))  # type: ignore[arg-type]


def test_the_message_says_verdict_first_and_bounds_what_was_said() -> None:
    text = render_message(
        after(LIMIT), FAILED, box="Jetson", cluster="prod-home", words="x" * 9000, since="noon"
    )
    assert text.splitlines()[0] == "🔴 Act: Jetson cannot start (cluster prod-home)"
    assert f"{LIMIT} starts in a row failed since noon" in text
    assert len(text) < 2000


def test_a_book_is_read_as_it_was_written() -> None:
    book = note_try(note_ready(after(2), run_id="r", chat=CHAT), FAILED, was_told=False)
    assert parse_book(render_book(book)) == book
    assert parse_book(render_book(StartBook())) == StartBook()


NO_BOOKS = ["", "[]", "null", '{"v": 2}', '{"v": 1}']


@pytest.mark.parametrize("text", [*NO_BOOKS, render_book(StartBook()).replace("0.0", "1e999")])
def test_what_is_no_book_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_book(text)
