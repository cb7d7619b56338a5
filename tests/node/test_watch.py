"""Watches: told once per change, never twice, never for a flicker."""

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


def test_preferred_must_be_well_without_a_break() -> None:
    watch = PreferredWatch(stable_for_s=10)
    assert watch.step(is_preferred_fit=True, now_s=0) is None
    assert watch.step(is_preferred_fit=False, now_s=9) is None
    assert watch.step(is_preferred_fit=True, now_s=10) is None
    assert watch.step(is_preferred_fit=True, now_s=19.9) is None
    assert watch.step(is_preferred_fit=True, now_s=20) is Notice.PREFERRED_FIT
    assert watch.step(is_preferred_fit=True, now_s=90) is None


def test_node_that_never_became_fit_is_told_once() -> None:
    """Once it was fit, the holder tells that it lost its spare."""
    watch = FitWatch(patience_s=10)
    told = [watch.step(is_fit=False, now_s=t) for t in (0, 9.9, 10, 11)]
    assert told == [None, None, Notice.UNFIT, None]
    watch = FitWatch(patience_s=10)
    assert watch.step(is_fit=True, now_s=0) is None
    assert [watch.step(is_fit=False, now_s=t) for t in (1, 99)] == [None, None]
