"""Does the ttl suit the network: counted renewals, worst age, margin, the smallest ttl."""

from dataclasses import replace

import pytest

from election.model import LeaseTiming
from node.doctor.report import render_measured
from node.doctor.samples import Answer, Measured, Round, advise, measure, suggest_ttl_ms

TIMING = LeaseTiming()
PACE_S = 0.5
NAMES = ("a", "b", "c")


def rounds(count: int, *, took_s: float = 0.01, lost: frozenset[int] = frozenset()) -> list[Round]:
    """Rounds half a second apart; in the lost ones two of three stores are silent."""
    return [
        Round(
            sent_s=100 + n * PACE_S,
            answers=(
                Answer(took_s=took_s),
                *(Answer(took_s=None if n in lost else took_s, error="x" * (n in lost)),) * 2,
            ),
        )
        for n in range(count)
    ]


def measured(found: list[Round]) -> Measured:
    return measure(found, NAMES, TIMING, pace_s=PACE_S)


def test_a_majority_counts_and_its_slowest_member_decides() -> None:
    """R13: a renewal is counted when two of three have answered."""
    slow = Round(sent_s=0, answers=(Answer(took_s=0.3), Answer(took_s=0.1), Answer(took_s=None)))
    assert slow.counted_after_s() == 0.3
    alone = Round(sent_s=0, answers=(Answer(took_s=0.1), Answer(took_s=None), Answer(took_s=None)))
    assert alone.counted_after_s() is None


def test_a_quiet_network_suits_the_defaults() -> None:
    """Age at worst: one renewal interval and one round trip."""
    found = measured(rounds(600))
    assert found.worst_age_s == pytest.approx(1.01)
    advice = advise(found, TIMING, node_gap_s=1.1)
    assert advice.is_suitable
    assert advice.lines == ()
    assert advice.words[0] == "the timing suits this network"
    assert "0 renewals in a row would have been lost" in advice.words[1]


def test_the_unluckiest_phase_counts() -> None:
    """A renewal stream at 1 s could have met exactly the lost half seconds."""
    found = measured(rounds(100, lost=frozenset({50, 52})))
    assert found.lost_in_a_row == 2
    assert found.worst_age_s == pytest.approx(3.01)


def test_silence_until_the_end_counts() -> None:
    """What did not come before the measurement ended is not called good."""
    found = measured(rounds(100, lost=frozenset(range(80, 100))))
    assert found.worst_age_s is not None
    assert found.worst_age_s >= 9


def test_a_lost_lease_is_said_and_the_smallest_ttl_that_fits_is_named() -> None:
    """Margin 3 against the worst age, in a line to copy."""
    found = measured(rounds(600, lost=frozenset(range(100, 110))))
    advice = advise(found, TIMING, node_gap_s=None)
    assert advice.is_poor
    assert "NOT suit" in advice.words[0]
    (line,) = advice.lines
    ttl_ms = int(line.removeprefix("ttl_ms = "))
    fitting = LeaseTiming(ttl_ms=ttl_ms)
    assert found.worst_age_s is not None
    assert fitting.gate_s >= 3 * found.worst_age_s
    assert LeaseTiming(ttl_ms=ttl_ms - 500).gate_s < 3 * found.worst_age_s
    assert line in render_measured(found, advice)


def test_a_box_that_asks_late_is_told_from_a_network_that_answers_late() -> None:
    """Asked 2 s late, with quick answers: the pause between two questions is this box's own."""
    found = rounds(10)
    late = replace(found[5].answers[1], late_s=2.0)
    found[5] = replace(found[5], answers=(found[5].answers[0], late, found[5].answers[2]))
    assert measured(rounds(10, took_s=0.7)).longest_own_gap_s == pytest.approx(0.5)
    assert measured(found).longest_own_gap_s == pytest.approx(2.5)


def test_the_nodes_own_pauses_count_like_a_slow_network() -> None:
    """R8: a box that stalls loses the lease as well as a cable does."""
    advice = advise(measured(rounds(600)), TIMING, node_gap_s=2.5)
    assert not advice.is_suitable
    assert any("paused 2.50 s" in words for words in advice.words)


def test_slow_answers_make_the_request_timeout_tight() -> None:
    """Answers that take more than half of the timeout are named with their store."""
    advice = advise(measured(rounds(600, took_s=0.5)), TIMING, node_gap_s=None)
    assert not advice.is_suitable
    assert any("store a: 99 of 100 answers within 500 ms" in words for words in advice.words)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_little_to_judge_is_said(count: int) -> None:
    """Nothing answered, or the measurement ended at once."""
    advice = advise(measured(rounds(count, lost=frozenset({0, 1, 2}))), TIMING, node_gap_s=None)
    assert advice.is_poor
    assert "too few" in advice.words[0]


def test_the_sums_of_the_lease_rules_hold_for_what_is_suggested() -> None:
    """2·renew + request_timeout + guard < 0.9·ttl, also on a perfect network."""
    LeaseTiming(ttl_ms=suggest_ttl_ms(0.001, TIMING))


def test_figures_of_one_store() -> None:
    """Median, losses, the longest silence and the last error are per store."""
    found = measured(rounds(100, lost=frozenset({10, 11, 12})))
    a, b, _ = found.stores
    assert (a.lost, b.lost, b.asked) == (0, 3, 100)
    assert b.longest_silence_s == pytest.approx(2.0)
    assert (a.last_error, b.last_error) == ("", "x")
    assert b.median_ms == pytest.approx(10)
