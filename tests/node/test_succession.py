"""When an unwell node hands over: long enough unwell, a better successor, and never in circles."""

import itertools
import random
from collections.abc import Mapping

import pytest

from node.succession import (
    HOUR_S,
    MOVES_MAX,
    PATIENCE_S,
    PROOF_SLACK_S,
    Advice,
    Spare,
    Succession,
    Trouble,
)

FRESH = (Spare(node_id="pi", proof_age_s=1.0),)
TURN_S = 1.0


def judge_for(
    succession: Succession,
    seconds: float,
    troubles: Mapping[Trouble, str],
    *,
    spares: tuple[Spare, ...] = FRESH,
    shared: str = "",
    start_s: float = 0.0,
) -> Advice:
    """Let it judge once a second; return its first move, or its last word."""
    advice = Advice()
    for turn in range(int(seconds / TURN_S) + 1):
        now_s = start_s + turn * TURN_S
        advice = succession.judge(now_s, troubles, shared=shared, spares=spares)
        if advice.move_because:
            return advice
    return advice


@pytest.mark.parametrize("kind", list(Trouble))
def test_a_trouble_must_last(kind: Trouble) -> None:
    """A hiccup is no reason; each kind has its patience."""
    assert judge_for(Succession(), PATIENCE_S[kind] - 1, {kind: "bad"}) == Advice()
    assert judge_for(Succession(), PATIENCE_S[kind], {kind: "bad"}).move_because == "bad"


@pytest.mark.parametrize("kind", list(Trouble))
def test_a_trouble_that_ends_starts_anew(kind: Trouble) -> None:
    """Hysteresis: two halves of a patience are none."""
    succession, half_s = Succession(), PATIENCE_S[kind] * 0.7
    judge_for(succession, half_s, {kind: "bad"})
    judge_for(succession, 0, {}, start_s=half_s + 1)
    assert judge_for(succession, half_s, {kind: "bad"}, start_s=half_s + 2) == Advice()


def test_each_trouble_has_its_own_clock() -> None:
    """A venue that is back does not excuse the heat."""
    succession = Succession()
    judge_for(succession, 10, {Trouble.BOX: "hot", Trouble.VENUE: "away"})
    advice = judge_for(succession, 5, {Trouble.BOX: "hot"}, start_s=11)
    assert advice.move_because == "hot"


@pytest.mark.parametrize("kind", list(Trouble))
def test_without_a_fit_spare_it_stays_and_says_so(kind: Trouble) -> None:
    """Nobody is no successor: half a node is better than none."""
    advice = judge_for(Succession(), 3600, {kind: "bad"}, spares=())
    assert advice.move_because == ""
    assert advice.stay_because == "bad; but no other node is fit to trade"
    assert not advice.is_held


@pytest.mark.parametrize(
    ("kind", "moves"),
    [
        (Trouble.VENUE, False),
        (Trouble.CLOCK, False),
        (Trouble.BOX, True),
        (Trouble.JOURNAL, True),
    ],
)
def test_what_is_everybodys_moves_nothing(kind: Trouble, *, moves: bool) -> None:
    """429, 418 and maintenance: the other node would be refused just the same; heat is ours."""
    advice = judge_for(Succession(), 3600, {kind: "bad"}, shared="a ban counts the address")
    assert bool(advice.move_because) is moves
    if not moves:
        assert advice.stay_because == "bad; a ban counts the address"


@pytest.mark.parametrize("kind", [Trouble.VENUE, Trouble.CLOCK])
def test_a_spare_must_have_proven_the_venue_since(kind: Trouble) -> None:
    """Both cut: what the spare saw before the cut proves nothing."""
    lasts_s = PATIENCE_S[kind]
    for proof_age_s, moves in (
        (None, False),
        (lasts_s + 5, False),
        (lasts_s, False),
        (lasts_s - PROOF_SLACK_S, False),
        (lasts_s - PROOF_SLACK_S - 0.1, True),
        (0.0, True),
    ):
        succession = Succession()
        spares = (Spare(node_id="pi", proof_age_s=proof_age_s),)
        succession.judge(0.0, {kind: "bad"}, shared="", spares=spares)
        advice = succession.judge(lasts_s, {kind: "bad"}, shared="", spares=spares)
        assert bool(advice.move_because) is moves, proof_age_s


def test_a_proof_that_only_ages_never_moves_anything() -> None:
    """The venue went away for both in one moment: the lease stays for as long as that lasts."""
    succession = Succession()
    for second in range(3600):
        advice = succession.judge(
            float(second),
            {Trouble.VENUE: "away"},
            shared="",
            spares=(Spare(node_id="pi", proof_age_s=second + 3.0),),
        )
        assert advice.move_because == ""


def test_the_second_move_waits_and_says_how_long() -> None:
    """Two flaky boxes do not swap every minute; the wait is said, it is no secret."""
    succession = Succession()
    succession.note_move(0.0)
    advice = judge_for(succession, 60, {Trouble.BOX: "hot"})
    assert advice.move_because == ""
    assert advice.is_held
    assert "moved 1 times within an hour" in advice.stay_because
    assert judge_for(succession, 120, {Trouble.BOX: "hot"}, start_s=61).move_because == "hot"


@pytest.mark.parametrize("seed", range(40))
def test_alternating_health_moves_the_lease_a_bounded_number_of_times(seed: int) -> None:
    """In no hour more than MOVES_MAX moves, however the two boxes fall ill and recover."""
    dice = random.Random(f"succession-{seed}")
    nodes = (Succession(), Succession())
    ill_until_s = [0.0, 0.0]
    holder, moves = 0, list[float]()
    for turn in range(6 * 3600):
        now_s = float(turn)
        for node in (0, 1):
            if now_s >= ill_until_s[node] and dice.random() < 0.05:
                ill_until_s[node] = now_s + dice.choice((5, 20, 60, 600))
        is_ill = [now_s < until_s for until_s in ill_until_s]
        kind = dice.choice(list(Trouble)) if seed % 2 else Trouble.BOX
        other = 1 - holder
        advice = nodes[holder].judge(
            now_s,
            {kind: "ill"} if is_ill[holder] else {},
            shared="",
            spares=() if is_ill[other] else FRESH,
        )
        if advice.move_because:
            for each in nodes:  # both see it: one drains, the other is granted
                each.note_move(now_s)
            moves.append(now_s)
            holder = other
    for first, beyond in zip(moves, moves[MOVES_MAX:], strict=False):
        assert beyond - first >= HOUR_S
    for one, two in itertools.pairwise(moves):
        assert two - one >= 120


def test_the_worst_pair_moves_as_often_as_allowed_and_no_more() -> None:
    """Always ill here, always fit there: the bound is reached, so the property above can fail."""
    nodes = (Succession(), Succession())
    holder, moves = 0, list[float]()
    for turn in range(3600):
        advice = nodes[holder].judge(float(turn), {Trouble.BOX: "ill"}, shared="", spares=FRESH)
        if advice.move_because:
            for node in nodes:
                node.note_move(float(turn))
            moves.append(float(turn))
            holder = 1 - holder
    assert len(moves) == MOVES_MAX
