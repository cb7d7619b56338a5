"""What counts as a crash while trading, and when a node stays out until a person looked (R16)."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from node.crash_file import CrashDesk, read_book
from node.crashes import (
    KEPT,
    LIMIT,
    WINDOW_S,
    Crash,
    CrashBook,
    Death,
    clear_latch,
    describe_death,
    mark_told,
    note_crash,
    parse_book,
    render_book,
    why_not_counted,
)


def crash(number: int, at_s: float, *, boot: str = "b", why_not: str = "", how: str = "x") -> Crash:
    return Crash(
        nonce=f"{number:032x}",
        epoch=number,
        boot_id=boot,
        at_boottime_s=at_s,
        at_wall_ms=1_700_000_000_000 + number,
        how=how,
        why_not_counted=why_not,
    )


def book_of(*crashes: Crash) -> CrashBook:
    book = CrashBook()
    for each in crashes:
        book = note_crash(book, each)
    return book


@pytest.mark.parametrize(
    ("death", "counts"),
    [
        (Death(held_epoch=7), True),
        (Death(held_epoch=7, result="signal", code="killed", status="KILL"), True),
        (Death(held_epoch=7, was_fenced=True), True),
        (Death(held_epoch=7, was_fenced=True, had_majority=False), False),
        (Death(held_epoch=7, had_majority=False), True),
        (Death(result="signal", code="killed", status="KILL"), False),
        (Death(), False),
    ],
    ids=[
        "unknown",
        "killed",
        "fenced: it hung",
        "fenced: the network was ill",
        "killed while the network was ill",
        "a standby",
        "nothing known",
    ],
)
def test_what_counts(death: Death, *, counts: bool) -> None:
    """Only a death while it held; a kill by the fence without a majority is the network's."""
    assert (why_not_counted(death) == "") is counts


@pytest.mark.parametrize(
    ("death", "words"),
    [
        (Death(was_fenced=True), "kernel fence"),
        (Death(result="watchdog", code="dumped", status="ABRT"), "watchdog"),
        (Death(result="oom-kill", code="killed", status="KILL"), "memory ran out"),
        (Death(result="timeout", code="killed", status="KILL"), "asked to"),
        (Death(result="signal", code="killed", status="SEGV"), "signal SEGV"),
        (Death(result="exit-code", code="exited", status="1"), "exit code 1"),
        (Death(), "without a word"),
    ],
)
def test_a_death_is_described_by_what_is_known(death: Death, words: str) -> None:
    """From systemd's three variables and the fence note; from neither if there is neither."""
    assert words in describe_death(death)


@pytest.mark.parametrize(
    ("times_s", "latches"),
    [
        ((0, 1, 2), True),
        ((0, WINDOW_S / 2, WINDOW_S), True),
        ((0, WINDOW_S / 2, WINDOW_S + 1), False),
        ((0, 1), False),
        ((0, WINDOW_S, WINDOW_S + 1, WINDOW_S + 2), True),
    ],
)
def test_the_third_within_the_window_latches(times_s: tuple[float, ...], *, latches: bool) -> None:
    """Three within ten minutes, to the second; two or a longer time do not."""
    book = book_of(*(crash(n, at_s) for n, at_s in enumerate(times_s, start=1)))
    assert (book.latch is not None) is latches


def test_what_does_not_count_latches_nothing() -> None:
    """An ill network kills a hundred times: the node stays eligible."""
    book = book_of(*(crash(n, n, why_not="network") for n in range(1, 100)))
    assert book.latch is None
    assert len(book.crashes) == KEPT


def test_crashes_of_another_boot_do_not_count_together() -> None:
    """A power cut is no crash, and its clock begins at zero again."""
    book = book_of(crash(1, 100), crash(2, 110), crash(3, 120, boot="c"))
    assert book.latch is None


def test_one_process_is_one_crash() -> None:
    """Its own words, its hook's and the next start's are one note; the first finder knows best."""
    own = Crash(**{**_fields(crash(1, 5)), "signature": "KeyError at node/x.py:f", "how": "raised"})
    book = book_of(own, crash(1, 6, how="exit code 1"), crash(1, 9, how="exit code 1"))
    (found,) = book.crashes
    assert (found.how, found.signature, found.at_boottime_s) == (
        "raised; exit code 1",
        "KeyError at node/x.py:f",
        5,
    )
    first = book_of(crash(1, 5, how="signal KILL"), crash(1, 9, how="by the fence"))
    assert first.crashes[0].how == "signal KILL"


def test_only_a_person_who_names_it_lifts_the_latch() -> None:
    """Another id changes nothing; what was looked at does not count again."""
    book = book_of(*(crash(n, n) for n in range(1, LIMIT + 1)))
    assert book.latch is not None
    assert clear_latch(book, "another") == book
    cleared = clear_latch(book, book.latch.latch_id)
    assert cleared.latch is None
    assert note_crash(cleared, crash(9, 9)).latch is None
    again = cleared
    for number in range(9, 9 + LIMIT):
        again = note_crash(again, crash(number, number))
    assert again.latch is not None
    assert again.latch.latch_id != book.latch.latch_id


def test_a_latch_stays_whatever_happens_next() -> None:
    """Neither time nor another crash nor another boot lifts it."""
    book = book_of(*(crash(n, n) for n in range(1, LIMIT + 1)))
    later = note_crash(book, crash(50, WINDOW_S * 100, boot="c"))
    assert later.latch == book.latch


def test_the_book_survives_being_written_down() -> None:
    """And what is none is refused."""
    book = mark_told(book_of(*(crash(n, n) for n in range(1, LIMIT + 1))))
    assert parse_book(render_book(book)) == book
    assert book.untold() == ()
    for text in ("", "{}", "[]", '{"v": 2, "latch": null, "crashes": []}', '{"v": 1}'):
        with pytest.raises(ValueError, match=r"format|book|char|Expecting"):
            parse_book(text)


def test_a_desk_keeps_its_book_on_disk(tmp_path: Path) -> None:
    """The next process, and the hook, read what this one wrote; damage counts as empty."""
    desk = CrashDesk(tmp_path)
    for number in range(1, LIMIT + 1):
        desk.note(crash(number, number))
    desk.mark_told()
    other = CrashDesk(tmp_path)
    assert other.book == desk.book
    assert other.book.latch is not None
    other.clear(other.book.latch.latch_id)
    assert read_book(tmp_path).latch is None
    (tmp_path / "crashes.json").write_text("garbage")
    assert read_book(tmp_path) == CrashBook()


def test_a_full_disk_costs_a_count_and_nothing_else(tmp_path: Path) -> None:
    """The latch still holds in this process."""
    desk = CrashDesk(tmp_path / "missing")
    for number in range(1, LIMIT + 1):
        desk.note(crash(number, number))
    assert desk.book.latch is not None


def test_order_of_finders_does_not_matter_for_the_count() -> None:
    """Three deaths, each found twice, in any order: one latch."""
    found = [crash(1, 1), crash(2, 2), crash(3, 3), crash(1, 1), crash(2, 2), crash(3, 3)]
    for order in itertools.permutations(found):
        assert (book_of(*order).latch is not None) is True


def _fields(value: Crash) -> dict[str, Any]:
    return {name: getattr(value, name) for name in Crash.__slots__}
