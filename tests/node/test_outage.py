"""What a new holder says about the time before it."""

from pathlib import Path

import pytest

from node.outage import LastTrading, Outage, judge_outage


@pytest.mark.parametrize(
    ("last_ms", "silent_s", "expected"),
    [
        (None, None, Outage(gap_s=None, was_whole_cluster_off=False)),
        (9_000, 3.1, Outage(gap_s=11.0, was_whole_cluster_off=False)),
        (1_000, None, Outage(gap_s=19.0, was_whole_cluster_off=True)),
        (30_000, None, Outage(gap_s=0.0, was_whole_cluster_off=False)),
    ],
    ids=[
        "a cluster that never traded has no gap",
        "a holder seen alive in this process's life is an ordinary failover",
        "traded last before this process started: both were off",
        "a wall clock that went back gives no negative gap",
    ],
)
def test_outage_judgement(last_ms: int | None, silent_s: float | None, expected: Outage) -> None:
    judged = judge_outage(
        now_ms=20_000, started_ms=5_000, last_trading_ms=last_ms, silent_s=silent_s
    )
    assert judged == expected


def test_last_trading_survives_and_damage_counts_as_unknown(tmp_path: Path) -> None:
    memory = LastTrading(tmp_path)
    assert memory.load_ms() is None
    memory.store_ms(123)
    assert LastTrading(tmp_path).load_ms() == 123
    (tmp_path / "last-trading.json").write_text('{"wall_ms"')
    assert memory.load_ms() is None
