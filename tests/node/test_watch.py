"""Watches: told once per change, never twice, never for a flicker."""

import pytest

from node.watch import (
    FitWatch,
    Member,
    Notice,
    PreferredWatch,
    SpareWatch,
    TradingWatch,
    find_spares,
)


def member(node_id: str, *, age_s: float = 1, role: str = "standby", reasons: int = 0) -> Member:
    return Member(node_id=node_id, age_s=age_s, role=role, reasons=("x",) * reasons)


def test_spare_is_fresh_standby_and_fit() -> None:
    members = {
        m.node_id: m
        for m in (
            member("me"),
            member("good"),
            member("old", age_s=5.1),
            member("busy", role="takeover"),
            member("ill", reasons=1),
        )
    }
    assert find_spares(members, me="me", fresh_s=5) == ("good",)


def test_spare_lost_is_told_once_after_it_settled() -> None:
    watch = SpareWatch(settle_s=3, has_spare=True)
    told = [watch.step(has_spare=False, now_s=t) for t in range(8)]
    assert told == [None, None, None, Notice.SPARE_LOST, None, None, None, None]
    assert watch.step(has_spare=True, now_s=10) is None
    assert watch.step(has_spare=True, now_s=13) is Notice.SPARE_BACK


def test_spare_flicker_is_not_told() -> None:
    watch = SpareWatch(settle_s=3, has_spare=True)
    for t in range(0, 20, 2):
        assert watch.step(has_spare=False, now_s=t) is None
        assert watch.step(has_spare=True, now_s=t + 1) is None


def test_nobody_trades_is_told_once_an_episode() -> None:
    watch = TradingWatch(patience_s=2)
    told = [watch.step(is_somebody_trading=False, now_s=t) for t in (0, 1.9, 2, 3)]
    assert told == [None, None, Notice.NOBODY_TRADES, None]
    assert watch.step(is_somebody_trading=True, now_s=4) is None
    assert watch.step(is_somebody_trading=False, now_s=5) is None
    assert watch.step(is_somebody_trading=False, now_s=7) is Notice.NOBODY_TRADES


def look(watch: PreferredWatch, now_s: float, *, fit: bool = True, mine: bool = True) -> bool:
    notice = watch.step(is_mine_to_say=mine, is_preferred_fit=fit, now_s=now_s)
    return notice is Notice.PREFERRED_FIT


def test_preferred_must_be_well_without_a_break() -> None:
    """R15: for the whole of stable_for_s, then once."""
    watch = PreferredWatch(stable_for_s=10)
    assert not look(watch, 0)
    assert not look(watch, 9, fit=False)
    assert not look(watch, 10)
    assert not look(watch, 19.9)
    assert look(watch, 20)
    assert not look(watch, 90)


@pytest.mark.parametrize("well_s", [30, 300, 660, 3000])
def test_a_preferred_node_that_flaps_is_told_of_once_a_leader(well_s: int) -> None:
    """Scenario 34: ten flaps an hour, for a day: at most one message, and nothing moves."""
    watch, told = PreferredWatch(stable_for_s=600), 0
    for second in range(86_400):
        told += look(watch, second, fit=second % (well_s + 60) < well_s)
    assert told == (1 if well_s >= 600 else 0)


def test_the_next_leader_says_it_again() -> None:
    """Who took over since begins to watch anew."""
    watch = PreferredWatch(stable_for_s=10)
    look(watch, 0)
    assert look(watch, 10)
    assert not look(watch, 11, mine=False)
    assert not look(watch, 12)
    assert look(watch, 22)


def test_node_that_never_became_fit_is_told_once() -> None:
    """Once it was fit, the holder tells that it lost its spare."""
    watch = FitWatch(patience_s=10)
    told = [watch.step(is_fit=False, now_s=t) for t in (0, 9.9, 10, 11)]
    assert told == [None, None, Notice.UNFIT, None]
    watch = FitWatch(patience_s=10)
    assert watch.step(is_fit=True, now_s=0) is None
    assert [watch.step(is_fit=False, now_s=t) for t in (1, 99)] == [None, None]
