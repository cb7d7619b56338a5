"""Two nodes compare what they see: two servers are proven, one that restarts never is (R13)."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from election.instants import Instant
from election.model import Incarnation, NodeId, Refusal, StoreName, StoreReply
from election.observation import Observation
from election.peer import (
    FRESH_S,
    LASTING_S,
    Exchange,
    PeerStatus,
    SeenLife,
    ServerCheck,
    is_fresh,
    parse_status,
    render_status,
)
from tests.election.test_observation import RECORD

X, Y = StoreName("x"), StoreName("y")


def at(seconds: float) -> Instant:
    return Instant(boot_s=seconds, raw_s=seconds, wall_s=seconds)


def status(
    lives: Mapping[StoreName, tuple[str, float]], *, config_id: str = "c", nonce: str = "n"
) -> PeerStatus:
    return PeerStatus(
        cluster_id="test-home",
        config_id=config_id,
        node_id=NodeId("pi"),
        nonce=nonce,
        is_holder=False,
        epoch=0,
        max_epoch=4,
        ttl_ms=6000,
        lives={n: SeenLife(inc=Incarnation(i), age_s=a) for n, (i, a) in lives.items()},
    )


def seen(inc: str, age_s: float = 0.1) -> dict[StoreName, SeenLife]:
    return {X: SeenLife(inc=Incarnation(inc), age_s=age_s)}


def new_check() -> ServerCheck:
    return ServerCheck(list_ids=frozenset({"c"}), stores=[X])


def tell(check: ServerCheck, now_s: float, own: str, theirs: str, age_s: float = 0.1) -> None:
    check.step(
        seen(own),
        Exchange(status=status({X: (theirs, age_s)}), sent=at(now_s - 0.01), received=at(now_s)),
    )


# --- what is said -------------------------------------------------------------------------------


def test_status_reads_back() -> None:
    """Rendering loses nothing that matters."""
    said = status({X: ("abc:def", 0.25), Y: ("1:2", 3.5)})
    assert parse_status(render_status(said)) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 5000,
        render_status(status({})).replace('"v": 1', '"v": 9'),
        render_status(status({X: ("a", 1.0)})).replace("1.0", "-1.0"),
        render_status(status({X: ("a", 1.0)})).replace("1.0", "Infinity"),
        render_status(status({X: ("a", 1.0)})).replace("1.0", "NaN"),
        render_status(status({X: ("a", 1.0)})).replace('["a", 1.0]', '"a"'),
    ],
)
def test_status_that_cannot_be_read_is_refused(text: str) -> None:
    """Nothing is guessed about a peer."""
    with pytest.raises(ValueError, match="peer"):
        parse_status(text)


def test_answer_grows_old() -> None:
    """What was answered long ago says nothing about now; a clock that ran back neither."""
    answer = Exchange(status=status({}), sent=at(9.9), received=at(10))
    assert is_fresh(answer, at(10 + FRESH_S))
    assert not is_fresh(answer, at(10 + FRESH_S + 0.1))
    assert not is_fresh(answer, at(9))
    assert not is_fresh(None, at(10))


# --- what is proven -----------------------------------------------------------------------------


def test_two_servers_are_proven_after_two_seconds() -> None:
    """R13: different lives, both seen during the same more than 2 s."""
    check = new_check()
    for tick in range(5):
        tell(check, 10 + tick / 2, "mine", "theirs")
        assert not check.reasons
    tell(check, 10 + LASTING_S + 0.2, "mine", "theirs")
    assert "two servers" in check.reasons[0]
    assert "'x'" in check.reasons[0]


def test_stale_view_of_a_restart_proves_nothing() -> None:
    """A peer that lost the store still names its old life, with an age that grows."""
    check = new_check()
    tell(check, 10, "old", "old")
    for tick in range(60):
        tell(check, 11 + tick, "new", "old", age_s=1.0 + tick)
    assert not check.reasons


def test_proof_outlives_a_silent_peer_and_ends_with_a_refutation() -> None:
    """Proven once it stays so until both see the same server: silence mends nothing."""
    check = new_check()
    for tick in range(8):
        tell(check, 10 + tick / 2, "mine", "theirs")
    assert check.reasons
    check.step({}, Exchange(status=status({}), sent=at(99), received=at(99)))
    assert check.reasons
    tell(check, 100, "theirs", "theirs")
    assert not check.reasons


def test_other_store_list_counts_at_once() -> None:
    """R13: a fresh answer with another config id; a later one with the same takes it back."""
    check = new_check()
    check.step({}, Exchange(status=status({}, config_id="d"), sent=at(1), received=at(1)))
    assert "store list" in check.reasons[0]
    check.step({}, Exchange(status=status({}), sent=at(2), received=at(2)))
    assert not check.reasons


def test_restarted_peer_is_judged_anew() -> None:
    """Another process may read another file: what the old one saw is not added up with its own."""
    check = new_check()
    for second in range(10):
        check.step(
            seen("mine"),
            Exchange(
                status=status({X: ("theirs", 0.0)}, nonce=f"n{second}"),
                sent=at(second),
                received=at(second),
            ),
        )
    assert not check.reasons


# --- no false alarm, ever -----------------------------------------------------------------------


# When the one server answered, and how much later the node took the answer in: it may have been
# stopped meanwhile.
LOOKS = st.lists(
    st.tuples(st.floats(0.0, 60.0), st.one_of(st.just(0.0), st.floats(0.0, 10.0))),
    min_size=1,
    max_size=80,
)


def view_of(looks: list[tuple[float, float]], until_s: float, lives: list[float]) -> Observation:
    """Return what a node knows at an instant of the server that it looked at."""
    observation = Observation(name=X)
    free_s = 0.0  # one call at a time
    for answered_s, stopped_s in sorted(looks):
        taken_s = answered_s + stopped_s
        if answered_s < free_s or taken_s > until_s:
            continue
        free_s = taken_s
        inc = Incarnation(f"life{sum(1 for begin_s in lives if begin_s <= answered_s)}")
        reply = StoreReply(refusal=Refusal.NONE, record=RECORD, inc=inc)
        observation.note_reply(reply, sent=at(answered_s), received=at(taken_s))
    return observation


def test_node_that_was_stopped_with_the_old_answer_in_its_socket_proves_nothing() -> None:
    """The store restarted at 1.5 s; what this node reads at 6 s was said before."""
    lives, check = [1.5], new_check()
    for now_s in (2.0, 3.0, 4.0, 5.0, 6.0):
        mine = view_of([(0.5, 0.0), (1.4, 4.6)], now_s, lives)
        theirs = view_of([(n / 2, 0.0) for n in range(13)], now_s, lives)
        assert mine.life is not None
        assert theirs.life is not None
        check.step(
            seen(mine.life[0], now_s - mine.life[1].boot_s),
            Exchange(
                status=status({X: (theirs.life[0], now_s - theirs.life[1].boot_s)}),
                sent=at(now_s - 0.01),
                received=at(now_s),
            ),
        )
        assert not check.reasons


@settings(max_examples=300, deadline=None)
@given(
    lives=st.lists(st.floats(0.0, 60.0), max_size=30),
    mine=LOOKS,
    theirs=LOOKS,
    exchanges=st.lists(
        st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 3.0), st.floats(0.0, 3.0)), max_size=60
    ),
)
def test_one_server_is_never_taken_for_two(
    lives: list[float],
    mine: list[tuple[float, float]],
    theirs: list[tuple[float, float]],
    exchanges: list[tuple[float, float, float]],
) -> None:
    """However it restarts, whoever sees it when, however slow or stopped: no false alarm."""
    check = new_check()
    last_received_s = 0.0
    for sent_s, there_s, back_s in sorted(exchanges):
        answered_s, received_s = sent_s + there_s, sent_s + there_s + back_s
        if sent_s < last_received_s:
            continue  # a node asks one question at a time
        last_received_s = received_s
        me, peer = view_of(mine, received_s, lives), view_of(theirs, answered_s, lives)
        if me.life is None or peer.life is None:
            continue
        check.step(
            seen(me.life[0], received_s - me.life[1].boot_s),
            Exchange(
                status=status({X: (peer.life[0], answered_s - peer.life[1].boot_s)}),
                sent=at(sent_s),
                received=at(received_s),
            ),
        )
        assert not check.reasons
