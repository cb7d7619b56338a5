"""The arithmetic of the benchmark: what it calls nobody, both and doubled."""

from pathlib import Path

import pytest

from tests.bench.figures import Order, judge_senders, spread
from tests.bench.main import main


def orders(**times_ms: list[float]) -> list[Order]:
    return [Order(sender=n, at_ms=t) for n, times in times_ms.items() for t in times]


def every(start_ms: int, end_ms: int, step_ms: int = 200) -> list[float]:
    return [float(t) for t in range(start_ms, end_ms, step_ms)]


def test_clean_handover_has_a_gap_and_no_overlap() -> None:
    """The gap counts from the last order before the fault, not from the fault."""
    found = judge_senders(
        orders(a=every(0, 1000), b=every(7000, 20_000)), fault_ms=900, end_ms=20_000
    )
    assert found.nobody_ms == 7000 - 800
    assert (found.both_ms, found.doubled, found.is_over) == (0, 0, True)


def test_two_senders_at_once_are_counted() -> None:
    """Both send from 7 s to 9 s: two seconds, ten orders each."""
    found = judge_senders(
        orders(a=every(0, 9001), b=every(7000, 20_000)), fault_ms=900, end_ms=20_000
    )
    assert found.both_ms == 2000
    assert found.doubled == 11
    assert found.nobody_ms <= 200


def test_single_late_order_of_an_old_leader_counts() -> None:
    """It has no length, but somebody sent while somebody else traded."""
    found = judge_senders(
        orders(a=[*every(0, 1000), 12_000.0], b=every(7000, 20_000)), fault_ms=900, end_ms=20_000
    )
    assert (found.both_ms, found.doubled) == (0, 1)


def test_two_turns_of_one_sender_do_not_span_the_pause_between() -> None:
    """A trades, B trades, A trades again: nobody ever sent with somebody else."""
    found = judge_senders(
        orders(a=every(0, 2000) + every(12_000, 15_000), b=every(4000, 9000)),
        fault_ms=1900,
        end_ms=15_000,
    )
    assert (found.both_ms, found.doubled) == (0, 0)
    assert found.nobody_ms == 12_000 - 8800


def test_nobody_until_the_end_is_not_over() -> None:
    """A system that never comes back is not called recovered."""
    found = judge_senders(orders(a=every(0, 1000)), fault_ms=900, end_ms=30_000)
    assert not found.is_over
    assert found.nobody_ms == 30_000 - 800


def test_a_case_that_does_not_exist_is_no_empty_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo must neither pass for a run nor overwrite the last one."""
    out = tmp_path / "bench.jsonl"
    out.write_text("measured\n")
    with pytest.raises(SystemExit) as ended:
        main(["--only", "plug,plgu", "--out", str(out)])
    assert ended.value.code == 2
    assert "there is no plgu" in capsys.readouterr().err
    assert out.read_text() == "measured\n"


def test_spread_takes_figures_that_occurred() -> None:
    """The 90th percentile of ten is the ninth; what was not seen does not count as zero."""
    found = spread([None, *(float(n) for n in range(10, 0, -1))])
    assert found is not None
    assert (found.count, found.least, found.median, found.p90, found.most) == (10, 1, 5.5, 9, 10)
    assert spread([None]) is None
    only = spread([3.0])
    assert only is not None
    assert only.p90 == only.most == pytest.approx(3.0)
