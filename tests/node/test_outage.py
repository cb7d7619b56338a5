"""What a new holder says about the time before it."""

from pathlib import Path

import pytest

from node.outage import LastTrading, Outage, judge_outage


@pytest.mark.parametrize(
    ("last_ms", "was_released", "silent_s", "expected"),
    [
        (None, False, None, Outage(gap_s=None, was_whole_cluster_off=False)),
        (None, False, 3.0, Outage(gap_s=3.5, was_whole_cluster_off=False)),
        (9_000, False, 3.0, Outage(gap_s=3.5, was_whole_cluster_off=False)),
        (9_000, True, None, Outage(gap_s=0.5, was_whole_cluster_off=False)),
        (9_000, False, None, Outage(gap_s=11.0, was_whole_cluster_off=False)),
        (1_000, False, 3.0, Outage(gap_s=19.0, was_whole_cluster_off=True, off_since_ms=1_000)),
        (1_000, False, None, Outage(gap_s=19.0, was_whole_cluster_off=True, off_since_ms=1_000)),
        (30_000, False, None, Outage(gap_s=0.5, was_whole_cluster_off=False)),
    ],
    ids=[
        "a cluster that never traded has no gap",
        "a holder was seen dying before anybody was seen trading",
        "a failover: silence and takeover add up",
        "a switchover: only the takeover counts",
        "the stores came back empty: nobody held the lease, wall time counts",
        "traded last before this process started: both were off, wall time counts",
        "the same with an empty store",
        "a wall clock that went back gives no wrong gap",
    ],
)
def test_outage_judgement(
    last_ms: int | None, was_released: bool, silent_s: float | None, expected: Outage
) -> None:
    judged = judge_outage(
        now_ms=20_000,
        started_ms=5_000,
        last_trading_ms=last_ms,
        was_released=was_released,
        silent_s=silent_s,
        since_grant_s=0.5,
    )
    assert judged == expected


@pytest.mark.parametrize(
    ("unheard_s", "gap_s"), [(None, 0.5), (4.2, 4.2), (0.1, 0.5)], ids=["handed", "died", "at once"]
)
def test_a_crash_is_no_hand_over_without_a_gap(unheard_s: float | None, gap_s: float) -> None:
    """A stop hook frees the lease some time after the death: nobody traded meanwhile."""
    judged = judge_outage(
        now_ms=20_000,
        started_ms=5_000,
        last_trading_ms=9_000,
        was_released=True,
        silent_s=None,
        since_grant_s=0.5,
        unheard_s=unheard_s,
    )
    assert judged.gap_s == gap_s


def test_last_trading_survives_and_damage_counts_as_unknown(tmp_path: Path) -> None:
    memory = LastTrading(tmp_path)
    assert memory.load_ms() is None
    memory.store_ms(123)
    assert LastTrading(tmp_path).load_ms() == 123
    (tmp_path / "last-trading.json").write_text('{"wall_ms"')
    assert memory.load_ms() is None
