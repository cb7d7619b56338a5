"""The promise not to contend: what is remembered, judged, and done by the machine (R14)."""

from pathlib import Path

import pytest

from election.errors import PromiseFileUnusable
from election.model import NodeId
from election.promise import (
    ENDED_MAX,
    NOT_KNOWN,
    NOTHING_PROMISED,
    HolderFacts,
    Promise,
    PromiseDesk,
    PromiseMemory,
    PromiseState,
    describe,
    parse_memory,
    render_memory,
)
from election.promise_file import DiskPromiseFile

PROMISE = Promise(
    promise_id="p1",
    by=NodeId("pi"),
    by_nonce="pi-1",
    to=NodeId("jetson"),
    to_nonce="jetson-1",
    epoch=7,
)
STANDING = PromiseMemory(state=PromiseState.STANDING, promise=PROMISE)


def facts(**changes: object) -> HolderFacts:
    fields: dict[str, object] = {
        "node_id": NodeId("jetson"),
        "nonce": "jetson-1",
        "epoch": 7,
        "ttl_ms": 6000,
        "stores": 1,
        "proven_s": 0.4,
        "relies_on": None,
    }
    return HolderFacts(**{**fields, **changes})  # type: ignore[arg-type]


# --- the disk -----------------------------------------------------------------------------------


def test_missing_memory_counts_as_unknown(tmp_path: Path) -> None:
    """A wiped disk must not free a contender: no file is not "nothing promised"."""
    file = DiskPromiseFile(tmp_path / "promise.json")
    assert file.load() == NOT_KNOWN
    assert not file.warning


@pytest.mark.parametrize("memory", [NOTHING_PROMISED, STANDING])
def test_memory_survives_the_process(tmp_path: Path, memory: PromiseMemory) -> None:
    """What was stored is what a later process loads."""
    DiskPromiseFile(tmp_path / "promise.json").store(memory)
    assert DiskPromiseFile(tmp_path / "promise.json").load() == memory
    assert [path.name for path in tmp_path.iterdir()] == ["promise.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"v":2,"state":"none"}', '{"v":1,"state":"standing"}', "\x00" * 40]
)
def test_damaged_memory_counts_as_unknown(tmp_path: Path, text: str) -> None:
    """A file that cannot be read says so and frees nobody."""
    path = tmp_path / "promise.json"
    path.write_text(text)
    file = DiskPromiseFile(path)
    assert file.load() == NOT_KNOWN
    assert str(path) in file.warning


def test_promise_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    """Nobody may rely on what is not durable."""
    with pytest.raises(PromiseFileUnusable):
        DiskPromiseFile(tmp_path / "gone" / "promise.json").store(STANDING)


def test_memory_reads_back() -> None:
    """Rendering loses nothing."""
    assert parse_memory(render_memory(STANDING)) == STANDING


def test_words_say_how_it_ends() -> None:
    """Whoever stands down says so, with the command that ends it."""
    assert describe(NOTHING_PROMISED, {}) == ""
    assert "Jetson Nano" in describe(STANDING, {"jetson": "Jetson Nano"})
    assert "--end" in describe(STANDING, {})
    assert "--force" in describe(NOT_KNOWN, {})


def test_restart_is_known_by_the_nonce() -> None:
    """A later process of the promiser knows that what it stood down for is over."""
    assert STANDING.is_of_earlier_process("pi-2")
    assert not STANDING.is_of_earlier_process("pi-1")
    assert not NOT_KNOWN.is_of_earlier_process("pi-1")


# --- the holder's desk ---------------------------------------------------------------------------


def test_promise_is_relied_on_by_the_process_it_was_given_to() -> None:
    """Node, process and epoch fit, one store: the holder may rely on it, also asked twice."""
    desk = PromiseDesk()
    assert not desk.refuse_given(PROMISE, facts())
    assert not desk.refuse_given(PROMISE, facts(relies_on=PROMISE))


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": NodeId("other")},
        {"node_id": NodeId("pi")},
        {"nonce": "jetson-2"},
        {"epoch": 8},
        {"epoch": 0},
        {"stores": 3},
        {"relies_on": Promise(**{**PROMISE.to_body(), "promise_id": "p0"})},
    ],
)
def test_promise_for_somebody_else_is_refused(changes: dict[str, object]) -> None:
    """It was given to one process in one epoch, of the pair with one store."""
    assert PromiseDesk().refuse_given(PROMISE, facts(**changes))


def test_ended_promise_is_never_relied_on_again() -> None:
    """A promise that arrives after its end came late."""
    desk = PromiseDesk()
    desk.note_ended("p1")
    assert "ended" in desk.refuse_given(PROMISE, facts())


def test_desk_that_can_remember_no_more_refuses() -> None:
    """The memory of ended promises is bounded; when it is full nothing new is relied on."""
    desk = PromiseDesk()
    for number in range(ENDED_MAX + 5):
        desk.note_ended(f"e{number}")
    assert desk.refuse_given(PROMISE, facts())


@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [
        ({}, False),  # it relies on nothing
        ({"relies_on": PROMISE}, False),  # the store acknowledges: it can let go
        ({"relies_on": PROMISE, "proven_s": 3.1}, True),
        ({"relies_on": PROMISE, "proven_s": None}, True),
        ({"relies_on": PROMISE, "proven_s": None, "epoch": 0}, False),
    ],
)
def test_end_is_refused_while_it_would_stop_trading(
    changes: dict[str, object], is_refused: bool
) -> None:
    """The holder agrees to an end only while a store acknowledges its renewals."""
    assert bool(PromiseDesk().refuse_end(facts(**changes))) is is_refused
