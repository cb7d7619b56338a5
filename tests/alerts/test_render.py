"""Messages: golden texts, and what holds for every message whatever the values are.

The golden texts are made anew by `python -m tests.alerts.golden_texts`; read them before a commit.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.changes import Row, RowState
from alerts.model import Kind, Verdict
from alerts.outbox import FACT_CHARS_MAX
from alerts.render import TEXT_UNITS_MAX, VERDICT_SIGN, cut, render_age, render_row, short_id
from alerts.words import WORDINGS, facts_of
from tests.alerts.builders import WALL_MS, build_event
from tests.alerts.golden_texts import GOLDEN, render_all
from tests.alerts.samples import FACTS, sample, special_rows
from tests.support.bot_api import parse_entities


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("name", sorted(render_all()))
def test_message_is_the_golden_text(name: str) -> None:
    """Each message reads as it was read and approved."""
    assert render_all()[name] == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_no_golden_text_is_left_over() -> None:
    """Each golden text belongs to a message that can still be sent."""
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(render_all())


@pytest.mark.parametrize("kind", list(Kind))
def test_sample_of_each_kind_uses_every_fact_of_its_wording(kind: Kind) -> None:
    """The examples show all lines, and no fact is spelled differently here and there."""
    unused = set(facts_of(WORDINGS[kind])) - set(FACTS[kind])
    assert unused <= {"reason", "type", "amount", "price", "side"}
    assert set(WORDINGS) == set(Kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_headline_fits_a_lock_screen(kind: Kind) -> None:
    """The first line starts with the verdict and is short with ordinary facts."""
    row = sample(kind)
    first = render_row(row, wall_ms=WALL_MS).plain.split("\n")[0]
    assert first.startswith(VERDICT_SIGN[row.event.verdict])
    assert len(first) <= 80


def test_takeover_message_says_everything_asked_for() -> None:
    """Who trades since when, the gap, why, position before and after, fills, orders kept,
    cancelled, unclear, protection at the venue, spare, cluster and epoch."""
    row = sample(Kind.TOOK_OVER)
    text = render_row(row, wall_ms=WALL_MS).plain
    for value in [*row.event.facts.values(), "raspberrypi", "2027-01-15 08:00:00 UTC"]:
        assert value.rstrip(".") in text
    assert "cluster test-home" in text
    assert "epoch 7" in text
    bare = render_row(special_rows()["took_over_facts_missing"][0], wall_ms=WALL_MS).plain
    assert bare.count("not known") >= 10


def test_repeat_is_marked_and_carries_the_id_of_the_first() -> None:
    """A message that may be the second one says so, with the same mark as the first."""
    first = sample(Kind.TOOK_OVER)
    mark = short_id(first.event.event_id)
    plain = render_row(first, wall_ms=WALL_MS).plain
    assert mark in plain
    assert "possibly sent before" not in plain
    for state in (RowState.MAYBE_SENT, RowState.RESENDING):
        again = render_row(Row(number=1, events=first.events, state=state), wall_ms=WALL_MS).plain
        assert f"possibly sent before, see {mark}" in again
    told = render_row(first, wall_ms=WALL_MS, is_possibly_told=True).plain
    assert "possibly sent before" in told


def test_fact_that_repeats_another_is_not_shown_twice() -> None:
    """A caller may give the same words under two names; people read them once."""
    event = build_event("e", Kind.DEGRADED, facts={"reason": "too hot", "detail": "too hot"})
    text = render_row(Row(number=1, events=(event,)), wall_ms=WALL_MS).plain
    assert text.count("too hot") == 1


@pytest.mark.parametrize(
    ("age_ms", "words"),
    [
        (119_999, ""),
        (120_000, "2 min ago"),
        (14 * 60_000, "14 min ago"),
        (119 * 60_000, "119 min ago"),
        (5 * 3_600_000, "5 h ago"),
        (3 * 86_400_000, "3 days ago"),
        (-60_000, ""),
    ],
)
def test_late_message_says_its_age_in_the_first_line(age_ms: int, words: str) -> None:
    """From two minutes on; a clock that went backwards makes no age."""
    first = render_row(sample(Kind.TOOK_OVER), wall_ms=WALL_MS + age_ms).plain.split("\n")[0]
    assert re.findall(r"\((.* ago)\)", first) == ([words] if words else [])


def test_age_is_not_guessed_when_the_clock_was_not_set() -> None:
    """An event of 1970 has no age."""
    row, _, _ = special_rows()["startup_clock_not_set"]
    assert "ago" not in render_row(row, wall_ms=WALL_MS).plain
    assert render_age(60_000) == "1 min ago"


texts = st.text(max_size=FACT_CHARS_MAX)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(list(Kind)),
    verdict=st.sampled_from(list(Verdict)),
    values=st.lists(
        st.one_of(
            texts,
            st.sampled_from(["<b>", "&amp;", "</b>", "{error}", "\ud800", "𝕏" * 700, "a\0\r\nb"]),
        ),
        max_size=12,
    ),
    extra=st.dictionaries(texts, texts, max_size=40),
    count=st.integers(1, 20),
    state=st.sampled_from([RowState.WAITING, RowState.SENDING, RowState.RESENDING]),
)
def test_any_message_can_be_sent(
    kind: Kind,
    verdict: Verdict,
    values: list[str],
    extra: dict[str, str],
    count: int,
    state: RowState,
) -> None:
    """Whatever the facts hold: the HTML is what Telegram parses, what is read is the plain
    text, it has at most 4096 characters, and its last line identifies it."""
    facts = extra | dict(zip(facts_of(WORDINGS[kind]), values, strict=False))
    events = tuple(
        build_event(f"e{n}", kind, verdict=verdict, facts=facts, collapse_key="k")
        for n in range(min(count, 6))
    )
    row = Row(number=1, events=events, count=count, state=state)
    message = render_row(row, wall_ms=WALL_MS, dropped=count - 1)
    message.plain.encode("utf-8")
    assert parse_entities(message.html) == message.plain
    assert 1 <= units(message.plain) <= TEXT_UNITS_MAX
    assert message.plain.split("\n")[-1].endswith(short_id("e0"))
    assert message.plain.startswith(VERDICT_SIGN[verdict])


@given(text=st.text(), size=st.integers(1, 40))
def test_cut_text_fits_and_keeps_its_beginning(text: str, size: int) -> None:
    """Cutting never splits a character and says that it cut."""
    shown = cut(text, size)
    assert len(shown.encode("utf-16-le", "surrogatepass")) // 2 <= size
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))
