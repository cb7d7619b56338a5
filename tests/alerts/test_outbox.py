"""The outbox keeps, orders, collapses and drops as its rules say (table and property tests)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.changes import TRANSITIONS, Change, Row, RowInput, RowState, Stepped
from alerts.codec import parse_change, render_change
from alerts.errors import UnreadableRecord
from alerts.kinds import KIND_RULES, is_collapsing, is_info, is_protected
from alerts.model import AlertEvent, Kind, Verdict
from alerts.outbox import EVENTS_KEPT, FACTS_MAX, INFO_AGE_MS_MAX, Outbox
from tests.alerts.builders import WALL_MS, build_event


def put(outbox: Outbox, event: AlertEvent) -> tuple[Change, ...]:
    changes = outbox.plan_put(event)
    for change in changes:
        outbox.apply(change)
    return changes


def step(outbox: Outbox, number: int, *inputs: RowInput) -> None:
    for row_input in inputs:
        outbox.apply(Stepped(number=number, input=row_input))


def ids(outbox: Outbox) -> list[str]:
    return [row.event.event_id for row in outbox.rows]


def test_event_known_already_is_not_taken_again() -> None:
    """An event enters once: while it waits, after it was told, and after it was dropped."""
    outbox = Outbox()
    assert put(outbox, build_event("failover:7"))
    assert not put(outbox, build_event("failover:7"))
    step(outbox, 1, RowInput.START, RowInput.DELIVERED)
    assert not put(outbox, build_event("failover:7"))
    assert ids(outbox) == []


def test_ids_of_told_events_are_bounded() -> None:
    """The memory of told events is bounded, oldest forgotten first."""
    outbox = Outbox(rows_max=5, ids_max=5)
    for number in range(1, 8):
        put(outbox, build_event(f"e{number}"))
        step(outbox, number, RowInput.START, RowInput.DELIVERED)
    assert [outbox.knows(f"e{number}") for number in range(1, 8)] == [False] * 2 + [True] * 5


def test_repeats_with_one_collapse_key_become_one_row() -> None:
    """Unsent events of one collapse key are one message with a count, the newest shown."""
    outbox = Outbox()
    for number in range(20):
        put(outbox, build_event(f"e{number}", collapse_key="lost"))
    (row,) = outbox.rows
    assert (row.count, row.event.event_id, len(row.events)) == (20, "e19", EVENTS_KEPT)
    assert all(outbox.knows(f"e{number}") for number in range(20))


def test_row_in_flight_takes_no_more_repeats() -> None:
    """What is being sent has its words already; a repeat becomes a new row."""
    outbox = Outbox()
    put(outbox, build_event("a", collapse_key="k"))
    step(outbox, 1, RowInput.START)
    put(outbox, build_event("b", collapse_key="k"))
    assert ids(outbox) == ["a", "b"]


def test_role_change_with_a_collapse_key_stays_alone() -> None:
    """Role changes never collapse, whatever the caller asks for."""
    outbox = Outbox()
    for number in range(3):
        put(outbox, build_event(f"t{number}", Kind.TOOK_OVER, collapse_key="k"))
    assert ids(outbox) == ["t0", "t1", "t2"]


def test_event_with_the_key_of_a_role_change_does_not_hide_it() -> None:
    """Nothing joins the row of a protected event, even with its key (found by the property)."""
    outbox = Outbox()
    put(outbox, build_event("role", Kind.TOOK_OVER, collapse_key="k"))
    put(outbox, build_event("note", Kind.STARTUP, collapse_key="k"))
    assert ids(outbox) == ["role", "note"]


@pytest.mark.parametrize(
    ("age_ms", "kept"), [(INFO_AGE_MS_MAX, True), (INFO_AGE_MS_MAX + 1, False)]
)
def test_info_is_dropped_after_a_day_and_counted(age_ms: int, kept: bool) -> None:
    """Info older than 24 h is dropped with a count; everything else waits for ever."""
    outbox = Outbox()
    put(outbox, build_event("info", Kind.ORDER_FILLED, verdict=Verdict.NOTHING_TO_DO))
    put(outbox, build_event("warning", Kind.ORDER_UNKNOWN))
    put(outbox, build_event("role", Kind.TOOK_OVER, verdict=Verdict.NOTHING_TO_DO))
    for change in outbox.plan_expiry(WALL_MS + age_ms):
        outbox.apply(change)
    assert ids(outbox) == (["info"] if kept else []) + ["warning", "role"]
    assert outbox.dropped == (0 if kept else 1)
    assert outbox.knows("info")


def test_info_of_unknown_age_is_not_dropped() -> None:
    """A board that booted in 1970 must not lose its messages when its clock is set."""
    outbox = Outbox()
    put(outbox, build_event("i", Kind.STARTUP, verdict=Verdict.NOTHING_TO_DO, wall_ms=1000))
    assert outbox.plan_expiry(WALL_MS) == ()
    put(outbox, build_event("j", Kind.STARTUP, verdict=Verdict.NOTHING_TO_DO))
    assert outbox.plan_expiry(1000) == ()


def test_full_outbox_drops_info_first_then_others_never_role_changes() -> None:
    """When it is full, the oldest info goes, then the oldest other; role changes always enter."""
    outbox = Outbox(rows_max=3)
    put(outbox, build_event("warning"))
    put(outbox, build_event("info", Kind.ORDER_FILLED, verdict=Verdict.NOTHING_TO_DO))
    put(outbox, build_event("role1", Kind.TOOK_OVER))
    put(outbox, build_event("role2", Kind.TOOK_OVER))
    assert ids(outbox) == ["warning", "role1", "role2"]
    put(outbox, build_event("info2", Kind.ORDER_FILLED, verdict=Verdict.NOTHING_TO_DO))
    assert ids(outbox) == ["warning", "role1", "role2"]
    put(outbox, build_event("role3", Kind.GAVE_UP))
    put(outbox, build_event("role4", Kind.GAVE_UP))
    put(outbox, build_event("warning2"))
    assert ids(outbox) == ["role1", "role2", "role3", "role4"]
    assert outbox.dropped == 4


def test_row_after_restart_in_flight_may_have_been_sent() -> None:
    """A kill during an attempt leaves a doubt, and the doubt stays until it is delivered."""
    outbox = Outbox()
    put(outbox, build_event("a"))
    step(outbox, 1, RowInput.START)
    for change in outbox.plan_restart():
        outbox.apply(change)
    step(outbox, 1, RowInput.START, RowInput.NOT_SENT)
    (row,) = outbox.rows
    assert row.is_possibly_sent
    assert row.attempt == 2


def test_refused_row_is_kept_for_the_status_page() -> None:
    """A text that was refused for good leaves the queue with its reason."""
    outbox = Outbox()
    put(outbox, build_event("a"))
    step(outbox, 1, RowInput.START)
    outbox.apply(Stepped(number=1, input=RowInput.REFUSED, reason="message is empty"))
    assert ids(outbox) == []
    assert [(row.state, row.reason) for row in outbox.dead] == [(RowState.DEAD, "message is empty")]


@pytest.mark.parametrize("state", list(RowState))
@pytest.mark.parametrize("row_input", list(RowInput))
def test_input_that_does_not_fit_changes_nothing(state: RowState, row_input: RowInput) -> None:
    """Whatever is not in the table raises and leaves the row as it was."""
    if (state, row_input) in TRANSITIONS or state in {RowState.SENT, RowState.DEAD}:
        return
    outbox = Outbox()
    put(outbox, build_event("a"))
    paths: dict[RowState, list[RowInput]] = {
        RowState.WAITING: [],
        RowState.SENDING: [RowInput.START],
        RowState.MAYBE_SENT: [RowInput.START, RowInput.ANSWER_LOST],
        RowState.RESENDING: [RowInput.START, RowInput.ANSWER_LOST, RowInput.START],
    }
    step(outbox, 1, *paths[state])
    before = outbox.rows
    with pytest.raises(ValueError, match="not fit for"):
        step(outbox, 1, row_input)
    assert outbox.rows == before


def test_address_is_followed_through_moves_and_never_in_a_circle() -> None:
    """A chat may move twice, and back; the address in use is always found."""
    from alerts.changes import Rerouted  # noqa: PLC0415 - used by this case alone

    outbox = Outbox()
    assert outbox.address_for("-1") == "-1"
    outbox.apply(Rerouted(old_address="-1", new_address="-2"))
    outbox.apply(Rerouted(old_address="-2", new_address="-3"))
    assert outbox.address_for("-1") == "-3"
    outbox.apply(Rerouted(old_address="-3", new_address="-1"))
    assert outbox.address_for("-3") == "-1"


def test_huge_facts_are_cut() -> None:
    """One event has a bounded size on disk."""
    outbox = Outbox()
    put(outbox, build_event("a", facts={f"f{n}": "x" * 10_000 for n in range(100)}))
    (row,) = outbox.rows
    assert len(row.event.facts) == FACTS_MAX
    assert max(map(len, row.event.facts.values())) <= 1500


def test_every_kind_has_a_rule() -> None:
    """The table of kinds is complete, and takeovers are protected."""
    assert set(KIND_RULES) == set(Kind)
    for kind in (Kind.TOOK_OVER, Kind.GAVE_UP, Kind.NOBODY_TRADES, Kind.BOTH_WERE_OFF):
        assert KIND_RULES[kind].is_protected


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "1", '{"type":"added"}', '{"type":"news"}', '{"type":"row","events":[]}'],
)
def test_damaged_line_is_refused(line: str) -> None:
    """What is not a record is never guessed at."""
    with pytest.raises(UnreadableRecord):
        parse_change(line)


# --- properties ---------------------------------------------------------------------------------

events = st.builds(
    build_event,
    event_id=st.integers(0, 30).map("e{}".format),
    kind=st.sampled_from(list(Kind)),
    verdict=st.sampled_from(list(Verdict)),
    wall_ms=st.integers(WALL_MS - 2 * INFO_AGE_MS_MAX, WALL_MS),
    facts=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    collapse_key=st.sampled_from(["", "", "a", "b"]),
)
actions = st.lists(
    st.one_of(
        events,
        st.sampled_from(
            [
                RowInput.DELIVERED,
                RowInput.NOT_SENT,
                RowInput.ANSWER_LOST,
                RowInput.REFUSED,
                "expire",
            ]
        ),
    ),
    max_size=60,
)


def drive(
    outbox: Outbox, script: list[AlertEvent | RowInput | str]
) -> tuple[list[Change], list[AlertEvent], list[Row], list[Row]]:
    """Play the script; returns the changes, the events taken in, rows told, rows refused."""
    changes: list[Change] = []
    taken: list[AlertEvent] = []
    told: list[Row] = []
    refused: list[Row] = []

    def commit(*made: Change) -> None:
        for change in made:
            changes.append(change)
            outbox.apply(change)

    for action in script:
        match action:
            case AlertEvent():
                made = outbox.plan_put(action)
                commit(*made)
                taken += [action] * bool(made)
            case RowInput() if outbox.rows:
                row = outbox.rows[0]
                commit(Stepped(number=row.number, input=RowInput.START))
                commit(Stepped(number=row.number, input=action))
                told += [row] * (action is RowInput.DELIVERED)
                refused += [row] * (action is RowInput.REFUSED)
            case "expire":
                commit(*outbox.plan_expiry(WALL_MS))
            case _:
                pass
    return changes, taken, told, refused


@settings(max_examples=150, deadline=None)
@given(script=actions, rows_max=st.integers(1, 12))
def test_nothing_is_lost_doubled_or_reordered(
    script: list[AlertEvent | RowInput | str], rows_max: int
) -> None:
    """Every event taken in is told, refused, waiting or counted as dropped, exactly once;
    what does not collapse is told in the order in which it came; protected ones are never
    dropped."""
    outbox = Outbox(rows_max=rows_max)
    _, taken, told, refused = drive(outbox, script)
    total = sum(row.count for row in [*told, *refused, *outbox.rows]) + outbox.dropped
    assert total == len(taken)
    assert len({event.event_id for event in taken}) == len(taken)
    order = [event.event_id for event in taken if not is_collapsing(event)]
    alone = [row.event.event_id for row in [*told, *outbox.rows] if not is_collapsing(row.event)]
    assert alone == [event_id for event_id in order if event_id in set(alone)]
    kept = {event.event_id for row in [*told, *refused, *outbox.rows] for event in row.events}
    assert {event.event_id for event in taken if is_protected(event)} <= kept


@settings(max_examples=100, deadline=None)
@given(script=actions, data=st.data())
def test_any_prefix_of_the_changes_replays(
    script: list[AlertEvent | RowInput | str], data: st.DataObject
) -> None:
    """Changes written as lines and read back build the same outbox, from any prefix, and a
    snapshot is as good as the changes that led to it."""
    outbox = Outbox(rows_max=5)
    changes, *_ = drive(outbox, script)
    length = data.draw(st.integers(0, len(changes)))
    first, second = Outbox(rows_max=5), Outbox(rows_max=5)
    for change in changes[:length]:
        first.apply(change)
    for change in first.snapshot():
        second.apply(parse_change(render_change(change)))
    for change in changes[length:]:
        second.apply(parse_change(render_change(change)))
    assert second.snapshot() == outbox.snapshot()


def test_info_never_includes_what_a_person_must_see() -> None:
    """Only "nothing to do" and "good again" can grow too old to be told."""
    for kind in Kind:
        for verdict in (Verdict.LOOK, Verdict.ACT):
            assert not is_info(build_event("e", kind, verdict=verdict))
