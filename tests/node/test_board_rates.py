"""Counters as rates: nothing is said before enough was seen, and nothing is made up."""

from node.board_rates import CardWrites, CpuShare, WriteRate


def test_share_of_the_processor_is_that_of_ten_minutes() -> None:
    """A minute at full load is not a busy box; nothing is said before five minutes."""
    share, busy_s, total_s = CpuShare(), 100.0, 1000.0
    seen = []
    for turn in range(121):  # 20 minutes of two cores: one busy minute, then idle, then all busy
        now_s = turn * 10.0
        is_busy = now_s <= 60.0 or now_s > 600.0
        seen.append(share.add(now_s, busy_s, total_s))
        busy_s += 20.0 if is_busy else 0.0
        total_s += 20.0
    assert seen[29] is None
    assert seen[30] is not None
    last = seen[-1]
    assert last is not None
    assert last > 95.0
    assert seen[60] is not None
    assert seen[60] < 15.0


def test_counters_that_cannot_be_read_or_fall_begin_anew() -> None:
    share = CpuShare()
    assert share.add(0.0, None, None) is None
    assert share.add(10.0, 50.0, 100.0) is None
    assert share.add(400.0, 1.0, 2.0) is None  # counted anew: 390 s of what came before are void
    assert share.add(500.0, 11.0, 12.0) is None
    assert share.add(700.0, 26.0, 52.0) == 50.0


def test_day_of_writes_is_worked_out_from_an_hour_at_least() -> None:
    """Less says nothing about a day; the figure names what it is made of."""
    writes = CardWrites()
    assert writes.add(0.0, 1000.0) is None
    assert writes.add(3590.0, 1100.0) is None
    assert writes.add(3600.0, 1100.0) == WriteRate(
        mb_per_day=2400.0, written_mb=100.0, measured_s=3600.0
    )
    assert writes.add(3610.0, None) is None


def test_whole_day_counts_as_soon_as_there_is_one() -> None:
    """One hour of backup in a day is not 24 of them."""
    writes, written_mb, found = CardWrites(), 0.0, None
    for turn in range(26 * 60):  # a minute each
        hour = turn // 60
        written_mb += 10.0 if hour == 3 else 0.5
        found = writes.add(turn * 60.0, written_mb)
    assert found is not None
    assert 86_400 - 700 <= found.measured_s <= 86_400
    assert 1200 < found.mb_per_day < 1400
    assert len(writes._seen) < 200


def test_disk_that_was_changed_begins_anew() -> None:
    writes = CardWrites()
    writes.add(0.0, 5000.0)
    assert writes.add(4000.0, 10.0) is None
    found = writes.add(8000.0, 10.0)
    assert found is not None
    assert found.mb_per_day == 0.0
