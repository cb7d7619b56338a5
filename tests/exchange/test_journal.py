"""The journal's values: transitions, documents, merge."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import IllegalTransition
from exchange.intents import (
    FINAL,
    TRANSITIONS,
    IntentEvent,
    IntentState,
    Stamp,
    step_intent,
)
from exchange.journal import TAKEOVERS_KEPT, Journal, merge
from exchange.journal_codec import Damage, parse_document
from exchange.model import Position
from exchange.positions import PositionRecord
from tests.support.journals import DEADLINE_MS, SYMBOL, make_id, make_record


@pytest.mark.parametrize(("state", "event"), list(product(IntentState, IntentEvent)), ids=str)
def test_every_pair_either_has_one_next_state_or_raises(
    state: IntentState, event: IntentEvent
) -> None:
    """The table is complete: what is not in it is our bug."""
    if (state, event) in TRANSITIONS:
        assert step_intent(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition):
            step_intent(state, event)


def test_nothing_leaves_a_final_state() -> None:
    """Final means that nothing can happen any more."""
    assert not [pair for pair in TRANSITIONS if pair[0] in FINAL]


def test_every_state_can_be_reached_and_every_unfinished_one_can_end() -> None:
    """No state is decoration, and none is a trap."""
    reached, grown = {IntentState.JOURNALLED}, True
    while grown:
        more = {after for (before, _), after in TRANSITIONS.items() if before in reached}
        grown = not more <= reached
        reached |= more
    assert reached == set(IntentState)
    for state in set(IntentState) - FINAL:
        assert any(after in FINAL for (before, _), after in TRANSITIONS.items() if before is state)


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (IntentState.UNKNOWN, IntentEvent.FIND, IntentState.OPEN),
        (IntentState.UNKNOWN, IntentEvent.MISS, IntentState.ABSENT),
        (IntentState.JOURNALLED, IntentEvent.LOSE, IntentState.UNKNOWN),
        (IntentState.OPEN, IntentEvent.LOSE, IntentState.UNKNOWN),
        (IntentState.SENT, IntentEvent.WITHHOLD, IntentState.NOT_SENT),
    ],
    ids=[
        "an unknown order is found open",
        "an unknown order is proven absent",
        "a dead writer's intent may have been sent",
        "a venue forgets an order it had shown",
        "the gateway proves that nothing left",
    ],
)
def test_transitions_that_really_happen(
    state: IntentState, event: IntentEvent, after: IntentState
) -> None:
    """The rows that one would rather forget."""
    assert step_intent(state, event) is after


# --- documents -------------------------------------------------------------------------------

RECORDS = st.builds(
    make_record,
    st.integers(0, 3),
    state=st.sampled_from(sorted(set(IntentState) - FINAL)),
    epoch=st.integers(1, 3),
    filled=st.sampled_from(["0", "0.25", "1"]),
    venue_order_id=st.sampled_from([None, "17"]),
)


def build_journal(steps: list[tuple[str, Any]]) -> tuple[Journal, list[dict[str, str]]]:
    """Apply edits one after the other; return the journal and the store after each."""
    journal, store = Journal(), dict[str, str]()
    history = [dict(store)]
    for kind, value in steps:
        epoch = max(journal.stamp.epoch, 1)
        match kind:
            case "put":
                edited = journal.edit(epoch=max(epoch, value.intent.epoch), intents=[value])
            case "close":
                ids = sorted(journal.intents)
                edited = journal.edit(epoch=epoch, closed=ids[value : value + 1])
            case "position":
                record = PositionRecord(
                    position=Position(symbol=SYMBOL, amount=Decimal(value)),
                    after_fill_id=str(value),
                )
                edited = journal.edit(epoch=epoch, positions=[record])
            case "state":
                edited = journal.edit(epoch=epoch, states={SYMBOL: {"n": value}})
            case _:
                edited = journal.edit(epoch=epoch + value, takeovers={epoch + value: {"why": "x"}})
        journal, change = edited
        store.update(change.puts)
        for key in change.deletes:
            store.pop(key, None)
        history.append(dict(store))
    return journal, history


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), RECORDS),
        st.tuples(st.just("close"), st.integers(0, 3)),
        st.tuples(st.just("position"), st.integers(0, 9)),
        st.tuples(st.just("state"), st.integers(0, 9)),
        st.tuples(st.just("takeover"), st.integers(0, 2)),
    ),
    max_size=12,
)


@given(STEPS)
def test_documents_written_are_the_journal(steps: list[tuple[str, Any]]) -> None:
    """What the changes leave in a store is what the journal says, byte for byte."""
    journal, history = build_journal(steps)
    assert history[-1] == journal.documents()
    assert {key: journal.document(key) for key in history[-1]} == history[-1]
    assert merge([("store", history[-1])]).journal.documents() == journal.documents()


@given(STEPS, st.data())
def test_older_copies_never_win(steps: list[tuple[str, Any]], data: st.DataObject) -> None:
    """Any older copies beside the newest change nothing: no trimmed intent comes back."""
    journal, history = build_journal(steps)
    older = data.draw(st.lists(st.sampled_from(history), max_size=3))
    sources = [(f"copy {n}", copy) for n, copy in enumerate([*older, history[-1]])]
    assert merge(sources).journal.documents() == journal.documents()


@given(STEPS, STEPS, st.randoms(use_true_random=False))
def test_merge_is_commutative_associative_and_idempotent(
    one: list[tuple[str, Any]], other: list[tuple[str, Any]], random: Random
) -> None:
    """The order of the copies, and how often each comes, do not matter."""
    copies = [*build_journal(one)[1], *build_journal(other)[1]]
    sources = [(f"copy {n}", copy) for n, copy in enumerate(copies)]
    whole = merge(sources)
    shuffled = [*sources, *sources]
    random.shuffle(shuffled)
    assert merge(shuffled).documents == whole.documents
    half = len(sources) // 2
    parts = [merge(sources[:half]).documents, merge(sources[half:]).documents]
    again = merge([("first half", parts[0]), ("second half", parts[1])])
    assert again.documents == whole.documents


@given(STEPS, st.data())
def test_merge_with_what_was_read_before_is_the_same(
    steps: list[tuple[str, Any]], data: st.DataObject
) -> None:
    _, history = build_journal(steps)
    before = merge([("store", data.draw(st.sampled_from(history)))])
    sources = [("store", history[-1]), ("own disk", data.draw(st.sampled_from(history)))]
    assert merge(sources, known=before.texts) == merge(sources)


def test_merge_does_not_read_a_known_text_again() -> None:
    _, change = Journal().edit(epoch=1, intents=[make_record(0)])
    ((key, text),) = change.puts.items()
    before = merge([("store", change.puts)])
    again = merge([("store", change.puts)], known=before.texts)
    assert again.journal.intents[make_id(0)] is before.texts[key, text]


def test_an_intent_closed_while_a_store_was_away_is_dropped_when_it_returns() -> None:
    """The position lists who was alive: an older copy of a trimmed intent is recognised."""
    journal, first = Journal().edit(epoch=1, intents=[make_record(0), make_record(1)])
    _, second = journal.edit(epoch=1, closed=[make_id(0)])
    stale = dict(first.puts)
    merged = merge([("store that was away", stale), ("store", {**second.puts})])
    assert merged.dropped == (make_id(0),)
    assert set(merged.journal.intents) == {make_id(1)}


def test_an_intent_newer_than_the_position_stays() -> None:
    """An intent journalled after the last position is alive although no list names it."""
    journal, first = Journal().edit(
        epoch=1, positions=[PositionRecord(position=Position(symbol=SYMBOL))]
    )
    _, second = journal.edit(epoch=1, intents=[make_record(0)])
    merged = merge([("store", {**first.puts, **second.puts})])
    assert set(merged.journal.intents) == {make_id(0)}


def test_closing_an_intent_puts_its_position_in_the_same_change() -> None:
    """Trimmed in the same write that updates the position."""
    journal, _ = Journal().edit(epoch=1, intents=[make_record(0)])
    after, change = journal.edit(epoch=1, closed=[make_id(0)])
    assert change.deletes == (f"intent:{make_id(0)}",)
    assert set(change.puts) == {f"position:{SYMBOL}"}
    assert not after.intents


def test_takeovers_beyond_the_last_fifty_are_deleted() -> None:
    """Everything has a bound."""
    journal = Journal()
    for epoch in range(1, TAKEOVERS_KEPT + 3):
        journal, change = journal.edit(epoch=epoch, takeovers={epoch: {"gap_s": 1}})
    assert len(journal.takeovers) == TAKEOVERS_KEPT
    assert min(journal.takeovers) == 3
    assert change.deletes == ("takeover:2",)


def test_an_older_epoch_cannot_edit() -> None:
    """A deposed holder must not overwrite its successor's journal."""
    journal, _ = Journal().edit(epoch=5, intents=[make_record(0)])
    with pytest.raises(ValueError, match="epoch 4"):
        journal.edit(epoch=4, intents=[make_record(1)])


def test_an_empty_edit_changes_nothing() -> None:
    """Nothing to say, nothing written."""
    journal, _ = Journal().edit(epoch=1, intents=[make_record(0)])
    after, change = journal.edit(epoch=2)
    assert after is journal
    assert change.is_empty


# --- damage ----------------------------------------------------------------------------------


def break_envelope(field: str, value: object) -> Callable[[str], str]:
    def change(text: str) -> str:
        envelope = json.loads(text)
        if value is None:
            del envelope[field]
        else:
            envelope[field] = value
        return json.dumps(envelope)

    return change


def break_body(field: str, value: object) -> Callable[[str], str]:
    def change(text: str) -> str:
        envelope = json.loads(text)
        envelope["body"][field] = value
        return json.dumps(envelope)

    return change


DAMAGES = {
    "is cut": lambda text: text[:-5],
    "is empty": lambda _text: "",
    "is a list": lambda _text: "[]",
    "is nested without end": lambda _text: "[" * 100_000,
    "has no body": break_envelope("body", None),
    "has no stamp": break_envelope("seq", None),
    "has a text for its epoch": break_envelope("epoch", "1"),
    "comes from a newer release": break_envelope("v", 2),
    "has a state nobody knows": break_body("state", "half sent"),
    "has a number for its amount": break_body("amount", 1.5),
    "has no amount": break_body("amount", "NaN"),
    "has an endless amount": break_body("filled", "Infinity"),
    "has a negative amount": break_body("amount", "-1"),
    "has a flag for its deadline": break_body("deadline_venue_ms", True),
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_document_is_reported_and_the_others_survive(
    change: Callable[[str], str],
) -> None:
    """Damage is not fatal: it is named with its source, and treated as absent."""
    _, written = Journal().edit(epoch=1, intents=[make_record(0), make_record(1)])
    key = f"intent:{make_id(0)}"
    damaged = {**written.puts, key: change(written.puts[key])}
    merged = merge([("store pi", damaged)])
    assert set(merged.journal.intents) == {make_id(1)}
    assert [(d.key, d.source) for d in merged.damages] == [(key, "store pi")]
    assert merged.damages[0].why
    whole = merge([("store pi", damaged), ("own disk", written.puts)])
    assert set(whole.journal.intents) == {make_id(0), make_id(1)}


def test_an_intent_under_a_name_that_is_no_id_is_damage() -> None:
    """Whose it is must be readable from its id."""
    _, written = Journal().edit(epoch=1, intents=[make_record(0)])
    (text,) = written.puts.values()
    assert isinstance(parse_document("intent:web_1", text, source="x"), Damage)


def test_other_keys_beside_the_journal_are_left_alone() -> None:
    """Control records are kept in the same file."""
    merged = merge([("own disk", {"control:pause": "{}", "thing": "x"})])
    assert not merged.damages
    assert not merged.documents


# --- drain (R10) -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "now_ms", "drain_ms"),
    [
        ([], DEADLINE_MS - 100, 0),
        ([IntentState.OPEN], DEADLINE_MS - 100, 0),
        ([IntentState.UNKNOWN, IntentState.OPEN], DEADLINE_MS - 100, 2100),
        ([IntentState.JOURNALLED], DEADLINE_MS - 100, 2100),
        ([IntentState.SENT], DEADLINE_MS + 1999, 1),
        ([IntentState.UNKNOWN], DEADLINE_MS + 2000, 0),
        ([IntentState.UNKNOWN], DEADLINE_MS + 9000, 0),
    ],
    ids=[
        "nothing was sent",
        "what was sent has its outcome",
        "an unknown one may still arrive",
        "a journalled one may have been sent",
        "one millisecond before the end",
        "at the end",
        "long after",
    ],
)
def test_drain_is_the_time_until_the_last_one_can_no_longer_arrive(
    states: list[IntentState], now_ms: int, drain_ms: int
) -> None:
    """R10: latest deadline plus effect tail of what was sent without outcome, else 0."""
    records = [make_record(n, state=state) for n, state in enumerate(states)]
    journal, _ = Journal().edit(epoch=1, intents=records)
    assert journal.drain_ms(now_venue_ms=now_ms, effect_tail_ms=2000) == drain_ms


def test_stamps_order_by_epoch_then_sequence() -> None:
    """A later epoch wins over any sequence of an earlier one."""
    assert Stamp(epoch=2, seq=1) > Stamp(epoch=1, seq=999) > Stamp(epoch=1, seq=998)
    journal, _ = Journal().edit(epoch=1, intents=[make_record(0)])
    journal, _ = journal.edit(epoch=3, intents=[replace(make_record(0), filled=Decimal(1))])
    assert journal.stamp == Stamp(epoch=3, seq=1)
